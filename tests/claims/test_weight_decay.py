"""Verdicts on variants of grokking whose effect is known: decay, batches, splits, and nothing that regularises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from variant_tables import AT, DECAY, RATE, study

from general_circuits.claims import commutativity, imperfect_confidence, no_regularisation, stochasticity, weight_decay
from general_circuits.claims.findings import CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED, Finding

BATCH, INSTEAD = "optimiser.batch_size", "branch.intervention.noise_instead"
FRACTION = "split.train_size"
ALONE = {AT: "onset", "optimiser.optimiser": "sgd", "optimiser.decay": "decoupled", "branch.lasts": 200}
MOVED = {"decaying": {**ALONE, INSTEAD: 0.0}, "noisy": {**ALONE, INSTEAD: 1.0, DECAY: 0.0}}
LONG = 1e6


def progress(general: float, shallow: float, condition: str = "decaying", replicas: int = 5) -> pd.DataFrame:
    """A branch in which such shares of both parts of the margin are lost while it is changed, and all of it later."""
    rows = []
    for replica in range(replicas):
        for step, is_over in ((1000, 0), (1100, 0.5), (1200, 1.0), (3000, 99)):
            left = [
                0.0 if is_over == 99 else 1 - is_over * share * (1 + 0.02 * replica) for share in (general, shallow)
            ]
            parts = {"unseen": 4 * left[0], "all": 4 * left[0] + 6 * left[1]}
            rows += [(condition, replica, step, "train", component, value) for component, value in parts.items()]
    columns = ["condition", "replica", "step", "split", "component", "part_of_margin"]
    return pd.DataFrame(rows, columns=columns).assign(is_scheduled=True)


def by_contrast(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.contrast: finding for finding in findings}


def decays(power: float, **more: Any) -> dict[str, pd.DataFrame]:
    """t_g as this power of the decay, 2,000 at grokking's 1."""
    variants = {f"decay_{i}": {DECAY: decay} for i, decay in enumerate((0.0, 0.5, 2.0))}
    left: dict[str, Any] = {"grokking": lambda r: 2000.0 + r, "decay_0": lambda r: LONG}
    for i, decay in ((1, 0.5), (2, 2.0)):
        left[f"decay_{i}"] = lambda r, decay=decay: 2000 * decay**power * (1 + 0.01 * np.sin(r + decay))
    others = more.get("others", {})
    return study({**variants, **others}, {**left, **dict.fromkeys(others, lambda r: LONG)})


@pytest.mark.parametrize(("power", "verdict"), [(-0.7, SUPPORTED), (0.7, CONTRADICTED), (0.0, UNDECIDED)])
def test_weight_decay_speeds_where_times_fall_as_it_grows(power: float, verdict: str) -> None:
    """No decay at all has no logarithm: it is no part of the slope, and stands beside it."""
    found = by_contrast(weight_decay.judge({**decays(power), "progress": progress(0.1, 0.2, "elsewhere")}))
    assert found["registered, speed"].estimate.mean == pytest.approx(power, abs=0.02)
    assert found["registered, speed"].verdict == verdict
    assert found["registered, mechanism"].verdict == NOT_TESTABLE
    assert found["steps at 2"].estimate.mean == pytest.approx(power * np.log10(2), abs=0.01)
    assert found["steps at 0"].estimate.n == 0


