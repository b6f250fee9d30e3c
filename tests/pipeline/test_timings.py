"""Timings: positive rates of tiny networks, measured for at least the seconds that are given."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import pytest
from configs import study

from general_circuits.config.load import load
from general_circuits.config.study import Study
from general_circuits.pipeline import timings
from general_circuits.training.settings import Condition

TINY = {"modulus": 5, "d_model": 8, "n_heads": 2, "d_mlp": 6, "batch_size": 4, "steps": 10}


def tiny(**measurements: Any) -> Study:
    """Return a study of one tiny network with few deletions and these measurements."""
    few = {"k_points": 2, "random_draws": 2}
    return load(study(defaults=TINY, measurements={"ablation": few, **measurements}))


def condition() -> Condition:
    """Return the condition of the tiny network."""
    return tiny().conditions["grokking"].resolve()


class Clock:
    """Clock that only calls move: each call of `work` takes as long as the next of the given times."""

    def __init__(self, *seconds: float) -> None:
        self.now, self.seconds, self.calls = 0.0, list(seconds), 0

    def perf_counter(self) -> float:
        """Return the time."""
        return self.now

    def work(self) -> None:
        """Let the next time pass; the last one repeats."""
        self.now += self.seconds[min(self.calls, len(self.seconds) - 1)]
        self.calls += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Clock]:
    """Make a clock, and put it in the place of the real one."""

    def make(*seconds: float) -> Clock:
        made = Clock(*seconds)
        monkeypatch.setattr(timings.time, "perf_counter", made.perf_counter)
        return made

    return make


def test_every_rate_of_a_tiny_network_is_positive() -> None:
    rates = timings.measured(tiny(), condition(), seconds=0.0)
    assert all(value > 0 for value in dataclasses.astuple(rates))


def test_rows_are_those_of_one_checkpoint() -> None:
    """The network has 6 neurons in one layer; 5² examples lie in two splits."""
    rates = timings.measured(tiny(), condition(), seconds=0.0)
    assert rates.attribution_rows == 2 * 2  # two splits, raw and matched
    assert rates.saliency_rows == 6 * rates.attribution_rows
    assert rates.example_rows == 6 * 25 * 2  # both splits together, raw and matched
    curves = tiny().measurements.ablation.curves(combinations=1)
    assert rates.damage_rows == 2 * curves  # two splits


def test_every_saliency_ranks_neurons_for_specification_curves() -> None:
    choices = {"methods": ["activation_gradient"], "targets": ["right_minus_mean", "margin"], "sites": ["mlp"]}
    measured = tiny(specifications=choices)
    rates = timings.in_every_way(measured, condition())
    combinations = 2 * 3  # two targets, three normalisations
    assert rates.saliency_rows == 6 * 2 * combinations
    assert rates.damage_rows == 2 * measured.measurements.specification_ablation.curves(combinations)


def test_a_rate_is_measured_for_at_least_the_seconds_given(clock: Callable[..., Clock]) -> None:
    made = clock(0.75, 0.25)
    assert timings._seconds(made.work, at_least=1.0) == 0.25
    assert made.calls == 1 + 4, "four calls take a second; the first one does not count"
    assert made.now - 0.75 >= 1.0


def test_one_call_that_takes_long_enough_is_not_repeated(clock: Callable[..., Clock]) -> None:
    made = clock(3.0)
    assert timings._seconds(made.work, at_least=1.0) == 3.0
    assert made.calls == 1


def test_a_rate_is_the_median_so_one_slow_call_does_not_change_it(clock: Callable[..., Clock]) -> None:
    made = clock(0.125, 0.25, 0.25, 4.0)
    assert timings._seconds(made.work, at_least=1.0) == 0.25


def test_one_call_is_timed_once(clock: Callable[..., Clock]) -> None:
    made = clock(0.5)
    assert timings.once(made.work) == 0.5
    assert made.calls == 1


def test_the_gradient_of_one_example_leaves_out_the_work_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three examples take 7 s and one takes 3 s: 1 s for all of them together, and 2 s for each."""
    monkeypatch.setattr(timings, "once", lambda work: {1: 3.0, 3: 7.0}[work.keywords["n"]])
    assert timings.following(condition()) == 2.0
    monkeypatch.setattr(timings, "once", lambda work: {1: 3.0, 3: 2.9}[work.keywords["n"]])
    assert timings.following(condition()) == 0.0, "noise makes no negative time"


@pytest.mark.parametrize("part", [timings.measuring, timings.tracking])
def test_a_checkpoint_takes_time(part: Callable[[Condition], float]) -> None:
    assert part(condition()) > 0


def test_generated_examples_are_those_of_a_replica_with_this_seed() -> None:
    splits = timings.generated_splits(condition(), seed=3)
    # 5 examples with a = b and 10 pairs of two: 3 of the former, 6 of the latter.
    assert {name: len(part.labels) for name, part in splits.items()} == {"train": 15, "validation": 10}
    again = timings.generated_replica(condition(), seed=3).splits
    assert all(bool((part.tokens == again[name].tokens).all()) for name, part in splits.items())


def test_a_job_takes_time_to_start() -> None:
    start = time.perf_counter()
    assert 0 < timings.start_seconds("merge_verdicts") <= time.perf_counter() - start
