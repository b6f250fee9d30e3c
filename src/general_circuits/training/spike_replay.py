"""A finished replica trained once more: losses at every step, and weights around spikes, beside them, and kicked."""

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


@dataclass(frozen=True)
class Trained:
    """A finished replica that can be trained again.

    Attributes:
        condition: its setting.
        splits: its examples.
        vocabulary: what it reads and answers.
        seed: its number.
        nearest: its states.
    """

    condition: Condition
    splits: dict[str, Examples]
    vocabulary: Vocabulary
    seed: int
    nearest: Nearest

    @property
    def last(self) -> int:
        """Its last step."""
        return self.condition.schedule.steps

    def begun(self) -> Replica:
        """It at its first step."""
        return Replica(self.condition, self.splits, self.vocabulary, self.seed)

    def at(self, step: int, reached: Replica | None = None) -> Replica:
        """Return it at a step: trained on from where it was, no later, or from a state that lies nearer."""
        return at_step(reached or self.begun(), step, self.nearest)

    def losses(self, first: int) -> pd.DataFrame:
        """`training` and `validation` loss by step, of every step from this one, above 0, to the last."""
        first = max(first, 1)
        replica, rows = self.at(first - 1), []
        for _ in updates(replica, self.last):
            rows.append([replica.mean_loss(split) for split in SPLITS])
        steps = pd.RangeIndex(first, self.last + 1, name="step")
        return pd.DataFrame(rows, steps, ["training", "validation"])


@dataclass(frozen=True)
class Observation:
    """Both losses at one step, and the weights by name."""

    training: float
    validation: float
    weights: Mapping[str, Tensor]

    @classmethod
    def at(cls, replica: Replica) -> Observation:
        """At a replica as it is."""
        column = COLUMNS.index("loss")
        rows = dict(zip(replica.parts, replica.evaluate()[:, column].tolist(), strict=True))
        weights = {name: weight.cpu().clone() for name, weight in replica.model.state_dict().items()}
        train, validation = (rows[name] for name in SPLITS)
        return cls(train, validation, weights)


@dataclass
class Window:
    """A spike, or a step beside it, and what was seen in its window.

    Attributes:
        spike: the spike.
        kind: spike, quiet or kick.
        step: the peak, or the middle of the quiet window.
        start: where the window begins.
        kick: how far weights were moved, if they were.
        observations: where the window begins, at the step, and 200 and 400 steps after it, as far as it was trained.
        state: of a quiet window, the replica's at the step.
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
        """When it is looked at."""
        return [self.start, self.step, self.step + AFTER, self.step + LATER]


def windows(trained: Trained, spikes: Sequence[Spike], first: int, most: int) -> list[Window]:
    """What became of it around spikes, beside them, and after kicks.

    Args:
        trained: the replica.
        spikes: all of its spikes.
        first: from which step on windows may lie.
        most: how many spikes are looked into, evenly chosen.
    """
    whole = inside(spikes, first, trained.last)
    seen = []
    for i in evenly_chosen(range(len(whole)), most) if whole else ():
        spike = whole[i]
        seen.append(Window(spike, "spike", spike.peak, spike.start - BEFORE))
        beside = quiet(spikes, spike, first, trained.last)
        seen += [Window(spike, "quiet", step, step - BEFORE) for step in beside]
    _follow(trained, seen)
    return [*seen, *_kicks(trained, seen)]


def rows(windows: Iterable[Window]) -> pd.DataFrame:
    """As of the table `spikes`, without what names the replica; `first_observation` counts them in this order."""
    found, first_observation = [], 0
    for window in windows:
        before, at = window.observations[:2]
        found.append(
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
        found, columns=["spike", "kind", "step", *OF_LOSSES, "kick", "first_observation", "observations"]
    )


def weights(windows: Iterable[Window], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of all observations, by name, (observation, …)."""
    observations = [observation for window in windows for observation in window.observations]
    return {
        name: torch.stack([observation.weights[name] for observation in observations])
        if observations
        else weight.new_empty(0, *weight.shape)
        for name, weight in like.items()
    }


OF_LOSSES = ("loss_before", "loss", "validation_before", "validation")


def _follow(trained: Trained, seen: Sequence[Window]) -> None:
    """Fill in what is seen, in one pass."""
    wanted = sorted({step for window in seen for step in window.steps if step <= trained.last})
    observations, states, replica = {}, {}, None
    for step in wanted:
        replica = trained.at(step, replica)
        observations[step] = Observation.at(replica)
        if any(window.kind == "quiet" and window.step == step for window in seen):
            states[step] = _copied(replica.state())
    for window in seen:
        window.observations = [observations[step] for step in window.steps if step in observations]
        window.state = states.get(window.step)


def _copied(state: State) -> State:
    """One that training on does not change."""
    return State(state.step, {name: tensor.clone() for name, tensor in state.tensors.items()}, state.values)


def _kicks(trained: Trained, seen: Iterable[Window]) -> list[Window]:
    """The quiet windows once more, with a kick that lets training loss rise as much as it did in their spike."""
    rises = {
        window.spike: window.observations[1].training - window.observations[0].training
        for window in seen
        if window.kind == "spike"
    }
    return [_kicked(trained, window, rises[window.spike]) for window in seen if window.kind == "quiet"]


def _kicked(trained: Trained, beside: Window, rise: float) -> Window:
    """A quiet window, after a kick by which training loss rises as told."""
    assert beside.state is not None
    kicked = trained.begun()
    kicked.restore(beside.state)
    target = beside.observations[1].training + rise

    def has_risen() -> bool:
        return kicked.mean_loss("train") >= target

    size = kick_until(has_risen, dict(kicked.model.named_parameters()), trained.seed)
    found = Window(
        beside.spike, "kick", beside.step, beside.start, size, [beside.observations[0], Observation.at(kicked)]
    )
    for step in found.steps[2:]:
        if step <= trained.last:
            for _ in updates(kicked, step):
                pass
            found.observations.append(Observation.at(kicked))
    return found
