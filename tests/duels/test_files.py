"""Modules of planted duels come back from the disk as they were."""

from __future__ import annotations

from pathlib import Path

import torch
from duel_builders import examples, modules, small

from general_circuits.duels import files, module_training


def test_modules_that_are_read_answer_as_those_that_were_written(tmp_path: Path) -> None:
    how, _ = small()
    files.write(tmp_path / "modules.safetensors", {3: modules(1), 5: modules()})
    planted = files.read(tmp_path / "modules.safetensors", how, examples(), 5)
    assert set(planted) == set(modules()) == set(module_training.module_groups(how))
    for group, trained in modules().items():
        assert torch.equal(planted[group].answer(examples().tokens), trained.answer(examples().tokens))


def test_equal_modules_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        files.write(tmp_path / name, {0: modules()})
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
