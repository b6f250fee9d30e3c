"""Reinforcement of both parts of an example's margin, by its own gradient and by all other examples' gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from general_circuits import formatting
from general_circuits.analysis.windows import at_common_steps
from general_circuits.figures import style
from general_circuits.formatting import NO_DATA

COLUMNS = 5
"""Most conditions shown, the first of the study that have unseen examples."""

PARTS = {"general": style.VERDICT_COLOURS["supported"], "rest": style.VERDICT_COLOURS["contradicted"]}
SOURCES: dict[str, Any] = {"own": "-", "others": "--"}
LINEAR = 0.1
"""Largest value on a linear scale; larger values are on a log scale."""


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw one panel per condition, over steps; read `reinforcement` and `events`.

    The general part is the unseen component. The restricted component would not do: a mere look-up table of the
    training examples has one too, which every example's gradient reinforces.
    """
    rows, events = tables["reinforcement"], tables["events"]
    names = list(rows["condition"].cat.categories)
    colours, relative = style.condition_colours(names), _relative(rows)
    known = set(relative.dropna()["condition"])
    conditions = [name for name in names if name in known][:COLUMNS] or names[:1]
    figure, grid = plt.subplots(1, len(conditions), figsize=(style.WIDTH, 3.0), sharey=True, squeeze=False)
    for axes, condition in zip(grid[0], conditions, strict=True):
        effects = at_common_steps(relative[relative["condition"] == condition])
        for part, colour in PARTS.items():
            for source, line in SOURCES.items():
                style.draw_band(axes, style.wide(effects, f"{part} by {source}"), colour, line)
        axes.axhline(0, color=style.GREY, linewidth=0.6)
        style.name_column(axes, condition, colours[condition], style.LETTERS_BESIDE // len(conditions))
        axes.set_xlabel("step")
        style.linear_steps(axes, max(2, 8 // len(conditions)))
        axes.set_xlim(0, max(1, effects["step"].max() if len(effects) else 1))
        if not known:
            axes.annotate(NO_DATA, (0.5, 0.5), xycoords="axes fraction", ha="center", color=style.GREY)
    grid[0, 0].set_yscale("symlog", linthresh=LINEAR)
    grid[0, 0].set_ylabel("change of the margin, relative to\nthe effect of its own gradient")
    for axes, condition in zip(grid[0], conditions, strict=True):
        shown = {event: at for event, at in style.median_steps(events, condition).items() if at <= axes.get_xlim()[1]}
        style.mark_events(axes, shown)
    lines = [Line2D([], [], color=colour, linestyle=line) for colour in PARTS.values() for line in SOURCES.values()]
    labels = [f"{part}, by {source}" for part in PARTS for source in SOURCES]
    grid[0, -1].legend(lines, labels, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give the typical reinforcement of each part by each source."""
    relative = _relative(tables["reinforcement"])
    parts = []
    for condition, rows in relative.groupby("condition", observed=True):
        # At step 0 nothing is learned yet, and all examples push all logits alike.
        later = rows[rows["step"] > 0]
        means = (
            later.groupby("replica")[[f"{part} by {source}" for part in PARTS for source in SOURCES]].median().mean()
        )
        words = [
            f"{part} {' and '.join(formatting.plain(float(means[f'{part} by {source}'])) for source in SOURCES)}"
            for part in PARTS
        ]
        if means.notna().any():
            parts.append(f"{style.readable(str(condition))}, {', '.join(words)}")
    if not parts:
        return "No example was measured after step 0 in a condition that has unseen examples."
    return (
        "Relative change of both parts by the example's own gradient and by the others', medians over steps, means over"
        f" replicas: {'; '.join(parts)}."
    )


def _relative(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the change of each part by each source, relative to the whole effect of the example's own gradient.

    One row per condition, replica and step, means over examples.
    """
    columns = ["own", "own_unseen", "others", "others_unseen"]
    means = rows.groupby(["condition", "replica", "step"], observed=True)[columns].mean().astype(float)
    own = means["own"].where(means["own"] > 0)
    parts = {
        "general by own": means["own_unseen"],
        "general by others": means["others_unseen"],
        "rest by own": means["own"] - means["own_unseen"],
        "rest by others": means["others"] - means["others_unseen"],
    }
    return pd.DataFrame({name: values / own for name, values in parts.items()}).replace(np.inf, np.nan).reset_index()
