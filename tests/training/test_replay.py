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
from general_circuits.training.replay import at_step, replay
from general_circuits.training.settings import Condition


def replayed(observed: Observed, state: State | None = None, setting: Condition = LONG) -> loop.Run:
    return replay(setting, addition(), VOCABULARY, 0, observed, state)


@pytest.mark.usefixtures("a_state_every_seven")
@pytest.mark.parametrize("before", [None, 7, 14])
@pytest.mark.parametrize("arithmetic", ["reduced", "plain"])
def test_a_replay_has_the_bytes_of_the_run(arithmetic: str, before: int | None, tmp_path: Path) -> None:
    setting = condition(30, EVERY_STEP, EVERY_STEP, arithmetic=arithmetic)
    states = States(tmp_path / "states")
    run = trained(setting, states=states)
    again = replayed(Observed.between(16, 22, 3, 2), before and states.nearest(before), setting)
    assert again.steps == [16, 19, 22]
    for name, weight in again.weights.items():
        assert torch.equal(weight, run.weights[name][[16, 19, 22]]), name
    expected = run.metrics[run.metrics["step"].isin([16, 18, 20, 22])].reset_index(drop=True)
    pd.testing.assert_frame_equal(again.metrics, expected, check_exact=True)


def test_a_replay_of_all_scheduled_steps_is_the_run() -> None:
    assert_same_run(replayed(Observed.of(LONG)), trained(LONG))


@pytest.mark.usefixtures("a_state_every_seven")
@pytest.mark.parametrize("first", [0, 13, 14])
def test_a_replay_cannot_observe_the_step_of_its_state_or_an_earlier_one(first: int, tmp_path: Path) -> None:
    states = States(tmp_path / "states")
    trained(LONG, states=states)
    with pytest.raises(ValueError, match="the state at step 14 is not before the first step to observe"):
        replayed(Observed.between(first, 20, 1, 1), states.nearest(14))


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


def test_only_updates_after_the_nearest_state_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    replica, states, made = replica_of(), Kept(4, 7), []
    update = type(replica).update
    monkeypatch.setattr(type(replica), "update", lambda self, looks: made.append(self.step + 1) or update(self, looks))
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
