"""Accuracy or margin lost against the number of deleted units, at several moments of training."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from general_circuits.analysis import damage
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
PANELS = 4
COLUMNS = {"accuracy": "accuracy", "margin": "matched_margin"}
LABELS = {"accuracy": "training accuracy lost", "margin": "margin lost, relative to logit scale"}


def draw(tables: Mapping[str, pd.DataFrame], lost: str) -> Figure:
    """Draw the lost `accuracy`, or `margin` at matched logit scale, in grokking.

    A study without grokking shows its first condition. Reads `ablation` and `events`.
    """
    condition, rows, moments = _read(tables, lost)
    figure, grid = plt.subplots(1, len(moments), figsize=(style.WIDTH, 2.6), sharey=True, squeeze=False)
    colour = style.condition_colours(list(tables["ablation"]["condition"].cat.categories))[condition]
    # A colour stands for a condition in every figure, so the salient units have this one's and controls have none.
    colours: dict[str, object] = {"top": colour, "matched": colour, "random": "black", "bottom": style.GREY}
    names = {ranking: label for ranking, label in RANKINGS.items() if (rows["ranking"] == ranking).any()}
    for axes, (step, name) in zip(grid[0], moments.items(), strict=True):
        at_step = rows[rows["step"] == step]
        for ranking in names:
            table = at_step[at_step["ranking"] == ranking].pivot(index="k", columns="replica", values=lost)
            if len(table):
                style.draw_band(axes, table, colours[ranking], STYLES[ranking])
        axes.axvline(SHARE * rows["k"].max(), color=style.GREY, linewidth=0.6, linestyle=(0, (1, 2)))
        axes.set_xscale("log")
        axes.set_title(f"step {step:,}{name}", fontsize="medium")
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
    condition, rows, moments = _read(tables, lost)
    k = rows["k"].max() * SHARE
    quarter = rows["k"].unique()[np.abs(rows["k"].unique() - k).argmin()]
    means = rows[rows["k"] == quarter].groupby(["step", "ranking"], observed=True)[lost].mean()
    parts = [
        f"at step {step:,}{name.replace('$', '')} {plain(means[step, 'top'])}, {plain(means[step, 'random'])} and"
        f" {plain(means[step, 'bottom'])}"
        for step, name in moments.items()
    ]
    return (
        f"Training {lost} lost in {style.readable(condition)} when the {quarter} most salient, random or least salient"
        f" units are deleted, means over replicas: {'; '.join(parts)}."
    )


def _read(tables: Mapping[str, pd.DataFrame], lost: str) -> tuple[str, pd.DataFrame, dict[int, str]]:
    """Return the condition shown, its curves, and the steps to show with the event that each is near."""
    conditions = list(tables["ablation"]["condition"].cat.categories)
    condition = "grokking" if "grokking" in conditions else conditions[0]
    curves = damage.curves(tables["ablation"][tables["ablation"]["condition"] == condition])
    rows = curves[COLUMNS[lost]].rename(lost).dropna().reset_index()
    return condition, rows, _moments(style.median_steps(tables["events"], condition), np.sort(rows["step"].unique()))


def _moments(events: dict[str, float], steps: np.ndarray) -> dict[int, str]:
    """Choose up to `PANELS` measured steps: nearest to each event, the last, then evenly among all.

    The value of each says which event it is near.
    """
    moments: dict[int, str] = {}
    for event, step in events.items():
        moments[int(steps[np.abs(steps - step).argmin()])] = f" (≈ {style.EVENT_NAMES[event]})"
    moments.setdefault(int(steps[-1]), "")
    for step in steps[np.linspace(0, len(steps) - 1, PANELS).round().astype(int)]:
        if len(moments) < PANELS:
            moments.setdefault(int(step), "")
    return dict(sorted(moments.items()))
