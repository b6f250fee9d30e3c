"""Where the replicas of a branch leave their parent: its files, read, and its steps up to there, made again."""

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
    """A block of a branch, and what its parent left.

    Attributes:
        branch: how it differs.
        runs: the parent's folder of this block.
        states: its training states.
        as_kicked: the metrics of a branch whose lowest training accuracy a kick shall equal, if any.
        code: the fingerprint of what trained the parent.
        device: where that was.
    """

    branch: Branch
    runs: Path
    states: Path
    as_kicked: Path | None
    code: str
    device: str

    @property
    def files(self) -> list[Path]:
        """What a branch's bytes depend on."""
        own = [self.runs / "split.parquet", self.runs / "events.parquet"]
        return [*own, *([self.as_kicked] if self.as_kicked else [])]

    def key(self) -> str:
        """All that a branch's bytes depend on beside its own setting and examples."""
        return " ".join([to_json(self.branch), *(hashlib.sha256(file.read_bytes()).hexdigest() for file in self.files)])

    def start(
        self,
        replica: int,
        condition: Condition,
        examples: dict[str, Examples],
        say: Callable[[str], None],
    ) -> Branched | None:
        """One replica where it leaves its parent; None where that never came there."""
        step = step_of(self._events, replica, self.branch.at)
        lowest = self._lowest(replica)
        if step is None or (self.as_kicked and lowest is None):
            say(f"its parent was never at {self.branch.at}: there is no branch")
            return None
        say(f"leaves its parent at step {step:,}")
        return Branched(self._parent(replica, step, say), self.branch, condition, examples, replica, lowest)

    def has_diverged(self, replica: int, step: int) -> bool:
        """Whether the parent had, before this step."""
        metrics = self._metrics
        return bool(metrics.loc[(metrics["replica"] == replica) & (metrics["step"] < step), "diverged"].any())

    @cached_property
    def _events(self) -> pd.DataFrame:
        return tables.read(self.runs / "events.parquet", EVENTS)

    @cached_property
    def _metrics(self) -> pd.DataFrame:
        return tables.read(self.runs / "metrics.parquet", METRICS)

    @cached_property
    def _block(self) -> Block:
        return Block(self.runs / "split.parquet", devices.set_up(self.device))

    @cached_property
    def _replicas(self) -> dict[int, tuple[int, dict[str, Examples]]]:
        """By number, the parent's position in its block and its examples."""
        return {number: (position, examples) for position, number, examples in self._block.replicas()}

    def _parent(self, replica: int, step: int, say: Callable[[str], None]) -> Replica:
        """The parent at this step, from the nearest state before it, so that the last update is made and known."""
        position, examples = self._replicas[replica]
        parent = Replica(self.branch.parent, examples, self._block.vocabulary, replica)
        settings = to_json(self.branch.parent)
        kept = States(folder_of(self.states, position, self.code, settings, self.device, self._block.split), say)
        state = kept.nearest(step - 1)
        say(f"replays its parent from {f'the state at step {state.step:,}' if state else 'its seed'}")
        return at_step(parent, step, lambda _: state, is_observed=True)

    def _lowest(self, replica: int) -> float | None:
        """The lowest training accuracy of the branch that a kick shall equal."""
        if not self.as_kicked:
            return None
        rows = tables.read(self.as_kicked, METRICS)
        found = rows.loc[(rows["replica"] == replica) & (rows["split"] == "train") & ~rows["diverged"], "accuracy"]
        return float(found.min()) if len(found) else None


def step_of(events: pd.DataFrame, replica: int, at: str) -> int | None:
    """The step of one replica's event, or the one that is named itself, "step 1000"; None if it never came."""
    if named := STEP.fullmatch(at):
        return int(named[1])
    row = events[(events["replica"] == replica) & (events["event"] == at)].iloc[0]
    return None if row["censored"] else int(row["step"])
