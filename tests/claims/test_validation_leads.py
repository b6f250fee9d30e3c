"""Verdicts on losses whose fall is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from loss_tables import GENERALISED, NAT, Curve, events, falling, losses, validation
from verdict_tables import by_contrast

from general_circuits.claims import validation_leads
from general_circuits.claims.findings import (
    BETWEEN,
    CONTRADICTED,
    NOT_TESTABLE,
    SUPPORTED,
    UNDECIDED,
    Finding,
)

LEAD = "lead over the floor of training loss"


def judged(
    training: Curve,
    of_validation: Curve = validation,
    memorised: Sequence[int | None] = (100,) * 5,
    generalised: Sequence[int | None] = (GENERALISED,) * 5,
) -> dict[str, Finding]:
    """Judge losses of five replicas; one that never memorised has none."""
    table = losses(training, of_validation)
    watched = table["replica"].map(lambda replica: memorised[replica] is not None)
    return by_contrast(validation_leads.judge({"losses": table[watched], "events": events(memorised, generalised)}))


@pytest.mark.parametrize(
    ("fall", "verdict"),
    [(0.0, SUPPORTED), (0.5, SUPPORTED), (-0.3, BETWEEN), (-1.0, CONTRADICTED), (-3.0, CONTRADICTED)],
)
def test_a_training_loss_that_stays_supports_and_one_that_falls_too_contradicts(fall: float, verdict: str) -> None:
    finding = judged(falling(fall))["registered"]
    assert finding.verdict == verdict
    assert len(finding.values) == 5
    assert finding.estimate.mean == pytest.approx(fall, abs=0.06 * abs(fall) + 0.01)


def test_a_training_loss_that_falls_before_validation_loss_contradicts() -> None:
    """Training loss falls from step 600 to 1,800."""
    finding = judged(falling(-6.0, 600, 1200))["registered"]
    assert (finding.verdict, finding.estimate.mean) == (CONTRADICTED, pytest.approx(-2.5, abs=0.2))


def test_replicas_that_disagree_leave_it_undecided() -> None:
    finding = judged(lambda steps, replica: falling(-1.0 if replica % 2 else 0.2)(steps, replica))["registered"]
    assert (finding.verdict, finding.estimate.n) == (UNDECIDED, 5)


def test_the_overshoot_while_memorising_is_no_peak() -> None:
    """Training loss falls by six nats during the overshoot, which ends at 2 t_m, and stays afterwards."""
    assert judged(falling(-6.0, 100, 100))["registered"].verdict == SUPPORTED


def test_spikes_of_either_loss_do_not_matter() -> None:
    def training(steps: np.ndarray, replica: int) -> np.ndarray:
        return np.where(steps % 250 < 20, 1.0, falling(0.0)(steps, replica))

    def of_validation(steps: np.ndarray, replica: int) -> np.ndarray:
        return np.where(steps % 400 == 0, 50.0, validation(steps, replica))

    plain, spiky = judged(falling(0.0)), judged(training, of_validation)
    assert spiky["registered"].verdict == SUPPORTED
    assert spiky["registered"].estimate.mean == pytest.approx(plain["registered"].estimate.mean, abs=1e-3)
    nats = [found["steps of the first nat"].estimate.mean for found in (plain, spiky)]
    assert nats[0] == pytest.approx(nats[1], abs=0.01)


def test_a_nat_that_is_lost_within_thirty_steps_has_a_value_in_every_replica() -> None:
    """Evaluations every 20 steps were too coarse for such a fall."""

    def fast(steps: np.ndarray, replica: int) -> np.ndarray:
        return np.where(steps < 1000, validation(steps, replica), np.maximum(1.0, 6 - (steps - 1000) / 20))

    finding = judged(falling(-4.0, 1000, 100), fast)["registered"]
    assert (finding.verdict, finding.estimate.n) == (CONTRADICTED, 5)


def test_survivors_are_counted_and_the_median_is_that_of_kaplan_and_meier() -> None:
    """The floor never falls in two of five replicas, so the median is the third lead of all."""
    begins = (1600, 1700, 1800)

    def training(steps: np.ndarray, replica: int) -> np.ndarray:
        return falling(-3.0, begins[replica], 300)(steps, 0) if replica < 3 else falling(0.0)(steps, 0)

    finding = judged(training)[LEAD]
    assert finding.estimate.mean == pytest.approx(1900 - 1513, abs=30)
    assert "2 of 5 replicas" in finding.sentence
    assert "Survivors" in finding.sentence


def test_a_median_that_is_not_reached_has_no_number() -> None:
    finding = judged(falling(0.0))[LEAD]
    assert np.isnan(finding.estimate.mean)
    assert "Fewer than half" in finding.sentence
    assert "5 of 5 replicas" in finding.sentence


def test_a_peak_at_twice_t_m_belongs_to_the_overshoot_and_is_shown_apart() -> None:
    """Validation loss falls from the start in the last replica, which has its largest loss at 2 t_m."""

    def of_validation(steps: np.ndarray, replica: int) -> np.ndarray:
        return validation(steps, replica) if replica < 4 else 8 - steps / NAT

    findings = judged(falling(-1.0, 100, 1000), of_validation)
    name = "where the peak comes later than 2 t_m"
    assert np.isfinite(findings["registered"].values).all()
    assert findings[name].values == (*findings["registered"].values[:4], pytest.approx(np.nan, nan_ok=True))


# Preconditions


def test_replicas_that_never_memorised_make_it_not_testable() -> None:
    finding = judged(falling(0.0), memorised=(100, 100, 100, None, None))["registered"]
    assert finding.verdict == NOT_TESTABLE
    assert finding.reason == "training examples were memorised in 3 of 5 replicas; four fifths must"


def test_replicas_without_a_delay_make_it_not_testable() -> None:
    finding = judged(falling(0.0), generalised=(200, 150, 110, GENERALISED, GENERALISED))["registered"]
    assert finding.verdict == NOT_TESTABLE
    assert finding.reason.startswith("t_g, or the end of training, came after 2 t_m in 2 of 5 replicas")


def test_a_validation_loss_that_does_not_fall_makes_it_not_testable() -> None:
    finding = judged(falling(0.0), lambda steps, replica: steps / 1000.0)["registered"]
    assert finding.verdict == NOT_TESTABLE
    assert finding.reason.startswith("validation loss fell by a nat from its peak on the plateau in 0 of 5 replicas")


def test_a_fifth_of_the_replicas_may_fail_and_counts_for_the_look() -> None:
    finding = judged(falling(0.0), memorised=(100, 100, 100, 100, None))["registered"]
    assert (finding.verdict, finding.estimate.n, len(finding.values)) == (SUPPORTED, 4, 5)
    assert "4 of 5 replicas" in finding.sentence


def test_a_censored_t_g_is_a_delay() -> None:
    finding = judged(falling(0.0), generalised=(None,) * 5)["registered"]
    assert finding.verdict == SUPPORTED
