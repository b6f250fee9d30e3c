"""Accuracy or margin lost against the number of deleted units, at several moments of training."""

from __future__ import annotations

import re
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from general_circuits.analysis import damage, moments
from general_circuits.figures import style
from general_circuits.formatting import plain
from general_circuits.registered import SHARE

RANKINGS = {
    "top": "most salient",
    "matched": "matched (dotted)",
    "random": "random (dashed)",
    "bottom": "least salient",
}
STYLES = {"top": "-", "matched": ":", "random": "--", "bottom": "-."}
PANELS = {"memorised": "t_m", "onset": "t_o", "generalised": "t_g", "late_end": "1.5 t_g"}
"""Moments that are shown, each replica at its own step, with their names."""
COLUMNS = {"accuracy": "accuracy", "margin": "matched_margin"}
LABELS = {"accuracy": "training accuracy lost", "margin": "margin lost, relative to logit scale"}


def draw(tables: Mapping[str, pd.DataFrame], lost: str) -> Figure:
    """Draw the lost `accuracy`, or `margin` at matched logit scale, in grokking.

    A study without grokking shows its first condition. Reads `ablation` and `moments`.
    """
    condition, panels = _read(tables, lost)
    figure, grid = plt.subplots(1, len(panels), figsize=(style.WIDTH, 2.6), sharey=True, squeeze=False)
    colour = style.condition_colours(list(tables["ablation"]["condition"].cat.categories))[condition]
    # A colour stands for a condition in every figure, so the salient units have this one's and controls have none.
    colours: dict[str, object] = {"top": colour, "matched": colour, "random": "black", "bottom": style.GREY}
    rankings = {ranking for rows in panels.values() for ranking in rows["ranking"].unique()}
    names = {ranking: label for ranking, label in RANKINGS.items() if ranking in rankings}
    for axes, (name, rows) in zip(grid[0], panels.items(), strict=True):
        for ranking in names:
            table = rows[rows["ranking"] == ranking].pivot(index="k", columns="replica", values=lost)
            if len(table):
                style.draw_band(axes, table, colours[ranking], STYLES[ranking])
        axes.axvline(SHARE * rows["k"].max(), color=style.GREY, linewidth=0.6, linestyle=(0, (1, 2)))
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())  # a layer with few units would have names on names
        axes.set_title(re.sub("t_.", r"$\g<0>$", name), fontsize="medium", fontweight="normal")
        axes.set_xlabel("deleted units k")
        if lost == "accuracy":
            axes.set_ylim(-0.02, 1.02)
    grid[0, 0].set_ylabel(LABELS[lost])
    for place, (ranking, label) in enumerate(names.items()):
        grid[0, 0].annotate(
            label,
            (0.04, 0.97 - 0.1 * place),
            xycoords="axes fraction",
            va="top",
            fontsize="small",
            color=colours[ranking],
        )
    return figure


def describe(tables: Mapping[str, pd.DataFrame], lost: str) -> str:
    """Give what is lost when a quarter of the units is deleted, at each moment."""
    condition, panels = _read(tables, lost)
    if not any(map(len, panels.values())):
        return f"At {next(iter(panels))}, {style.readable(condition)} has no finite {lost} to lose."
    parts, quarter = [], 0
    for name, rows in panels.items():
        sizes = rows["k"].unique()
        quarter = sizes[np.abs(sizes - rows["k"].max() * SHARE).argmin()]
        means = rows[rows["k"] == quarter].groupby("ranking", observed=True)[lost].mean()
        losses = [plain(float(means.get(ranking, np.nan))) for ranking in ("top", "random", "bottom")]
        parts.append(f"at {name} {losses[0]}, {losses[1]} and {losses[2]}")
    return (
        f"Training {lost} lost in {style.readable(condition)} when the {quarter} most salient, random or least salient"
        f" units are deleted, means over replicas: {'; '.join(parts)}."
    )


def _read(tables: Mapping[str, pd.DataFrame], lost: str) -> tuple[str, dict[str, pd.DataFrame]]:
    """Return the condition shown, and its curves at each moment; without any moment, at the last step of all."""
    conditions = list(tables["ablation"]["condition"].cat.categories)
    condition = "grokking" if "grokking" in conditions else conditions[0]
    curves = damage.curves(tables["ablation"][tables["ablation"]["condition"] == condition])
    rows = curves[COLUMNS[lost]].rename(lost).dropna().reset_index()
    steps = moments.steps_of(tables["moments"], condition)
    panels = {name: rows[rows["step"] == rows["replica"].map(steps[moment])] for moment, name in PANELS.items()}
    panels = {name: of_moment for name, of_moment in panels.items() if len(of_moment)}
    last = curves.index.get_level_values("step").max()
    return condition, panels or {f"step {last:,}": rows[rows["step"] == last]}
