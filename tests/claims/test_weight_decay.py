"""Verdicts on weight decay in studies whose steps to generalise are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from variant_tables import DECAY, FRACTION, MOVED, NEVER, decays, progress, study
from verdict_tables import by_contrast

from general_circuits.claims import weight_decay
from general_circuits.claims.findings import CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED


@pytest.mark.parametrize(("power", "verdict"), [(-0.7, SUPPORTED), (0.7, CONTRADICTED), (0.0, UNDECIDED)])
def test_weight_decay_speeds_where_times_fall_as_it_grows(power: float, verdict: str) -> None:
    """Decay 0 has no logarithm, so it is left out of the slope and stands beside it."""
    findings = by_contrast(weight_decay.judge({**decays(power), "progress": progress(0.1, 0.2, "elsewhere")}))
    assert findings["registered, speed"].estimate.mean == pytest.approx(power, abs=0.02)
    assert findings["registered, speed"].verdict == verdict
    assert findings["registered, mechanism"].verdict == NOT_TESTABLE
    assert findings["steps at 2"].estimate.mean == pytest.approx(power * np.log10(2), abs=0.01)
    assert findings["steps at 0"].estimate.n == 0


def test_medians_are_given_by_training_share_and_decay() -> None:
    """Two of five replicas generalise with 0.4 of the examples, so there is no median."""
    shares = {"few": {FRACTION: 0.4}, "many": {FRACTION: 0.9}, "few_strong": {FRACTION: 0.4, DECAY: 2.0}}
    tables = decays(-0.7, others=shares)
    left = {"few": lambda r: 3000.0 if r < 2 else NEVER, "many": lambda r: 500.0 + r, "few_strong": lambda r: 800.0 + r}
    events = study(shares, {"grokking": lambda r: 2000.0 + r, **left})["events"]
    others = tables["events"][~tables["events"]["condition"].isin(shares)]
    tables["events"] = pd.concat([others, events[events["condition"] != "grokking"]])
    findings = by_contrast(weight_decay.judge(tables))
    medians = {name: finding for name, finding in findings.items() if name.startswith("median")}
    many = medians["median steps, 0.9 of the examples at decay 1"]
    assert 10**many.estimate.mean == pytest.approx(502)
    assert many.sentence.startswith("With 0.9 of the examples at decay 1, half of the replicas generalise by step 502 ")
    assert many.sentence.endswith("5 of 5 generalised.")
    assert 10 ** medians["median steps, 0.4 of the examples at decay 2"].estimate.mean == pytest.approx(802)
    few = medians["median steps, 0.4 of the examples at decay 1"]
    assert np.isnan(few.estimate.mean)
    assert few.sentence.endswith("at decay 1, fewer than half of the replicas generalised: 2 of 5.")
    assert findings["registered, mechanism"].verdict == NOT_TESTABLE, "a study without progress is judged without"


@pytest.mark.parametrize(
    ("general", "shallow", "verdict"), [(0.1, 0.3, SUPPORTED), (0.3, 0.1, CONTRADICTED), (0.2, 0.2, UNDECIDED)]
)
def test_decay_alone_is_judged_by_the_share_that_each_part_loses(general: float, shallow: float, verdict: str) -> None:
    tables = {**decays(-0.7, others=MOVED), "progress": progress(general, shallow)}
    finding = by_contrast(weight_decay.judge(tables))["registered, mechanism"]
    assert finding.verdict == verdict
    assert finding.estimate.mean == pytest.approx(1.04 * (shallow - general), abs=1e-9)
    assert "decay alone" in finding.sentence


def test_noise_in_place_of_decay_stands_beside_without_a_verdict() -> None:
    tables = {**decays(-0.7, others=MOVED), "progress": progress(0.3, 0.1, "noisy")}
    findings = by_contrast(weight_decay.judge(tables))
    assert findings["noise instead of decay"].verdict == ""
    assert findings["noise instead of decay"].estimate.mean == pytest.approx(-1.04 * 0.2)
    assert findings["registered, mechanism"].verdict == NOT_TESTABLE
