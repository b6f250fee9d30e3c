"""A finished replica trained a second time: losses at every step, and weights around spikes, quiet steps and kicks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import Tensor

from general_circuits.storage.training_states import State
from general_circuits.tasks.examples import SPLITS, Examples
from general_circuits.tasks.vocabulary import Vocabulary
from general_circuits.training.interventions import kick_until
from general_circuits.training.replay import Nearest, at_step
from general_circuits.training.replica import COLUMNS, Replica, updates
from general_circuits.training.schedule import evenly_chosen
from general_circuits.training.settings import Condition
from general_circuits.training.spikes import AFTER, BEFORE, LATER, Spike, inside, quiet

LOSS_COLUMNS = ("loss_before", "loss", "validation_before", "validation")
"""Columns of the table `spikes` with losses where a window begins and at its step."""


@dataclass(frozen=True)
class FinishedReplica:
    """A replica whose training is finished and can be repeated.

    Attributes:
        condition: its setting.
        splits: its examples under "train" and "validation".
        vocabulary: symbols that its network reads, and classes that it answers.
        seed: its seed.
        nearest: function that returns its kept states.
        last: last step to repeat.
    """

    condition: Condition
    splits: dict[str, Examples]
    vocabulary: Vocabulary
    seed: int
    nearest: Nearest
    last: int

    def at_start(self) -> Replica:
        """Return the replica at step 0."""
        return Replica(self.condition, self.splits, self.vocabulary, self.seed)

    def at(self, step: int, replica: Replica | None = None) -> Replica:
        """Return the replica at a step.

        Args:
            step: the step.
            replica: the same replica at an earlier step, to train on in place; None to begin at step 0. Where a kept
                state lies nearer to the step, training goes on from the state.
        """
        return at_step(replica or self.at_start(), step, self.nearest)

    def losses(self, first: int) -> pd.DataFrame:
        """Return the columns `training` and `validation` loss, indexed by step, from step `first` to the last.

        Step 0 is left out, since it follows no update.
        """
        first = max(first, 1)
        replica, rows = self.at(first - 1), []
        for _ in updates(replica, self.last):
            rows.append([replica.mean_loss(split) for split in SPLITS])
        steps = pd.RangeIndex(first, self.last + 1, name="step")
        return pd.DataFrame(rows, steps, ["training", "validation"])


@dataclass(frozen=True)
class Observation:
    """A replica at one step: its training loss, its validation loss, and its weights by name."""

    training: float
    validation: float
    weights: Mapping[str, Tensor]

    @classmethod
    def of(cls, replica: Replica) -> Observation:
        """Observe a replica at its current step, with copies of its weights."""
        column = COLUMNS.index("loss")
        losses = dict(zip(replica.parts, replica.evaluate()[:, column].tolist(), strict=True))
        weights = {name: weight.cpu().clone() for name, weight in replica.model.state_dict().items()}
        train, validation = (losses[name] for name in SPLITS)
        return cls(train, validation, weights)


@dataclass
class Window:
    """Steps around a spike, around a quiet step beside it, or after a kick at that quiet step.

    Attributes:
        spike: the spike.
        kind: "spike", "quiet" or "kick".
        step: peak of the spike, or the quiet step.
        start: step where the window begins.
        kick: size of the kick relative to each tensor's norm; NaN without one.
        observations: observations at `steps`, as far as training reaches.
        state: state of the replica at a quiet step, from which it is kicked.
    """

    spike: Spike
    kind: str
    step: int
    start: int
    kick: float = math.nan
    observations: list[Observation] = field(default_factory=list)
    state: State | None = None

    @property
    def steps(self) -> list[int]:
        """Steps to observe: where the window begins, its step, and two steps after that."""
        return [self.start, self.step, self.step + AFTER, self.step + LATER]


def windows(finished: FinishedReplica, spikes: Sequence[Spike], first: int, plateau: range, most: int) -> list[Window]:
    """Return the windows around spikes, around quiet steps beside them, and after kicks, with their observations.

    Spikes and quiet steps lie on the plateau. A spike without a quiet step is not looked into, since nothing could be
    compared with it.

    Args:
        finished: the replica.
        spikes: all its spikes.
        first: first step that a window may contain.
        plateau: steps of the plateau.
        most: number of spikes to look into, evenly chosen.
    """
    may_be_quiet = range(max(plateau.start, first + BEFORE), min(plateau.stop, finished.last - AFTER + 1))
    on_plateau = [spike for spike in inside(spikes, first, finished.last) if spike.peak in plateau]
    quiet_steps = {spike: steps for spike in on_plateau if (steps := quiet(spikes, spike, may_be_quiet))}
    candidates, observed = list(quiet_steps), []
    # `evenly_chosen` takes integers, so positions of spikes are chosen. It needs at least one.
    for i in evenly_chosen(range(len(candidates)), most) if candidates else ():
        spike = candidates[i]
        observed.append(Window(spike, "spike", spike.peak, spike.start - BEFORE))
        observed += [Window(spike, "quiet", step, step - BEFORE) for step in quiet_steps[spike]]
    _observe(finished, observed)
    return [*observed, *_kicks(finished, observed)]


def rows(windows: Iterable[Window]) -> pd.DataFrame:
    """Return the windows as rows of the table `spikes`, without the columns that name the replica.

    `first_observation` is the position of a window's first observation among the observations of all windows.
    """
    records, first_observation = [], 0
    for window in windows:
        before, at = window.observations[:2]
        records.append(
            {
                "spike": window.spike.peak,
                "kind": window.kind,
                "step": window.step,
                "loss_before": before.training,
                "loss": at.training,
                "validation_before": before.validation,
                "validation": at.validation,
                "kick": window.kick,
                "first_observation": first_observation,
                "observations": len(window.observations),
            }
        )
        first_observation += len(window.observations)
    return pd.DataFrame(
        records, columns=["spike", "kind", "step", *LOSS_COLUMNS, "kick", "first_observation", "observations"]
    )


def weights(windows: Iterable[Window], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of all observations, (observation, …), by name.

    Args:
        windows: the windows.
        like: weights of the network by name, for the names and shapes where there are no observations.
    """
    observations = [observation for window in windows for observation in window.observations]
    return {
        name: torch.stack([observation.weights[name] for observation in observations])
        if observations
        else weight.new_empty(0, *weight.shape)
        for name, weight in like.items()
    }


