"""Confidence of grokking on its training examples, and the steps left in branches that change training."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.variants import AT, BASE, differences, stops_with_change
from general_circuits.figures import steps_left, style

QUANTILES = {
    "correct_probability_q10": "least sure tenth",
    "correct_probability": "median",
    "correct_probability_q90": "surest tenth",
}
LEAST = 1e-9
"""Smallest value of 1 − p that is drawn."""


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw 1 − p on training examples (left), and the steps left to generalise in branches (right).

    Reads `conditions`, `events` and `metrics`.
    """
    branches = _left(tables)
    if len(branches) == 1:  # grokking alone says nothing about what drives it
        figure, axes = plt.subplots(figsize=(style.WIDTH, 2.9))
        _draw_doubts(axes, tables)
        return figure
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.WIDTH, 2.9), width_ratios=[3, 2])
    _draw_doubts(left, tables)
    for row, rows_of in enumerate(branches.values()):
        known = rows_of.dropna(subset=["steps"])
        for is_censored, mark in ((False, "o"), (True, ">")):
            chosen = known.loc[known["censored"] == is_censored, "steps"]
            right.plot(chosen, [row] * len(chosen), mark, color=style.GREY, markersize=4, alpha=0.7, markeredgewidth=0)
        median = steps_left.medians({0.0: rows_of})[0.0]
        if np.isfinite(median):
            right.plot([median] * 2, [row - 0.3, row + 0.3], color="black", linewidth=1.6)
    right.set_yticks(range(len(branches)), [style.readable(name) for name in branches], fontsize="x-small")
    right.set_ylim(len(branches) - 0.5, -0.5)
    if any(rows_of["steps"].notna().any() for rows_of in branches.values()):
        steps_left.label_times(right, is_vertical=False)
    right.set_xlabel("steps left to generalise")
    return figure


def _draw_doubts(axes: Axes, tables: Mapping[str, pd.DataFrame]) -> None:
    """Draw 1 − p of grokking's training examples over steps."""
    metrics = tables["metrics"]
    rows = metrics[(metrics["condition"] == BASE) & (metrics["split"] == "train")]
    palette = style.condition_colours(list(QUANTILES))
    for column, name in QUANTILES.items():
        doubts = (1 - style.wide(rows, column)).clip(lower=LEAST)
        style.draw_band(axes, doubts, palette[column], is_logged=True)
        axes.plot([], [], color=palette[column], label=name)
    for level in (1e-2, 1e-3):
        axes.axhline(level, color="black", linewidth=0.8, linestyle=":")
    axes.set_yscale("log")
    axes.set_ylim(LEAST / 2, 2)
    axes.set_xlim(0, rows["step"].max())
    axes.set_xlabel("step")
    axes.set_ylabel("1 − probability of the right answer")
    style.linear_steps(axes, 5)
    style.mark_events(axes, style.median_steps(tables["events"], BASE))
    # Spikes reach the top and the bottom, so that no place inside stays free.
    axes.legend(fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=3)


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give the median steps left."""
    medians = {name: steps_left.medians({0.0: rows})[0.0] for name, rows in _left(tables).items()}
    words = [f"{style.readable(name)} {steps_left.written(median)}" for name, median in medians.items()]
    return f"Median steps left to generalise: {'; '.join(words)}."


def _left(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return what was left in grokking from the place where the first branch leaves it, and in each branch."""
    conditions = variant_outcomes.settings(tables["conditions"])
    branches = {name: differences(conditions, name) for name in conditions if name != BASE}
    # A branch that stops with its change may have no time to generalise.
    branches = {
        name: changed for name, changed in branches.items() if AT in changed and not stops_with_change(conditions[name])
    }
    places = [variant_outcomes.place(changed) for changed in branches.values()] or ["memorised"]
    grokking = {BASE: variant_outcomes.left(tables["events"], BASE, places[0])}
    return grokking | {
        name: variant_outcomes.left(tables["events"], name, variant_outcomes.place(branches[name])) for name in branches
    }
