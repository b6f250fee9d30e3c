"""Training again what was trained before, to the same bytes."""

from __future__ import annotations

from collections.abc import Callable

from general_circuits.storage.training_states import State
from general_circuits.tasks.examples import Examples
from general_circuits.tasks.vocabulary import Vocabulary
from general_circuits.training.loop import Log, Observed, Run
from general_circuits.training.replica import Replica, updates
from general_circuits.training.settings import Condition

Nearest = Callable[[int], State | None]
"""Finds the last state of a replica up to a step, if there is one."""


def at_step(replica: Replica, step: int, nearest: Nearest, is_observed: bool = False) -> Replica:
    """Bring a replica to a step: from where it is, or from a kept state that lies nearer.

    Args:
        replica: at this step or before it; trained in place.
        step: where to stop.
        nearest: the states that training left.
        is_observed: whether somebody will look at the step. Then the update that leads there is made, never skipped.
    """
    state = nearest(step - 1 if is_observed else step)
    if state and state.step > replica.step:
        replica.restore(state)
    for _ in updates(replica, step, lambda reached: is_observed and reached == step):
        pass
    return replica


def replay(
    condition: Condition,
    splits: dict[str, Examples],
    vocabulary: Vocabulary,
    seed: int,
    observed: Observed,
    state: State | None,
) -> Run:
    """Train one replica again from a state of it, or from its seed, and look at other steps than its schedule does.

    Equal steps give equal bytes. Arguments are as for `loop.train`. Only steps after the state's can be seen: a row
    of metrics describes the update that led to it.
    """
    replica = Replica(condition, splits, vocabulary, seed)
    log = Log(observed, replica)
    if state:
        replica.restore(state)
        if replica.step >= min([*observed.checkpoints, *observed.metrics]):
            raise ValueError(f"the state at step {replica.step} is not before what is looked at")
    log.look(replica)
    for _ in updates(replica, observed.last, observed.metrics.__contains__):
        log.look(replica)
    return log.run(replica.model)
