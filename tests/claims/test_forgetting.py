"""Verdicts on forgetting in planted duels whose transfer is known."""

from __future__ import annotations

import pytest
from duel_verdict_tables import first, judged, modules, planted

from general_circuits.claims import forgetting
from general_circuits.claims.findings import CONTRADICTED, SUPPORTED, UNDECIDED


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


def test_the_sentence_has_both_changes_per_1000_steps() -> None:
    """T is +0.001 and −0.001 per step, so the memoriser's part changes by −1, the generaliser's by 2 more."""
    finding = first(judged(forgetting, planted((1e-3, -1e-3), noise=0.0)))
    assert finding.estimate.mean == pytest.approx(-1.0)
    assert "change a memoriser's part in a margin by −1.000 " in finding.sentence
    assert "the generaliser's part by +2.000 " in finding.sentence


def test_absent_examples_are_read_when_they_return() -> None:
    """Half-way through the duel the parts have gone from 2 to 2.5 and to 1.5."""
    findings = {finding.contrast: finding for finding in judged(forgetting, planted(noise=0.0))}
    for side, share in (("general", 1.25), ("shallow", 0.75)):
        assert findings[f"absent margins at return, {side}, sgd"].estimate.mean == pytest.approx(share)
        assert findings[f"half of the loss regained, {side}, sgd"].estimate.n == 0  # nothing is regained here


@pytest.mark.parametrize("known", [{"known": 0.9}, {"solved": 0.99}])
def test_replicas_with_a_module_that_does_not_know_its_examples_are_left_out_and_counted(
    known: dict[str, float],
) -> None:
    finding = first(judged(forgetting, planted(), modules(**known)))
    assert finding.estimate.n == 4
    assert "4 of 5 replicas" in finding.sentence


def test_two_replicas_decide_nothing() -> None:
    finding = first(judged(forgetting, planted(replicas=range(2))))
    assert finding.verdict == UNDECIDED
    assert "too few replicas" in finding.sentence
