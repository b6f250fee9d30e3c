"""Verdicts on how accuracies and losses go, of curves that are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from general_circuits.analysis.accuracy_rise import rises
from general_circuits.analysis.windows import crossing
from general_circuits.claims import gradual, imperfect_confidence, validation_leads
from general_circuits.claims.findings import CONTRADICTED, SUPPORTED, UNDECIDED, Finding

STEPS = np.arange(0, 4001, 50)
Series = Callable[[np.ndarray, int], np.ndarray]


def table(condition: str = "grokking", replicas: int = 5, **columns: Series) -> pd.DataFrame:
    """A `metrics` table; a column of either split is given as `train_loss`, and is 0 otherwise."""
    frames = []
    for replica in range(replicas):
        for split in ("train", "validation"):
            frame = pd.DataFrame({"step": STEPS, "split": split, "replica": replica, "condition": condition})
            for column in ("accuracy", "loss", "distance", *PROBABILITIES):
                of = columns.get(f"{split}_{column}", columns.get(column))
                frame[column] = of(STEPS, replica) if of else 0.0
            frames.append(frame)
    return pd.concat(frames, ignore_index=True).assign(diverged=False)


PROBABILITIES = ("correct_probability", "correct_probability_q10", "correct_probability_q90")


def events(memorised: int | None = 100, onset: int | None = 1000, replicas: int = 5) -> pd.DataFrame:
    rows = [
        ("grokking", replica, event, step or STEPS[-1], step is None)
        for replica in range(replicas)
        for event, step in (("memorised", memorised), ("onset", onset))
    ]
    return pd.DataFrame(rows, columns=["condition", "replica", "event", "step", "censored"])


def rising(start: float, end: float) -> Series:
    """From 0 to 1, linearly, later by its number in each replica."""
    return lambda steps, replica: np.clip((steps - start - replica) / (end - start), 0, 1)


def by_contrast(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.contrast: finding for finding in findings}


def test_a_level_is_reached_between_two_evaluations() -> None:
    assert crossing(pd.Series([0.0, 0.2, 0.6], index=[0, 100, 200]), 0.5) == 175
    assert crossing(pd.Series([0.5, 0.2], index=[0, 100]), 0.5) == 0
    assert np.isnan(crossing(pd.Series([0.1, 0.2], index=[0, 100]), 0.5))


def test_a_rise_by_hand() -> None:
    """Validation from 0 at 1,000 to 1 at 3,000: 5 % at 1,100 and 95 % at 2,900; training from 0 to 1 in 100 steps.

    Weights travel as the square of the steps, so that the share on that clock is 1 − (1,100 / 2,900)².
    """
    metrics = table(
        train_accuracy=rising(0, 100),
        validation_accuracy=rising(1000, 3000),
        distance=lambda steps, replica: (steps / 1000.0) ** 2,
    )
    first = rises(metrics, events(), "grokking")[0]
    assert (first.start, first.end, first.steps) == pytest.approx((1100, 2900, 1800))
    assert first.share == pytest.approx(1800 / 2900)
    assert first.share_of_distance == pytest.approx(1 - (1100 / 2900) ** 2, abs=1e-3)
    assert (first.memorisation_steps, first.memorisation_share) == pytest.approx((90, 90 / 95))


@pytest.mark.parametrize(
    ("start", "end", "verdict"), [(300, 3000, SUPPORTED), (2000, 2400, CONTRADICTED), (1500, 2600, UNDECIDED)]
)
def test_a_rise_is_gradual_by_its_share_of_the_time(start: int, end: int, verdict: str) -> None:
    metrics = table(train_accuracy=rising(0, 100), validation_accuracy=rising(start, end))
    found = by_contrast(gradual.judge({"metrics": metrics, "events": events()}))["registered"]
    assert found.verdict == verdict
    assert (found.estimate.p_value < 0.05) == (verdict != UNDECIDED)


def test_rises_that_do_not_end_are_counted_out() -> None:
    metrics = table(train_accuracy=rising(0, 100), validation_accuracy=rising(1000, 9000))
    found = by_contrast(gradual.judge({"metrics": metrics, "events": events()}))["registered"]
    assert (found.verdict, found.estimate.n) == (UNDECIDED, 0)
    assert "too few replicas" in found.sentence


def losses(fall: float) -> pd.DataFrame:
    """Validation loss rises to 6 at step 1,000 and falls a nat in 500 steps; log training loss changes by this then."""
    return table(
        validation_loss=lambda steps, replica: 6 - np.abs(steps - 1000) / 500,
        train_loss=lambda steps, replica: (
            1e-3 * np.exp(fall * np.clip((steps - 1000) / 500, 0, 1) + 0.002 * np.sin(replica))
        ),
    )


@pytest.mark.parametrize(
    ("fall", "verdict"), [(0.0, SUPPORTED), (0.5, SUPPORTED), (-0.3, UNDECIDED), (-1.0, CONTRADICTED)]
)
def test_validation_leads_where_training_loss_has_not_begun_to_fall(fall: float, verdict: str) -> None:
    found = by_contrast(validation_leads.judge({"metrics": losses(fall)}))
    assert found["registered"].verdict == verdict
    assert abs(found["registered"].estimate.mean) <= abs(fall) + 1e-6
    assert found["steps of the first nat"].estimate.mean == pytest.approx(np.log10(500), abs=0.15)  # its peak is sharp


def test_spikes_of_training_loss_do_not_move_its_floor() -> None:
    spiky = losses(0.0)
    is_spike = (spiky["split"] == "train") & (spiky["step"] % 250 == 0)
    spiky.loc[is_spike, "loss"] = 1.0
    plain, with_spikes = (validation_leads.judge({"metrics": frame})[0].estimate for frame in (losses(0.0), spiky))
    assert with_spikes.mean == pytest.approx(plain.mean, abs=1e-3)


def test_a_nat_that_is_lost_between_few_evaluations_says_nothing() -> None:
    metrics = losses(-1.0)
    is_early = (metrics["split"] == "validation") & (metrics["step"] > 1000)
    metrics.loc[is_early, "loss"] = 2.0
    found = validation_leads.judge({"metrics": metrics})[0]
    assert (found.verdict, found.estimate.n) == (UNDECIDED, 0)


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
    found = validation_leads.judge({"metrics": metrics})[0]
    assert (found.verdict, found.estimate.n) == (UNDECIDED, 0)


@pytest.mark.parametrize(
    ("doubt", "verdict"), [(0.05, SUPPORTED), (3e-3, UNDECIDED), (1e-5, CONTRADICTED), (0.0, CONTRADICTED)]
)
def test_confidence_is_that_of_the_plateau_alone(doubt: float, verdict: str) -> None:
    """Before t_m and after t_o it is another."""

    def probability(steps: np.ndarray, replica: int) -> np.ndarray:
        inside = (steps >= 100) & (steps <= 1000)
        return np.where(inside, 1 - doubt * (1 + 0.01 * replica), 0.5)

    metrics = table(**{f"train_{name}": probability for name in PROBABILITIES})
    conditions = pd.DataFrame(
        [("grokking", "optimiser.weight_decay", "1.0")], columns=["condition", "setting", "value"]
    )
    tables = {"metrics": metrics, "events": events(), "conditions": conditions}
    found = imperfect_confidence.judge(tables)[0]
    assert found.verdict == verdict
    assert found.estimate.mean == pytest.approx(np.log10(max(doubt * 1.02, 1e-17)), abs=0.01)
