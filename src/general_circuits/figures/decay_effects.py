"""What weight decay by itself takes from each kind of circuit, and what updates give back."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from general_circuits import formatting
from general_circuits.analysis import duel_outcomes
from general_circuits.analysis.estimates import Estimate, estimate
from general_circuits.figures import style

CONDITIONS = 3
"""Conditions of ordinary training shown, the first of the study."""
LEAST = 0.1
"""Share of the whole margin below which a component's relative change is not drawn: it has no bound near 0."""

COLOURS = {"general": style.VERDICT_COLOURS["supported"], "shallow": style.VERDICT_COLOURS["contradicted"]}
CAUSES = ("decay", "updates on others", "updates on its own")


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Above, planted duels with decay, an optimiser each; below, ordinary training; from `planted` and `progress`."""
    planted, progress = tables["planted"], tables["progress"]
    optimisers = duel_outcomes.optimisers(planted)
    conditions = list(progress["condition"].cat.categories)[:CONDITIONS]
    figure = plt.figure(figsize=(style.WIDTH, 4.6))
    top, bottom = figure.subfigures(2, 1, squeeze=False).ravel()
    above = top.subplots(1, len(optimisers), sharey=True, squeeze=False)[0]
    below = bottom.subplots(1, len(conditions), sharey=True, squeeze=False)[0]
    for axes, optimiser in zip(above, optimisers, strict=True):
        for row, sides in enumerate(_of_duels(planted, optimiser).values()):
            for offset, (side, at) in zip((-0.15, 0.15), sides.items(), strict=True):
                axes.plot([at.low, at.high], [row + offset] * 2, color=COLOURS[side], linewidth=1.4)
                axes.plot(at.mean, row + offset, "o", color=COLOURS[side], markersize=4)
        axes.axvline(0, color=style.GREY, linewidth=0.6)
        axes.set_title(f"planted, {optimiser}", fontsize="medium")
        axes.set_xlabel("change of its part\nper 1,000 steps, relative")
    above[0].set_yticks(range(len(CAUSES)), list(CAUSES))
    above[0].set_ylim(len(CAUSES) - 0.5, -0.5)
    names = style.condition_colours(list(progress["condition"].cat.categories))
    means = []
    for axes, condition in zip(below, conditions, strict=True):
        for side, series in _of_training(progress[progress["condition"] == condition]).items():
            means += style.draw_band(axes, series, COLOURS[side]).dropna().tolist()
        axes.set_title(style.readable(condition), color=names[condition], fontsize="medium")
        axes.set_xlabel("step")
        style.linear_steps(axes, max(2, 8 // len(conditions)))
    # By the means: where a part is hardly over the least share in some replicas, their interval has no bound.
    if means:
        below[0].set_ylim(1.5 * min(0, *means), 1 + max(0, *means))
    below[0].set_ylabel("change by decay per share\nof weights lost, relative")
    lines = [Line2D([], [], color=colour) for colour in COLOURS.values()]
    below[-1].legend(lines, ["general, unseen", "shallow, the rest"], fontsize="small")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """What decay takes from both sides of planted duels, and what updates on others give."""
    said = []
    for optimiser in duel_outcomes.optimisers(tables["planted"]):
        effects = _of_duels(tables["planted"], optimiser)
        words = [
            f"{cause} {formatting.plain(sides['general'].mean)} general,"
            f" {formatting.plain(sides['shallow'].mean)} shallow"
            for cause, sides in effects.items()
            if np.isfinite([at.mean for at in sides.values()]).all()
        ]
        said.append(f"{optimiser}: {', '.join(words)}")
    return f"Relative change per 1,000 steps in planted duels with most decay, means over replicas: {'; '.join(said)}."


def _of_duels(planted: pd.DataFrame, optimiser: str) -> dict[str, dict[str, Estimate]]:
    """By cause and side: the registered duel but with the most decay."""
    most = float(planted.loc[planted["optimiser"] == optimiser, "general_decay"].max())
    rows = duel_outcomes.duels(planted, optimiser, general_decay=most, shallow_decay=most)
    columns = dict(zip(CAUSES, ("decay_effect", "transfer", "reinforcement"), strict=True))
    effects = {cause: 1000 * duel_outcomes.by_side(rows, column) for cause, column in columns.items()}
    return {cause: {side: estimate(table[side]) for side in COLOURS} for cause, table in effects.items()}


def _of_training(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """By side, steps × replicas: what decay does to the unseen component and to the rest, relative to their parts."""
    rows = rows[(rows["split"] == "train") & rows["is_scheduled"]]
    of = {name: rows[rows["component"] == name] for name in ("all", "unseen")}
    parts = {name: style.wide(here, "part_of_margin") for name, here in of.items()}
    lost = {name: parts[name] * style.wide(here, "decay_effect") for name, here in of.items()}
    whole = parts["all"]
    sides = {
        "general": (parts["unseen"], lost["unseen"]),
        "shallow": (whole - parts["unseen"], lost["all"] - lost["unseen"]),
    }
    return {side: (gone / part).where((part > LEAST * whole) & (whole > 0)) for side, (part, gone) in sides.items()}
