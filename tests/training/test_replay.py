"""Replays: steps trained a second time have the bytes of the first time, from the seed and from any kept state."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from builders import VOCABULARY, addition, condition
from runs import EVERY_STEP, LONG, assert_same_run, replica_of, same_bytes, trained, weights_of

from general_circuits.storage.training_states import State, States
from general_circuits.training import loop
from general_circuits.training.loop import Observed
from general_circuits.training.replay import Nearest, at_step, replay
from general_circuits.training.replica import Replica
from general_circuits.training.settings import Condition


def replayed(observed: Observed, nearest: Nearest = lambda limit: None, setting: Condition = LONG) -> loop.Run:
    return replay(setting, addition(), VOCABULARY, 0, observed, nearest)


@pytest.mark.usefixtures("a_state_every_seven")
@pytest.mark.parametrize("has_states", [False, True])
@pytest.mark.parametrize("arithmetic", ["reduced", "plain"])
@pytest.mark.parametrize(
    ("checkpoints", "metrics"),
    [
        pytest.param({16, 19, 22}, {16, 18, 20, 22}, id="a stretch of training"),
        pytest.param({2, 11, 29}, {2, 11, 29}, id="steps that lie far apart"),
        pytest.param({0, 30}, {0, 30}, id="the first and the last step"),
        pytest.param({14, 21}, {14, 21}, id="steps of states"),
    ],
)
def test_a_replay_has_the_bytes_of_the_run(
    checkpoints: set[int], metrics: set[int], arithmetic: str, has_states: bool, tmp_path: Path
) -> None:
    setting = condition(30, EVERY_STEP, EVERY_STEP, arithmetic=arithmetic)
    states = States(tmp_path / "states")
    run = trained(setting, states=states)
    nearest = states.nearest if has_states else lambda limit: None
    again = replayed(Observed(max(checkpoints), checkpoints, metrics), nearest, setting)
    assert again.steps == sorted(checkpoints)
    for name, weight in again.weights.items():
        assert torch.equal(weight, run.weights[name][again.steps]), name
    expected = run.metrics[run.metrics["step"].isin(metrics)].reset_index(drop=True)
    pd.testing.assert_frame_equal(again.metrics, expected, check_exact=True)


def test_a_replay_of_all_scheduled_steps_is_the_run() -> None:
    assert_same_run(replayed(Observed.of(LONG)), trained(LONG))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Steps of the updates that a test makes."""
    steps: list[int] = []
    update = Replica.update

    def recorded(self: Replica, is_observed: bool) -> None:
        steps.append(self.step + 1)
        update(self, is_observed)

    monkeypatch.setattr(Replica, "update", recorded)
    return steps


@pytest.mark.usefixtures("a_state_every_seven")
def test_every_step_is_reached_from_the_nearest_state(tmp_path: Path, made: list[int]) -> None:
    """Metrics at the step of a state need its last update again; weights alone do not."""
    states = States(tmp_path / "states")
    trained(LONG, states=states)
    made.clear()
    replayed(Observed(21, {16}, {9, 21}), states.nearest)
    assert made == [8, 9, 15, 16, *range(17, 22)]
    made.clear()
    replayed(Observed(28, {14, 28}, set()), states.nearest)
    assert made == []


def test_a_replay_that_observes_nothing_makes_no_update_and_has_weights_of_no_step(made: list[int]) -> None:
    nothing = replayed(Observed(0, frozenset(), frozenset()))
    assert (nothing.steps, len(nothing.metrics), made) == ([], 0, [])
    shapes = {name: (0, *weight.shape) for name, weight in nothing.model.state_dict().items()}
    assert {name: weight.shape for name, weight in nothing.weights.items()} == shapes


# Going on to a step


class Kept:
    """States at some steps, and the steps up to which one was asked for."""

    def __init__(self, *steps: int) -> None:
        self.states = {step: replica_of(steps=step).state() for step in steps}
        self.limits: list[int] = []

    def nearest(self, limit: int) -> State | None:
        self.limits.append(limit)
        steps = [step for step in self.states if step <= limit]
        return self.states[max(steps)] if steps else None


@pytest.mark.parametrize("kept", [(), (4,), (4, 9), (12,)])
@pytest.mark.parametrize("begins", [0, 6])
def test_a_step_has_the_same_bytes_wherever_training_begins(begins: int, kept: tuple[int, ...]) -> None:
    states = Kept(*kept)
    reached = at_step(replica_of(steps=begins), 9, states.nearest)
    assert reached.step == 9
    assert same_bytes(weights_of(reached.model), weights_of(replica_of(steps=9).model))
    assert states.limits == [9]


def test_only_updates_after_the_nearest_state_are_made(made: list[int]) -> None:
    replica, states = replica_of(), Kept(4, 7)
    made.clear()
    at_step(replica, 9, states.nearest)
    assert made == [8, 9]


def test_a_state_before_the_replicas_own_step_is_not_used() -> None:
    replica = replica_of(steps=6)
    before = weights_of(replica.model)
    assert at_step(replica, 6, Kept(4).nearest) is replica
    assert same_bytes(weights_of(replica.model), before)


def test_an_observed_step_is_reached_by_an_update_even_where_a_state_lies_at_it() -> None:
    """A state knows neither the gradient's norm nor the rate of the update that led to it."""
    states = Kept(5, 9)
    observed = at_step(replica_of(), 9, states.nearest, is_observed=True)
    assert states.limits == [8]
    expected = replica_of(steps=8)
    expected.update(is_observed=True)
    assert torch.equal(observed.gradient_norm, expected.gradient_norm)
    assert torch.equal(observed.evaluate(), expected.evaluate())
    unobserved = at_step(replica_of(), 9, states.nearest)
    assert unobserved.gradient_norm.isnan()
    assert unobserved.rate == 0.0
