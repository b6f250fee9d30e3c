"""Whether general neurons grow faster than others that are as salient, as large and as old."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from general_circuits.analysis.estimates import Estimate, estimate
from general_circuits.analysis.neuron_growth import ALONE, FIFTHS, PHASES, PREDICTORS, fifths, slopes
from general_circuits.figures import style
from general_circuits.formatting import NO_DATA, interval, signed

ROWS = {
    "generality": "generality",
    "saliency": "log saliency",
    "norm": "log weight norm",
    "age": "log age",
    ALONE: ALONE,
}
"""The predictors, from above, as they are named."""
TITLES = {
    "before memorisation": "before memorising\nup to $t_m$",
    "plateau": "plateau\n$t_m$ to $t_o$",
    "onset": "onset\n$t_o$ to $t_g$",
    "after": "after\nfrom $t_g$",
}
AXIS = "growth per 1,000 steps, per standard deviation"
DIGITS = 3

Colour = tuple[float, float, float]
Found = dict[tuple[str, str, str], Estimate]
"""By condition, phase and predictor."""


def draw(tables: Mapping[str, pd.DataFrame], response: str) -> Figure:
    """Growth of `weights` or `saliency` by phase: against generality, and a row per predictor of its regression.

    From `updates` and `events`.
    """
    found_here = _found(tables, response)
    known = {condition for (condition, _, _), at in found_here.items() if np.isfinite(at.mean)}
    of_all = style.condition_colours(list(tables["updates"]["condition"].cat.categories))
    colours = {condition: colour for condition, colour in of_all.items() if condition in known}
    below = 1.4 + len(ROWS) * (0.2 + 0.1 * len(colours))
    figure, (curves, axes_of) = plt.subplots(
        2,
        len(PHASES),
        figsize=(style.WIDTH, min(2.4 + below, 8.8)),
        height_ratios=[2.0, min(below, 6.4)],
        sharey="row",
    )
    grown = fifths(tables["updates"], tables["events"], response)
    for above, axes, phase in zip(curves, axes_of, PHASES, strict=True):
        above.set_title(TITLES[phase], fontsize="medium")
        _curves(above, grown[grown["phase"] == phase], colours)
        _panel(axes, found_here, phase, colours)
    curves[0].set_ylabel("growth per 1,000 steps")
    curves[0].set_xlabel("fifth of neurons by generality")
    axes_of[0].set_yticks(range(len(ROWS)), list(ROWS.values()))
    axes_of[0].set_ylim(len(ROWS) - 0.5, -0.5)
    axes_of[0].get_yticklabels()[0].set_fontweight("bold")
    figure.supxlabel(AXIS, fontsize="medium")
    _name(figure, colours)
    return figure


def describe(tables: Mapping[str, pd.DataFrame], response: str) -> str:
    """Generality's slopes in grokking."""
    estimates = _found(tables, response)
    given, alone = (
        [
            f"{phase} {_written(estimates['grokking', phase, predictor])}"
            for phase in PHASES
            if np.isfinite(estimates.get(("grokking", phase, predictor), estimate([])).mean)
        ]
        for predictor in (PREDICTORS[0], ALONE)
    )
    if not given:
        return "No replica of grokking has a phase in which generality's slope is known."
    counts = {phase: estimates["grokking", phase, PREDICTORS[0]].n for phase in PHASES}
    replicas = ", ".join(f"{phase} {n}" for phase, n in counts.items() if n)
    return (
        f"Growth of {response} in grokking, per 1,000 steps and standard deviation of generality, given saliency, norm"
        f" and age: {'; '.join(given)}. Alone: {'; '.join(alone)}. Replicas: {replicas}."
    )


def _found(tables: Mapping[str, pd.DataFrame], response: str) -> Found:
    rows = slopes(tables["updates"], tables["events"], response)
    groups = rows.groupby(["condition", "phase", "predictor"], observed=True)["slope"]
    return {(str(condition), phase, name): estimate(values) for (condition, phase, name), values in groups}


def _curves(axes: Axes, rows: pd.DataFrame, colours: Mapping[str, Colour]) -> None:
    """One phase: growth against generality, a line for each condition."""
    for condition, colour in colours.items():
        here = rows[rows["condition"] == condition]
        style.draw_band(axes, here.pivot(index="fifth", columns="replica", values="growth"), colour)
    axes.axhline(0, color=style.GREY, linewidth=0.6)
    axes.set_xticks(range(1, FIFTHS + 1))


def _panel(axes: Axes, found_here: Found, phase: str, colours: Mapping[str, Colour]) -> None:
    """One phase: conditions side by side in each row, the first above."""
    conditions = list(colours)
    is_known = any(np.isfinite(at.mean) for (_, where, _), at in found_here.items() if where == phase)
    for row, predictor in enumerate(ROWS):
        for place, condition in zip(_places(row, conditions), conditions, strict=True):
            at = found_here[condition, phase, predictor]
            axes.plot([at.low, at.high], [place, place], color=colours[condition], linewidth=1.4)
            axes.plot(at.mean, place, "o", color=colours[condition], markersize=3.5)
    axes.axvline(0, color=style.GREY, linewidth=0.6)
    for row in range(1, len(ROWS)):
        axes.axhline(row - 0.5, color=style.GREY, linewidth=0.4, alpha=0.4)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=3)
    if not is_known:
        axes.set_xticks([])
        axes.annotate(NO_DATA, (0.5, 0.5), xycoords="axes fraction", ha="center", va="center", color=style.GREY)


def _places(row: int, conditions: Sequence[str]) -> list[float]:
    """Where in a row, which is 1 high, each condition is."""
    return [row + 0.7 * ((i + 0.5) / len(conditions) - 0.5) for i in range(len(conditions))]


def _name(figure: Figure, colours: Mapping[str, Colour]) -> None:
    """Which colour is which condition."""
    handles = [
        Line2D([], [], color=colour, marker="o", markersize=3.5, label=style.readable(condition))
        for condition, colour in colours.items()
    ]
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 4), fontsize="small")


def _written(at: Estimate) -> str:
    within = f" ({interval(at.low, at.high, DIGITS)})" if np.isfinite(at.low) else ""
    return f"{signed(at.mean, DIGITS)}{within}"
