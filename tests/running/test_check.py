"""A check of a study finds every damaged file and says what to do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch

from general_circuits.running import check
from general_circuits.storage import index, tables, tensors
from general_circuits.storage.checkpoints import PLACES
from general_circuits.storage.files import STATES, end_with_seal
from general_circuits.storage.schemas.events import TABLE as EVENTS
from general_circuits.storage.training_states import State, States

ROW = {"event": "onset", "after": 3, "step": 4, "censored": False}
AXES = {"condition": ["a", "b"], "block": [0], "replica": [0]}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """One file of each kind, twice where one can be copied over the other."""
    for condition in AXES["condition"]:
        run = tmp_path / f"runs/{condition}/0"
        tables.write(run / "events.parquet", EVENTS, pd.DataFrame([{**ROW, "condition": condition, "replica": 0}]))
        tensors.write(run / "weights-0.safetensors", {"w": torch.ones(3)}, {"replica": 0}, PLACES)
        folder = tmp_path / f".state/{condition}/0/replica-0/digest-{condition}"
        States(folder).keep(State(5, {"w": torch.ones(3)}, {}), State(5, {"m": torch.ones(1)}, {"after": None}))
    index.write(index.path_of(tmp_path, "events"), tmp_path, EVENTS, AXES)
    for name in ("figures/one.svg", "figures/two.svg", "report/verdicts.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("<svg/>\n")
        end_with_seal(tmp_path / name, tmp_path / name, "<!-- ", " -->")
    return tmp_path


def faults(results: Path) -> Iterator[tuple[Path, str]]:
    """Check everything but states as an output of the study."""
    outputs = (path.relative_to(results) for path in results.rglob("*.*") if path.is_file())
    return check.faults(results, [path for path in outputs if path.parts[0] != STATES])


def test_a_sound_study_has_no_fault(results: Path) -> None:
    found = dict(faults(results))
    assert set(found.values()) == {""}
    assert len(found) == 12


def test_every_damaged_file_is_found(results: Path) -> None:
    for path in dict(faults(results)):
        content = path.read_bytes()
        for wrong in (b"", content[:-1], content[:50] + b"!" + content[51:]):
            path.write_bytes(wrong)
            found = {file: fault for file, fault in faults(results) if fault}
            assert list(found) == [path]
            assert str(path) in found[path]
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("runs/a/0/events.parquet", "runs/b/0/events.parquet"),
        ("runs/a/0/weights-0.safetensors", "runs/b/0/weights-0.safetensors"),
        ("figures/one.svg", "figures/two.svg"),
        ("index/events.sha256", "index/metrics.sha256"),
    ],
)
def test_a_file_that_was_copied_over_another_is_found(source: str, target: str, results: Path) -> None:
    shutil.copy(results / source, results / target)
    assert dict(faults(results))[results / source] == ""
    found = {file: fault for file, fault in faults(results) if fault}
    assert list(found) == [results / target]
    assert "and copied here; make it anew: snakemake --cores 1 --force " in found[results / target]


def test_a_state_of_another_condition_is_found(results: Path) -> None:
    (folder,) = (results / ".state/b/0/replica-0").iterdir()
    (source,) = (results / ".state/a/0/replica-0").glob("*/state-*")
    (old,) = folder.glob("state-*")
    old.unlink()
    shutil.copy(source, folder)
    ((path, fault),) = [(path, fault) for path, fault in faults(results) if fault]
    assert path == folder / source.name
    assert fault == f"{path}: is a state of digest-a and not a state of digest-b"


def test_a_missing_file_and_a_folder_in_place_of_a_file_are_found(results: Path) -> None:
    (results / "figures/one.svg").unlink()
    (results / "figures/two.svg").unlink()
    (results / "figures/two.svg").mkdir()
    outputs = [Path("figures/one.svg"), Path("figures/two.svg")]
    sentences = [fault for _, fault in check.faults(results, outputs) if fault]
    assert ["is missing" in sentences[0], "is no regular file" in sentences[1]] == [True, True]
