"""Verdicts on planted duels and toys whose outcome is known."""

from __future__ import annotations

import pytest
from duel_verdict_tables import judged, planted

from general_circuits.claims import takeover
from general_circuits.claims.findings import CONTRADICTED, SUPPORTED, UNDECIDED


@pytest.mark.parametrize(
    ("ends", "verdict", "outcome"),
    [
        ((3.0, 0.5), SUPPORTED, "the general side replaces the shallow side"),
        ((6.0, 3.0), CONTRADICTED, "the general side outgrows the shallow side but does not replace it"),
        ((2.0, 2.0), CONTRADICTED, "the general side does not replace the shallow side"),
        ((3.0, 1.0), UNDECIDED, "not shown either way"),
    ],
)
def test_each_optimiser_has_a_verdict(ends: tuple[float, float], verdict: str, outcome: str) -> None:
    noise = 0.02 if verdict == UNDECIDED else 1e-5
    findings = judged(takeover, planted(ends=ends, noise=noise))
    registered = {finding.contrast: finding for finding in findings if finding.verdict}
    assert list(registered) == ["registered, sgd", "registered, adamw"]
    for finding in registered.values():
        assert finding.verdict == verdict
        assert outcome in finding.sentence
        assert finding.estimate.mean == pytest.approx(ends[0] / sum(ends), abs=0.02)


def test_decay_controls_and_toys_stand_beside() -> None:
    findings = {finding.contrast: finding for finding in judged(takeover, planted())}
    beside = {
        "decay 0.1, sgd",
        "decay of the shallow side alone, adamw",
        "1 part, sgd",
        "null control copy, sgd",
        "toy: sgd, linear attention, apart, decay 0",
    }
    assert beside <= set(findings)
    assert findings["toy: sgd, linear attention, apart, decay 0"].estimate.mean == pytest.approx(0.5, abs=1e-5)
    assert findings["toy: sgd, linear attention, shared, decay 0"].estimate.mean > 0.55


def test_the_shallow_part_is_relative_to_its_start() -> None:
    """The part starts at 2 and ends at 0.5."""
    findings = {finding.contrast: finding for finding in judged(takeover, planted(ends=(3.0, 0.5)))}
    assert findings["shallow part at the end, sgd"].estimate.mean == pytest.approx(0.25, abs=1e-4)


def test_two_replicas_decide_nothing() -> None:
    findings = judged(takeover, planted(ends=(3.0, 0.5), replicas=range(2)))
    assert {finding.verdict for finding in findings if finding.verdict} == {UNDECIDED}
    assert "too few replicas" in findings[0].sentence
