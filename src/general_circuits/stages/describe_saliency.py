"""Saliency statistics of neurons → the shape of their histograms."""

from __future__ import annotations

from pathlib import Path

from general_circuits import distributions, tables
from general_circuits.schemas.distribution import TABLE as DISTRIBUTION
from general_circuits.schemas.saliency import TABLE as SALIENCY
from general_circuits.stages.command import run


def main(saliency: Path, output: Path) -> None:
    """Describe every histogram in SALIENCY."""
    metadata = tables.read_metadata(saliency)
    tables.write(output, DISTRIBUTION, distributions.describe(tables.read(saliency, SALIENCY)), metadata)


if __name__ == "__main__":
    run(main)
