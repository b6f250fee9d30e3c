"""Replays around spikes: losses of every step, and observations around spikes, quiet steps and kicks.

The tiny run of 1,000 steps has two spikes of its training loss above three times the median, with peaks at 343 and 705.
"""

from __future__ import annotations

import math

import pytest
import torch
from builders import VOCABULARY, addition, condition
from runs import same_bytes, weights_of
from torch import Tensor

from general_circuits.storage.training_states import State
from general_circuits.training import spikes
from general_circuits.training.replica import Replica
from general_circuits.training.spike_replay import FinishedReplica, Observation, Window, rows, weights, windows
from general_circuits.training.spikes import Spike

STEPS = 1000
FIRST_SPIKE, SECOND_SPIKE = Spike(342, 343), Spike(682, 705)
SPIKES = [FIRST_SPIKE, SECOND_SPIKE]
QUIET = 91
"""The only quiet step: its window ends at 291, just before the window of the first spike."""
WHOLE = range(1, STEPS + 1)
"""Steps of a plateau that lasts as long as the run."""


def replica_at(step: int) -> Replica:
    """Return the replica at a step, trained from its seed."""
    replica = Replica(condition(STEPS), addition(), VOCABULARY, 0)
    while replica.step < step:
        replica.update(is_observed=False)
    return replica


def finished(state: State | None = None, steps: int = STEPS) -> FinishedReplica:
    """Return the finished replica, with one kept state or none."""

    def nearest(step: int) -> State | None:
        return state if state and state.step <= step else None

    return FinishedReplica(condition(steps), addition(), VOCABULARY, 0, nearest, steps)


@pytest.fixture(scope="module")
def observed() -> list[Window]:
    """Windows of both spikes. Not to be changed."""
    return windows(finished(), SPIKES, first=1, plateau=WHOLE, most=5)


# The replica


def test_losses_of_every_step_are_the_losses_of_training() -> None:
    losses = finished(steps=40).losses(30)
    assert losses.index.tolist() == list(range(30, 41))
    replica = replica_at(30)
    assert losses.loc[30].to_dict() == {name: replica.mean_loss(split) for name, split in SIDES.items()}
    replica = replica_at(40)
    assert losses.loc[40].to_dict() == {name: replica.mean_loss(split) for name, split in SIDES.items()}


SIDES = {"training": "train", "validation": "validation"}


def test_step_0_follows_no_update_and_has_no_row_of_losses() -> None:
    assert finished(steps=5).losses(0).index.tolist() == [1, 2, 3, 4, 5]


def test_the_two_spikes_are_in_the_losses() -> None:
    assert spikes.find(finished().losses(1)["training"], threshold=3.0) == SPIKES


def test_a_kept_state_does_not_change_the_losses() -> None:
    with_state, without = (finished(state, steps=40).losses(30) for state in (replica_at(25).state(), None))
    assert with_state.to_numpy().tobytes() == without.to_numpy().tobytes()


def test_a_replica_goes_on_from_the_one_that_is_given() -> None:
    replica = replica_at(20)
    reached = finished().at(30, replica)
    assert reached is replica
    assert same_bytes(weights_of(reached.model), weights_of(replica_at(30).model))


# Windows


def test_every_spike_has_its_window_the_quiet_one_beside_it_and_a_kick_there(observed: list[Window]) -> None:
    assert [(window.spike, window.kind, window.step, window.start) for window in observed] == [
        (FIRST_SPIKE, "spike", 343, 292),
        (FIRST_SPIKE, "quiet", QUIET, 41),
        (SECOND_SPIKE, "spike", 705, 632),
        (SECOND_SPIKE, "quiet", QUIET, 41),
        (FIRST_SPIKE, "kick", QUIET, 41),
        (SECOND_SPIKE, "kick", QUIET, 41),
    ]


def test_a_window_is_observed_at_its_start_its_step_and_200_and_400_steps_later(observed: list[Window]) -> None:
    assert observed[0].steps == [292, 343, 543, 743]
    assert observed[2].steps == [632, 705, 905, 1105]
    # Training ends at step 1,000, so the last step of the second window is missing.
    assert [len(window.observations) for window in observed] == [4, 4, 3, 4, 4, 4]


@pytest.mark.parametrize(("place", "step"), [(0, 292), (1, 343), (2, 543), (3, 743)])
def test_observations_have_the_weights_and_losses_of_training(place: int, step: int, observed: list[Window]) -> None:
    observation, replica = observed[0].observations[place], replica_at(step)
    assert same_bytes(dict(observation.weights), dict(replica.model.state_dict()))
    assert observation.training == replica.mean_loss("train")
    assert observation.validation == replica.mean_loss("validation")


