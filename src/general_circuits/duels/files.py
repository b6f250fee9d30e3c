"""Modules of planted duels on disk: one safetensors file per block, every weight stacked over a group's modules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from general_circuits.duels.module_training import DuelExamples, ModuleGroup, Planted, module_groups, network
from general_circuits.duels.settings import Planting
from general_circuits.duels.stacked_networks import Modules
from general_circuits.storage import tensors
from general_circuits.storage.files import UnusableFileError

PLACES = ["duels/planted/{block}/modules.safetensors"]


def write(path: Path, planted: Mapping[int, Planted]) -> None:
    """Write the modules of all replicas, by seed, into one safetensors file."""
    weights = {
        _key(replica, group, name): weight
        for replica, of_replica in planted.items()
        for group, modules in of_replica.items()
        for name, weight in modules.weights.items()
    }
    tensors.write(path, weights, {"replicas": list(planted)}, PLACES)


def read(path: Path, planting: Planting, examples: DuelExamples, replica: int) -> Planted:
    """Read one replica's modules from that file, onto the device that its examples are on.

    Raises:
        UnusableFileError: the file is damaged, or is not this block's.
    """
    planted = {}
    with tensors.opened(path, PLACES) as (file, values):
        if replica not in values["replicas"]:
            raise UnusableFileError(path, f"holds replicas {values['replicas']}, and not {replica}")
        for group in module_groups(planting):
            # The file has weights alone: names and shapes come from a network built from the same settings.
            like = network(planting, examples, group.parts)
            weights = {name: file.get_tensor(_key(replica, group, name)) for name, _ in like.named_parameters()}
            moved = {name: weight.to(examples.device) for name, weight in weights.items()}
            planted[group] = Modules(like.to(examples.device), moved)
    return planted


def _key(replica: int, group: ModuleGroup, name: str) -> str:
    """Return a tensor's name in the file: "replica/kind/parts/label_noise/weight"."""
    return "/".join([str(replica), *map(str, group), name])
