"""Outcomes of duels, read off the tables `planted` and `toy` for claims and figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from general_circuits.analysis.preconditions import unmet
from general_circuits.registered import rows_of

SIDES = ("general", "shallow")
RULES = ("sgd", "momentum", "adam", "adamw")
CONTROLS = ("generalisers", "memorisers", "copy")
"""Kinds of duels between equals, in which neither side should win."""
TRANSFER_UNIT = "relative change per 1,000 steps"
SCALINGS = ("outside", "halfway", "inside")
SETTLED, LAST = 0.002, 0.2
"""Largest drift of a settled share, per 100 steps, and the last share of a duel's steps over which it is taken."""
BASE = ("batch", "initial_margin", "initial_share", "scaling", "label_noise", "order")
"""Settings that a study varies one at a time; the null controls have the registered value of each."""
TOY_KEYS = (
    "optimiser",
    "attention",
    "sharing",
    "coverage",
    "weight_decay",
    "batch",
    "order",
    "initial_share",
    "frequency",
    "replica",
    "step",
)
TOY_BASE = {"batch": 0, "order": "shuffled", "initial_share": 0.5, "frequency": 1}
"""Settings of a plain toy. Update rules, attention, sharing, coverage and decay are crossed, so they are not here."""


def optimisers(planted: pd.DataFrame) -> list[str]:
    """Return the update rules that a table's duels use, SGD first."""
    used = set(planted["optimiser"])
    return [name for name in RULES if name in used]


def registered(planted: pd.DataFrame) -> dict[str, Any]:
    """Return the settings of the registered duel without its optimiser.

    It has the most parts, no decay, and the first listed value of every other setting.
    """
    # The first listed values are in no column by name, but every null control has them.
    control = planted[planted["duel_kind"] == "copy"].iloc[0]
    plain = {"duel_kind": "duel", "parts": planted["parts"].max(), "general_decay": 0.0, "shallow_decay": 0.0}
    return plain | {name: control[name] for name in BASE}


def duels(planted: pd.DataFrame, optimiser: str, examples: str = "all", **other: object) -> pd.DataFrame:
    """Return the rows of the registered duel with this optimiser; `other` replaces some of its settings."""
    return rows_of(planted, **{**registered(planted), "optimiser": optimiser, "examples": examples, **other})


def coverage(
    planted: pd.DataFrame, optimiser: str, read: Callable[[pd.DataFrame], pd.Series], **other: Any
) -> pd.Series:
    """Return what serving more examples adds to an outcome: its value at the most parts, minus its value at one part.

    A memoriser of one part serves all examples, as the generaliser does. So it shares every other difference.

    Args:
        planted, optimiser, other: as in `duels`.
        read: turns the rows of a duel into an outcome, (replica).
    """
    return read(duels(planted, optimiser, **other)) - read(duels(planted, optimiser, **{**other, "parts": 1}))


def most_decay(planted: pd.DataFrame, optimiser: str) -> dict[str, Any]:
    """Return the settings of the duel with the strongest decay of both sides; empty if there is none with decay."""
    rows = rows_of(planted, optimiser=optimiser)
    # The smaller of the two decays counts, so a decay of one side alone is 0.
    most = float(rows[["general_decay", "shallow_decay"]].min(axis=1).max())
    return {"general_decay": most, "shallow_decay": most} if most > 0 else {}


