"""Verdicts on training without regularisation, in studies whose gains are known."""

from __future__ import annotations

from typing import Any

import pytest
from variant_tables import BATCH, DECAY, NEVER, study
from verdict_tables import by_contrast

from general_circuits.claims import no_regularisation
from general_circuits.claims.findings import CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED

VERDICTS = ("groks", "less", "step size")


def bare(optimiser: str, **more: Any) -> dict[str, Any]:
    """Return the changes of a condition on full batches without decay."""
    return {DECAY: 0.0, BATCH: "full", "optimiser.optimiser": optimiser, **more}


def gaining(gain: float) -> Any:
    """Return a curve whose validation accuracy rises linearly by this gain over 4,000 steps."""
    return lambda since: (1.0, gain * since / 4000)


def test_conditions_are_judged_by_the_accuracy_that_they_gain() -> None:
    variants = {
        "adam": bare("adamw"),
        "search": bare("line_search"),
        "double": bare("adamw", **{"optimiser.loss_precision": "float64"}),
    }
    curves = {"grokking": gaining(1.0), "adam": gaining(0.4), "search": gaining(0.0), "double": gaining(0.9)}
    tables = study(variants, dict.fromkeys(["grokking", *variants], lambda r: NEVER), curves)
    findings = by_contrast(no_regularisation.judge(tables))
    verdicts = {name: findings[f"registered, {name}"].verdict for name in VERDICTS}
    assert verdicts == dict.fromkeys(verdicts, SUPPORTED)
    assert findings["registered, groks"].estimate.mean == pytest.approx(0.4 * 3.75 / 4, abs=0.02)
    assert findings["by adamw, cross entropy, float64"].estimate.mean == pytest.approx(0.9 * 3.75 / 4, abs=0.04)
    assert "in 4,000 steps" in findings["by line_search, cross entropy, float32"].sentence


def test_a_condition_that_gains_nothing_does_not_grok() -> None:
    variants = {"adam": bare("adamw")}
    tables = study(
        variants,
        dict.fromkeys(["grokking", *variants], lambda r: NEVER),
        {"adam": gaining(0.0), "grokking": gaining(0.0)},
    )
    findings = by_contrast(no_regularisation.judge(tables))
    verdicts = {name: findings[f"registered, {name}"].verdict for name in VERDICTS}
    assert verdicts == {"groks": CONTRADICTED, "less": UNDECIDED, "step size": NOT_TESTABLE}


def test_a_line_search_that_gains_contradicts_that_it_prevents_grokking() -> None:
    variants = {"search": bare("line_search")}
    left = dict.fromkeys(["grokking", *variants], lambda r: NEVER)
    findings = by_contrast(no_regularisation.judge(study(variants, left, {"search": gaining(0.5)})))
    assert findings["registered, step size"].verdict == CONTRADICTED
    assert "it groks despite the line search" in findings["registered, step size"].sentence
    assert findings["registered, groks"].verdict == NOT_TESTABLE