def test_medians_are_told_by_how_much_trains_and_by_decay() -> None:
    """Of five replicas with 0.4 two generalise, so that half never do; at another decay only what was asked."""
    shares = {"few": {FRACTION: 0.4}, "many": {FRACTION: 0.9}, "few_strong": {FRACTION: 0.4, DECAY: 2.0}}
    tables = decays(-0.7, others=shares)
    left = {"few": lambda r: 3000.0 if r < 2 else LONG, "many": lambda r: 500.0 + r, "few_strong": lambda r: 800.0 + r}
    own = study(shares, {"grokking": lambda r: 2000.0 + r, **left})["events"]
    others = tables["events"][~tables["events"]["condition"].isin(shares)]
    tables["events"] = pd.concat([others, own[own["condition"] != "grokking"]])
    found = by_contrast(weight_decay.judge(tables))
    medians = {name: finding for name, finding in found.items() if name.startswith("median")}
    assert 10 ** medians["median steps, 0.9 of the examples at decay 1"].estimate.mean == pytest.approx(502)
    assert 10 ** medians["median steps, 0.4 of the examples at decay 2"].estimate.mean == pytest.approx(802)
    never = medians["median steps, 0.4 of the examples at decay 1"]
    assert np.isnan(never.estimate.mean)
    assert "generalise never" in never.sentence
    assert never.sentence.endswith("2 of 5 did.")
    assert found["registered, mechanism"].verdict == NOT_TESTABLE, "a study without progress is judged without"


@pytest.mark.parametrize(
    ("general", "shallow", "verdict"), [(0.1, 0.3, SUPPORTED), (0.3, 0.1, CONTRADICTED), (0.2, 0.2, UNDECIDED)]
)
def test_decay_alone_is_judged_by_what_either_part_loses_while_it_lasts(
    general: float, shallow: float, verdict: str
) -> None:
    tables = {**decays(-0.7, others=MOVED), "progress": progress(general, shallow)}
    found = by_contrast(weight_decay.judge(tables))["registered, mechanism"]
    assert found.verdict == verdict
    assert found.estimate.mean == pytest.approx(1.04 * (shallow - general), abs=1e-9)
    assert "decay alone" in found.sentence


def test_noise_is_judged_by_its_own_branch() -> None:
    variants = {"small": {BATCH: 64}, "large": {BATCH: 512}, "full": {BATCH: "full"}, **MOVED}
    left: dict[str, Any] = dict.fromkeys(variants, lambda r: LONG)
    left |= {"grokking": lambda r: 2000.0 + r}
    for name, batch in (("small", 64), ("large", 512), ("full", 1024)):
        left[name] = lambda r, batch=batch: 2000 * (batch / 256) ** 0.3 * (1 + 0.01 * np.sin(r))
    frames = [progress(0.1, 0.3, "noisy"), progress(0.3, 0.1, "decaying")]
    found = by_contrast(stochasticity.judge({**study(variants, left), "progress": pd.concat(frames)}))
    assert found["registered, speed"].verdict == SUPPORTED
    assert found["registered, speed"].estimate.mean == pytest.approx(0.3, abs=0.02)
    assert found["slope in epochs"].estimate.mean == pytest.approx(1.3, abs=0.02)
    assert found["registered, mechanism"].verdict == SUPPORTED
    assert found["steps with full batch"].estimate.mean == pytest.approx(0.3 * np.log10(4), abs=0.01)


SYMBOLS = 6


def split(condition: str, by_pair: bool) -> pd.DataFrame:
    """Of all pairs of six symbols, those with an even a train, or those with an even a + b."""
    a, b = (part.ravel() for part in np.meshgrid(range(SYMBOLS), range(SYMBOLS), indexing="ij"))
    trains = (a + b) % 2 == 0 if by_pair else a % 2 == 0
    frame = pd.DataFrame({"a": a, "b": b, "split": np.where(trains, "train", "validation"), "condition": condition})
    return pd.concat([frame.assign(replica=replica) for replica in range(5)], ignore_index=True)


