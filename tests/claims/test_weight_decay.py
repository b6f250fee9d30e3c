"""Verdicts on weight decay in studies whose steps to generalise are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from variant_tables import DECAY, FRACTION, MOVED, NEVER, decays, progress, structure, study
from verdict_tables import by_contrast

from general_circuits.claims import weight_decay
from general_circuits.claims.findings import CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED


@pytest.mark.parametrize(
    ("general", "shallow", "verdict"), [(0.1, 0.3, SUPPORTED), (0.3, 0.1, CONTRADICTED), (0.2, 0.2, UNDECIDED)]
)
def test_speed_and_mechanism_are_judged_apart(general: float, shallow: float, verdict: str) -> None:
    tables = {**decays(-0.7, others=MOVED), "progress": progress(general, shallow), "structure": structure(9.0)}
    findings = by_contrast(weight_decay.judge(tables))
    assert findings["registered, speed"].verdict == SUPPORTED
    assert findings["registered, mechanism"].verdict == verdict


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
