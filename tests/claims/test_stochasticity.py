"""Verdicts on batch sizes in a study whose steps to generalise are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from variant_tables import BATCH, MOVED, NEVER, progress, study
from verdict_tables import by_contrast

from general_circuits.claims import stochasticity
from general_circuits.claims.findings import CONTRADICTED, SUPPORTED

NOISE = "branch.intervention.batch_noise"


def batches(power: float, others: dict[str, dict[str, Any]] | None = None) -> dict[str, pd.DataFrame]:
    """Build a study in which t_g is 2,000 times this power of the batch size over 256; full batches have 1,024."""
    variants = {"small": {BATCH: 64}, "large": {BATCH: 512}, "full": {BATCH: "full"}, **MOVED, **(others or {})}
    left: dict[str, Any] = dict.fromkeys(variants, lambda r: NEVER)
    left |= {"grokking": lambda r: 2000.0 + r}
    for name, batch in (("small", 64), ("large", 512), ("full", 1024)):
        left[name] = lambda r, batch=batch: 2000 * (batch / 256) ** power * (1 + 0.01 * np.sin(r))
    return study(variants, left)


def test_noise_is_judged_by_its_own_branch() -> None:
    frames = [progress(0.1, 0.3, "noisy"), progress(0.3, 0.1, "decaying")]
    findings = by_contrast(stochasticity.judge({**batches(0.3), "progress": pd.concat(frames)}))
    assert findings["registered, speed"].verdict == SUPPORTED
    assert findings["registered, speed"].estimate.mean == pytest.approx(0.3, abs=0.02)
    assert findings["slope in epochs"].estimate.mean == pytest.approx(1.3, abs=0.02)
    assert findings["registered, mechanism"].verdict == SUPPORTED
    assert findings["steps with full batch"].estimate.mean == pytest.approx(0.3 * np.log10(4), abs=0.01)


def test_small_batches_that_take_longer_contradict_the_claim() -> None:
    finding = by_contrast(stochasticity.judge(batches(-0.3)))["registered, speed"]
    assert finding.verdict == CONTRADICTED
    assert "small batches slow generalisation" in finding.sentence


def test_a_full_batch_with_noise_is_no_part_of_the_slope_and_stands_beside_it() -> None:
    noisy = {"noisy_full": {BATCH: "full", NOISE: 256}}
    tables = batches(0.3, noisy)
    findings = by_contrast(stochasticity.judge(tables))
    assert findings["registered, speed"].estimate.mean == pytest.approx(0.3, abs=0.02)
    assert findings["steps with full batch with the noise of 256"].estimate.n == 0  # it never generalises here
