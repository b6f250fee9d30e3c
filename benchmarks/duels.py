"""Time that the duels of a default study take, for toys and for planted networks.

`make bench` runs this. Toys are trained on two cores, one job per update rule, as in the workflow. Planted duels are
timed with one replica on one core.
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from general_circuits import devices, formatting
from general_circuits.config.duels import PlantedSettings, ToySettings
from general_circuits.documentation.readme import between
from general_circuits.duels import planted_training, toy_training
from general_circuits.duels.module_training import DuelExamples, plant
from general_circuits.duels.planted_grid import planted_duels
from general_circuits.duels.toy_grid import Grid, toys
from general_circuits.pipeline.timings import generated_splits
from general_circuits.tasks import registry

ROOT = Path(__file__).parents[1]
TABLE, PAGE = ROOT / "results" / "benchmarks_duels.parquet", ROOT / "docs" / "duels.md"
REPLICAS, CORES = 5, 2
SEED = 1000
"""Seed of the planted networks. No study uses it."""


def main() -> None:
    """Measure, print the table, write it as Parquet, and refresh the page of the documentation."""
    devices.set_up("cpu")
    grid = ToySettings().resolve(REPLICAS, SEED)
    start = time.perf_counter()
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
        seconds = list(pool.map(_toys, [grid] * len(grid.rules), [rule.optimiser for rule in grid.rules]))
    wall = time.perf_counter() - start
    modules, fights = _planted()
    trained = sum(len(toys(grid, rule)) for rule in grid.rules)
    both = wall + REPLICAS * (modules + fights) / CORES
    table = pd.DataFrame(
        [
            (f"{trained:,} toys of {grid.steps:,} steps each, on two cores", "under 2 min", wall),
            ("… on one", "", sum(seconds)),
            ("one replica's generalisers and memorisers", "", modules),
            ("its planted duels", "", fights),
            (f"all of a default study's duels, {REPLICAS} replicas on two cores", "under 6 min", both),
        ],
        columns=["what", "goal", "seconds"],
    )
    TABLE.parent.mkdir(exist_ok=True)
    table.to_parquet(TABLE)
    rows = [(row.what, row.goal, f"{row.seconds:.0f} s") for row in table.itertuples()]
    text = formatting.markdown_table(("what", "goal", "measured"), rows)
    print(text)
    PAGE.write_text(between(PAGE.read_text(encoding="utf-8"), "bench", text), encoding="utf-8")


def _toys(grid: Grid, optimiser: str) -> float:
    """Return the seconds that all toys of one update rule take."""
    devices.set_up("cpu")
    start = time.perf_counter()
    toy_training.train(grid, optimiser)
    return time.perf_counter() - start


def _planted() -> tuple[float, float]:
    """Return the seconds that one replica's modules take, and the seconds of its duels."""
    condition, planting, duels = PlantedSettings().resolve()
    splits = generated_splits(condition, SEED)
    ground = DuelExamples.of(splits, registry.generate(condition.task).vocabulary)
    start = time.perf_counter()
    modules = plant(planting, ground, SEED, lambda line: None)
    middle = time.perf_counter()
    for rule in duels.rules:
        for stack in planted_training.stacks(planted_duels(planting, duels, rule), ground, modules, SEED):
            planted_training.fight(stack, rule, duels, ground, modules, SEED)
    return middle - start, time.perf_counter() - middle


if __name__ == "__main__":
    main()
