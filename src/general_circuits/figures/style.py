"""What all figures share: theme, colours, bands over replicas, marks of events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

WIDTH = 7.2
"""Inches: a printed page's text width."""

EVENT_NAMES = {"memorised": "$t_m$", "onset": "$t_o$", "generalised": "$t_g$"}
NAME_WIDTH = 10
"""Pixels that the name of an event takes."""

GREY = "#777777"


@contextmanager
def theme() -> Iterator[None]:
    """Draw without a screen; equal figures are equal bytes."""
    settings = {
        **sns.axes_style("ticks"),
        **sns.plotting_context("paper"),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "figure.constrained_layout.use": True,
        "figure.dpi": 100,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "legend.frameon": False,
        "savefig.dpi": 200,
        "svg.fonttype": "path",
        "svg.hashsalt": "general-circuits",
    }
    matplotlib.use("Agg")
    with matplotlib.rc_context(settings):
        yield


def condition_colours(conditions: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """One colour per condition, the same in every figure: told apart under every common colour blindness."""
    palette = sns.color_palette("colorblind", 10)
    order = [0, 3, 2, 1, 4, 5, 6, 7, 8, 9]
    return {name: palette[order[i % len(order)]] for i, name in enumerate(conditions)}


def readable(name: str) -> str:
    """A condition's name as words."""
    return name.replace("_", " ")


def wide(frame: pd.DataFrame, value: str) -> pd.DataFrame:
    """One condition's rows → steps × replicas."""
    return frame.pivot_table(index="step", columns="replica", values=value, dropna=False, observed=True)


def draw_band(axes: Axes, table: pd.DataFrame, colour: object, label: str | None = None, style: str = "-") -> None:
    """Mean over replicas and their range, over steps or k; gaps where no replica has a value."""
    table = table.dropna(how="all")
    axes.fill_between(table.index, table.min(axis=1), table.max(axis=1), color=colour, alpha=0.18, linewidth=0)
    axes.plot(table.index, table.mean(axis=1), style, color=colour, linewidth=1.6, label=label)


def median_steps(events: pd.DataFrame, condition: str) -> dict[str, float]:
    """The median step over replicas of each event named in figures, if half the replicas reached it."""
    rows = events[events["condition"] == condition]
    steps = rows["step"].where(~rows["censored"], np.inf).groupby(rows["event"], observed=True).median()
    return {event: float(steps[event]) for event in EVENT_NAMES if event in steps and np.isfinite(steps[event])}


def mark_events(axes: Axes, steps: dict[str, float], names: bool = True) -> None:
    """Vertical lines at events, named at the top edge (set limits first); a name that would touch the last rises."""
    last, height = -np.inf, 0
    for event, step in sorted(steps.items(), key=lambda item: item[1]):
        axes.axvline(step, color=GREY, linewidth=0.8, linestyle=(0, (2, 2)))
        if names:
            place = axes.transAxes.inverted().transform(axes.transData.transform((step, 0)))[0]
            height = height + 1 if place - last < NAME_WIDTH / axes.get_window_extent().width else 0
            last = place
            axes.annotate(
                EVENT_NAMES[event],
                (step, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 1 + 8 * height),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize="small",
                color=GREY,
            )


def log_steps(axes: Axes, last: float) -> None:
    """A log axis of steps, from 1."""
    axes.set_xscale("log")
    axes.set_xlim(1, last)
    axes.xaxis.set_major_locator(LogLocator(numticks=6))
