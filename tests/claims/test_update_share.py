"""Verdicts on duels whose outcome is known."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from duel_builders import toy_table

from general_circuits.analysis import duel_outcomes
from general_circuits.claims import forgetting, takeover, update_share
from general_circuits.claims.findings import CONTRADICTED, SUPPORTED, UNDECIDED, Finding

REPLICAS = range(5)
STEPS = (0, 50, 100)
PLAIN = {
    "duel_kind": "duel",
    "optimiser": "sgd",
    "parts": 4,
    "general_decay": 0.0,
    "shallow_decay": 0.0,
    "batch": 8,
    "initial_margin": 4.0,
    "initial_share": 0.5,
    "scaling": "outside",
    "label_noise": 0.0,
    "order": "shuffled",
}


def planted(
    transfers: dict[str, tuple[float, float]] | tuple[float, float] = (1e-3, -1e-3),
    ends: tuple[float, float] = (3.0, 1.0),
    noise: float = 1e-5,
    replicas: range = REPLICAS,
) -> pd.DataFrame:
    """A `planted` table: what each side's T is (by scaling, or in all), and its part at the end; both start with 2."""
    by_scaling = transfers if isinstance(transfers, dict) else dict.fromkeys(duel_outcomes.SCALINGS, transfers)
    generator = np.random.default_rng(0)
    duels = [{}, *({"scaling": scaling} for scaling in duel_outcomes.SCALINGS[1:]), {"parts": 1}, {"order": "away"}]
    duels += [{"general_decay": 0.1, "shallow_decay": 0.1}, {"general_decay": 0.1}, {"shallow_decay": 0.1}]
    duels += [{"duel_kind": duel_kind, "parts": 1} for duel_kind in ("generalisers", "memorisers", "copy")]
    rows = []
    for optimiser, duel, replica in itertools.product(("sgd", "adamw"), duels, replicas):
        variant = {**PLAIN, "optimiser": optimiser, **duel}
        both = by_scaling[str(variant["scaling"])]
        end = np.array(ends) + noise * generator.normal(size=2)
        drawn = np.array(both) + noise * generator.normal(size=2)
        for step, examples in itertools.product(STEPS, ("all", "away") if variant["order"] == "away" else ("all",)):
            parts = 2.0 + (end - 2.0) * step / STEPS[-1]
            for number, side in enumerate(duel_outcomes.SIDES):
                rows.append(
                    {
                        **variant,
                        "replica": replica,
                        "step": step,
                        "side": side,
                        "examples": examples,
                        "margin": parts[number],
                        "share": parts[number] / parts.sum(),
                        "transfer": drawn[number],
                        "reinforcement": 0.01,
                        "frequency": 0.8 - 0.2 * number,
                        "loss": 0.1,
                    }
                )
    return pd.DataFrame(rows)


def modules(known: float = 1.0, solved: float = 1.0) -> pd.DataFrame:
    """A `modules` table in which replica 0 has a memoriser and a generaliser that know so much."""
    rows = [
        {
            "replica": replica,
            "kind": kind,
            "accuracy": known if kind == "memoriser" and replica == 0 else 1.0,
            "validation_accuracy": 0.1 if kind == "memoriser" else solved if replica == 0 else 1.0,
        }
        for replica, kind in itertools.product(REPLICAS, ("generaliser", "memoriser"))
    ]
    return pd.DataFrame(rows)


def judged(claim: Any, frame: pd.DataFrame, of: pd.DataFrame | None = None) -> list[Finding]:
    """Findings of a claim from a `planted` table, and modules that know everything or these."""
    found: list[Finding] = claim.judge(
        {"planted": frame, "modules": modules() if of is None else of, "toy": toy_table()}
    )
    return found


def first(found: list[Finding]) -> Finding:
    assert found[0].contrast == "registered"
    assert not any(finding.verdict for finding in found[1:])
    return found[0]


def test_update_share_is_supported_where_the_general_side_gains_more_in_every_scaling() -> None:
    found = first(judged(update_share, planted((1e-3, -1e-3))))
    assert found.verdict == SUPPORTED
    assert found.estimate.mean == pytest.approx(2.0, abs=0.1)  # per 1,000 steps
    assert "Over all 5 replicas" in found.sentence


def test_update_share_is_contradicted_where_it_gains_less_in_every_scaling() -> None:
    assert first(judged(update_share, planted((-1e-3, 1e-3)))).verdict == CONTRADICTED


