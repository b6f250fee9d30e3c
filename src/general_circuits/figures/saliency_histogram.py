"""The histogram of the neurons' saliency over training, with its skewness below."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from general_circuits.figures import style
from general_circuits.frames import registered_rows

SHOWN = ("grokking", "random_labels")
BINS = np.linspace(0, 4, 41)
"""Of saliency relative to its mean; what is larger is counted in the last bin."""


def draw(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Grokking beside random labels (or the first conditions there are), from `saliency`, `distribution`, `events`."""
    conditions = list(tables["saliency"]["condition"].cat.categories)
    colours = style.condition_colours(conditions)
    shown = [name for name in SHOWN if name in conditions] or conditions[:2]
    marks = style.median_steps(tables["events"], shown[0])
    figure, grid = plt.subplots(
        2, len(shown), figsize=(style.WIDTH, 4.4), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 2)
    )
    for column, condition in enumerate(shown):
        top, bottom = grid[:, column]
        mesh = _heat_map(top, _here(tables["saliency"], condition))
        style.mark_events(top, marks)
        top.set_title(style.readable(condition), color=colours[condition], pad=14)
        _skewness(bottom, _here(tables["distribution"], condition), colours[condition])
        style.mark_events(bottom, marks, names=False)
        bottom.set_xlabel("step")
    grid[0, 0].set_ylabel("mean |saliency| of a unit\nrelative to the layer's mean")
    grid[1, 0].set_ylabel("L-skewness over units")
    grid[1, 0].legend(fontsize="x-small", loc="upper right", handlelength=1.6)
    figure.colorbar(mesh, ax=list(grid[0]), label="share of units", pad=0.02)
    return figure


def _here(frame: pd.DataFrame, condition: str) -> pd.DataFrame:
    return registered_rows(frame[frame["condition"] == condition])


def _heat_map(axes: Axes, saliency: pd.DataFrame) -> QuadMesh:
    alive = saliency[saliency["alive"]]
    mean = alive.groupby(["replica", "step"])["mean_magnitude"].transform("mean")
    relative = (alive["mean_magnitude"] / mean).clip(upper=BINS[-1])
    steps = np.sort(alive["step"].unique())
    shares = np.stack(
        [
            np.histogram(relative[alive["step"] == step], BINS)[0] / max(1, (alive["step"] == step).sum())
            for step in steps
        ]
    )
    return axes.pcolormesh(
        _edges(steps), BINS, shares.T, cmap="Greys", vmin=0, vmax=0.15, shading="flat", rasterized=True
    )


def _edges(steps: np.ndarray) -> np.ndarray:
    """Cell borders half-way between checkpoints."""
    middle = (steps[1:] + steps[:-1]) / 2
    return np.concatenate([steps[:1], middle, steps[-1:]])


def _skewness(axes: Axes, distribution: pd.DataFrame, colour: object) -> None:
    rows = distribution[distribution["statistic"] == "mean_magnitude"]
    for dead_units, line in (("excluded", "-"), ("included", ":")):
        table = style.wide(rows[rows["dead_units"] == dead_units], "l_skewness")
        style.draw_band(axes, table, colour, f"dead units {dead_units}", line)
    axes.axhline(0, color=style.GREY, linewidth=0.6)
