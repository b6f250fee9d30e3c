"""A finished study → one page of the report."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from general_circuits import tables
from general_circuits.report import pages
from general_circuits.schemas import registry
from general_circuits.stages.command import run


def main(page: str, results: Path, reads: str, axes: str, study: str, conditions: str, output: Path) -> None:
    """Write PAGE from the tables it READS along AXES (JSON), and what is known of STUDY and its CONDITIONS (JSON)."""
    along = json.loads(axes)
    names = reads.split(",") if reads else []
    frames = {name: tables.read_study(results, registry.table(name), along) for name in names}
    about = pages.About(json.loads(study), json.loads(conditions), _benchmarks(results / "benchmarks"))
    with tables.replacing(output) as temporary:
        temporary.write_text(getattr(pages, page)(frames, about), encoding="utf-8")


def _benchmarks(folder: Path) -> pd.DataFrame:
    """What Snakemake measured of every job of a rule that has a `benchmark`, in the order of a study."""
    files = sorted(folder.glob("*/*/*.tsv"), key=lambda file: file.stat().st_mtime)
    columns = ["s", "max_rss"]
    frames = [pd.read_csv(file, sep="\t", na_values="-")[columns].assign(rule=file.parts[-3]) for file in files]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*columns, "rule"])


if __name__ == "__main__":
    run(main)