def _observe(finished: FinishedReplica, windows: Sequence[Window]) -> None:
    """Fill in the observations of all windows, and the states at quiet steps, in one pass over training.

    Windows may overlap. So steps are observed in ascending order, each once, and then given to every window with them.
    """
    wanted = sorted({step for window in windows for step in window.steps if step <= finished.last})
    observations, states, replica = {}, {}, None
    for step in wanted:
        replica = finished.at(step, replica)
        observations[step] = Observation.of(replica)
        if any(window.kind == "quiet" and window.step == step for window in windows):
            states[step] = _copied(replica.state())
    for window in windows:
        window.observations = [observations[step] for step in window.steps if step in observations]
        window.state = states.get(window.step)


def _copied(state: State) -> State:
    """Return a copy of a state that further training does not change."""
    # On a CPU the tensors of `Replica.state` share memory with the weights.
    return State(state.step, {name: tensor.clone() for name, tensor in state.tensors.items()}, state.values)


def _kicks(finished: FinishedReplica, windows: Iterable[Window]) -> list[Window]:
    """Return every quiet window with a kick that raises the training loss as much as its spike did."""
    rises = {
        window.spike: window.observations[1].training - window.observations[0].training
        for window in windows
        if window.kind == "spike"
    }
    return [_kicked(finished, window, rises[window.spike]) for window in windows if window.kind == "quiet"]


def _kicked(finished: FinishedReplica, beside: Window, rise: float) -> Window:
    """Return a quiet window with a kick at its step.

    Args:
        finished: the replica.
        beside: the quiet window.
        rise: training loss that the kick has to add.
    """
    assert beside.state is not None
    replica = finished.at_start()
    replica.restore(beside.state)
    target = beside.observations[1].training + rise

    def has_risen() -> bool:
        return replica.mean_loss("train") >= target

    # Kicks of all sizes have the direction that the replica's seed gives, so one number describes the kick.
    size = kick_until(has_risen, dict(replica.model.named_parameters()), finished.seed)
    # Before the kick, the kicked window is the quiet one.
    observations = [beside.observations[0], Observation.of(replica)]
    window = Window(beside.spike, "kick", beside.step, beside.start, size, observations)
    for step in window.steps[2:]:
        if step <= finished.last:
            for _ in updates(replica, step):
                pass
            window.observations.append(Observation.of(replica))
    return window
