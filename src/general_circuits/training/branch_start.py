"""Start of a branch: the parent's files are read, and its steps up to the branch are trained again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from general_circuits import devices
from general_circuits.records import to_json
from general_circuits.storage import tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.events import TABLE as EVENTS
from general_circuits.storage.schemas.metrics import TABLE as METRICS
from general_circuits.storage.training_states import States, folder_of
from general_circuits.tasks.examples import Examples
from general_circuits.training.branch import Branched
from general_circuits.training.replay import at_step
from general_circuits.training.replica import Replica
from general_circuits.training.settings import STEP, Branch, Condition


@dataclass(frozen=True)
class BranchStart:
    """Start of one block of a branch, from the files of its parent.

    Attributes:
        branch: how the branch leaves its parent.
        runs: the parent's folder of this block, with its split, events and metrics.
        states: folder of the parent's training states.
        as_kicked: table of metrics of another branch, whose lowest training accuracy a kick has to reach; else None.
        code: fingerprint of the code that trained the parent, by which its states are found.
        device: device that trained the parent.
    """

    branch: Branch
    runs: Path
    states: Path
    as_kicked: Path | None
    code: str
    device: str

    @property
    def files(self) -> list[Path]:
        """Files that the bytes of the branch depend on."""
        of_parent = [self.runs / "split.parquet", self.runs / "events.parquet"]
        return [*of_parent, *([self.as_kicked] if self.as_kicked else [])]

    def key(self) -> str:
        """Return a text that names everything that the branch's bytes depend on, beside its own setting and examples.

        It is part of the name of the folder of states. So states are used only if all of this is equal.
        """
        return " ".join([to_json(self.branch), *(hashlib.sha256(file.read_bytes()).hexdigest() for file in self.files)])

    def start(
        self,
        replica: int,
        condition: Condition,
        examples: dict[str, Examples],
        say: Callable[[str], None],
    ) -> Branched | None:
        """Return one replica at the step where it leaves its parent.

        Args:
            replica: seed of the replica.
            condition: setting of the branch.
            examples: splits of the branch.
            say: function that receives lines about the start.

        Returns:
            The replica of the branch. None if the parent has no such event, or the copied branch no accuracy.
        """
        step = step_of(self._events, replica, self.branch.at)
        lowest = self._lowest(replica)
        if step is None or (self.as_kicked and lowest is None):
            say(f"its parent never reached {self.branch.at}: there is no branch")
            return None
        say(f"leaves its parent at step {step:,}")
        return Branched(self._parent(replica, step, say), self.branch, condition, examples, replica, lowest)

    def has_diverged(self, replica: int, step: int) -> bool:
        """Return whether the parent had diverged before this step."""
        metrics = self._metrics
        return bool(metrics.loc[(metrics["replica"] == replica) & (metrics["step"] < step), "diverged"].any())

    @cached_property
    def _events(self) -> pd.DataFrame:
        return tables.read(self.runs / "events.parquet", EVENTS, self._block.seeds)

    @cached_property
    def _metrics(self) -> pd.DataFrame:
        return tables.read(self.runs / "metrics.parquet", METRICS, self._block.seeds)

    @cached_property
    def _block(self) -> Block:
        return Block(self.runs / "split.parquet", devices.set_up(self.device))

    @cached_property
    def _replicas(self) -> dict[int, tuple[int, dict[str, Examples]]]:
        """Map each replica's seed to its position in the parent's block and its examples there."""
        return {seed: (position, examples) for position, seed, examples in self._block.replicas()}

    def _parent(self, replica: int, step: int, say: Callable[[str], None]) -> Replica:
        """Return the parent at this step, trained again from the nearest state before it.

        The state lies before the step and not at it, so that the last update is made. The branch's first row of metrics
        needs the rate and gradient norm of that update.
        """
        position, examples = self._replicas[replica]
        parent = Replica(self.branch.parent, examples, self._block.vocabulary, replica)
        settings = to_json(self.branch.parent)
        folder = folder_of(self.states, position, self.code, settings, self.device, self._block.split)
        state = States(folder, say).nearest(step - 1)
        say(f"replays its parent from {f'the state at step {state.step:,}' if state else 'its seed'}")
        return at_step(parent, step, lambda _: state, is_observed=True)

    def _lowest(self, replica: int) -> float | None:
        """Return the lowest training accuracy of the branch that a kick copies; None without such a branch or rows.

        Rows after the branch diverged do not count.
        """
        if not self.as_kicked:
            return None
        # After divergence, accuracies say nothing about how far a kick should go.
        rows = tables.read(self.as_kicked, METRICS, self._block.seeds)
        accuracies = rows.loc[(rows["replica"] == replica) & (rows["split"] == "train") & ~rows["diverged"], "accuracy"]
        return float(accuracies.min()) if len(accuracies) else None


def step_of(events: pd.DataFrame, replica: int, at: str) -> int | None:
    """Return the step of one replica's event; None if the event is censored.

    Args:
        events: rows of the table `events`.
        replica: seed of the replica.
        at: name of an event, or a step such as "step 1000", which needs no event.
    """
    if named := STEP.fullmatch(at):
        return int(named[1])
    row = events[(events["replica"] == replica) & (events["event"] == at)].iloc[0]
    return None if row["censored"] else int(row["step"])
