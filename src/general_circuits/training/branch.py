"""A replica that leaves another one's path: changed from a step on, to the end or for a while."""

from __future__ import annotations

import torch
from torch import Tensor

from general_circuits.models.network import Network
from general_circuits.storage.training_states import State
from general_circuits.tasks.examples import Examples
from general_circuits.training.replica import Replica
from general_circuits.training.settings import Branch, Condition


class Branched:
    """A replica in its parent's path until a step, from there on in a setting of its own, and perhaps back again.

    Args:
        parent: at the step where it leaves.
        branch: for how long, and what then.
        condition: its setting meanwhile.
        splits: its examples meanwhile.
        seed: the replica.
        lowest: the training accuracy that a kick shall cause, where it is to equal another branch's.

    What the parent's optimiser and its stream of batches remember goes on, as far as it is the same kind of thing: a
    branch that changes nothing has its parent's bytes at every later step.
    """

    def __init__(
        self,
        parent: Replica,
        branch: Branch,
        condition: Condition,
        splits: dict[str, Examples],
        seed: int,
        lowest: float | None = None,
    ) -> None:
        self.branch, self.condition, self.seed = branch, condition, seed
        self.parent_splits, self.vocabulary = parent.splits, parent.model.vocabulary
        self.end = None if branch.lasts is None else parent.step + branch.lasts
        self.has_returned = False
        self.current = Replica(condition, splits, self.vocabulary, seed, branch.intervention)
        self.current.inherit(parent, parent.step, lowest)
        self.parts = {**self.current.parts, **parent.parts}

    @property
    def step(self) -> int:
        return self.current.step

    @property
    def model(self) -> Network:
        return self.current.model

    def update(self, is_observed: bool) -> None:
        """Make one update; note its gradient's norm if somebody will look."""
        if self.end is not None and self.step >= self.end:
            self._return()
            self._anneal(self.step + 1 - self.end)
        self.current.update(is_observed)

    def evaluate(self) -> Tensor:
        """As of `Replica`, on the examples of the setting that led here; a part that it has not is missing."""
        rows = dict(zip(self.current.parts, self.current.evaluate(), strict=True))
        missing = torch.full_like(next(iter(rows.values())), torch.nan)
        return torch.stack([rows.get(name, missing) for name in self.parts])

    def state(self) -> State:
        """All that the next update depends on, beside the parent."""
        return self.current.state()

    def restore(self, state: State) -> None:
        """Go on to a state of the same branch."""
        if self.end is not None and state.step > self.end:
            self._return()
        self.current.restore(state)

    def _return(self) -> None:
        """To the parent's setting, once."""
        if self.has_returned:
            return
        assert self.end is not None
        changed = self.current
        self.current = Replica(self.branch.parent, self.parent_splits, self.vocabulary, self.seed)
        self.current.inherit(changed, self.end)
        self.has_returned = True

    def _anneal(self, made: int) -> None:
        """Rate and decay of the update of this number since the return, from 1."""
        lasts = self.branch.lasts
        if self.branch.then != "anneal" or lasts is None:
            return
        share, changed, own = min(1.0, made / lasts), self.condition.optimiser, self.branch.parent.optimiser
        if share == 1.0:  # the very numbers, so that nothing is left of the change but its consequences
            self.current.updater.use(own.learning_rate, own.weight_decay)
            return
        rate = (1 - share) * changed.learning_rate + share * own.learning_rate
        self.current.updater.use(rate, (1 - share) * changed.weight_decay + share * own.weight_decay)
