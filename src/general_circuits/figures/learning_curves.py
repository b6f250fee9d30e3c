"""Accuracy over training in every condition, on log and linear axes."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from general_circuits.figures import style


def draw(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """One column per condition, log steps above linear ones; from `metrics` and `events`."""
    metrics, events = tables["metrics"], tables["events"]
    conditions = list(metrics["condition"].cat.categories)
    colours = style.condition_colours(conditions)
    figure, grid = plt.subplots(
        2, len(conditions), figsize=(max(style.WIDTH, 1.55 * len(conditions)), 3.6), sharey=True, squeeze=False
    )
    for column, condition in enumerate(conditions):
        rows = metrics[metrics["condition"] == condition]
        last = rows["step"].max()
        for axes, is_log in zip(grid[:, column], (True, False), strict=True):
            _curves(axes, rows, colours[condition])
            if is_log:
                style.log_steps(axes, last)
                axes.set_title(style.readable(condition), color=colours[condition], pad=24)
            else:
                axes.set_xlim(0, last)
                axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
                axes.set_xlabel("step")
            axes.set_ylim(-0.02, 1.02)
            style.mark_events(axes, style.median_steps(events, condition))
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy")
    _name_lines(grid[1, -1])
    return figure


def _curves(axes: Axes, rows: pd.DataFrame, colour: object) -> None:
    for split, line in (("train", "--"), ("validation", "-")):
        table = style.wide(rows[rows["split"] == split], "accuracy")
        axes.fill_between(table.index, table.min(axis=1), table.max(axis=1), color=colour, alpha=0.18, linewidth=0)
        for replica in table:
            axes.plot(table.index, table[replica], line, color=colour, linewidth=0.4, alpha=0.6)
        axes.plot(table.index, table.median(axis=1), line, color=colour, linewidth=1.5)


def _name_lines(axes: Axes) -> None:
    handles = [Line2D([], [], color=style.GREY, linestyle=line) for line in ("--", "-")]
    axes.legend(handles, ["training", "validation"], loc="center right", fontsize="x-small", handlelength=1.6)
