"""Verdicts on speed in studies whose steps to generalise are known: powers, bounds, preconditions and chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from variant_tables import BATCH, DECAY, LAST, NEVER, decays, study
from verdict_tables import by_contrast

from general_circuits.analysis.decisions import decide
from general_circuits.analysis.survival import pseudo_values
from general_circuits.claims import speed
from general_circuits.claims.findings import BETWEEN, CONTRADICTED, NOT_TESTABLE, SUPPORTED, Finding

NOISE = "branch.intervention.batch_noise"


def batches(power: float, others: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, pd.DataFrame]:
    """Build a study in which t_g is 2,000 times this power of the batch size over 256; full batches have 1,024."""
    variants = {"small": {BATCH: 64}, "large": {BATCH: 512}, "full": {BATCH: "full"}, **(others or {})}
    left: dict[str, Any] = dict.fromkeys(variants, lambda r: NEVER)
    left |= {"grokking": lambda r: 2000.0 + r}
    for name, batch in (("small", 64), ("large", 512), ("full", 1024)):
        left[name] = lambda r, batch=batch: 2000 * (batch / 256) ** power * (1 + 0.01 * np.sin(r))
    return study(variants, left)


def of_levels(times: Mapping[float, Callable[[int], float]], replicas: int = 5) -> dict[str, pd.DataFrame]:
    """Build a study of weight decays; steps to generalise by decay, as functions of the replica. Grokking's is 1."""
    variants = {f"decay_{level:g}": {DECAY: level} for level in times if level != 1}
    left = {f"decay_{level:g}": of for level, of in times.items()}
    return study(variants, {**left, "grokking": times[1.0]}, replicas=replicas)


def registered(findings: list[Finding]) -> Finding:
    return by_contrast(findings)["registered, speed"]


@pytest.mark.parametrize(
    ("power", "verdict", "words"),
    [
        (-0.7, SUPPORTED, "it speeds generalisation"),
        (-0.1, BETWEEN, "it hardly speeds generalisation"),
        (0.7, CONTRADICTED, "it slows generalisation"),
    ],
)
def test_weight_decay_is_judged_by_its_power(power: float, verdict: str, words: str) -> None:
    """Decay 0 has no logarithm, so it is left out of the slope and stands beside it."""
    findings = speed.of_decay(decays(power))
    found = registered(findings)
    assert found.estimate.mean == pytest.approx(power, abs=0.02)
    assert found.verdict == verdict
    assert f": {words}. The levels are 0.5, 1 and 2." in found.sentence
    assert "bound" not in found.sentence
    beside = by_contrast(findings)
    assert beside["steps at 2"].estimate.mean == pytest.approx(power * np.log10(2), abs=0.01)
    assert beside["steps at 2"].sentence.endswith("5 of 5 replicas generalised.")
    assert beside["steps at 0"].estimate.n == 0


@pytest.mark.parametrize(
    ("power", "verdict", "words"),
    [
        (0.3, SUPPORTED, "small batches speed generalisation"),
        (0.1, BETWEEN, "small batches hardly speed generalisation"),
        (-0.3, CONTRADICTED, "small batches slow generalisation"),
    ],
)
def test_batches_are_judged_by_their_power(power: float, verdict: str, words: str) -> None:
    findings = by_contrast(speed.of_batches(batches(power)))
    assert findings["registered, speed"].estimate.mean == pytest.approx(power, abs=0.02)
    assert findings["registered, speed"].verdict == verdict
    assert words in findings["registered, speed"].sentence
    assert findings["slope in epochs"].estimate.mean == pytest.approx(1 + power, abs=0.02)
    assert findings["steps with full batch"].estimate.mean == pytest.approx(power * np.log10(4), abs=0.01)
    assert findings["steps with batch 64"].estimate.mean == pytest.approx(-power * np.log10(4), abs=0.01)


def test_a_full_batch_with_noise_is_no_part_of_the_slope_and_stands_beside_it() -> None:
    findings = by_contrast(speed.of_batches(batches(0.3, {"noisy_full": {BATCH: "full", NOISE: 256}})))
    assert findings["registered, speed"].estimate.mean == pytest.approx(0.3, abs=0.02)
    assert findings["steps with full batch with the noise of 256"].estimate.n == 0  # it never generalises here


