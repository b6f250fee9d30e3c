"""The training loop: one replica of one condition, from its seed, or a state, to its metrics and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from general_circuits.models.network import Network
from general_circuits.storage.training_states import State, States
from general_circuits.tasks.examples import SPLITS, Examples
from general_circuits.tasks.vocabulary import Vocabulary
from general_circuits.training.branch import Branched
from general_circuits.training.replica import COLUMNS, Replica, updates
from general_circuits.training.schedule import STATE_EVERY
from general_circuits.training.settings import Condition


class Stopped(Exception):
    """Training was asked to stop; its state is kept."""


@dataclass(frozen=True)
class Observed:
    """When training is looked at, and when it ends."""

    last: int
    checkpoints: Collection[int]
    metrics: Collection[int]

    @classmethod
    def of(cls, condition: Condition, first: int = 0, last: int | None = None) -> Observed:
        """As the condition's schedule says, from a step on, and until another one, which are seen too.

        Where the schedule has ended by the first step, that one is all there is.
        """
        schedule = condition.schedule
        end = max(first, schedule.steps if last is None else min(last, schedule.steps))
        spacings = [spacing.steps(schedule.steps) for spacing in (schedule.checkpoints, schedule.metrics)]
        return cls(end, *(frozenset({first, end, *(s for s in steps if first < s < end)}) for steps in spacings))

    @classmethod
    def between(cls, first: int, last: int, checkpoints_every: int, metrics_every: int) -> Observed:
        """From one step to another, both seen, and one in so many between them."""
        return cls(last, *({last, *range(first, last, every)} for every in (checkpoints_every, metrics_every)))


@dataclass(frozen=True)
class Run:
    """What training leaves.

    Attributes:
        metrics: one row per evaluated step and split, or part of one.
        weights: by TransformerLens name, every checkpoint stacked on a leading step axis.
        steps: the step of each checkpoint.
        model: the network after the last step.
    """

    metrics: pd.DataFrame
    weights: dict[str, Tensor]
    steps: list[int]
    model: Network


def train(
    condition: Condition,
    splits: dict[str, Examples],
    vocabulary: Vocabulary,
    seed: int,
    report: Callable[[str], None] = lambda line: None,
    states: States | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Run:
    """Train one replica.

    Args:
        condition: the complete setting.
        splits: the examples under "train" and "validation", labels after label noise.
        vocabulary: what the network reads and answers.
        seed: the replica; initialisation and batch order are separate streams of it.
        report: receives a line of progress now and then.
        states: where to keep states, and to go on from the last one there; none are kept without.
        is_stopped: asked after every step.

    A checkpoint at step s holds the weights after s updates; step 0 is the initialisation. A run that is no longer
    finite goes on, its rows flagged `diverged`: a diverged run is data.

    Raises:
        Stopped: after keeping a state, when `is_stopped`.
    """
    return follow(Replica(condition, splits, vocabulary, seed), Observed.of(condition), report, states, is_stopped)


def follow(
    replica: Replica | Branched,
    observed: Observed,
    report: Callable[[str], None] = lambda line: None,
    states: States | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Run:
    """Train a replica from where it is, or from the last of its states, and look at it; as `train`."""
    log = Log(observed, replica)
    found = states.resume() if states else None
    if found:
        state, records = found
        replica.restore(state)
        log.restore(records)
        report(f"goes on from step {state.step:,}")
    else:
        log.look(replica)
    progress = _Progress(replica.step, observed.last, report)
    for step in updates(replica, observed.last, observed.metrics.__contains__):
        log.look(replica)
        if step in observed.metrics:
            progress.update(step, log.metrics[step])
        is_last, stops = step == observed.last, is_stopped()
        if states and (step % STATE_EVERY == 0 or is_last or stops):
            states.keep(replica.state(), log.record(step))
        if stops and not is_last:
            raise Stopped(f"stopped at step {step:,}, which is kept")
    return log.run(replica.model)


class Log:
    """What was seen of a run: metrics, and checkpoints in memory taken at the start.

    Args:
        observed: what will be seen.
        replica: what will be trained.
    """

    def __init__(self, observed: Observed, replica: Replica | Branched) -> None:
        self.observed, self.parts = observed, list(replica.parts)
        self.metrics: dict[int, Tensor] = {}
        self.places = {step: i for i, step in enumerate(sorted(observed.checkpoints))}
        self.weights = {
            name: torch.empty(len(self.places), *weight.shape, dtype=weight.dtype)
            for name, weight in replica.model.state_dict().items()
        }
        self.recorded: int | None = None

    def look(self, replica: Replica | Branched) -> None:
        """Take what is due at the replica's step."""
        if replica.step in self.places:
            for name, weight in replica.model.state_dict().items():
                self.weights[name][self.places[replica.step]] = weight
        if replica.step in self.observed.metrics:
            self.metrics[replica.step] = replica.evaluate()

    def record(self, step: int) -> State:
        """What was seen since the last record."""
        after = -1 if self.recorded is None else self.recorded
        tensors = {f"metrics.{seen}": row.cpu() for seen, row in self.metrics.items() if seen > after}
        for seen, place in self.places.items():
            if after < seen <= step:
                tensors |= {f"checkpoint.{seen}.{name}": stack[place] for name, stack in self.weights.items()}
        record = State(step, tensors, {"after": self.recorded})
        self.recorded = step
        return record

    def restore(self, records: list[State]) -> None:
        """Take what earlier records hold."""
        for record in records:
            for name, tensor in record.tensors.items():
                kind, step, *weight = name.split(".", 2)
                if kind == "metrics":
                    self.metrics[int(step)] = tensor
                else:
                    self.weights[weight[0]][self.places[int(step)]] = tensor
        self.recorded = records[-1].step

    def run(self, model: Network) -> Run:
        """All of it."""
        steps = sorted(self.metrics)
        rows = [self.metrics[step].cpu() for step in steps]
        metrics = _metrics_frame(rows, steps, self.parts) if steps else pd.DataFrame()
        return Run(metrics, self.weights, sorted(self.places), model)


