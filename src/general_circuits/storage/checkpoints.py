"""Weights on disk: one safetensors file per replica, each weight stacked over its checkpoints on a step axis."""

from __future__ import annotations

import dataclasses
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
"""The only key of the file's metadata: safetensors writes several in no fixed order, and equal work is equal bytes."""


def file_name(position: int) -> str:
    """The weights file of a block's replica, beside the block's tables, by its position in the block."""
    return f"weights-{position}.safetensors"


def write(path: Path, replica: int, weights: Mapping[str, Tensor], steps: Sequence[int], model: Network) -> None:
    """Write every checkpoint of one replica.

    Args:
        path: the file.
        replica: its seed.
        weights: by TransformerLens name, each (step, …).
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
        temporary.chmod(mode)  # as any other file here: safetensors makes one that only its owner may read


def none_of(model: Network) -> dict[str, Tensor]:
    """The weights of no checkpoint of a network."""
    return {name: weight.new_empty(0, *weight.shape) for name, weight in model.state_dict().items()}


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one replica, read one at a time."""

    path: Path

    def steps(self) -> list[int]:
        """The step of each checkpoint."""
        with safe_open(self.path, "pt") as file:
            return file.get_tensor("steps").tolist()

    def backwards(self, device: torch.device) -> Iterator[tuple[int, Network]]:
        """All of them, the last one first."""
        return self.models(self.steps()[::-1], device)

    def models(self, steps: Sequence[int], device: torch.device) -> Iterator[tuple[int, Network]]:
        """The network at each of these steps, in evaluation mode; the same object is filled anew each time."""
        with safe_open(self.path, "pt") as file:
            header = json.loads(file.metadata()[HEADER])
            model = build(Model(**header["model"]), Vocabulary(**header["vocabulary"])).to(device).eval()
            places = {step: i for i, step in enumerate(file.get_tensor("steps").tolist())}
            for step in steps:
                weights = {name: file.get_slice(name)[places[step]] for name in model.state_dict()}
                model.load_state_dict(weights)
                yield step, model
