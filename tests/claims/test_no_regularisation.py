"""Verdicts on training without regularisation, in studies whose gains are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from variant_tables import BATCH, DECAY, LAST, NEVER, study
from verdict_tables import by_contrast

from general_circuits.claims import no_regularisation
from general_circuits.claims.findings import BETWEEN, CONTRADICTED, NOT_TESTABLE, SUPPORTED, Finding
from general_circuits.claims.registry import CLAIMS
from general_circuits.config.load import load
from general_circuits.records import flat

PARTS = ("groks", "less", "step size")
SINGLE = {"optimiser.loss_precision": "float32"}


def bare(optimiser: str, **more: Any) -> dict[str, Any]:
    """Return the changes of a condition on full batches without decay, with the loss in float64."""
    double = {"optimiser.loss_precision": "float64"}
    return {DECAY: 0.0, BATCH: "full", "optimiser.optimiser": optimiser, **double, **more}


def gaining(gain: float) -> Any:
    """Return a curve whose validation accuracy rises by this gain at step 2,500, within the horizon of all replicas."""
    return lambda since: (1.0, gain * float(since >= 2500))


def early(replica: int) -> float:
    """Return a t_g of grokking that leaves time for a horizon: five times it are 3,000 and more."""
    return 600.0 + 10 * replica


def judged(
    variants: Mapping[str, Mapping[str, Any]],
    gained: Mapping[str, float],
    generalised: Callable[[int], float] = early,
    left: Mapping[str, Callable[[int], float]] | None = None,
) -> dict[str, Finding]:
    """Judge a study with these variants and gains; by default grokking alone generalises."""
    ends = {**dict.fromkeys(variants, lambda r: NEVER), "grokking": generalised, **(left or {})}
    curves = {name: gaining(gain) for name, gain in gained.items()}
    return by_contrast(no_regularisation.judge(study(variants, ends, curves)))


def test_adam_and_a_line_search_in_double_precision_are_judged_at_the_horizon() -> None:
    variants = {
        "single": bare("adamw", **SINGLE),
        "double": bare("adamw"),
        "search": bare("line_search"),
        "descent": bare("sgd"),
    }
    findings = judged(variants, {"grokking": 1.0, "single": 0.0, "double": 0.4, "search": 0.0, "descent": 0.3})
    assert {name: findings[f"registered, {name}"].verdict for name in PARTS} == dict.fromkeys(PARTS, SUPPORTED)
    assert findings["registered, groks"].estimate.mean == pytest.approx(0.4)
    assert findings["registered, less"].estimate.mean == pytest.approx(0.6)
    assert findings["gain, single"].estimate.mean == 0.0
    assert "adamw, cross entropy, float32" in findings["gain, single"].sentence


@pytest.mark.parametrize(
    ("gain", "verdicts"),
    [(0.0, (CONTRADICTED, SUPPORTED)), (0.05, (BETWEEN, SUPPORTED)), (1.2, (SUPPORTED, CONTRADICTED))],
)
def test_a_gain_decides_both_parts(gain: float, verdicts: tuple[str, str]) -> None:
    findings = judged({"double": bare("adamw")}, {"grokking": 1.0, "double": gain})
    assert tuple(findings[f"registered, {name}"].verdict for name in PARTS[:2]) == verdicts
    assert findings["registered, step size"].is_lacking


def test_a_line_search_prevents_nothing_where_a_fixed_rate_does_not_grok_either() -> None:
    variants = {"search": bare("line_search"), "descent": bare("sgd")}
    found = judged(variants, {"search": 0.0, "descent": 0.05})["registered, step size"]
    assert (found.verdict, found.is_lacking) == (NOT_TESTABLE, False)
    assert found.reason == "gradient descent with a fixed rate gains more than 0.1 in 0 of 5 replicas; four fifths must"
    alone = judged({"search": bare("line_search")}, {"search": 0.0})["registered, step size"]
    assert alone.is_lacking
    assert "no gradient descent with a fixed rate beside its line search" in alone.reason


def test_a_line_search_that_gains_contradicts_that_it_prevents_grokking() -> None:
    findings = judged({"search": bare("line_search")}, {"search": 0.5})
    assert findings["registered, step size"].verdict == CONTRADICTED
    assert "it groks despite the line search" in findings["registered, step size"].sentence
    assert findings["registered, groks"].verdict == NOT_TESTABLE


def test_what_comes_after_the_horizon_does_not_count() -> None:
    """Accuracy rises at step 2,500. With t_g = 400 the horizon is 2,000, and with 600 it is 3,000."""
    for generalised, gain in ((lambda r: 400.0, 0.0), (lambda r: 600.0, 0.5)):
        findings = judged({"double": bare("adamw")}, {"double": 0.5}, generalised)
        assert findings["registered, groks"].estimate.mean == gain


def test_runs_shorter_than_five_times_t_g_do_not_judge() -> None:
    """Four of five replicas must be trained to the horizon, which step 4,000 is for a t_g of 800."""
    double = {"double": bare("adamw")}
    findings = judged(double, {"double": 0.5}, lambda r: 3000.0 + 100 * r)
    assert findings["registered, groks"].reason == (
        "trained for 1.2 to 1.3 times grokking's t_g; five times are needed"
    )
    assert "1.2 to 1.3 times grokking's t_g" in findings["gain, double"].sentence
    assert findings["gain, double"].estimate.mean == 0.5
    assert judged(double, {"double": 0.5}, lambda r: 900.0 if r < 2 else 700.0)["registered, groks"].reason
    one = judged(double, {"double": 0.5}, lambda r: 900.0 if r < 1 else 700.0)["registered, groks"]
    assert one.verdict == SUPPORTED
    assert np.isnan(one.values).tolist() == [True, False, False, False, False]


def test_a_grokking_run_that_ends_before_the_horizon_is_read_at_its_end() -> None:
    tables = study(
        {"double": bare("adamw")},
        {"grokking": early, "double": lambda r: NEVER},
        {"grokking": lambda since: (1.0, float(since >= 500)), "double": gaining(0.3)},
    )
    is_late = (tables["metrics"]["condition"] == "grokking") & (tables["metrics"]["step"] > 900)
    findings = by_contrast(no_regularisation.judge({**tables, "metrics": tables["metrics"][~is_late]}))
    assert findings["registered, less"].estimate.mean == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda t: {"metrics": t["metrics"].assign(diverged=t["metrics"]["condition"] == "double")},
            "training does not diverge",
        ),
        (
            lambda t: {
                "events": t["events"].assign(
                    censored=t["events"]["censored"]
                    | ((t["events"]["condition"] == "double") & (t["events"]["event"] == "memorised"))
                )
            },
            "training examples are memorised within five times grokking's t_g in 0 of 5 replicas",
        ),
        (
            lambda t: {"events": t["events"].assign(censored=True)},
            "grokking, whose t_g sets the horizon, generalises in 0 of 5 replicas",
        ),
    ],
)
def test_networks_that_diverge_or_do_not_learn_do_not_judge(
    change: Callable[[dict[str, pd.DataFrame]], dict[str, pd.DataFrame]], reason: str
) -> None:
    tables = study({"double": bare("adamw")}, {"grokking": early, "double": lambda r: NEVER})
    finding = by_contrast(no_regularisation.judge({**tables, **change(tables)}))["registered, groks"]
    assert finding.verdict == NOT_TESTABLE
    assert finding.reason.startswith(reason)


def test_a_censored_t_g_is_a_bound() -> None:
    variants = {"never": bare("adamw"), "late": bare("sgd")}
    findings = judged(variants, {}, left={"late": lambda r: 2 * early(r)})
    late = findings["t_g over grokking's, late"]
    assert late.estimate.mean == pytest.approx(np.log10(2))
    assert late.sentence.startswith("5 of 5 replicas of late generalise; log10 of t_g over grokking's t_g is +0.301")
    never = findings["t_g over grokking's, never"]
    assert never.values == pytest.approx([np.log10(LAST / early(replica)) for replica in range(5)])
    assert never.sentence.startswith(
        "0 of 5 replicas of never generalise; log10 of t_g over grokking's t_g is at least"
    )
    assert never.unit.endswith("a lower bound")


def test_conditions_with_steps_losses_and_evaluations_of_their_own_are_found() -> None:
    bare_settings = {"batch_size": "full", "weight_decay": 0.0, "steps": 9000, "metrics": {"log": 50, "every": 100}}
    more = {"loss_precision": "float64", "measurements": [], "checkpoints": {"log": 1, "every": 9000}}
    rules: dict[str, dict[str, Any]] = {
        "adam": {},
        "single": {"loss_precision": "float32"},
        "stablemax": {"loss": "stablemax", "loss_precision": "float32"},
        "sgd": {"optimiser": "sgd", "learning_rate": 0.1, "momentum": 0.9},
        "search": {"optimiser": "line_search", "learning_rate": 1.0},
        "lbfgs": {"optimiser": "lbfgs", "learning_rate": 1.0},
    }
    named = {name: {**bare_settings, **more, **rule} for name, rule in rules.items()}
    conditions = load({"study": "tiny", "conditions": {"grokking": {"batch_size": "full"}, **named}}).resolved()
    found = CLAIMS["no_regularisation"].among({name: flat(own) for name, own in conditions["conditions"].items()})
    assert found == ["grokking", *rules]
