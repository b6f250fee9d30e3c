"""Verdicts on losses whose fall is known."""

from __future__ import annotations

import numpy as np
import pytest
from rise_tables import losses, table
from verdict_tables import by_contrast

from general_circuits.claims import validation_leads
from general_circuits.claims.findings import CONTRADICTED, SUPPORTED, UNDECIDED


@pytest.mark.parametrize(
    ("fall", "verdict"), [(0.0, SUPPORTED), (0.5, SUPPORTED), (-0.3, UNDECIDED), (-1.0, CONTRADICTED)]
)
def test_support_needs_a_training_loss_that_has_not_begun_to_fall(fall: float, verdict: str) -> None:
    findings = by_contrast(validation_leads.judge({"metrics": losses(fall)}))
    assert findings["registered"].verdict == verdict
    assert abs(findings["registered"].estimate.mean) <= abs(fall) + 1e-6
    first_nat = findings["steps of the first nat"].estimate.mean
    assert first_nat == pytest.approx(np.log10(500), abs=0.15)  # the running median cuts the sharp peak


def test_spikes_of_training_loss_do_not_move_its_floor() -> None:
    spiky = losses(0.0)
    is_spike = (spiky["split"] == "train") & (spiky["step"] % 250 == 0)
    spiky.loc[is_spike, "loss"] = 1.0
    plain, with_spikes = (validation_leads.judge({"metrics": frame})[0].estimate for frame in (losses(0.0), spiky))
    assert with_spikes.mean == pytest.approx(plain.mean, abs=1e-3)


def test_a_nat_that_is_lost_within_a_few_evaluations_gives_no_value() -> None:
    metrics = losses(-1.0)
    is_early = (metrics["split"] == "validation") & (metrics["step"] > 1000)
    metrics.loc[is_early, "loss"] = 2.0
    finding = validation_leads.judge({"metrics": metrics})[0]
    assert (finding.verdict, finding.estimate.n) == (UNDECIDED, 0)


def test_a_spike_of_validation_loss_is_not_its_peak() -> None:
    spiky = losses(0.0)
    spiky.loc[(spiky["split"] == "validation") & (spiky["step"] == 3000), "loss"] = 50.0
    plain, with_spike = (by_contrast(validation_leads.judge({"metrics": frame})) for frame in (losses(0.0), spiky))
    for contrast, finding in plain.items():
        assert with_spike[contrast].estimate.mean == pytest.approx(finding.estimate.mean)


def test_a_validation_loss_that_does_not_fall_has_no_lead() -> None:
    metrics = table(
        validation_loss=lambda steps, replica: steps / 1000.0, train_loss=lambda steps, replica: 1e-3 + 0 * steps
    )
    finding = validation_leads.judge({"metrics": metrics})[0]
    assert (finding.verdict, finding.estimate.n) == (UNDECIDED, 0)
