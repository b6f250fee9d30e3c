"""Verdicts on rises of accuracy that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rise_tables import events, rising, table
from verdict_tables import by_contrast

from general_circuits.claims import gradual
from general_circuits.claims.findings import CONTRADICTED, SUPPORTED, UNDECIDED


@pytest.mark.parametrize(
    ("start", "end", "verdict"), [(300, 3000, SUPPORTED), (2000, 2400, CONTRADICTED), (1500, 2600, UNDECIDED)]
)
def test_a_rise_is_gradual_by_its_share_of_the_time(start: int, end: int, verdict: str) -> None:
    metrics = table(train_accuracy=rising(0, 100), validation_accuracy=rising(start, end))
    finding = by_contrast(gradual.judge({"metrics": metrics, "events": events()}))["registered"]
    assert finding.verdict == verdict
    assert (finding.estimate.p_value < 0.05) == (verdict != UNDECIDED)


def test_rises_that_do_not_end_are_counted_out() -> None:
    metrics = table(train_accuracy=rising(0, 100), validation_accuracy=rising(1000, 9000))
    finding = by_contrast(gradual.judge({"metrics": metrics, "events": events()}))["registered"]
    assert (finding.verdict, finding.estimate.n) == (UNDECIDED, 0)
    assert "too few replicas" in finding.sentence


def test_controls_stand_beside_with_their_share_and_the_ratio_of_their_rises() -> None:
    """Both rises are linear: 2,000 steps against 100, so their ratio is 20."""
    both = pd.concat(
        [
            table(name, train_accuracy=rising(0, 100), validation_accuracy=rising(1000, 3000))
            for name in ("grokking", "no_delay")
        ]
    )
    of_both = pd.concat([events().assign(condition=name) for name in ("grokking", "no_delay")])
    findings = by_contrast(gradual.judge({"metrics": both, "events": of_both}))
    assert findings["in no_delay"].estimate.mean == pytest.approx(findings["registered"].estimate.mean)
    ratio = "rise of validation over rise of training accuracy"
    for contrast in (ratio, f"{ratio} in no_delay"):
        assert findings[contrast].estimate.mean == pytest.approx(np.log10(20), abs=0.02)
