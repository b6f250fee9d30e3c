"""Checkpoints at which the replicas of a block are measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from general_circuits.storage.blocks import Block
from general_circuits.storage.checkpoints import stored


def steps_of_block(block: Block) -> dict[int, list[int]]:
    """Read the steps of the checkpoints of all replicas of a block, by their position in it."""
    return {position: stored(block, position).steps() for position in range(len(block.seeds))}


def shared(steps: Mapping[int, Sequence[int]], choose: Callable[[Sequence[int]], list[int]]) -> dict[int, list[int]]:
    """Return chosen steps of each of several runs, which may end at different steps.

    Runs that begin at the same step share the steps that are chosen from the longest, so means over runs are of the
    same steps. Each run also keeps its last step. Runs that begin at different steps, such as branches, are chosen from
    one by one.

    Args:
        steps: ascending steps by run.
        choose: function that chooses from ascending steps.
    """
    if len({run[0] for run in steps.values() if run}) > 1:
        return {name: choose(run) for name, run in steps.items()}
    longest = max(steps.values(), key=lambda run: run[-1] if run else -1, default=())
    chosen = set(choose(longest))
    return {name: [step for step in run if step in chosen or step == run[-1]] for name, run in steps.items()}
