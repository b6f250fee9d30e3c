"""Verdicts on what single examples and single steps do: spikes, patches, and where gradients come from."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from variant_tables import conditions, study

from general_circuits.claims import imperfect_confidence, partial_generalisation, spikes
from general_circuits.claims.findings import CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED, Finding

STEPS = (0, 100, 200, 300, 400)
P = 11
PEAKS = (500, 900, 1300, 1800)


def by_contrast(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.contrast: finding for finding in findings}


def spiking(
    gains: dict[str, float], replicas: int = 5, peaks: tuple[int, ...] = PEAKS, rates: tuple[int, ...] = ()
) -> dict[str, pd.DataFrame]:
    """Grokking whose general share gains so much in each kind of window, give or take a hundredth by replica.

    A replica of an variant in float64 has as many spikes as told.
    """
    windows, effects = [], []
    for replica, peak in itertools.product(range(replicas), peaks):
        for kind, step in (("spike", peak), ("quiet", peak - 260), ("quiet", peak + 260), ("kick", peak + 260)):
            gain = gains[kind] + 0.01 * np.sin(replica + len(kind) + step)
            names = ("grokking", replica, peak, kind, step)
            windows.append((*names, 1e-3, 1e-1, 2e-3, 2e-1))
            effects.append((*names, 0.5, 0.5 + gain, 0.5 + gain / 2, 2e-1, 1e-1, 5.0, 2.0))
    for replica, n in enumerate(rates):
        windows += [("exact", replica, step, "spike", step, 1, 2, 1, 2) for step in range(200, 200 + n)]
    key = ["condition", "replica", "spike", "kind", "step"]
    losses = [
        (name, r, step) for name, r, step in itertools.product(("grokking", "exact"), range(replicas), range(100))
    ]
    loss_columns = ["loss_before", "loss", "validation_before", "validation"]
    general = [f"general_{when}" for when in ("before", "after", "later")]
    of_examples = ["rise_shared", "rise_others", "fall_shared", "fall_others"]
    return {
        "spikes": pd.DataFrame(windows, columns=[*key, *loss_columns]),
        "spike_effects": pd.DataFrame(effects, columns=[*key, *general, *of_examples]),
        "losses": pd.DataFrame(losses, columns=["condition", "replica", "step"]),
    }


@pytest.mark.parametrize(
    ("gains", "verdict", "estimate"),
    [
        ({"spike": 0.3, "quiet": 0.1, "kick": 0.2}, SUPPORTED, 0.1),
        ({"spike": 0.3, "quiet": 0.2, "kick": 0.1}, SUPPORTED, 0.1),
        ({"spike": 0.3, "quiet": 0.1, "kick": 0.3}, UNDECIDED, 0.0),
        ({"spike": 0.3, "quiet": 0.1, "kick": 0.5}, CONTRADICTED, -0.2),
        ({"spike": 0.1, "quiet": 0.3, "kick": 0.0}, CONTRADICTED, -0.2),
    ],
)
def test_spikes_unite_circuits_only_where_more_is_gained_than_in_quiet_windows_and_after_kicks(
    gains: dict[str, float], verdict: str, estimate: float
) -> None:
    found = by_contrast(spikes.judge(spiking(gains)))
    assert found["registered"].verdict == verdict
    assert found["registered"].estimate.mean == pytest.approx(estimate, abs=0.01)
    assert found["gain beyond quiet windows"].estimate.mean == pytest.approx(gains["spike"] - gains["quiet"], abs=0.01)
    assert found["gain beyond kicks"].estimate.mean == pytest.approx(gains["spike"] - gains["kick"], abs=0.01)


def test_each_spike_is_compared_with_what_stands_beside_it() -> None:
    """Not with the mean of all: a trend over training is no effect of spikes."""
    tables = spiking({"spike": 0.0, "quiet": 0.0, "kick": 0.0})
    effects = tables["spike_effects"]
    trend = effects["spike"] / 1000 * (1 + effects["replica"])
    tables["spike_effects"] = effects.assign(general_after=0.5 + trend + 0.1 * (effects["kind"] == "spike"))
    found = by_contrast(spikes.judge(tables))
    assert found["gain beyond kicks"].estimate.mean == pytest.approx(0.1)
    assert found["gain beyond kicks"].estimate.high == pytest.approx(0.1)


def test_what_else_is_known_of_spikes_stands_beside() -> None:
    found = by_contrast(spikes.judge(spiking({"spike": 0.3, "quiet": 0.1, "kick": 0.2}, rates=(1, 2, 3, 4, 5))))
    assert found["rise of losses, shared over others"].estimate.mean == pytest.approx(np.log10(2))
    assert found["fall of margins, shared less others"].estimate.mean == pytest.approx(3.0)
    assert found["rise of validation loss in a spike"].estimate.mean == pytest.approx(2.0)
    assert found["spikes in grokking"].estimate.mean == pytest.approx(40)
    assert found["spikes in exact"].estimate.mean == pytest.approx(30)
    intervals = np.diff(PEAKS)
    variation = intervals.std(ddof=1) / intervals.mean()
    assert found["coefficient of variation of intervals in grokking"].estimate.mean == pytest.approx(variation)


def test_without_spikes_nothing_is_decided_and_they_are_counted() -> None:
    tables = spiking({"spike": 0.3, "quiet": 0.1, "kick": 0.2}, peaks=())
    found = by_contrast(spikes.judge(tables))
    assert found["registered"].verdict == UNDECIDED
    assert found["registered"].estimate.n == 0
    assert "0 of 5 replicas" in found["registered"].sentence
    assert found["spikes in grokking"].estimate.mean == 0


Learnt = Callable[[pd.DataFrame, int], Any]
"""Examples and a replica → when each is learnt for good."""


def table(operation: str) -> pd.DataFrame:
    a, b = (part.ravel() for part in np.meshgrid(range(P), range(P), indexing="ij"))
    value = a * b if operation == "x*y" else a + b
    split = np.where((a + b) % 3 == 0, "train", "validation")
    return pd.DataFrame({"example": range(P * P), "a": a, "b": b, "wrap": value // P, "target": value % P}).assign(
        split=split
    )


def recorded(variants: dict[str, tuple[str, str, Learnt]], replicas: int = 5) -> dict[str, pd.DataFrame]:
    """The tables of variants: operation, inputs, and when examples are learnt."""
    splits, answers = [], []
    for name, (operation, _, learnt) in variants.items():
        for replica in range(replicas):
            examples = table(operation).assign(condition=name, replica=replica)
            splits.append(examples)
            when = np.broadcast_to(learnt(examples, replica), len(examples))
            for step in STEPS:
                margin = np.where(step >= when, 1.0, -1.0)
                rows = pd.DataFrame({"example": examples["example"], "margin": margin})
                answers.append(rows.assign(condition=name, replica=replica, step=step))
    of_arms = {
        name: {"task.formulas": [operation], "model.inputs": inputs}
        for name, (operation, inputs, _) in variants.items()
    }
    listed = conditions({name: changes for name, changes in of_arms.items() if name != "grokking"})
    own = conditions({"grokking": of_arms["grokking"]})
    listed = pd.concat([own[own["setting"].isin(of_arms["grokking"])], listed]).drop_duplicates(
        ["condition", "setting"]
    )
    return {"conditions": listed, "split": pd.concat(splits), "answers": pd.concat(answers)}


def in_order(examples: pd.DataFrame, replica: int) -> Any:
    return 100 * (1 + np.clip(examples["wrap"].to_numpy() // 2, 0, 3))


def at_random(examples: pd.DataFrame, replica: int) -> Any:
    of_pair = np.random.default_rng(replica).integers(1, 5, size=(P, P))
    return 100 * (np.triu(of_pair) + np.triu(of_pair, 1).T)[examples["a"], examples["b"]]


def by_answer(examples: pd.DataFrame, replica: int) -> Any:
    return 100 * (1 + (examples["target"].to_numpy() + replica) % 4)


def test_bands_are_judged_of_tokens_and_of_numbers_apart() -> None:
    variants = {
        "grokking": ("x+y", "tokens", at_random),
        "product": ("x*y", "tokens", at_random),
        "numbers": ("x*y", "ordinal", in_order),
    }
    found = by_contrast(partial_generalisation.judge(recorded(variants)))
    assert found["registered, bands"].verdict in (CONTRADICTED, UNDECIDED)
    assert abs(found["registered, bands"].estimate.mean) < 0.1
    assert found["registered, bands, ordinal"].verdict == SUPPORTED
    assert found["registered, patchwork"].verdict in (CONTRADICTED, UNDECIDED)
    assert found["patches by answers, grokking"].estimate.mean == pytest.approx(1.0, abs=0.35)


def test_a_patchwork_is_seen_in_grokking_itself_and_bands_need_a_product() -> None:
    found = by_contrast(partial_generalisation.judge(recorded({"grokking": ("x+y", "tokens", by_answer)})))
    assert found["registered, patchwork"].verdict == SUPPORTED
    assert found["patches by answers, grokking"].estimate.mean > found["patches by operands, grokking"].estimate.mean
    assert found["registered, bands"].verdict == found["registered, bands, ordinal"].verdict == NOT_TESTABLE
    assert "lateness and neighbours by answer, validation" in found


def deciles(sure: float) -> pd.DataFrame:
    """Gradients that grow by a factor from one tenth to the less sure one, between t_m and t_o, and are 1 elsewhere."""
    rows = [
        ("grokking", replica, step, decile, sure ** (10 - decile) if 200 < step < 1000 else 1.0, 11.0 - decile)
        for replica, step, decile in itertools.product(range(5), (0, 400, 800, 2000), range(1, 11))
    ]
    return pd.DataFrame(rows, columns=["condition", "replica", "step", "decile", "gradient_norm", "validation_fall"])


def test_where_gradients_come_from_stands_beside_confidence() -> None:
    """Only of the plateau; and a study without answers is judged without."""
    tables = study({}, {"grokking": lambda r: 2200.0})
    tables["metrics"] = tables["metrics"].assign(**{f"correct_probability{name}": 0.9 for name in ("", "_q10", "_q90")})
    without = by_contrast(imperfect_confidence.judge(tables))
    found = by_contrast(imperfect_confidence.judge({**tables, "deciles": deciles(2.0)}))
    assert found["gradient norm of the tenth least sure over the surest"].estimate.mean == pytest.approx(
        9 * np.log10(2)
    )
    share = found["of all tenths' gradient norms, that of the least sure"].estimate.mean
    assert share == pytest.approx(512 / 1023)
    assert found["fall of validation loss by the least sure tenth's gradient"].estimate.mean == pytest.approx(10.0)
    assert len(without) == len(found) - 3
