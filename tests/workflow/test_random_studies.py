"""Random studies: Snakemake refuses or plans each config without a traceback, and runs every valid one to its end.

`PLANNED` and `RUN` are numbers of configs, and `make fuzz` tries 200 of each. Every job is a fork of one process, so
that no job imports torch again; the rest is the real workflow.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random

import pytest
import quick_snakemake
import yaml
from config_space import mutated, valid

from general_circuits.config.load import load
from general_circuits.pipeline.dag import Dag

ROOT = Path(__file__).parents[2]
PLANNED, RUN = int(os.environ.get("PLANNED", "3")), int(os.environ.get("RUN", "1"))
SEED = os.environ.get("SEED", "")


def snakemake(folder: Path, text: str, *arguments: str) -> tuple[int, str]:
    """Run Snakemake on a config in a folder of its own, and return its exit status and what it printed."""
    config = folder / "config.yaml"
    config.write_bytes(text.encode("utf-8", "surrogatepass"))
    where = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    how = ["--workflow-profile", str(ROOT / "profiles/default"), "--configfile", str(config), "--cores", "1"]
    status = quick_snakemake.run([*where, *how, *arguments], ROOT, folder / "printed")
    return status, (folder / "printed").read_text(encoding="utf-8", errors="replace")


@pytest.mark.parametrize("number", range(PLANNED))
def test_snakemake_refuses_or_plans_a_random_config(number: int, tmp_path: Path) -> None:
    random = Random(f"planned {number} {SEED}")
    text = mutated(random, valid(random))
    start = time.monotonic()
    status, printed = snakemake(tmp_path, text, "--dry-run")
    assert time.monotonic() - start < 30
    assert "Traceback" not in printed, printed
    assert status in (0, 1)
    if status:
        assert "cannot" in printed or "config.yaml" in printed, printed


@pytest.mark.parametrize("number", range(26, 26 + RUN))
def test_a_random_valid_study_runs_to_its_end(number: int, tmp_path: Path) -> None:
    quick_snakemake.preload()
    random = Random(f"run {number}{SEED}")
    config = valid(random)
    dag = Dag(load(config))
    tables = dag.files_of([*dag.tables_of_blocks, *({"modules", "planted", "toy"} - set(dag.absent))], dag.axes)
    # Every fourth study also judges its claims, draws its figures and writes its pages.
    files = [path.replace("<results>", str(dag.results)) for path in [*tables, *dag.example_saliency()]]
    wanted = ["--", *files] if number % 4 else []
    status, printed = snakemake(tmp_path, yaml.safe_dump(config, sort_keys=False), *wanted)
    assert status == 0, printed[-5000:]
