"""Accuracy or loss over training in every condition, on log and linear axes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from general_circuits.figures import captions, style
from general_circuits.windows import steps_of_events

TITLE_WIDTH = 65
"""Letters that fit side by side."""

LINES = {"train": ("training", (0, (3, 1.5))), "validation": ("validation", "-")}


def draw(tables: Mapping[str, pd.DataFrame], measure: str) -> Figure:
    """One column per condition, log steps above linear ones, of `accuracy` or `loss`; from `metrics` and `events`."""
    metrics, events = tables["metrics"], tables["events"]
    conditions = list(metrics["condition"].cat.categories)
    colours = style.condition_colours(conditions)
    figure, grid = plt.subplots(2, len(conditions), figsize=(style.WIDTH, 3.4), sharey=True, squeeze=False)
    for column, condition in enumerate(conditions):
        rows = metrics[metrics["condition"] == condition]
        last = rows["step"].max()
        for axes, is_log in zip(grid[:, column], (True, False), strict=True):
            for split, (name, line) in LINES.items():
                table = style.wide(rows[rows["split"] == split], measure)
                for replica in table:
                    axes.plot(table.index, table[replica], linestyle=line, color=colours[condition], lw=0.4, alpha=0.6)
                axes.plot(table.index, table.median(axis=1), linestyle=line, color=colours[condition], linewidth=1.5)
                if column == 0 and not is_log:
                    _name(axes, table.median(axis=1), name, colours[condition], low=split == "validation")
            if measure == "accuracy":
                axes.set_ylim(-0.02, 1.02)
            else:
                axes.set_yscale("log")
            if is_log:
                style.log_steps(axes, last)
                title = textwrap.fill(style.readable(condition), TITLE_WIDTH // len(conditions))
                axes.set_title(title, color=colours[condition], pad=22, fontsize="medium")
            else:
                axes.set_xlim(0, last)
                style.linear_steps(axes, ticks=2)
                axes.set_xlabel("step")
            style.mark_events(axes, style.median_steps(events, condition), names=is_log)
    for axes, kind in zip(grid[:, 0], ("log", "linear"), strict=True):
        axes.set_ylabel(f"{measure}\n({kind} steps)")
    return figure


def found(tables: Mapping[str, pd.DataFrame], measure: str) -> str:
    """When each condition memorised and generalised, and where it ended."""
    metrics = tables["metrics"]
    sentences = []
    for condition in metrics["condition"].cat.categories:
        steps = steps_of_events(tables["events"], condition)
        rows = metrics[metrics["condition"] == condition]
        ends = rows[rows["step"] == rows["step"].max()]
        form = "{:.2f}" if measure == "accuracy" else "{:.2g}"
        last = {split: captions.span(ends.loc[ends["split"] == split, measure], form) for split in LINES}
        outcome = (
            f"after the last step, training {measure} {last['train']} and validation {measure} {last['validation']}"
        )
        sentences.append(
            f"{style.readable(condition)}: memorised {captions.reached(steps['memorised'])}, onset"
            f" {captions.reached(steps['onset'])}, generalised {captions.reached(steps['generalised'])}; {outcome}."
        )
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def _name(axes: Axes, line: pd.Series, name: str, colour: object, low: bool) -> None:
    """Name a line to the right of where it first passes a third of its height, or two thirds."""
    share = 0.3 if low else 0.72
    finite = line.dropna()
    if finite.empty:
        return
    start, end = finite.iloc[0], finite.iloc[-1]
    passed = np.flatnonzero((finite.to_numpy() - start) * np.sign(end - start) >= share * abs(end - start))
    step = finite.index[passed[0]]
    axes.annotate(
        name,
        (step, finite.loc[step]),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        fontsize="x-small",
        color=colour,
    )
