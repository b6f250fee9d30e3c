"""Parts that all figures share: theme, colours, bands over replicas, marks of events."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from general_circuits.analysis import estimates
from general_circuits.analysis.windows import at_common_steps

WIDTH = 7.2
"""Width of the text on a printed page, inches."""

EVENT_NAMES = {"memorised": "$t_m$", "onset": "$t_o$", "generalised": "$t_g$"}
NAME_WIDTH = 14
"""Width of an event's name, pixels."""

LETTERS_BESIDE = 55
"""Letters of conditions' names that fit side by side, where a legend stands beside the last panel."""

LINE = 9.0
"""Distance between two names beside lines, points."""

GREY = "#777777"
VERDICT_COLOURS = {"supported": "#0173b2", "contradicted": "#b8480a", "between": "#6a4c93", "undecided": "#444444"}
"""Colour of each verdict; all are dark enough for text on white."""


@contextmanager
def theme() -> Iterator[None]:
    """Set one style, and a backend that draws without a screen; equal figures give equal bytes.

    It starts from matplotlib's own defaults. So no setting of the user's changes a figure.
    """
    defaults = {name: value for name, value in matplotlib.rcParamsDefault.items() if not name.startswith("backend")}
    settings = {
        **defaults,
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
        "savefig.dpi": 300,
        "svg.fonttype": "path",
        "svg.hashsalt": "general-circuits",
    }
    matplotlib.use("Agg")
    with matplotlib.rc_context(settings):
        yield


def save(figure: Figure, files: Mapping[str, Path], title: str, description: str) -> None:
    """Write a figure as `svg`, as `png`, or both; equal figures give equal bytes.

    Args:
        figure: the figure, whose layout is fixed from here on.
        files: path by format.
        title: its title, which both files carry.
        description: its alternative text, which both files carry.
    """
    # The layout takes longer than drawing, so it is worked out once and serves both formats.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    if "png" in files:
        words = {"Software": None, "Title": title, "Description": description}
        figure.savefig(files["png"], format="png", metadata=words)
    if "svg" in files:
        files["svg"].write_text(_svg(figure, title, description), encoding="utf-8")


def _svg(figure: Figure, title: str, description: str) -> str:
    """Return the figure as SVG, with title and description at its head, where a screen reader looks for them."""
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    words = "".join(f"<{tag}>{escape(text)}</{tag}>" for tag, text in (("title", title), ("desc", description)))
    head, tag, rest = drawn.getvalue().partition("<svg ")
    attributes, end, body = rest.partition(">")
    return f"{head}{tag}role={quoteattr('img')} aria-label={quoteattr(title)} {attributes}{end}\n {words}{body}"


