"""Weights on disk: one safetensors file per replica, each weight stacked over its checkpoints on a step axis."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from general_circuits.models.build import build
from general_circuits.models.network import Network
from general_circuits.models.settings import Model
from general_circuits.storage import tensors
from general_circuits.storage.blocks import Block
from general_circuits.storage.files import WEIGHTS, UnusableFileError
from general_circuits.tasks.vocabulary import Vocabulary

PLACES = [f"{folder}/weights-{{position}}.safetensors" for folder in WEIGHTS.values()]


def file_name(position: int) -> str:
    """Return the name of a replica's weights file, by the replica's position in its block."""
    return f"weights-{position}.safetensors"


def write(path: Path, replica: int, weights: Mapping[str, Tensor], steps: Sequence[int], model: Network) -> None:
    """Write every checkpoint of one replica.

    Args:
        path: the file.
        replica: the replica's seed.
        weights: tensors (step, …) by TransformerLens name.
        steps: the step of each checkpoint.
        model: a network of the same shape; its settings and vocabulary are kept in the header.
    """
    values = {
        "replica": replica,
        "model": dataclasses.asdict(model.settings),
        "vocabulary": dataclasses.asdict(model.vocabulary),
    }
    tensors.write(path, {"steps": torch.tensor(steps), **weights}, values, PLACES)


def none_of(model: Network) -> dict[str, Tensor]:
    """Return a network's weights with an empty step axis: the weights of no checkpoint."""
    return {name: weight.new_empty(0, *weight.shape) for name, weight in model.state_dict().items()}


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one replica, read one at a time.

    Attributes:
        path: the file.
        replica: seed of the replica that they should be of.
    """

    path: Path
    replica: int

    def steps(self) -> list[int]:
        """Read the step of each checkpoint."""
        with self._opened() as (file, _):
            return file.get_tensor("steps").tolist()

    def backwards(self, device: torch.device) -> Iterator[tuple[int, Network]]:
        """Yield every checkpoint's step and network, the last one first."""
        return self.models(self.steps()[::-1], device)

    def models(self, steps: Sequence[int], device: torch.device) -> Iterator[tuple[int, Network]]:
        """Yield each step and its network, in evaluation mode.

        One network is filled anew each time, so a caller must be done with it before the next step.

        Raises:
            KeyError: a step has no checkpoint.
            UnusableFileError: the file is damaged, or is not this replica's.
        """
        with self._opened() as (file, header):
            model = build(Model(**header["model"]), Vocabulary(**header["vocabulary"])).to(device).eval()
            places = {step: i for i, step in enumerate(file.get_tensor("steps").tolist())}
            for step in steps:
                # A slice reads one checkpoint's bytes; the whole file may be larger than memory.
                weights = {name: file.get_slice(name)[places[step]] for name in model.state_dict()}
                model.load_state_dict(weights)
                yield step, model

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Open the file, and yield it with its header, if it is the one that is asked for."""
        with tensors.opened(self.path, PLACES) as (file, values):
            if values["replica"] != self.replica:
                raise UnusableFileError(self.path, f"holds replica {values['replica']}, not {self.replica}")
            yield file, values


def stored(block: Block, position: int) -> Checkpoints:
    """Return the checkpoints of one replica of a block, by its position. They lie beside the block's split."""
    return Checkpoints(block.split.parent / file_name(position), block.seeds[position])


def replayed(block: Block, moments: Path | str, position: int) -> Checkpoints | None:
    """Return a replica's checkpoints beside the table `moments` of its block; None for an empty path."""
    if not moments:
        return None
    return Checkpoints(Path(moments).with_suffix("") / file_name(position), block.seeds[position])


def merged(
    run: Checkpoints,
    moments: Checkpoints | None,
    scheduled: Sequence[int],
    others: Sequence[int],
    device: torch.device,
) -> Iterator[tuple[int, Network]]:
    """Yield steps of a run and of its replay in ascending order, each with its network.

    Both files are read one network at a time. A step in both has equal weights, and comes once, from the run.

    Args:
        run: checkpoints of the run.
        moments: checkpoints at its moments; None if nothing is replayed.
        scheduled: steps to read from the run.
        others: steps to read from the replay.
        device: where the networks are built.
    """
    others = sorted({*others} - {*scheduled})
    of_replay = moments.models(others, device) if moments and others else iter(())
    return heapq.merge(run.models(scheduled, device), of_replay, key=lambda pair: pair[0])