def _metrics_frame(rows: list[Tensor], steps: list[int], parts: Sequence[str]) -> pd.DataFrame:
    values = torch.stack(rows).cpu().numpy()  # (step, part, column)
    frame = pd.concat(
        [
            pd.DataFrame(values[:, i], columns=list(COLUMNS)).assign(step=steps, split=name)
            for i, name in enumerate(parts)
        ],
        ignore_index=True,
    )
    is_missing = np.isnan(values[:, :, COLUMNS.index("learning_rate")])  # a part that there was not, at that step
    decisive = [COLUMNS.index("loss"), COLUMNS.index("weight_norm")]
    is_lost = (~np.isfinite(values[:, :, decisive]) & ~is_missing[:, :, None]).any(axis=(1, 2))
    frame["diverged"] = frame["step"].map(pd.Series(is_lost, index=steps).cummax())
    return frame[~is_missing.T.ravel()].sort_values(["step", "split"], ignore_index=True)


class _Progress:
    """A line every ten seconds: steps, loss, accuracy, time left."""

    def __init__(self, first: int, last: int, report: Callable[[str], None], seconds: float = 10.0) -> None:
        self.first, self.last, self.report, self.seconds = first, last, report, seconds
        self.start = self.said = time.monotonic()

    def update(self, step: int, row: Tensor) -> None:
        now = time.monotonic()
        if now - self.said < self.seconds and step < self.last:
            return
        self.said = now
        (train_loss, train_accuracy), (validation_loss, validation_accuracy) = row[: len(SPLITS), :2].tolist()
        left = (now - self.start) / max(step - self.first, 1) * (self.last - step)
        minutes, seconds = divmod(round(left), 60)
        self.report(
            f"step {step:,} of {self.last:,} · train loss {train_loss:.3g}, accuracy {train_accuracy:.3f}"
            f" · validation loss {validation_loss:.3g}, accuracy {validation_accuracy:.3f}"
            f" · {minutes} min {seconds:02} s left"
        )