def test_a_kick_raises_the_training_loss_as_much_as_the_spike_did(observed: list[Window]) -> None:
    for spiked, quiet, kicked in ((observed[0], observed[1], observed[4]), (observed[2], observed[3], observed[5])):
        rise = spiked.observations[1].training - spiked.observations[0].training
        assert rise > 0
        added = kicked.observations[1].training - quiet.observations[1].training
        assert rise <= added == pytest.approx(rise, rel=1e-3)
        assert kicked.kick > 0
        assert kicked.observations[0] is quiet.observations[0]


def test_quiet_windows_keep_the_weights_that_were_not_kicked(observed: list[Window]) -> None:
    assert same_bytes(dict(observed[1].observations[1].weights), dict(replica_at(QUIET).model.state_dict()))
    assert math.isnan(observed[1].kick)


def test_training_goes_on_from_the_kicked_weights(observed: list[Window]) -> None:
    kicked = observed[4]
    replica = replica_at(QUIET)
    replica.model.load_state_dict(dict(kicked.observations[1].weights))
    while replica.step < QUIET + 200:
        replica.update(is_observed=False)
    assert same_bytes(dict(kicked.observations[2].weights), dict(replica.model.state_dict()))


def test_only_so_many_spikes_are_looked_into_and_the_last_is_among_them() -> None:
    kinds = [(window.spike, window.kind) for window in windows(finished(), SPIKES, 1, WHOLE, most=1)]
    assert kinds == [(SECOND_SPIKE, "spike"), (SECOND_SPIKE, "quiet"), (SECOND_SPIKE, "kick")]


@pytest.mark.parametrize("found", [[], [Spike(20, 30)], [Spike(900, 905)]])
def test_spikes_whose_window_leaves_the_run_have_no_windows(found: list[Spike]) -> None:
    assert windows(finished(), found, first=1, plateau=WHOLE, most=5) == []


@pytest.mark.parametrize(
    ("plateau", "looked_into"),
    [
        (range(1, 705), [FIRST_SPIKE]),
        (range(QUIET, 706), [FIRST_SPIKE, SECOND_SPIKE]),
        (range(QUIET + 1, 1001), []),
        (range(344, 1001), []),
        (range(0), []),
    ],
)
def test_spikes_and_their_quiet_steps_lie_on_the_plateau(plateau: range, looked_into: list[Spike]) -> None:
    """Quiet step 91 is the only one, so no spike is looked into where it is not on the plateau."""
    found = windows(finished(), SPIKES, first=1, plateau=plateau, most=5)
    assert [window.spike for window in found if window.kind == "spike"] == looked_into
    assert {window.step for window in found if window.kind != "spike"} <= {QUIET}


# Tables


def observation(number: float) -> Observation:
    """Return an observation whose losses and only weight tell its number."""
    return Observation(number, 10 + number, {"W": torch.tensor([number, -number])})


TWO_WINDOWS = [
    Window(FIRST_SPIKE, "spike", 343, 292, observations=[observation(i) for i in (0.0, 1.0, 2.0, 3.0)]),
    Window(FIRST_SPIKE, "kick", 91, 41, 0.5, [observation(i) for i in (4.0, 5.0)]),
]


def test_rows_have_the_losses_before_and_at_the_step_and_count_observations() -> None:
    first, second = rows(TWO_WINDOWS).to_dict("records")
    assert math.isnan(first.pop("kick"))
    assert first == {
        "spike": 343,
        "kind": "spike",
        "step": 343,
        "loss_before": 0.0,
        "loss": 1.0,
        "validation_before": 10.0,
        "validation": 11.0,
        "first_observation": 0,
        "observations": 4,
    }
    assert second == {
        "spike": 343,
        "kind": "kick",
        "step": 91,
        "loss_before": 4.0,
        "loss": 5.0,
        "kick": 0.5,
        "validation_before": 14.0,
        "validation": 15.0,
        "first_observation": 4,
        "observations": 2,
    }


def test_without_windows_there_are_columns_and_no_rows() -> None:
    assert list(rows([]).columns) == list(rows(TWO_WINDOWS).columns)
    assert rows([]).empty


def test_weights_of_all_observations_are_stacked_in_their_order() -> None:
    like: dict[str, Tensor] = {"W": torch.zeros(2)}
    expected = torch.tensor([[0, 0], [1, -1], [2, -2], [3, -3], [4, -4], [5, -5]], dtype=torch.float32)
    assert torch.equal(weights(TWO_WINDOWS, like)["W"], expected)


def test_without_observations_weights_are_empty_stacks_of_the_networks_shapes() -> None:
    assert weights([], {"W": torch.zeros(2, 3)})["W"].shape == (0, 2, 3)
