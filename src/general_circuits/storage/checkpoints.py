"""Weights on disk: one safetensors file per replica, each weight stacked over its checkpoints on a step axis.

The file is written under another name and renamed. A job that is killed while it writes leaves no file, and never half
of one. So a stage that finds a file can read it. The format holds numbers and JSON, and reading it runs no code.
"""

from __future__ import annotations

import dataclasses
import heapq
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from general_circuits.models.build import build
from general_circuits.models.network import Network
from general_circuits.models.settings import Model
from general_circuits.storage.tables import replacing
from general_circuits.tasks.vocabulary import Vocabulary

HEADER = "checkpoints"
"""The only key of the file's metadata.

safetensors writes several keys in an order that changes from run to run; equal work must give equal bytes."""


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
    header = {
        "replica": replica,
        "model": dataclasses.asdict(model.settings),
        "vocabulary": dataclasses.asdict(model.vocabulary),
    }
    tensors = {name: weight.contiguous() for name, weight in weights.items()}
    with replacing(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(
            {"steps": torch.tensor(steps), **tensors}, temporary, metadata={HEADER: json.dumps(header, sort_keys=True)}
        )
        # safetensors makes files that only their owner may read. These get the permissions of any other new file.
        temporary.chmod(mode)


def none_of(model: Network) -> dict[str, Tensor]:
    """Return a network's weights with an empty step axis: the weights of no checkpoint."""
    return {name: weight.new_empty(0, *weight.shape) for name, weight in model.state_dict().items()}


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one replica, read one at a time."""

    path: Path

    def steps(self) -> list[int]:
        """Read the step of each checkpoint."""
        with safe_open(self.path, "pt") as file:
            return file.get_tensor("steps").tolist()

    def backwards(self, device: torch.device) -> Iterator[tuple[int, Network]]:
        """Yield every checkpoint's step and network, the last one first."""
        return self.models(self.steps()[::-1], device)

    def models(self, steps: Sequence[int], device: torch.device) -> Iterator[tuple[int, Network]]:
        """Yield each step and its network, in evaluation mode.

        One network is filled anew each time, so a caller must be done with it before the next step.

        Raises:
            KeyError: a step has no checkpoint.
        """
        with safe_open(self.path, "pt") as file:
            header = json.loads(file.metadata()[HEADER])
            model = build(Model(**header["model"]), Vocabulary(**header["vocabulary"])).to(device).eval()
            places = {step: i for i, step in enumerate(file.get_tensor("steps").tolist())}
            for step in steps:
                # A slice reads one checkpoint's bytes; the whole file may be larger than memory.
                weights = {name: file.get_slice(name)[places[step]] for name in model.state_dict()}
                model.load_state_dict(weights)
                yield step, model


def merged(
    run: Path, moments: str, position: int, scheduled: Sequence[int], replayed: Sequence[int], device: torch.device
) -> Iterator[tuple[int, Network]]:
    """Yield steps of a run and of its replay in ascending order, each with its network.

    Both files are read one network at a time. A step in both has equal weights, and comes once, from the run.

    Args:
        run: folder of the run's weights.
        moments: path of the table `moments`, which has the replayed weights beside it; empty if nothing is replayed.
        position: number of the replica within its block.
        scheduled: steps to read from the run.
        replayed: steps to read from the replay.
        device: where the networks are built.
    """
    name = file_name(position)
    of_run = Checkpoints(run / name).models(scheduled, device)
    others = sorted({*replayed} - {*scheduled})
    of_replay = Checkpoints(Path(moments).with_suffix("") / name).models(others, device) if others else iter(())
    return heapq.merge(of_run, of_replay, key=lambda pair: pair[0])
