"""The training loop: one replica of one condition, from its seed or a kept state to its metrics and checkpoints."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

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
from general_circuits.training.schedule import LEAST_BETWEEN_STATES
from general_circuits.training.settings import Condition


class Stopped(Exception):
    """Raised when training was asked to stop, after its state was kept."""


@dataclass(frozen=True)
class Observed:
    """Steps at which a run is observed.

    Attributes:
        last: last step of training.
        checkpoints: steps whose weights are copied.
        metrics: steps at which the network is evaluated.
        until: training ends earlier, at so many times the replica's own t_g; None means that it does not.
        state_every: steps between two kept states.
    """

    last: int
    checkpoints: Collection[int]
    metrics: Collection[int]
    until: float | None = None
    state_every: int = LEAST_BETWEEN_STATES

    @classmethod
    def of(cls, condition: Condition, first: int = 0, last: int | None = None) -> Observed:
        """Return the steps of the condition's schedule between two steps, and these two steps themselves.

        Args:
            condition: setting with the schedule.
            first: first step of the run. If the schedule ends before it, it is the only step.
            last: last step of the run; None means the end of the schedule.
        """
        schedule = condition.schedule
        end = max(first, schedule.steps if last is None else min(last, schedule.steps))
        spacings = [spacing.steps(schedule.steps) for spacing in (schedule.checkpoints, schedule.metrics)]
        checkpoints, metrics = (frozenset({first, end, *(s for s in steps if first < s < end)}) for steps in spacings)
        until = schedule.until if schedule.ends_itself else None
        return cls(end, checkpoints, metrics, until, schedule.state_every)

    @classmethod
    def between(cls, first: int, last: int, checkpoints_every: int, metrics_every: int) -> Observed:
        """Return the first step, the last step, and one step in every few between them."""
        checkpoints, metrics = ({last, *range(first, last, every)} for every in (checkpoints_every, metrics_every))
        return cls(last, checkpoints, metrics)

    def ending(self, last: int) -> Observed:
        """Return the same with an earlier last step, which is observed too."""
        checkpoints, metrics = (
            frozenset({last, *(step for step in steps if step < last)}) for steps in (self.checkpoints, self.metrics)
        )
        return replace(self, last=last, checkpoints=checkpoints, metrics=metrics, until=None)


@dataclass(frozen=True)
class Run:
    """Results of training one replica.

    Attributes:
        metrics: one row per evaluated step and part. Parts are the splits, and groups of their examples.
        weights: all checkpoints of each weight, (checkpoint, …), by TransformerLens name.
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
        vocabulary: symbols that the network reads, and classes that it answers.
        seed: seed of the replica. Initialisation and batch order are separate streams of it.
        report: function that receives a line of progress about every ten seconds.
        states: kept states of the replica. Training goes on from the last one and adds more. None keeps no states.
        is_stopped: function that is called after every step, and tells whether training should stop.

    A checkpoint at step s holds the weights after s updates. Step 0 is the initialisation.

    A run whose numbers overflow goes on. Its rows are flagged `diverged`, since a diverged run is data too.

    Raises:
        Stopped: if `is_stopped` returns True before the last step. The state of that step is kept first.
    """
    return follow(Replica(condition, splits, vocabulary, seed), Observed.of(condition), report, states, is_stopped)


def follow(
    replica: Replica | Branched,
    observed: Observed,
    report: Callable[[str], None] = lambda line: None,
    states: States | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Run:
    """Train a replica from its current step, or from the last of its kept states, and return what was observed.

    Args:
        replica: the replica, or a replica of a branch. It is trained in place.
        observed: steps to observe.
        report, states, is_stopped: as in `train`.
    """
    log = Log(observed, replica)
    resumed = states.resume() if states else None
    if resumed:
        state, records = resumed
        replica.restore(state)
        log.restore(records)
        report(f"goes on from step {state.step:,}")
    else:
        log.look(replica)
    progress = _Progress(replica.step, observed.last, report)
    # Gradient norms are measured only at the steps of metrics: at others nobody reads them.
    for step in updates(replica, log.observed.last, lambda reached: reached in log.observed.metrics):
        log.look(replica)
        if step in log.metrics:
            progress.update(step, log.metrics[step])
        is_last, stops = step == log.observed.last, is_stopped()
        # A request to stop keeps a state too, or all steps since the last kept one would be lost.
        if states and (step % observed.state_every == 0 or is_last or stops):
            states.keep(replica.state(), log.record(step))
        if is_last:
            break
        if stops:
            raise Stopped(f"stopped at step {step:,}, which is kept")
    return log.run(replica.model)


class Log:
    """Metrics and checkpoints observed so far in one run.

    Tensors for all checkpoints are made at the start, one per weight.

    Args:
        observed: steps to observe.
        replica: replica that will be trained.

    Attributes:
        observed: steps to observe, up to the earlier end once it is known.
        parts: names of the parts that are evaluated, in the order of the rows of `Replica.evaluate`.
        metrics: metrics (part, column) by step.
        places: position of each step's checkpoint in `weights`.
        weights: checkpoints (checkpoint, …) by name of the weight.
        recorded: step of the last record; None before the first.
        best: largest validation accuracy so far, in runs that end by their own t_g.
    """

    def __init__(self, observed: Observed, replica: Replica | Branched) -> None:
        self.observed, self.parts = observed, list(replica.parts)
        self.metrics: dict[int, Tensor] = {}
        self.places = _places(observed)
        self.weights = {
            name: torch.empty(len(self.places), *weight.shape, dtype=weight.dtype)
            for name, weight in replica.model.state_dict().items()
        }
        self.recorded: int | None = None
        self.best = 0.0

    def look(self, replica: Replica | Branched) -> None:
        """Evaluate the network and copy the weights, if the replica's step is to be observed."""
        if replica.step in self.observed.metrics:
            self.metrics[replica.step] = replica.evaluate()
            self._end_early(replica.step)
        if replica.step in self.places:
            for name, weight in replica.model.state_dict().items():
                self.weights[name][self.places[replica.step]] = weight

    def _end_early(self, *steps: int) -> None:
        """Bring the end forward, if the replica's own t_g ends training and has come.

        Args:
            steps: newly evaluated steps.
        """
        if self.observed.until is None:
            return
        # By name: where events are defined in another way, only runs that end by them are trained again.
        events = importlib.import_module("general_circuits.training.events")
        column = self.parts.index("validation"), COLUMNS.index("accuracy")
        self.best = max(self.best, *(float(self.metrics[step][column]) for step in steps))
        if self.best < events.GENERALISED:  # then t_g has not come, whatever the plateau is; to look is slow
            return
        generalised = events.events_of_run(self._metrics_frame())["generalised"]
        if generalised is None:
            return
        # t_g is known only two evaluations after t_m, since these make the plateau. Then the end may have passed.
        last = max(math.floor(self.observed.until * generalised), *self.metrics)
        if last < self.observed.last:
            self.observed = self.observed.ending(last)
            # Places of earlier checkpoints stay as they are; there are fewer later ones.
            self.places = _places(self.observed)

    def record(self, step: int) -> State:
        """Return everything observed since the last record, under the step of the state that it goes with."""
        after = -1 if self.recorded is None else self.recorded
        tensors = {f"metrics.{at}": row.cpu() for at, row in self.metrics.items() if at > after}
        for at, place in self.places.items():
            if after < at <= step:
                tensors |= {f"checkpoint.{at}.{name}": stack[place] for name, stack in self.weights.items()}
        record = State(step, tensors, {"after": self.recorded})
        self.recorded = step
        return record

    def restore(self, records: list[State]) -> None:
        """Take back the observations of earlier records."""
        # At most two splits: names of weights have dots too.
        found = [(name.split(".", 2), tensor) for record in records for name, tensor in record.tensors.items()]
        self.metrics |= {int(step): tensor for (kind, step, *_), tensor in found if kind == "metrics"}
        self._end_early(*self.metrics)
        for (kind, step, *weight), tensor in found:
            if kind != "metrics":
                self.weights[weight[0]][self.places[int(step)]] = tensor
        self.recorded = records[-1].step

    def run(self, model: Network) -> Run:
        """Return all observations, with the network after the last step."""
        weights = {name: stack[: len(self.places)] for name, stack in self.weights.items()}
        return Run(self._metrics_frame(), weights, sorted(self.places), model)

    def _metrics_frame(self) -> pd.DataFrame:
        """Return the table of metrics so far."""
        if not self.metrics:
            return pd.DataFrame()
        steps = sorted(self.metrics)
        return _metrics_frame([self.metrics[step].cpu() for step in steps], steps, self.parts)


