"""Old results: a study's pruning finds what no longer belongs to it, and removes nothing else."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
from checkouts import TINY, TINY_DRAWINGS, Project

from general_circuits.config.load import load
from general_circuits.pipeline.dag import Dag
from general_circuits.storage import tables
from general_circuits.storage.schemas.metrics import TABLE as METRICS

REPLAYS = [f"replays/{name}/0/steps-5-15-checkpoints-5-metrics-1/metrics.parquet" for name in ("grokking", "no_delay")]


def prune(project: Project, *arguments: str, study: str = "tiny") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "general_circuits.cli", "prune", "--study", study, *arguments]
    return subprocess.run(
        command, cwd=project.root, env=project.environment, capture_output=True, text=True, check=False
    )


def files(project: Project) -> dict[Path, bytes]:
    """Return the content of every file in the study's folder. Links are left out."""
    found = (path for path in project.results.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(project.root): path.read_bytes() for path in found}


def test_a_finished_study_has_nothing_old(project: Project) -> None:
    """States, records and a replay that was asked for belong to the study."""
    (project.results / REPLAYS[0]).parent.mkdir(parents=True)
    (project.results / REPLAYS[0]).write_bytes(b"")
    (project.results / "report.html").write_bytes(b"")
    before = files(project)
    assert any(".state" in path.parts for path in before)
    done = prune(project, "--remove")
    assert (done.returncode, done.stdout) == (0, "tiny: 0 files (0.0 MB) were removed\n"), done.stderr
    assert files(project) == before


def test_exactly_the_files_of_a_removed_condition_are_listed_and_removed(project: Project) -> None:
    """Files that the workflow never makes stay, and no link is followed."""
    outside = project.root / "outside"
    outside.mkdir()
    (outside / "metrics.parquet").write_bytes(b"mine")
    mine = [
        "notes.txt",
        "runs/random_labels/0/analysis.ipynb",
        "figures/.git/config",
        "figures/mine.svg",
        ".state/mine/n",
    ]
    for name in mine:
        (project.results / name).parent.mkdir(parents=True, exist_ok=True)
        (project.results / name).write_bytes(b"mine")
    shutil.copyfile(project.results / "figures/damage_curves-accuracy.svg", project.results / "figures/old.svg")
    (project.results / "runs/linked").symlink_to(outside)
    frame = pd.read_parquet(project.results / "runs/random_labels/0/metrics.parquet")
    for name in REPLAYS:
        tables.write(project.results / name, METRICS, frame)
    project.configure(conditions={"grokking": {}})
    gone = TINY_DRAWINGS.keys() - Dag(load({**TINY, "conditions": {"grokking": {}}})).drawings
    planned, before = project.planned(), files(project)
    old = {path for path in before if "random_labels" in path.parts or REPLAYS[1] in str(path)}
    old -= {Path("results/tiny") / name for name in mine}
    old |= {path for path in before if path.parts[-2] in ("figures", "plot_figure") and path.stem in gone}
    listed = prune(project)
    lines = listed.stdout.splitlines()
    assert {Path(line) for line in lines[:-1] if "left alone" not in line} == old
    size = sum(len(before[path]) for path in old) / 1e6
    assert lines[-1] == f"tiny: {len(old)} files ({size:,.1f} MB) would be removed; --remove removes them"
    for name in [*mine, "figures/old.svg"]:
        assert f"results/tiny/{name}: left alone, since the workflow did not write it" in lines
    assert files(project) == before
    assert prune(project, "--remove").returncode == 0
    assert files(project) == {path: content for path, content in before.items() if path not in old}
    assert (outside / "metrics.parquet").read_bytes() == b"mine"
    assert not [path for path in project.results.rglob("*") if path.is_dir() and not any(path.iterdir())]
    assert project.planned() == planned


def test_pruning_waits_for_a_run_and_refuses_results_of_another_config(project: Project) -> None:
    with (project.root / ".snakemake/launch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = prune(project, "--remove")
    assert done.returncode == 1
    assert "a study is running in this folder" in done.stderr
    config = project.root / "config/tiny.yaml"
    (project.root / "config/mine.yaml").write_bytes(config.read_bytes())
    done = prune(project, "--remove", study="mine")
    assert done.returncode == 1
    assert done.stderr.startswith("general-circuits: config/mine.yaml: the results in results/tiny were made from")
    assert "config/tiny.yaml" in done.stderr