def test_update_share_is_undecided_where_the_scalings_disagree() -> None:
    """Raw gradients do: the same pair gave ratios of 2.9, 1.0 and 0.9."""
    scalings = {"outside": (3e-3, 1e-3), "halfway": (1e-3, 1e-3), "inside": (0.9e-3, 1e-3)}
    found = first(judged(update_share, planted(scalings)))
    assert found.verdict == UNDECIDED
    assert abs(found.estimate.mean) < 0.05  # the least sure of the three


def test_update_share_says_each_side_and_the_null_controls() -> None:
    found = {finding.contrast: finding for finding in judged(update_share, planted())}
    assert found["of the generaliser, sgd"].estimate.mean == pytest.approx(1.0, abs=0.05)
    assert found["of the memorisers, sgd"].estimate.mean == pytest.approx(-1.0, abs=0.05)
    assert found["steps forward, sgd"].estimate.mean == pytest.approx(0.2)
    assert {f"null control {name}, adamw" for name in ("generalisers", "memorisers", "copy")} <= set(found)


@pytest.mark.parametrize(
    ("transfers", "verdict"),
    [
        ((1e-3, -1e-3), SUPPORTED),
        ((-2e-3, -1e-3), CONTRADICTED),  # the general side is forgotten more
        ((2e-3, 1e-3), CONTRADICTED),  # nothing is forgotten
        ((1e-3, 0.0), UNDECIDED),
    ],
)
def test_forgetting_needs_a_decay_that_the_general_side_does_not_share(
    transfers: tuple[float, float], verdict: str
) -> None:
    assert first(judged(forgetting, planted(transfers))).verdict == verdict


@pytest.mark.parametrize(
    ("ends", "verdict", "outcome"),
    [
        ((3.0, 0.5), SUPPORTED, "it replaces them"),
        ((6.0, 3.0), CONTRADICTED, "it outgrows them, and does not replace them"),
        ((2.0, 2.0), CONTRADICTED, "it does not replace them"),
        ((3.0, 1.0), UNDECIDED, "not shown either way"),
    ],
)
def test_takeover_has_a_verdict_for_each_optimiser(ends: tuple[float, float], verdict: str, outcome: str) -> None:
    noise = 0.02 if verdict == UNDECIDED else 1e-5
    found = judged(takeover, planted(ends=ends, noise=noise))
    registered = {finding.contrast: finding for finding in found if finding.verdict}
    assert list(registered) == ["registered, sgd", "registered, adamw"]
    for finding in registered.values():
        assert finding.verdict == verdict
        assert outcome in finding.sentence
        assert finding.estimate.mean == pytest.approx(ends[0] / sum(ends), abs=0.02)


def test_takeover_shows_decay_controls_and_toys_beside() -> None:
    found = {finding.contrast: finding for finding in judged(takeover, planted())}
    beside = {
        "decay 0.1, sgd",
        "decay of the shallow side alone, adamw",
        "1 part, sgd",
        "null control copy, sgd",
        "toy: sgd, linear attention, apart, decay 0",
    }
    assert beside <= set(found)
    assert found["toy: sgd, linear attention, apart, decay 0"].estimate.mean == pytest.approx(0.5, abs=1e-5)
    assert found["toy: sgd, linear attention, shared, decay 0"].estimate.mean > 0.55


@pytest.mark.parametrize("claim", [update_share, forgetting])
@pytest.mark.parametrize("known", [{"known": 0.9}, {"solved": 0.99}])
def test_replicas_whose_modules_do_not_know_what_they_should_are_left_out_and_counted(
    claim: Any, known: dict[str, float]
) -> None:
    found = first(judged(claim, planted(), modules(**known)))
    assert found.estimate.n == 4
    assert "4 of 5 replicas" in found.sentence


@pytest.mark.parametrize("claim", [update_share, forgetting])
def test_two_replicas_decide_nothing(claim: Any) -> None:
    found = first(judged(claim, planted(replicas=range(2))))
    assert found.verdict == UNDECIDED
    assert "too few replicas" in found.sentence


def test_a_duel_that_diverged_says_nothing_of_its_replica() -> None:
    frame = planted()
    is_lost = (frame["replica"] == 2) & (frame["step"] == 100) & (frame["scaling"] == "inside")
    frame.loc[is_lost, ["loss", "margin", "transfer"]] = np.nan
    found = {finding.contrast: finding for finding in judged(update_share, frame)}
    assert found["scale put inside"].estimate.n == 4
    assert found["scale put outside"].estimate.n == 5
