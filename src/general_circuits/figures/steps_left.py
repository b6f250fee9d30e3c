"""Parts of several figures: the steps that variants of grokking have left to generalise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from general_circuits.analysis.estimates import estimate
from general_circuits.analysis.survival import median_time
from general_circuits.figures import style
from general_circuits.formatting import UNKNOWN

APART = 0.09
"""Least distance of two labels on an axis, as a share of its length."""


def draw_levels(axes: Axes, left: Mapping[float, pd.DataFrame], colour: object, label: str = "") -> None:
    """Draw each replica's steps at its level, a triangle if it is censored, and a line through medians (Kaplan–Meier).

    A level at which no replica generalised is a bound: one open triangle, and the steps trained in words. The line does
    not cross it.

    Args:
        axes: where to draw; `label_levels` sets the scales.
        left: the result of `variant_outcomes.left`, by level.
        colour: of marks and line.
        label: name of the line in a legend.
    """
    for level, rows in left.items():
        known = rows.dropna(subset=["steps"])
        if is_bound(rows):
            steps = known["steps"].min()
            axes.plot(level, steps, "^", color=colour, markersize=6, markerfacecolor="none")
            # The words stand on the side that is inside the axes.
            offset, side = (-5, "right") if level == max(left) else (5, "left")
            axes.annotate(
                f"none by\n{steps:,.0f}",
                (level, steps),
                xytext=(offset, 3),
                textcoords="offset points",
                ha=side,
                va="top",
                fontsize="x-small",
                color=colour,
            )
            continue
        for is_censored, mark in ((False, "o"), (True, "^")):
            chosen = known.loc[known["censored"] == is_censored, "steps"]
            axes.plot([level] * len(chosen), chosen, mark, color=colour, markersize=3, alpha=0.6, markeredgewidth=0)
    line = medians(left)
    axes.plot(line.index, line.replace(np.inf, np.nan), color=colour, linewidth=1.4, label=label or None)


def label_levels(axes: Axes, *drawn: Mapping[float, pd.DataFrame]) -> None:
    """Set log axes with the levels themselves as ticks; do nothing if no replica has steps.

    A level too near to the last one with a label has a tick alone.
    """
    if not any(rows["steps"].notna().any() for left in drawn for rows in left.values()):
        return
    levels = sorted({level for left in drawn for level in left})
    labels, last = [], 0.0
    for level in levels:
        is_apart = last <= 0 or np.log(level / last) >= APART * np.log(levels[-1] / levels[0])
        labels.append(f"{level:g}" if is_apart else "")
        last = level if is_apart else last
    axes.set_xscale("log")
    axes.set_xticks(levels, labels)
    axes.xaxis.set_minor_formatter(NullFormatter())
    label_times(axes)


def label_times(axes: Axes, is_vertical: bool = True) -> None:
    """Set a log axis of steps, in whole numbers."""
    if is_vertical:
        axes.set_yscale("log")
    else:
        axes.set_xscale("log")
    axis = axes.yaxis if is_vertical else axes.xaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda steps, _: f"{steps:,.0f}"))
    axis.set_minor_formatter(NullFormatter())


def is_bound(rows: pd.DataFrame) -> bool:
    """Tell whether no replica generalised; rows without steps do not count."""
    known = rows.dropna(subset=["steps"])
    return bool(len(known) and known["censored"].all())


def medians(left: Mapping[float, pd.DataFrame]) -> pd.Series:
    """Return the median steps by level: infinite where under half generalised, missing where there are no data."""
    times = {}
    for level, rows in left.items():
        known = rows.dropna(subset=["steps"])
        times[level] = median_time(known["steps"], known["censored"]).time if len(known) else np.nan
    return pd.Series(times, dtype=float)


def written(time: float) -> str:
    """Write a median in words."""
    return f"{time:,.0f}" if np.isfinite(time) else "not reached" if time == np.inf else UNKNOWN


def in_words(left: Mapping[float, pd.DataFrame]) -> dict[float, str]:
    """Write the median steps of each level in words, or that none of its replicas generalised in the steps trained."""
    return {
        level: f"none by {left[level]['steps'].min():,.0f}" if is_bound(left[level]) else written(time)
        for level, time in medians(left).items()
    }


def draw_lost(axes: Axes, lost: Mapping[str, pd.DataFrame]) -> None:
    """Draw the shares of both parts of the margin that decay alone, and each kind of noise alone, took.

    Args:
        axes: where to draw means over replicas and their intervals.
        lost: a frame of replicas × `general` and `shallow`, by name.
    """
    for row, (name, table) in enumerate(lost.items()):
        for offset, side in ((-0.12, "general"), (0.12, "shallow")):
            share = estimate(table[side])
            axes.plot([share.low, share.high], [row + offset] * 2, color=SIDES[side], linewidth=1.4)
            axes.plot(share.mean, row + offset, "o", color=SIDES[side], markersize=4, label=None if row else side)
        axes.annotate(
            f"{name} alone",
            (0.0, row - 0.3),
            xycoords=("axes fraction", "data"),
            xytext=(2, 0),
            textcoords="offset points",
            fontsize="x-small",
        )
    axes.axvline(0, color=style.GREY, linewidth=0.6)
    axes.set_yticks([])
    axes.set_ylim(max(len(lost), 1) - 0.5, -0.6)
    axes.set_xlabel("share of the part lost")
    if lost:
        # Beside the panel there is no room, and inside it intervals may reach any place.
        axes.legend(fontsize="x-small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


SIDES = {"general": style.VERDICT_COLOURS["supported"], "shallow": style.VERDICT_COLOURS["contradicted"]}
"""Colours of both parts of margins."""
