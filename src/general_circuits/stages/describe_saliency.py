"""Saliency of neurons → shape of its histograms."""

from __future__ import annotations

from pathlib import Path

from general_circuits.measurements.saliency import histograms
from general_circuits.stages.command import run
from general_circuits.storage import tables
from general_circuits.storage.schemas.distribution import TABLE as DISTRIBUTION
from general_circuits.storage.schemas.saliency import TABLE as SALIENCY


def main(saliency: Path, output: Path) -> None:
    """Describe the histogram of every layer, step and kind of saliency in SALIENCY."""
    metadata = tables.inherited(saliency)
    tables.write(output, DISTRIBUTION, histograms.describe(tables.read(saliency, SALIENCY)), metadata)


if __name__ == "__main__":
    run(main)
