"""Verdicts on the noise of batches: speed and mechanism are judged apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
from variant_tables import BATCH, MOVED, NEVER, progress, structure, study
from verdict_tables import by_contrast

from general_circuits.claims import stochasticity
from general_circuits.claims.findings import NOT_TESTABLE, SUPPORTED


def test_speed_and_both_mechanisms_are_judged_apart() -> None:
    """t_g is 2,000 times the batch size over 256 to the power 0.3; the study has Gaussian noise, matched to decay."""
    variants = {"small": {BATCH: 64}, "large": {BATCH: 512}, **MOVED}
    left = dict.fromkeys(variants, lambda r: NEVER) | {"grokking": lambda r: 2000.0 + r}
    for name, batch in (("small", 64), ("large", 512)):
        left[name] = lambda r, batch=batch: 2000 * (batch / 256) ** 0.3 * (1 + 0.01 * np.sin(r))
    measured = ("noisy", "decaying")
    tables = {
        **study(variants, left),
        "progress": pd.concat([progress(0.1, 0.3, name) for name in measured]),
        "structure": pd.concat([structure(9.0, name) for name in measured]),
    }
    findings = by_contrast(stochasticity.judge(tables))
    assert findings["registered, speed"].verdict == SUPPORTED
    assert findings["registered, mechanism, gaussian noise"].verdict == SUPPORTED
    assert findings["registered, mechanism, minibatch noise"].verdict == NOT_TESTABLE
