"""Faults of files, and the reader of every kind of file that stages exchange."""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from general_circuits.duels import files as modules
from general_circuits.duels.module_training import DuelExamples
from general_circuits.duels.settings import Planting
from general_circuits.records import from_json
from general_circuits.storage import checkpoints, index, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.files import check_end, place_of
from general_circuits.storage.schemas import registry

CPU = torch.device("cpu")
FLIPS = 14


@dataclass(frozen=True)
class Study:
    """A finished study.

    Attributes:
        results: its folder.
        axes: its values along the names in paths, with the seeds of replicas.
    """

    results: Path
    axes: dict[str, list[Any]]

    def files(self) -> dict[str, list[Path]]:
        """Return all files that carry a seal, by their kind."""
        found: dict[str, list[Path]] = {}
        for path in sorted(self.results.rglob("*.*")):
            if path.is_file() and ".state" not in path.parts and (kind := self.kind(path)):
                found.setdefault(kind, []).append(path)
        return found

    def kind(self, path: Path) -> str:
        """Return the kind of a file; empty text if it carries no seal."""
        folder = path.relative_to(self.results).parts[0]
        match path.suffix:
            case ".parquet":
                return f"table {registry.of_path(path).name}" + (" of all ways" if folder == "specifications" else "")
            case ".safetensors":
                return f"weights of {folder}"
            case ".sha256":
                return "index"
            case ".svg" | ".png" | ".txt" | ".html" if folder in ("figures", "report"):
                return f"{folder}, {path.suffix[1:]}"
        return ""

    def read(self, path: Path) -> None:
        """Read a file as a stage does that needs all of it."""
        names = path.relative_to(self.results).parts
        match path.suffix:
            case ".parquet":
                tables.read(path, registry.of_path(path), self._seeds(path))
            case ".safetensors" if path.name == "modules.safetensors":
                block = Block(path.with_name("split.parquet"), CPU)
                planting = tables.read_metadata(path.with_suffix(".parquet"))["planting"]
                for _, replica, splits in block.replicas():
                    ground = DuelExamples.of(splits, block.vocabulary)
                    modules.read(path, from_json(Planting, json.dumps(planting)), ground, replica)
            case ".safetensors":
                condition, number = names[1:3]
                block = Block(self.results / "runs" / condition / number / "split.parquet", CPU)
                position = int(path.stem.split("-")[1])
                stored = checkpoints.Checkpoints(path, block.seeds[position])
                for _ in stored.models(stored.steps(), CPU):
                    pass
            case ".sha256":
                index.verify(self.results, registry.table(path.stem), self.axes_of(path))
            case _:
                check_end(path)

    def axes_of(self, path: Path) -> dict[str, list[Any]]:
        """Return the axes of an index, with the conditions that have its table."""
        table = registry.table(path.stem)
        has = {
            place_of(file, [table.path])[1].get("condition")
            for file in self.results.rglob("*.parquet")
            if place_of(file, [table.path])[0]
        }
        return self.axes | {"condition": [name for name in self.axes["condition"] if name in has]}

    def _seeds(self, path: Path) -> list[int] | None:
        _, names = place_of(path, registry.of_path(path).places)
        if "block" not in names:
            return None
        size = len(self.axes["replica"]) // len(self.axes["block"])
        start = int(names["block"]) * size
        return self.axes["replica"][start : start + size]


def faults(path: Path, kinds: dict[str, list[Path]], kind: str, seed: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield names of faults, each with the function that gives a file that fault."""
    content, draw = path.read_bytes(), random.Random(seed)
    for bit in draw.sample(range(8 * len(content)), FLIPS):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        yield "bit", partial(path.write_bytes, bytes(flipped))
    yield "truncated", partial(path.write_bytes, content[: len(content) // 2])
    yield "last byte lost", partial(path.write_bytes, content[:-1])
    yield "emptied", partial(path.write_bytes, b"")
    yield "pickle", partial(path.write_bytes, pickle.dumps({"weights": list(range(100))}))
    yield "huge header", partial(path.write_bytes, b"\xff" * 7 + b"\x7f" + content[8:])
    if path.suffix == ".parquet" and pq.read_metadata(path).num_rows > 1:
        yield "half the rows", partial(_with_rows, path, 0.5)
        yield "no rows", partial(_with_rows, path, 0.0)
    if path.suffix == ".safetensors" and path.name.startswith("weights") and _steps(path) > 1:
        yield "half the steps", partial(_with_steps, path)
    same = [other for other in kinds[kind] if other != path]
    other_kinds = [other for name, files in kinds.items() if name != kind for other in files]
    foreign = {"another of its kind": same, "another kind": [f for f in other_kinds if f.suffix == path.suffix]}
    for name, choice in foreign.items():
        for other in draw.sample(choice, min(2, len(choice))):
            yield name, partial(path.write_bytes, other.read_bytes())


def _with_rows(path: Path, share: float) -> None:
    """Rewrite a table with fewer rows and all of its metadata."""
    table = pq.read_table(path)
    metadata = {key: value for key, value in pq.read_metadata(path).metadata.items() if key != b"ARROW:schema"}
    with pq.ParquetWriter(path, table.schema, compression="zstd") as file:
        file.write_table(table.slice(0, int(share * table.num_rows)))
        file.add_key_value_metadata(metadata)


def _steps(path: Path) -> int:
    with safe_open(path, "pt") as file:
        return len(file.get_tensor("steps"))


def _with_steps(path: Path) -> None:
    """Rewrite weights with half of their steps and the same header."""
    with safe_open(path, "pt") as file:
        metadata, names = file.metadata(), file.keys()
        tensors = {name: file.get_tensor(name) for name in names}
    half = {name: tensor[: len(tensor) // 2].contiguous() for name, tensor in tensors.items()}
    save_file(half, path, metadata=metadata)


@dataclass(frozen=True)
class Command:
    """One job as Snakemake would run it.

    Attributes:
        inputs, outputs: its files, relative to the checkout.
        shell: its command.
        log: file that its command writes messages to.
    """

    inputs: list[str]
    outputs: list[str]
    shell: str
    log: str


def commands(summary: str) -> dict[str, Command]:
    """Return the job of every rule that has most inputs, from the output of `snakemake --detailed-summary`."""
    found: dict[str, Command] = {}
    _, *lines = summary.splitlines()
    for line in lines:
        output, _, rule, log, inputs, shell, *_ = line.split("\t")
        files = [file for file in inputs.split(",") if file]
        if rule in found and found[rule].shell == shell:
            found[rule].outputs.append(output)
        elif rule not in found or len(files) > len(found[rule].inputs):
            found[rule] = Command(files, [output], shell, log)
    return found
