"""Time that jobs spend on sealing what they write and checking what they read, as a share of the whole job.

`make bench` runs this on the finished smoke study. One job of every rule runs again, by the command that Snakemake
gives, in a process that times both.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

ROOT = Path(__file__).parents[1]
PAGE, CONFIG = ROOT / "docs" / "reliability.md", "config/smoke.yaml"
SHOWN = 8
"""Number of stages in the table, those with the largest shares."""
SPENT = "GENERAL_CIRCUITS_SPENT"
"""Environment variable with the file that a timed job adds its line to."""


def main() -> None:
    """Run one job of every rule, print the table, and refresh the page of the documentation."""
    from general_circuits.documentation.readme import between

    spent = ROOT / "results" / "benchmarks_seals.jsonl"
    spent.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT / "src"),
        SPENT: str(spent),
    }
    snakemake = ["snakemake", "--configfile", CONFIG, "--detailed-summary"]
    summary = subprocess.run(snakemake, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    commands: dict[str, str] = {}
    for line in summary.splitlines()[1:]:
        _, _, rule, _, _, command, *_ = line.split("\t")
        commands.setdefault(rule, command)
    for command in commands.values():
        timed = command.replace("-m general_circuits.stages.", f"{__file__} ", 1)
        subprocess.run(["bash", "-c", timed], cwd=ROOT, env=environment, check=True)
    table = pd.read_json(spent, lines=True)
    table["share"] = table["seals_s"] / table["job_s"]
    text = _markdown(table)
    print(text)
    PAGE.write_text(between(PAGE.read_text(encoding="utf-8"), "seals", text), encoding="utf-8")


def _markdown(table: pd.DataFrame) -> str:
    from general_circuits import formatting

    header = ("stage", "job, s", "of this for seals, s", "share, %")
    rows = [
        (row.stage.replace("_", " "), f"{row.job_s:.2f}", f"{row.seals_s:.4f}", f"{100 * row.share:.2f}")
        for row in table.sort_values("share", ascending=False).drop_duplicates("stage").head(SHOWN).itertuples()
    ]
    total = table[["job_s", "seals_s"]].sum()
    rows.append(
        (f"all {len(table)}", f"{total.job_s:.1f}", f"{total.seals_s:.3f}", f"{100 * total.seals_s / total.job_s:.2f}")
    )
    return formatting.markdown_table(header, rows)


def job(stage: str) -> None:
    """Run a stage with the arguments of this process, and add a line with both times."""
    from general_circuits.storage import files

    spent = 0.0

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal spent
            start = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                spent += time.perf_counter() - start

        return call

    # Before anything imports these functions by their names.
    files.seal, files.check_seal = timed(files.seal), timed(files.check_seal)  # type: ignore[assignment]
    from general_circuits.stages.command import run
    from general_circuits.storage import index

    index.digest_of = timed(index.digest_of)
    sys.argv = [stage, *sys.argv[2:]]
    try:
        run(importlib.import_module(f"general_circuits.stages.{stage}").main)
    finally:
        line = {"stage": stage, "seals_s": spent, "job_s": time.time() - psutil.Process().create_time()}
        with Path(os.environ[SPENT]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    job(sys.argv[1]) if len(sys.argv) > 1 else main()
