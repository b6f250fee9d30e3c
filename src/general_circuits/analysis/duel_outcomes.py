"""Duels as claims and figures read them: which rows of the tables `planted` and `toy` are meant, and what they say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from general_circuits.registered import rows_of

SIDES = ("general", "shallow")
RULES = ("sgd", "momentum", "adam", "adamw")
CONTROLS = ("generalisers", "memorisers", "copy")
"""Duels of equals, in which nothing should win."""
TRANSFER_UNIT = "relative change per 1,000 steps"
SCALINGS = ("outside", "halfway", "inside")
BASE = ("batch", "initial_margin", "initial_share", "scaling", "label_noise", "order")
"""What a study varies in turn; the null controls have the registered value of each."""
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
"""A toy of which nothing is varied but what all are crossed by."""


def optimisers(planted: pd.DataFrame) -> list[str]:
    """That there are duels with, SGD first."""
    found = set(planted["optimiser"])
    return [name for name in RULES if name in found]


def registered(planted: pd.DataFrame) -> dict[str, object]:
    """What a registered duel is, but for its optimiser: the most parts, no decay, the first of everything varied."""
    control = planted[planted["duel_kind"] == "copy"].iloc[0]
    plain = {"duel_kind": "duel", "parts": planted["parts"].max(), "general_decay": 0.0, "shallow_decay": 0.0}
    return plain | {name: control[name] for name in BASE}


def duels(planted: pd.DataFrame, optimiser: str, examples: str = "all", **other: object) -> pd.DataFrame:
    """Rows of the registered duel with this optimiser, or of the one that differs from it in what is given."""
    return rows_of(planted, **{**registered(planted), "optimiser": optimiser, "examples": examples, **other})


def with_other_parts(planted: pd.DataFrame, optimiser: str) -> Iterator[tuple[str, dict[str, object]]]:
    """By name, how duels of other numbers of parts differ from the registered one."""
    for parts in sorted(set(rows_of(planted, optimiser=optimiser)["parts"]) - {registered(planted)["parts"]}):
        yield f"{parts} {'part' if parts == 1 else 'parts'}", {"parts": parts}


def with_wrong_labels(planted: pd.DataFrame, optimiser: str) -> Iterator[tuple[str, dict[str, object]]]:
    """By name, how duels with label noise differ from it."""
    for noise in sorted(
        set(rows_of(planted, optimiser=optimiser)["label_noise"]) - {registered(planted)["label_noise"]}
    ):
        yield f"label noise {noise:g}", {"label_noise": noise}


def null_controls() -> Iterator[tuple[str, dict[str, object]]]:
    """By name, how the null controls differ from it."""
    for duel_kind in CONTROLS:
        yield f"null control {duel_kind}", {"duel_kind": duel_kind, "parts": 1}


def is_fair(modules: pd.DataFrame) -> pd.Series:
    """By replica, whether every module knows what it should: memorisers their part, generalisers validation too."""
    knows = (modules["accuracy"] == 1) & ((modules["kind"] != "generaliser") | (modules["validation_accuracy"] == 1))
    return knows.groupby(modules["replica"]).all()


def by_side(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Replica × side: the mean over the looks of a duel; NaN where the duel diverged."""
    grouped = rows.groupby(["replica", "side"], observed=True)
    is_whole = grouped["loss"].agg(lambda loss: bool(np.isfinite(loss).all()))
    return _wide(grouped[column].mean().where(is_whole))


def transfers(rows: pd.DataFrame) -> pd.DataFrame:
    """Replica × side: T, what a step does on examples outside its batch, in `TRANSFER_UNIT`."""
    return 1000 * by_side(rows, "transfer")


def at_end(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Replica × side: the value at a duel's last step."""
    return _wide(rows[rows["step"] == rows["step"].max()].set_index(["replica", "side"])[column])


def at_start(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Replica × side: the value before a duel's first step."""
    return _wide(rows[rows["step"] == 0].set_index(["replica", "side"])[column])


def _wide(values: pd.Series) -> pd.DataFrame:
    wide = values.unstack("side").sort_index()
    wide.columns = wide.columns.astype(str)
    return wide.reindex(columns=list(SIDES)).astype(float)


def halves_regained(rows: pd.DataFrame) -> pd.DataFrame:
    """Replica × side: steps after their return until half of what absent examples had lost is regained.

    Of a duel whose examples were `away` for the first half. NaN where nothing was lost, or half is not regained.
    """
    middle = rows["step"].max() / 2
    found = {}
    for key, series in rows.sort_values("step").groupby(["replica", "side"], observed=True):
        margins = series.set_index("step")["margin"]
        back = margins[margins.index >= middle]
        lost = margins.iloc[0] - back.iloc[0]
        regained = back.index[back >= back.iloc[0] + lost / 2]
        found[key] = float(regained[0] - back.index[0]) if lost > 0 and len(regained) else float("nan")
    index = pd.MultiIndex.from_tuples(found, names=["replica", "side"])
    return _wide(pd.Series(list(found.values()), index=index))


def toys(toy: pd.DataFrame, **values: object) -> pd.DataFrame:
    """Rows of toys with these values and, of all other things that are varied, the plain ones."""
    return rows_of(toy, **{**TOY_BASE, **values})


def toy_shares(rows: pd.DataFrame, pairs: slice = slice(None)) -> pd.DataFrame:
    """Toys by what tells them apart, and step → what general and shallow circuits add to right logits.

    Args:
        rows: of the table `toy`, all circuits of each toy.
        pairs: of those that the general circuit knows, which are looked at.

    Columns: `general` and `shallow`, means over these pairs; `share`, of the general one in both together.
    """
    keys = [name for name in TOY_KEYS if name in rows]
    known = [
        values[:coverage][pairs].mean()
        for values, coverage in zip(rows["contributions"], rows["coverage"], strict=True)
    ]
    side = rows["circuit"].astype(str).where(rows["circuit"] == "general", "shallow")
    given = rows.assign(side=side, given=known).groupby([*keys, "side"], observed=True)["given"].sum().unstack("side")
    return given.assign(share=given["general"] / (given["general"] + given["shallow"]))


def flow_shares(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """What gradient flow says of a pair that both kinds of circuit know, by these keys: as `toy_shares` is measured."""
    # Of pair 0, which every general circuit knows, and so does the shallow circuit of that pair.
    side = rows["circuit"].map({"general": "general", "shallow_0": "shallow"}).astype(object)
    named = rows.assign(side=side).dropna(subset=["side"])
    flow = named.set_index([*keys, "side"])["gradient_flow"].unstack("side").sort_index()
    return flow.assign(share=flow["general"] / (flow["general"] + flow["shallow"]))
