"""Verdicts that weight decay and noise share: the power of a setting, and the loss of either part of the margin."""

from __future__ import annotations

import pytest
from variant_tables import BATCH, DECAY, MOVED, conditions, decays, progress

from general_circuits.analysis.variant_outcomes import levels, settings
from general_circuits.claims.findings import CONTRADICTED, NOT_TESTABLE, SUPPORTED
from general_circuits.claims.speed_and_mechanism import mechanism, speed


@pytest.mark.parametrize(
    ("side", "verdict", "words"),
    [(-1.0, SUPPORTED, "it speeds generalisation"), (1.0, CONTRADICTED, "small batches slow generalisation")],
)
def test_one_power_supports_a_claim_of_its_sign_and_contradicts_the_other(
    side: float, verdict: str, words: str
) -> None:
    tables = decays(-0.7)
    values = levels(settings(tables["conditions"]), DECAY)
    finding = speed(tables["events"], values, DECAY if side < 0 else BATCH, side)
    assert finding.verdict == verdict
    assert finding.estimate.mean == pytest.approx(-0.7, abs=0.02)
    assert words in finding.sentence


@pytest.mark.parametrize(("noise", "condition"), [(False, "decaying"), (True, "noisy")])
def test_each_mechanism_reads_its_own_branch(noise: bool, condition: str) -> None:
    """The shallow part loses 0.3 and the general part 0.1, each 4 % more in the mean over replicas."""
    study = settings(conditions(MOVED))
    finding = mechanism(progress(0.1, 0.3, condition), study, noise)
    assert finding.estimate.mean == pytest.approx(1.04 * 0.2)
    assert (finding.contrast, finding.verdict) == ("registered, mechanism", SUPPORTED)
    assert "loses 0.312 " in finding.sentence
    assert mechanism(progress(0.1, 0.3, condition), study, not noise).verdict == NOT_TESTABLE


def test_a_study_without_progress_measures_cannot_test_the_mechanism() -> None:
    finding = mechanism(None, settings(conditions(MOVED)), noise=False)
    assert finding.verdict == NOT_TESTABLE
    assert finding.sentence == "Not testable in this study: it has no measured branch at onset with decay alone."
