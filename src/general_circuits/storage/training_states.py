"""States of training on disk, checked when read: killed jobs go on from them, replays and branches start from them.

Training writes a state at fixed steps, and one more where it is asked to stop. Only states at fixed steps stay once a
run is finished. So a run that was stopped and continued leaves the same states as one that ran through. Beside each
state lies a record: everything measured since the state before. A job can only go on from a state if all records up to
it are whole.

Files are written under another name and renamed, so a killed job leaves whole files. A full or faulty disk can still
damage one. So a file's name ends in the digest of its bytes, which a file that was cut short or altered does not match.
Such a file is reported, and the state before it is used.
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

from general_circuits.storage.files import replacing

HEADER = "state"
"""The only key of a file's metadata, since safetensors writes several in no fixed order."""

IS = "is"
"""Key of a file's values that says what the file is, and of which folder: of which replica, code and settings."""


@dataclass(frozen=True)
class State:
    """Tensors and JSON values at one step."""

    step: int
    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]


def folder_of(states: Path, position: int, code: str, settings: str, device: str, split: Path, also: str = "") -> Path:
    """Return the folder of one replica's states, named after everything that their bytes depend on.

    A job with other code, settings or data gets another folder. So it never goes on from a state that is not its own.

    Args:
        states: the block's folder of states.
        position: the replica's position in its block.
        code: fingerprint of the code that trains.
        settings: the condition, as JSON.
        device: the device that trains.
        split: the split table that training reads; its bytes count and its place does not.
        also: anything else that a branch depends on.
    """
    causes = [str(position), code, settings, device, torch.__version__, also]
    digest = hashlib.sha256("\n".join(causes).encode())
    digest.update(hashlib.sha256(split.read_bytes()).digest())
    return states / f"replica-{position}" / digest.hexdigest()[:16]


@dataclass(frozen=True)
class States:
    """The states of one replica.

    Attributes:
        folder: a folder for these states alone, made when the first is kept.
        report: function that receives a line about each file that cannot be used.
    """

    folder: Path
    report: Callable[[str], None] = print

    def keep(self, state: State, record: State) -> None:
        """Write a record, then its state.

        The record holds everything measured since the last state, whose step is its value `after`. It comes first: a
        job killed between the two leaves a record that nothing needs, and not a state without its record.
        """
        self._write("record", record)
        self._write("state", state)

    def only(self) -> States:
        """Remove the states that other code or settings left beside these, and return these."""
        for folder in self.folder.parent.glob("*"):
            if folder != self.folder and folder.is_dir():
                shutil.rmtree(folder)
        return self

    def resume(self) -> tuple[State, list[State]] | None:
        """Return the last usable state, and all records up to it; remove everything after it.

        A state is usable if it is whole and every record up to it is whole and follows the one before.

        Returns:
            The state and the records; None if no state is usable.
        """
        records: list[State] = []
        last: tuple[State, list[State]] | None = None
        for path in self._files("record"):
            record = self._read(path)
            if record is None or record.values["after"] != (records[-1].step if records else None):
                break
            records.append(record)
            state = self._at(record.step)
            if state is not None:
                last = state, list(records)
        last_step = last[0].step if last else -1
        unfinished = self.folder.glob(".*")  # temporary files of a write that was killed
        for path in [*unfinished, *(path for kind in ("record", "state") for path in self._files(kind))]:
            if path.name.startswith(".") or _step(path) > last_step:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return last

    def nearest(self, step: int) -> State | None:
        """Return the last whole state that is not after this step, or None; it needs no records."""
        for path in reversed(self._files("state")):
            if _step(path) <= step and (state := self._read(path)) is not None:
                return state
        return None

    def thin(self, how_many: int, every: int) -> None:
        """Thin a finished run: keep `how_many` states, evenly by step and with the last, and no records.

        States at multiples of `every` and the last one can be kept. Others depend on when training was stopped, and
        equal runs must leave equal states.
        """
        files = self._files("state")
        states = [path for path in files if _step(path) % every == 0 or path == files[-1]]
        how_many = min(how_many, len(states))
        kept = {states[-1 - round(i * len(states) / how_many)] for i in range(how_many)}
        for path in [*self._files("record"), *(path for path in files if path not in kept)]:
            path.unlink()

    def _at(self, step: int) -> State | None:
        """Return the whole state of this step, or None."""
        for path in self._files("state"):
            if _step(path) == step and (state := self._read(path)) is not None:
                return state
        return None

    def _files(self, kind: str) -> list[Path]:
        """List files of this kind by step: names have steps of a fixed width, so that they sort as numbers do."""
        return sorted(self.folder.glob(f"{kind}-[0-9]*-*.safetensors"))

    def _write(self, kind: str, state: State) -> None:
        # One JSON text with sorted keys, so that equal states give equal bytes, and with them equal names.
        header = json.dumps({"step": state.step, IS: _is(kind, self.folder), **state.values}, sort_keys=True)
        content = save({name: tensor.contiguous() for name, tensor in state.tensors.items()}, metadata={HEADER: header})
        path = self.folder / f"{kind}-{state.step:09d}-{_digest(content)}.safetensors"
        with replacing(path) as temporary:
            temporary.write_bytes(content)

    def _read(self, path: Path) -> State | None:
        """Read a file; report it and return None if it is not what was written under this name."""
        if wrong := fault(path):
            self.report(f"{wrong}; not used")
            return None
        content = path.read_bytes()
        with safe_open(path, "pt") as file:
            values = json.loads(file.metadata()[HEADER])
        del values[IS]
        # `load` gives views of the bytes that were read, which nothing may write to. Training needs copies.
        return State(values.pop("step"), {name: tensor.clone() for name, tensor in load(content).items()}, values)


def fault(path: Path) -> str:
    """Return in words what is wrong with a file of states or records; empty text if nothing is."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"{path}: cannot be read ({error.strerror})"
    if _digest(content) != path.stem.rsplit("-", 1)[-1]:
        return f"{path}: truncated or altered since it was written"
    with safe_open(path, "pt") as file:
        values = json.loads(file.metadata()[HEADER])
    # The digest covers the bytes and not their place: a file that was renamed or copied here is found out now.
    kind = path.name.split("-")[0]
    if (found := values.get(IS, "nothing known")) != _is(kind, path.parent):
        return f"{path}: is {found} and not {_is(kind, path.parent)}"
    if values["step"] != _step(path):
        return f"{path}: holds step {values['step']}, which is not the step in its name"
    return ""


def _is(kind: str, folder: Path) -> str:
    return f"a {kind} of {folder.name}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _step(path: Path) -> int:
    return int(path.stem.split("-")[1])