def condition_colours(conditions: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """Return one colour per condition, the same in every figure.

    Readers with any common kind of colour blindness can tell the colours apart.
    """
    palette = sns.color_palette("colorblind", 10)
    order = [0, 3, 2, 1, 4, 5, 6, 7, 8, 9]
    return {name: palette[order[i % len(order)]] for i, name in enumerate(conditions)}


def readable(name: str) -> str:
    """Return a condition's name as words."""
    return name.replace("_", " ")


def name_column(axes: Axes, condition: str, colour: object, letters: int, pad: float = 30) -> None:
    """Name a panel's condition above it.

    Args:
        axes: the panel.
        condition: its name in the config.
        colour: of the name.
        letters: most letters in a line.
        pad: points between panel and name, which leave room for the names of events.
    """
    lines = textwrap.fill(readable(condition), letters, break_long_words=False)
    axes.set_title(lines, color=colour, pad=pad, fontsize="medium")


def wide(frame: pd.DataFrame, value: str) -> pd.DataFrame:
    """Pivot one condition's rows to a frame of steps × replicas."""
    return frame.pivot_table(index="step", columns="replica", values=value, dropna=False, observed=True)


def draw_band(axes: Axes, table: pd.DataFrame, colour: object, style: Any = "-", is_logged: bool = False) -> pd.Series:
    """Draw the mean over replicas and its 95 % interval.

    Args:
        axes: where to draw.
        table: steps, or numbers of units k, × replicas. Rows without any value are left out.
        colour: of the line and the band.
        style: of the line.
        is_logged: whether mean and interval are of logarithms; they are drawn on the scale of the values. Values that
            are not above 0 are left out.

    Returns:
        The mean by step or k.
    """
    if is_logged:
        table = np.log(table.where(table > 0))
    table = table.dropna(how="all")
    band = pd.DataFrame([estimates.estimate(row) for row in table.to_numpy()], index=table.index)
    band = band.reindex(columns=["mean", "low", "high"])  # an empty frame has no columns yet
    if is_logged:
        band = np.exp(band)
    axes.fill_between(table.index, band["low"], band["high"], color=colour, alpha=0.18, linewidth=0)
    axes.plot(table.index, band["mean"], linestyle=style, color=colour, linewidth=1.6)
    return band["mean"]


def name_ends(axes: Axes, ends: Mapping[str, tuple[float, object]]) -> None:
    """Name lines beside the right edge, at their last value and in their colour; names that would touch move apart.

    Args:
        axes: where the lines are. Their limits must be set before.
        ends: last value and colour of each line, by name.
    """
    height = axes.get_window_extent().height / axes.figure.dpi * 72  # points
    low, high = axes.get_ylim()
    names = sorted((name for name in ends if np.isfinite(ends[name][0])), key=lambda name: ends[name][0])
    places: list[float] = []
    for name in names:
        place = (ends[name][0] - low) / (high - low) * height
        places.append(max(place, places[-1] + LINE) if places else place)
    # Going up, each name pushed the next one. If that pushed names past the top, they come down again and push back.
    ceiling = height + LINE / 2
    for i in range(len(places) - 1, -1, -1):
        places[i] = min(places[i], ceiling)
        ceiling = places[i] - LINE
    for name, place in zip(names, places, strict=True):
        axes.annotate(
            name,
            (1.0, 0.0),
            xycoords="axes fraction",
            xytext=(4, place),
            textcoords="offset points",
            va="center",
            fontsize="small",
            color=ends[name][1],
            annotation_clip=False,
        )


def over_training(rows: pd.DataFrame, value: str, events: pd.DataFrame, label: str) -> Figure:
    """Draw one column of every condition over steps, mean over replicas and interval, with grokking's events."""
    conditions = list(rows["condition"].cat.categories)
    colours = condition_colours(conditions)
    figure, axes = plt.subplots(figsize=(WIDTH, 3.0))
    ends: dict[str, tuple[float, object]] = {}
    for condition in conditions:
        of_condition = at_common_steps(rows[rows["condition"] == condition])
        mean = draw_band(axes, wide(of_condition, value), colours[condition])
        ends[readable(condition)] = (float(mean.iloc[-1]) if len(mean) else np.nan, colours[condition])
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.set_xlim(0, rows["step"].max())
    axes.set_xlabel("step")
    linear_steps(axes)
    axes.set_ylabel(label)
    mark_events(axes, median_steps(events, "grokking"))
    figure.draw_without_rendering()  # names are placed by the layout, which this works out
    name_ends(axes, ends)
    return figure


def median_steps(events: pd.DataFrame, condition: str) -> dict[str, float]:
    """Return the median step over replicas of each event in `EVENT_NAMES`.

    An event is left out if half of the replicas or more did not reach it, since its median is infinite.
    """
    rows = events[events["condition"] == condition]
    steps = rows["step"].where(~rows["censored"], np.inf).groupby(rows["event"], observed=True).median()
    return {event: float(steps[event]) for event in EVENT_NAMES if event in steps and np.isfinite(steps[event])}


def mark_events(axes: Axes, steps: dict[str, float], names: bool = True) -> None:
    """Draw vertical lines at events.

    Args:
        axes: where to draw. Their limits must be set before.
        steps: step of each event.
        names: whether to name the events at the top edge. A name that would touch the one before it stands higher.
    """
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
    """Give the axes a log axis of steps, from 1 to `last`."""
    axes.set_xscale("log")
    axes.set_xlim(1, last)
    axes.xaxis.set_major_locator(LogLocator(numticks=6))


def linear_steps(axes: Axes, ticks: int = 8) -> None:
    """Give the axes a linear axis of steps, in whole numbers with a comma at the thousands."""
    axes.xaxis.set_major_locator(MaxNLocator(ticks, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