def with_other_parts(planted: pd.DataFrame, optimiser: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each duel with another number of parts, and the settings in which it differs."""
    for parts in sorted(set(rows_of(planted, optimiser=optimiser)["parts"]) - {registered(planted)["parts"]}):
        yield f"{parts} {'part' if parts == 1 else 'parts'}", {"parts": parts}


def with_wrong_labels(planted: pd.DataFrame, optimiser: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each duel with another label noise, and the settings in which it differs."""
    for noise in sorted(
        set(rows_of(planted, optimiser=optimiser)["label_noise"]) - {registered(planted)["label_noise"]}
    ):
        yield f"label noise {noise:g}", {"label_noise": noise}


def null_controls() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each null control, and the settings in which it differs from the registered duel."""
    for duel_kind in CONTROLS:
        yield f"null control {duel_kind}", {"duel_kind": duel_kind, "parts": 1}


def is_fair(modules: pd.DataFrame) -> pd.Series:
    """Tell for each replica whether every module knows its examples; generalisers must know validation too."""
    knows = (modules["accuracy"] == 1) & ((modules["kind"] != "generaliser") | (modules["validation_accuracy"] == 1))
    return knows.groupby(modules["replica"]).all()


def is_alive(rows: pd.DataFrame) -> pd.Series:
    """Tell for each replica whether a duel's loss stayed finite."""
    return rows["loss"].abs().lt(np.inf).groupby(rows["replica"]).all()


def unfit(fair: pd.Series, *of_duels: pd.DataFrame) -> str:
    """Return why duels cannot be judged, in words; empty if they can.

    Args:
        fair: whether every module of a replica knows its examples, (replica).
        of_duels: rows of each duel that is judged.
    """
    if reason := unmet({"all modules know their examples": fair}):
        return reason
    for rows in of_duels:
        if rows.empty:
            return "the study lacks one of the duels"
        alive = is_alive(rows).reindex(fair.index, fill_value=False)
        if reason := unmet({"a duel stayed finite": alive}):
            return reason
    return ""


def drifts(rows: pd.DataFrame) -> pd.Series:
    """Return the change of the general share over the last fifth of a duel, per 100 steps, (replica)."""
    shares = rows[rows["side"] == "general"].pivot(index="step", columns="replica", values="share").sort_index()
    end = shares.index[-1]
    before = shares.index[shares.index <= (1 - LAST) * end][-1]
    return 100 * (shares.loc[end] - shares.loc[before]) / (end - before)


def is_settled(rows: pd.DataFrame) -> pd.Series:
    """Tell for each replica whether the general share has settled at the end of a duel."""
    return drifts(rows).abs() < SETTLED


def by_side(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the mean over a duel's evaluations, (replica, side); NaN where the duel diverged."""
    grouped = rows.groupby(["replica", "side"], observed=True)
    is_finite = grouped["loss"].agg(lambda loss: bool(np.isfinite(loss).all()))
    return _wide(grouped[column].mean().where(is_finite))


def transfers(rows: pd.DataFrame, column: str = "fresh_transfer") -> pd.DataFrame:
    """Return T, the effect of batches on examples outside them, (replica, side), in `TRANSFER_UNIT`.

    Args:
        rows: rows of one duel.
        column: `fresh_transfer` is the effect of the batches' gradients alone. `transfer` is that of whole steps, into
            which momentum carries the examples' own gradients.
    """
    return 1000 * by_side(rows, column)


def at_end(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the values at a duel's last step, (replica, side)."""
    return _wide(rows[rows["step"] == rows["step"].max()].set_index(["replica", "side"])[column])


def at_start(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the values before a duel's first step, (replica, side)."""
    return _wide(rows[rows["step"] == 0].set_index(["replica", "side"])[column])


def _wide(values: pd.Series) -> pd.DataFrame:
    """Turn values by (replica, side) into a frame with a row per replica and a column per side of `SIDES`."""
    wide = values.unstack("side").sort_index()
    wide.columns = wide.columns.astype(str)
    return wide.reindex(columns=list(SIDES)).astype(float)


def halves_regained(rows: pd.DataFrame) -> pd.DataFrame:
    """Return how many steps after their return absent examples have regained half of their lost margin.

    Args:
        rows: a duel whose examples `away` are absent for the first half of its steps.

    Returns:
        (replica, side); NaN where no margin was lost, or half of it is not regained.
    """
    middle = rows["step"].max() / 2
    waits = {}
    for key, series in rows.sort_values("step").groupby(["replica", "side"], observed=True):
        margins = series.set_index("step")["margin"]
        back = margins[margins.index >= middle]
        lost = margins.iloc[0] - back.iloc[0]
        regained = back.index[back >= back.iloc[0] + lost / 2]
        waits[key] = float(regained[0] - back.index[0]) if lost > 0 and len(regained) else float("nan")
    index = pd.MultiIndex.from_tuples(waits, names=["replica", "side"])
    return _wide(pd.Series(list(waits.values()), index=index))


def toys(toy: pd.DataFrame, **values: object) -> pd.DataFrame:
    """Return the rows of toys with these values; settings of `TOY_BASE` that are not given keep their plain value."""
    return rows_of(toy, **{**TOY_BASE, **values})


def toy_shares(rows: pd.DataFrame, pairs: slice = slice(None)) -> pd.DataFrame:
    """Return what general and shallow circuits add to right logits, for each toy and step.

    Args:
        rows: rows of the table `toy`, with all circuits of each toy.
        pairs: selects from the pairs that the general circuit knows.

    Returns:
        Index: the columns of `TOY_KEYS` that `rows` has. Columns: `general` and `shallow`, means over the pairs;
        `share`, general / (general + shallow).
    """
    keys = [name for name in TOY_KEYS if name in rows]
    # A general circuit of coverage c knows the first c pairs. `contributions` is (pair) in each row.
    means = [
        values[:coverage][pairs].mean()
        for values, coverage in zip(rows["contributions"], rows["coverage"], strict=True)
    ]
    side = rows["circuit"].astype(str).where(rows["circuit"] == "general", "shallow")
    # Each pair has its own shallow circuit, so the shallow side is the sum over circuits of these means.
    added = rows.assign(side=side, given=means).groupby([*keys, "side"], observed=True)["given"].sum().unstack("side")
    return added.assign(share=added["general"] / (added["general"] + added["shallow"]))


def flow_shares(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return the shares that gradient flow predicts for a pair that both kinds of circuit know, by these keys.

    Columns are those of `toy_shares`, to compare with it.
    """
    # Pair 0 is known to every general circuit, whatever its coverage, and to the shallow circuit of its own.
    side = rows["circuit"].map({"general": "general", "shallow_0": "shallow"}).astype(object)
    named = rows.assign(side=side).dropna(subset=["side"])
    flow = named.set_index([*keys, "side"])["gradient_flow"].unstack("side").sort_index()
    return flow.assign(share=flow["general"] / (flow["general"] + flow["shallow"]))
