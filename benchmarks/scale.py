"""Cost of `snakemake -n` on studies of thousands of blocks, against a bare Snakefile with as many chained jobs.

`make bench` runs this. No job of the studies is run. The bare Snakefile chains one short rule for every job of a block,
without parameters, resources, logs or messages. The two take turns, and the least processor time of each counts, since
other work on the machine can only add to it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml

from general_circuits import formatting
from general_circuits.documentation.readme import between

ROOT = Path(__file__).parents[1]
TABLE, PAGE = ROOT / "results" / "benchmarks_scale.parquet", ROOT / "docs" / "slurm.md"
REPLICAS = 10
TURNS = {1_000: 10, 10_000: 2}
"""Number of times that each study is planned, by its number of blocks."""
CHAIN = (
    *("split_examples", "train_block", "find_events", "replay_moments"),
    *("extract_saliency", "describe_saliency", "ablate_neurons"),
)
"""Jobs of a block."""


def main() -> None:
    """Measure, print the table, write it as Parquet, and refresh the page of the documentation."""
    table = pd.DataFrame([_costs(blocks, turns) for blocks, turns in TURNS.items()])
    TABLE.parent.mkdir(exist_ok=True)
    table.to_parquet(TABLE)
    text = _markdown(table)
    print(text)
    PAGE.write_text(between(PAGE.read_text(encoding="utf-8"), "scale", text), encoding="utf-8")


def _costs(blocks: int, turns: int) -> dict[str, float]:
    """Return one row: the least processor time (s) and the largest memory (GB) of both."""
    with tempfile.TemporaryDirectory() as folder:
        bare, config = Path(folder) / "Snakefile", Path(folder) / "scale.yaml"
        bare.write_text(_bare(blocks), encoding="utf-8")
        config.write_text(yaml.safe_dump(_study(blocks), sort_keys=False), encoding="utf-8")
        commands = {"bare": ["--snakefile", str(bare), "--directory", folder], "study": ["--configfile", str(config)]}
        plans: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(turns):
            for name, options in commands.items():
                plans[name].append(_planned(options))
    return {
        "blocks": blocks,
        "jobs": blocks * len(CHAIN),
        **{f"{name}_s": min(seconds for seconds, _ in runs) for name, runs in plans.items()},
        **{f"{name}_gb": max(memory for _, memory in runs) for name, runs in plans.items()},
    }


def _study(blocks: int) -> dict[str, object]:
    """Return a config of this many blocks, with conditions that all differ."""
    n = blocks // REPLICAS
    conditions = {f"decay_{i:05d}": {"weight_decay": i / n} for i in range(n)}
    return {"study": "scale", "replicas": REPLICAS, "block": 1, "conditions": conditions}


def _bare(blocks: int) -> str:
    """Return a Snakefile with the same number of jobs for each block, one after the other."""
    lines = [f"rule all:\n    input: expand('{CHAIN[-1]}/{{block}}', block=range({blocks}))"]
    for before, rule in zip(("", *CHAIN), CHAIN, strict=False):
        needs = f"    input: '{before}/{{block}}'\n" if before else ""
        lines.append(f"rule {rule}:\n{needs}    output: '{rule}/{{block}}'\n    shell: 'touch {{output}}'")
    return "\n".join(lines)


def _planned(options: Sequence[str]) -> tuple[float, float]:
    """Return the processor time (s) and the peak memory (GB) of a dry run."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: ended with {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e9


def _markdown(table: pd.DataFrame) -> str:
    header = ("blocks", "jobs", "bare Snakefile", "this study", "times the bare one")
    rows = [
        (
            f"{row.blocks:,}",
            f"{row.jobs:,}",
            f"{row.bare_s:.0f} s, {row.bare_gb:.1f} GB",
            f"{row.study_s:.0f} s, {row.study_gb:.1f} GB",
            f"{row.study_s / row.bare_s:.2f}",
        )
        for row in table.itertuples()
    ]
    return formatting.markdown_table(header, rows)


if __name__ == "__main__":
    main()
