"""What a killed job goes on from, and a replay starts from: states of training on disk, checked when read.

Beside each state lies a record of what was measured since the state before it, so a state is worth something only if
all records up to it are whole. A file's name ends in the digest of its bytes: one that was cut short or altered does
not match its name, and the state before it is used.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load, save
from torch import Tensor

from general_circuits.storage.tables import replacing

HEADER = "state"
"""The only key of a file's metadata."""


@dataclass(frozen=True)
class State:
    """Tensors and JSON values at one step."""

    step: int
    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]


def folder_of(states: Path, position: int, code: str, settings: str, device: str, split: Path, also: str = "") -> Path:
    """The folder of one replica's states, named after all that their bytes depend on.

    Args:
        states: the block's.
        position: of the replica in its block.
        code: the fingerprint of the code that trains.
        settings: the condition, as JSON.
        device: where it trains.
        split: the file it trains on.
        also: what else there is, of a branch.
    """
    digest = hashlib.sha256("\n".join([code, settings, device, torch.__version__, also]).encode())
    digest.update(hashlib.sha256(split.read_bytes()).digest())
    return states / f"replica-{position}" / digest.hexdigest()[:16]


@dataclass(frozen=True)
class States:
    """The states of one replica.

    Attributes:
        folder: theirs alone; made when the first is kept.
        report: receives a line about anything that could not be used.
    """

    folder: Path
    report: Callable[[str], None] = print

    def keep(self, state: State, record: State) -> None:
        """Write what was measured since the last state, whose step is the record's value `after`; then the state."""
        self._write("record", record)
        self._write("state", state)

    def only(self) -> States:
        """These, after removing any that other code or settings left beside them."""
        for folder in self.folder.parent.glob("*"):
            if folder != self.folder and folder.is_dir():
                shutil.rmtree(folder)
        return self

    def resume(self) -> tuple[State, list[State]] | None:
        """The last whole state before which every record is whole, and these records. What lies after it is removed."""
        records: list[State] = []
        found: tuple[State, list[State]] | None = None
        for path in self._files("record"):
            record = self._read(path)
            if record is None or record.values["after"] != (records[-1].step if records else None):
                break
            records.append(record)
            state = self._at(record.step)
            if state is not None:
                found = state, list(records)
        last = found[0].step if found else -1
        unfinished = self.folder.glob(".*")
        for path in [*unfinished, *(path for kind in ("record", "state") for path in self._files(kind))]:
            if path.name.startswith(".") or _step(path) > last:
                path.unlink()
        return found

    def nearest(self, step: int) -> State | None:
        """The last whole state not after this step."""
        for path in reversed(self._files("state")):
            if _step(path) <= step and (state := self._read(path)) is not None:
                return state
        return None

    def thin(self, how_many: int, every: int) -> None:
        """Remove a finished run's records, and all states but `how_many`, evenly by step and the last among them.

        Only states at multiples of `every`, and the last one, are kept: others depend on when a run was killed.
        """
        files = self._files("state")
        states = [path for path in files if _step(path) % every == 0 or path == files[-1]]
        how_many = min(how_many, len(states))
        kept = {states[-1 - round(i * len(states) / how_many)] for i in range(how_many)}
        for path in [*self._files("record"), *(path for path in files if path not in kept)]:
            path.unlink()

    def _at(self, step: int) -> State | None:
        for path in self._files("state"):
            if _step(path) == step and (state := self._read(path)) is not None:
                return state
        return None

    def _files(self, kind: str) -> list[Path]:
        return sorted(self.folder.glob(f"{kind}-[0-9]*-*.safetensors"))

    def _write(self, kind: str, state: State) -> None:
        header = json.dumps({"step": state.step, **state.values}, sort_keys=True)
        content = save({name: tensor.contiguous() for name, tensor in state.tensors.items()}, metadata={HEADER: header})
        path = self.folder / f"{kind}-{state.step:09d}-{_digest(content)}.safetensors"
        with replacing(path) as temporary:
            temporary.write_bytes(content)

    def _read(self, path: Path) -> State | None:
        """The file's content if it is what was written."""
        content = path.read_bytes()
        if _digest(content) != path.stem.rsplit("-", 1)[1]:
            self.report(f"{path}: truncated or altered since it was written, and not used")
            return None
        with safe_open(path, "pt") as file:
            values = json.loads(file.metadata()[HEADER])
        if values["step"] != _step(path):
            self.report(f"{path}: of step {values['step']}, whatever its name says, and not used")
            return None
        # Copies: what `load` gives lies in the bytes that were read, which nothing may write to.
        return State(values.pop("step"), {name: tensor.clone() for name, tensor in load(content).items()}, values)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _step(path: Path) -> int:
    return int(path.stem.split("-")[1])
