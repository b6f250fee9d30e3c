"""Modules of planted duels on disk: one safetensors file per block, every weight stacked over a group's modules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file

from general_circuits.duels.module_training import DuelExamples, ModuleGroup, Planted, module_groups, network
from general_circuits.duels.settings import Planting
from general_circuits.duels.stacked_networks import Modules
from general_circuits.storage.tables import replacing


def write(path: Path, planted: Mapping[int, Planted]) -> None:
    """Keep all replicas' modules in one safetensors file."""
    tensors = {
        _key(replica, group, name): weight.contiguous()
        for replica, of_replica in planted.items()
        for group, modules in of_replica.items()
        for name, weight in modules.weights.items()
    }
    with replacing(path) as temporary:
        save_file(tensors, temporary)


def read(path: Path, planting: Planting, ground: DuelExamples, replica: int) -> Planted:
    """One replica's modules from that file, where its examples are."""
    found = {}
    with safe_open(path, "pt") as file:
        for group in module_groups(planting):
            like = network(planting, ground, group.parts)
            weights = {name: file.get_tensor(_key(replica, group, name)) for name, _ in like.named_parameters()}
            moved = {name: weight.to(ground.device) for name, weight in weights.items()}
            found[group] = Modules(like.to(ground.device), moved)
    return found


def _key(replica: int, group: ModuleGroup, name: str) -> str:
    return "/".join([str(replica), *map(str, group), name])
