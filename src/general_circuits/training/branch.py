"""A replica of a branch: it leaves its parent at a step, and trains with a change for a while or to the end."""

from __future__ import annotations

import torch
from torch import Tensor

from general_circuits.models.network import Network
from general_circuits.storage.training_states import State
from general_circuits.tasks.examples import Examples
from general_circuits.training.replica import Replica
from general_circuits.training.settings import Branch, Condition


class Branched:
    """A replica that goes on from its parent in another setting, and may return to the parent's setting later.

    The memory of the parent's optimiser and the parent's stream of batches go on, wherever the two settings have the
    same kind of memory. So a branch that changes nothing has its parent's bytes at every later step.

    Args:
        parent: the parent, at the step where the branch leaves it.
        branch: how long the change lasts, and what follows.
        condition: setting while the change lasts.
        splits: examples while the change lasts.
        seed: seed of the replica.
        lowest: training accuracy that a kick has to reach, if it copies another branch's fall.

    Attributes:
        end: step after which the change ends; None if it never ends.
        has_returned: whether training is back in the parent's setting.
        current: replica that is trained now: in the changed setting, or in the parent's after the return.
        parts: parts that are evaluated in either setting.
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
        self.current.inherit(parent, parent.step, lowest, branch.lasts)
        # Either setting may have parts that the other lacks, such as the examples with wrong labels.
        self.parts = {**self.current.parts, **parent.parts}

    @property
    def step(self) -> int:
        return self.current.step

    @property
    def model(self) -> Network:
        return self.current.model

    def update(self, is_observed: bool) -> None:
        """Make one update, and measure its gradient's norm if it is observed."""
        if self.end is not None and self.step >= self.end:
            self._return()
            self._anneal(self.step + 1 - self.end)
        self.current.update(is_observed)

    def evaluate(self) -> Tensor:
        """Return metrics (part, column) as `Replica.evaluate`, on the examples of the setting of the last update.

        Rows of parts that this setting lacks are NaN.
        """
        # One row (column) for each part.
        rows = dict(zip(self.current.parts, self.current.evaluate(), strict=True))
        missing = torch.full_like(next(iter(rows.values())), torch.nan)
        return torch.stack([rows.get(name, missing) for name in self.parts])

    def state(self) -> State:
        """Return everything that the next update depends on, beside the parent."""
        return self.current.state()

    def restore(self, state: State) -> None:
        """Go to a state of the same branch."""
        # At step `end` itself the replica is still in the changed setting: it returns with the next update.
        if self.end is not None and state.step > self.end:
            self._return()
        self.current.restore(state)

    def _return(self) -> None:
        """Return to the parent's setting, if that has not happened yet."""
        if self.has_returned:
            return
        assert self.end is not None
        # Weights, moments and batches go on from the changed replica. Only the setting is the parent's again.
        changed = self.current
        self.current = Replica(self.branch.parent, self.parent_splits, self.vocabulary, self.seed)
        self.current.inherit(changed, self.end)
        self.has_returned = True

    def _anneal(self, made: int) -> None:
        """Set the rate and decay of one update after the return, if they return gradually.

        Args:
            made: number of the update since the return, from 1.
        """
        lasts = self.branch.lasts
        if self.branch.then != "anneal" or lasts is None:
            return
        share, changed, usual = min(1.0, made / lasts), self.condition.optimiser, self.branch.parent.optimiser
        if share == 1.0:  # the parent's numbers themselves, since the sum below would round them
            self.current.updater.use(usual.learning_rate, usual.weight_decay)
            return
        rate = (1 - share) * changed.learning_rate + share * usual.learning_rate
        self.current.updater.use(rate, (1 - share) * changed.weight_decay + share * usual.weight_decay)
