"""Training steps a second time, to the same bytes as the first time."""

from __future__ import annotations

from collections.abc import Callable

from general_circuits.storage.training_states import State
from general_circuits.tasks.examples import Examples
from general_circuits.tasks.vocabulary import Vocabulary
from general_circuits.training.loop import Log, Observed, Run
from general_circuits.training.replica import Replica, updates
from general_circuits.training.settings import Condition

Nearest = Callable[[int], State | None]
"""Function that returns the last kept state of a replica up to a step, if there is one."""


def at_step(replica: Replica, step: int, nearest: Nearest, is_observed: bool = False) -> Replica:
    """Train a replica up to a step, from its current step or from a kept state that lies nearer.

    Args:
        replica: the replica, at this step or before it. It is trained in place.
        step: step to stop at.
        nearest: function that returns the kept states of training.
        is_observed: whether the gradient's norm of the last update is read. Then that update is made, never skipped.
    """
    # A state holds no gradient norm and no rate of the update that led to it. So an observed step starts one earlier.
    limit = step - 1 if is_observed else step
    state = nearest(limit)
    if state and replica.step < state.step <= limit:
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
    nearest: Nearest,
) -> Run:
    """Train one replica again, from its seed or from kept states, and observe other steps than its schedule does.

    Equal steps have equal bytes. Steps that lie far apart are each reached from the nearest state.

    Args:
        condition, splits, vocabulary, seed: as in `loop.train`.
        observed: steps to observe.
        nearest: function that returns the kept states of training.
    """
    replica = Replica(condition, splits, vocabulary, seed)
    log = Log(observed, replica)
    for step in sorted({*observed.checkpoints, *observed.metrics}):
        log.look(at_step(replica, step, nearest, step in observed.metrics))
    return log.run(replica.model)