def _places(observed: Observed) -> dict[int, int]:
    """Return the position of each checkpoint among all of a replica, by step."""
    return {step: i for i, step in enumerate(sorted(observed.checkpoints))}


def _metrics_frame(rows: list[Tensor], steps: list[int], parts: Sequence[str]) -> pd.DataFrame:
    """Return the table of metrics, sorted by step and part.

    Args:
        rows: metrics (part, column) of each step.
        steps: the steps, ascending.
        parts: names of the parts.
    """
    values = torch.stack(rows).cpu().numpy()  # (step, part, column)
    frame = pd.concat(
        [
            pd.DataFrame(values[:, i], columns=list(COLUMNS)).assign(step=steps, split=name)
            for i, name in enumerate(parts)
        ],
        ignore_index=True,
    )
    # Every evaluated part has a learning rate. Some parts of a branch exist only before its return, or only after it.
    # At the other steps all their columns are NaN, and their rows are left out.
    is_missing = np.isnan(values[:, :, COLUMNS.index("learning_rate")])  # (step, part)
    decisive = [COLUMNS.index("loss"), COLUMNS.index("weight_norm")]
    is_lost = (~np.isfinite(values[:, :, decisive]) & ~is_missing[:, :, None]).any(axis=(1, 2))
    # Once diverged, always diverged, in every part: `cummax` over the steps.
    frame["diverged"] = frame["step"].map(pd.Series(is_lost, index=steps).cummax())
    # The frame has all steps of the first part, then of the second: (part, step), hence the transposition.
    return frame[~is_missing.T.ravel()].sort_values(["step", "split"], ignore_index=True)


class _Progress:
    """Reports a line every ten seconds: steps, loss, accuracy, time left."""

    def __init__(self, first: int, last: int, report: Callable[[str], None], seconds: float = 10.0) -> None:
        self.first, self.last, self.report, self.seconds = first, last, report, seconds
        self.start = self.last_report = time.monotonic()

    def update(self, step: int, row: Tensor) -> None:
        now = time.monotonic()
        if now - self.last_report < self.seconds and step < self.last:
            return
        self.last_report = now
        (train_loss, train_accuracy), (validation_loss, validation_accuracy) = row[: len(SPLITS), :2].tolist()
        left = (now - self.start) / max(step - self.first, 1) * (self.last - step)
        minutes, seconds = divmod(round(left), 60)
        self.report(
            f"step {step:,} of {self.last:,} · train loss {train_loss:.3g}, accuracy {train_accuracy:.3f}"
            f" · validation loss {validation_loss:.3g}, accuracy {validation_accuracy:.3f}"
            f" · {minutes} min {seconds:02} s left"
        )
