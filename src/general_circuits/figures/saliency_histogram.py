"""Histogram of the neurons' saliency over training, at t_m and in the late window."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from general_circuits import formatting
from general_circuits.analysis import distribution_shape, moments
from general_circuits.analysis.windows import at_common_steps
from general_circuits.figures import captions, style
from general_circuits.registered import registered_rows

SHOWN = ("grokking", "random_labels")
BINS = np.linspace(0, 4, 41)
"""Edges of bins of saliency relative to its mean; the last bin also counts all larger values."""

MOMENTS = {"at $t_m$": style.GREY, "late window": None}
"""Moments of training shown below, and their colours; None is the condition's colour."""


def draw(tables: Mapping[str, pd.DataFrame], dead_units: str) -> Figure:
    """Draw grokking beside random labels, with dead units `excluded` or `included`.

    A study without both shows its first two conditions. Reads `saliency`, `events` and `moments`.
    """
    conditions = list(tables["saliency"]["condition"].cat.categories)
    colours = style.condition_colours(conditions)
    shown = _shown(conditions)
    marks = style.median_steps(tables["events"], shown[0])
    figure, grid = plt.subplots(
        2, len(shown), figsize=(style.WIDTH, 4.6), sharey="row", squeeze=False, height_ratios=(3, 2)
    )
    for column, condition in enumerate(shown):
        top, bottom = grid[:, column]
        rows = _relative(tables["saliency"], condition, dead_units)
        mesh = _heat_map(top, at_common_steps(rows))
        style.mark_events(top, marks)
        top.set_title(style.readable(condition), color=colours[condition], pad=14)
        top.set_xlabel("step")
        style.linear_steps(top, ticks=4)
        _ends(bottom, rows, moments.steps_of(tables["moments"], condition), colours[condition])
        bottom.set_xlabel("relative mean |saliency|")
    grid[0, 0].set_ylabel("relative mean |saliency|\n(1 is the layer's mean)")
    grid[1, 0].set_ylabel("share of units")
    grid[1, 0].set_ylim(bottom=0)
    figure.colorbar(mesh, ax=list(grid[0]), label="share of units", pad=0.02, extend="max")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], dead_units: str) -> str:
    """Give the L-skewness of the histograms shown, from `distribution` and `moments`."""
    rows = registered_rows(tables["distribution"])
    rows = rows[(rows["statistic"] == "mean_magnitude") & (rows["dead_units"] == dead_units)]
    shown = _shown(list(rows["condition"].cat.categories))
    rows = rows[rows["condition"].isin(shown)]
    rows = rows.assign(condition=rows["condition"].cat.set_categories(shown))
    ends = captions.from_memorised_to_late(rows, "l_skewness", tables["moments"], "L-skewness")
    return ends or captions.NO_GROKKING


def _shown(conditions: list[str]) -> list[str]:
    """Return those of `SHOWN` that the study has, or else its first two conditions."""
    return [name for name in SHOWN if name in conditions] or conditions[:2]


def _relative(saliency: pd.DataFrame, condition: str, dead_units: str) -> pd.DataFrame:
    """Return one condition's units, with `relative`: mean |saliency| over its mean in the same replica and step."""
    rows = registered_rows(saliency[saliency["condition"] == condition])
    if dead_units == "excluded":
        rows = rows[rows["alive"]]
    mean = rows.groupby(["replica", "step"])["mean_magnitude"].transform("mean")
    return rows.assign(relative=rows["mean_magnitude"] / mean)


def _shares(relative: pd.Series) -> np.ndarray:
    """Return the share of units in each bin, (bin)."""
    return np.histogram(relative.clip(upper=BINS[-1]), BINS)[0] / max(1, len(relative))


def _heat_map(axes: Axes, rows: pd.DataFrame) -> QuadMesh:
    """Draw the histogram of all replicas together at every checkpoint."""
    groups = {step: _shares(part["relative"]) for step, part in rows.groupby("step")}
    steps = np.array(list(groups))
    shares = np.stack(list(groups.values()))  # (step, bin)
    return axes.pcolormesh(
        _edges(steps), BINS, shares.T, cmap="Greys", vmin=0, vmax=0.15, shading="flat", rasterized=True
    )


def _edges(steps: np.ndarray) -> np.ndarray:
    """Return borders of cells half-way between checkpoints, (step + 1)."""
    middle = (steps[1:] + steps[:-1]) / 2
    return np.concatenate([steps[:1], middle, steps[-1:]])


def _ends(axes: Axes, rows: pd.DataFrame, steps: pd.DataFrame, colour: object) -> None:
    """Draw the histograms at t_m and over the late window: each replica at its own steps, all replicas together."""
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in MOMENTS}
    for replica, at in steps.iterrows():
        of_replica = rows[rows["replica"] == replica]
        parts["at $t_m$"].append(of_replica[of_replica["step"] == at[moments.BASELINE]])
        late = of_replica["step"].between(at["generalised"], 1.5 * at["generalised"])
        parts["late window"].append(of_replica[late])
    for place, (name, fixed_colour) in enumerate(MOMENTS.items()):
        units = pd.concat(parts[name]) if parts[name] else rows.iloc[:0]
        if units.empty:
            continue
        each = [distribution_shape.l_skewness(part["relative"]) for _, part in units.groupby(["replica", "step"])]
        axes.stairs(_shares(units["relative"]), BINS, color=fixed_colour or colour, linewidth=1.4)
        axes.annotate(
            f"{name}: L-skewness {formatting.plain(pd.Series(each).mean())}",
            (0.98, 0.92 - 0.14 * place),
            xycoords="axes fraction",
            ha="right",
            va="top",
            fontsize="small",
            color=fixed_colour or colour,
        )
    axes.set_xlim(BINS[0], BINS[-1])