def of_power(power: float, level: float) -> Callable[[int], float]:
    return lambda r: 2000 * level**power * (1 + 0.01 * np.sin(r + level))


def test_a_level_at_which_no_replica_generalised_is_a_bound_beside_the_slope() -> None:
    """The power is −1, so that decay 0.3 takes 6,667 steps. The runs end at 4,000."""
    findings = by_contrast(speed.of_decay(of_levels({level: of_power(-1.0, level) for level in (0.3, 1.0, 2.0, 4.0)})))
    found = findings["registered, speed"]
    assert found.estimate.mean == pytest.approx(-1.0, abs=0.02)
    assert "The levels are 1, 2 and 4. A bound alone comes from 0.3." in found.sentence
    bound = findings["steps at 0.3"]
    assert bound.estimate.n == 0
    assert np.isnan(bound.values).tolist() == [True] * 5
    assert bound.sentence == (
        "Steps at 0.3: no replica generalised within 4,000 steps, at least 2.0 times grokking's steps."
    )


def test_runs_of_no_steps_are_not_testable() -> None:
    """Every event is censored at step 0 with `steps: 0`, so no replica has any steps left."""
    for judge, tables in ((speed.of_decay, decays(-0.7)), (speed.of_batches, batches(0.3))):
        untrained = tables["events"].assign(after=0, step=0, censored=True)
        first, *others = judge({**tables, "events": untrained})
        assert first.verdict == NOT_TESTABLE
        assert len(others) >= 2
        assert all(each.sentence.endswith(": no replica was trained.") for each in others)


def test_two_levels_are_no_slope() -> None:
    found = registered(speed.of_decay(of_levels({level: of_power(-1.0, level) for level in (0.3, 1.0, 2.0)})))
    assert found.verdict == NOT_TESTABLE
    assert found.reason == (
        "a slope needs 3 levels of weight decay at which some replica generalises, and there are 2: 1 and 2"
    )


def test_a_slope_needs_four_fifths_of_the_times() -> None:
    """The slope has 15 runs, of which 3 may be censored."""

    def partly(ended_from: int) -> dict[float, Callable[[int], float]]:
        lowest: Callable[[int], float] = lambda r: 3900.0 if r >= ended_from else NEVER  # noqa: E731
        return {0.5: lowest, 1.0: of_power(-0.7, 1.0), 2.0: of_power(-0.7, 2.0)}

    findings = by_contrast(speed.of_decay(of_levels(partly(3))))
    assert findings["registered, speed"].verdict == SUPPORTED
    assert findings["steps at 0.5"].sentence.endswith("2 of 5 replicas generalised.")
    found = registered(speed.of_decay(of_levels(partly(4))))
    assert found.verdict == NOT_TESTABLE
    assert found.reason == (
        "27% of the runs at weight decay 0.5, 1 and 2 did not generalise, and at most 20% may be censored"
    )


def test_grokking_must_memorise_and_generalise_after_a_delay() -> None:
    tables = decays(-0.7)
    early = tables["events"]["event"] == "onset"
    tables["events"].loc[early, ["after", "step"]] = [299, 300]  # t_m is 200 and later
    found = registered(speed.of_decay(tables))
    assert found.verdict == NOT_TESTABLE
    assert found.reason.startswith("in grokking, there was a delay")
    slow = study({"decay_2": {DECAY: 2.0}}, {"grokking": lambda r: NEVER, "decay_2": lambda r: LAST / 2})
    assert registered(speed.of_decay(slow)).reason.startswith("in grokking, validation examples were generalised to")


@pytest.mark.parametrize(("power", "mistaken"), [(0.0, CONTRADICTED), (-0.2, SUPPORTED)])
def test_chance_alone_seldom_decides(power: float, mistaken: str) -> None:
    """Each power lies at a threshold, and the noise is 20 %. The level of 5 replicas is 0.9 %, 1.3 of 150 studies."""
    x = np.broadcast_to(np.log([0.5, 1.0, 2.0]), (150, 5, 3))
    times = np.log(1500) + power * x + 0.2 * np.random.default_rng(0).normal(size=x.shape)
    of_studies = pseudo_values(x, times - 0.01, times)
    verdicts = [decide(values, speed.OF_DECAY.rule).verdict for values in of_studies]
    assert verdicts.count(mistaken) <= 5