@pytest.mark.parametrize(("accuracy", "verdict"), [(0.5, SUPPORTED), (0.2, UNDECIDED), (0.05, CONTRADICTED)])
def test_half_of_validation_is_free_where_its_mirror_images_are_known(accuracy: float, verdict: str) -> None:
    """Of (a, b) with an odd a half have a mirror image with an even one: a plateau of a half is all of those."""
    variants = {"by_example": {"split.split_by": "example"}}
    tables = study(
        variants,
        dict.fromkeys(["grokking", *variants], lambda r: 2000.0),
        {"by_example": lambda since: (1.0, accuracy)},
    )
    metrics = tables["metrics"]
    apart = metrics[(metrics["condition"] == "by_example") & (metrics["split"] == "validation")]
    apart = apart.assign(split="validation_mirrored", accuracy=2 * accuracy)
    metrics = pd.concat([metrics, apart], ignore_index=True)
    splits = pd.concat([split("grokking", by_pair=True), split("by_example", by_pair=False)])
    found = by_contrast(commutativity.judge({**tables, "metrics": metrics, "split": splits}))
    assert found["share whose mirror image trains, by_example"].estimate.mean == 0.5
    assert found["registered"].verdict == verdict
    assert found["registered"].estimate.mean == pytest.approx(2 * accuracy, abs=1e-9)
    assert found["plateau of those, by_example"].estimate.mean == pytest.approx(2 * accuracy)


def bare(optimiser: str, **more: Any) -> dict[str, Any]:
    return {DECAY: 0.0, BATCH: "full", "optimiser.optimiser": optimiser, **more}


def gaining(gain: float) -> Any:
    """Validation accuracy that rises by so much, linearly, over 4,000 steps."""
    return lambda since: (1.0, gain * since / 4000)


def test_what_is_not_regularised_is_judged_by_what_it_gains() -> None:
    variants = {
        "adam": bare("adamw"),
        "search": bare("line_search"),
        "double": bare("adamw", **{"optimiser.loss_precision": "float64"}),
    }
    curves = {"grokking": gaining(1.0), "adam": gaining(0.4), "search": gaining(0.0), "double": gaining(0.9)}
    tables = study(variants, dict.fromkeys(["grokking", *variants], lambda r: LONG), curves)
    found = by_contrast(no_regularisation.judge(tables))
    verdicts = {name: found[f"registered, {name}"].verdict for name in ("groks", "less", "step size")}
    assert verdicts == dict.fromkeys(verdicts, SUPPORTED)
    assert found["registered, groks"].estimate.mean == pytest.approx(0.4 * 3.75 / 4, abs=0.02)
    assert found["by adamw, cross entropy, float64"].estimate.mean == pytest.approx(0.9 * 3.75 / 4, abs=0.04)
    assert "in 4,000 steps" in found["by line_search, cross entropy, float32"].sentence


def test_what_is_not_regularised_and_does_not_gain_does_not_grok() -> None:
    variants = {"adam": bare("adamw")}
    tables = study(
        variants,
        dict.fromkeys(["grokking", *variants], lambda r: LONG),
        {"adam": gaining(0.0), "grokking": gaining(0.0)},
    )
    found = by_contrast(no_regularisation.judge(tables))
    verdicts = {name: found[f"registered, {name}"].verdict for name in ("groks", "less", "step size")}
    assert verdicts == {"groks": CONTRADICTED, "less": UNDECIDED, "step size": NOT_TESTABLE}


def test_leftover_gradients_are_asked_by_branches() -> None:
    variants = {"sure": {AT: "memorised", "branch.intervention.ignore_above": 0.9}, "elsewhere": {RATE: 0.1}}
    left = {
        "grokking": lambda r: 2200.0,
        "sure": lambda r: 4 * (2000.0 - r) if r else LONG,
        "elsewhere": lambda r: 10.0,
    }
    tables = study(variants, left)
    tables["metrics"] = tables["metrics"].assign(**{f"correct_probability{name}": 0.9 for name in ("", "_q10", "_q90")})
    found = by_contrast(imperfect_confidence.judge(tables))
    assert "steps left, elsewhere" not in found
    assert found["registered"].verdict == UNDECIDED or found["registered"].estimate.mean == pytest.approx(-1.0)
    assert "generalised" in found["steps left, sure"].sentence
