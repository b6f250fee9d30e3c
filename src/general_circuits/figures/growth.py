"""Growth of general neurons, compared with others that are as salient, as large and as old."""

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
"""Names of the predictors, from top to bottom."""
TITLES = {
    "before memorisation": "before memorising\nup to $t_m$",
    "plateau": "plateau\n$t_m$ to $t_o$",
    "onset": "onset\n$t_o$ to $t_g$",
    "after": "after\nfrom $t_g$",
}
AXIS = "growth per 1,000 steps, per standard deviation"
DIGITS = 3

Colour = tuple[float, float, float]
Slopes = dict[tuple[str, str, str], Estimate]
"""Estimated slopes, by condition, phase and predictor."""


def draw(tables: Mapping[str, pd.DataFrame], response: str) -> Figure:
    """Draw growth of `weights` or `saliency` by phase: against generality above, slopes of its regression below.

    Reads `updates` and `events`.
    """
    estimates = _slopes(tables, response)
    known = {condition for (condition, _, _), slope in estimates.items() if np.isfinite(slope.mean)}
    palette = style.condition_colours(list(tables["updates"]["condition"].cat.categories))
    colours = {condition: colour for condition, colour in palette.items() if condition in known}
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
        _panel(axes, estimates, phase, colours)
    curves[0].set_ylabel("growth per 1,000 steps")
    curves[0].set_xlabel("fifth of neurons by generality")
    axes_of[0].set_yticks(range(len(ROWS)), list(ROWS.values()))
    axes_of[0].set_ylim(len(ROWS) - 0.5, -0.5)
    axes_of[0].get_yticklabels()[0].set_fontweight("bold")
    figure.supxlabel(AXIS, fontsize="medium")
    _name(figure, colours)
    return figure


def describe(tables: Mapping[str, pd.DataFrame], response: str) -> str:
    """Give generality's slopes in grokking, beside the other predictors and alone."""
    estimates = _slopes(tables, response)
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
    return (
        f"Growth of {response} in grokking per 1,000 steps and standard deviation of generality, given saliency, norm"
        f" and age: {'; '.join(given)} replicas. With generality alone: {'; '.join(alone)} replicas."
    )


def _slopes(tables: Mapping[str, pd.DataFrame], response: str) -> Slopes:
    """Estimate every slope over replicas."""
    rows = slopes(tables["updates"], tables["events"], response)
    groups = rows.groupby(["condition", "phase", "predictor"], observed=True)["slope"]
    return {(str(condition), phase, name): estimate(values) for (condition, phase, name), values in groups}


def _curves(axes: Axes, rows: pd.DataFrame, colours: Mapping[str, Colour]) -> None:
    """Draw one phase: growth against generality, a line for each condition."""
    for condition, colour in colours.items():
        of_condition = rows[rows["condition"] == condition]
        style.draw_band(axes, of_condition.pivot(index="fifth", columns="replica", values="growth"), colour)
    axes.axhline(0, color=style.GREY, linewidth=0.6)
    axes.set_xticks(range(1, FIFTHS + 1))


def _panel(axes: Axes, estimates: Slopes, phase: str, colours: Mapping[str, Colour]) -> None:
    """Draw the slopes of one phase: a row per predictor, and in it the conditions, the first on top."""
    conditions = list(colours)
    is_known = any(np.isfinite(slope.mean) for (_, where, _), slope in estimates.items() if where == phase)
    for row, predictor in enumerate(ROWS):
        for place, condition in zip(_places(row, conditions), conditions, strict=True):
            slope = estimates[condition, phase, predictor]
            axes.plot([slope.low, slope.high], [place, place], color=colours[condition], linewidth=1.4)
            axes.plot(slope.mean, place, "o", color=colours[condition], markersize=3.5)
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
    """Return the height of each condition in a row, which is 1 high."""
    return [row + 0.7 * ((i + 0.5) / len(conditions) - 0.5) for i in range(len(conditions))]


def _name(figure: Figure, colours: Mapping[str, Colour]) -> None:
    """Draw a legend of the conditions' colours above the panels."""
    handles = [
        Line2D([], [], color=colour, marker="o", markersize=3.5, label=style.readable(condition))
        for condition, colour in colours.items()
    ]
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 4), fontsize="small")


def _written(slope: Estimate) -> str:
    """Write a slope with its interval, if it has one, and the number of replicas."""
    within = f" ({interval(slope.low, slope.high, DIGITS)})" if np.isfinite(slope.low) else ""
    return f"{signed(slope.mean, DIGITS)}{within} in {slope.n}"
