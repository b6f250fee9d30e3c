"""Loss of each kind of circuit to weight decay alone, and what updates give back."""

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
from general_circuits.analysis.windows import at_common_steps
from general_circuits.figures import style

CONDITIONS = 3
"""Number of conditions of ordinary training shown, the first of the study."""
LEAST = 0.1
"""Share of the whole margin up to which a part's relative change is not drawn, since it has no bound near 0."""

COLOURS = {"general": style.VERDICT_COLOURS["supported"], "shallow": style.VERDICT_COLOURS["contradicted"]}
CAUSES = ("decay", "update on others", "update on batch")


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw planted duels with decay, a panel per optimiser, above ordinary training, a panel per condition.

    Reads `planted` and `progress`.
    """
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
        axes.set_xlabel("relative change of the part\nper 1,000 steps")
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
    # Limits follow the means, since an interval can be huge where a part is hardly over the least share.
    if means:
        below[0].set_ylim(1.5 * min(0, *means), 1 + max(0, *means))
    below[0].set_ylabel("relative change by decay,\nper share of weights lost")
    lines = [Line2D([], [], color=colour) for colour in COLOURS.values()]
    below[-1].legend(lines, ["general, unseen", "shallow, the rest"], fontsize="small")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give the effect of each cause on both sides of planted duels with the most decay."""
    parts = []
    for optimiser in duel_outcomes.optimisers(tables["planted"]):
        effects = _of_duels(tables["planted"], optimiser)
        words = [
            f"{cause} {formatting.plain(sides['general'].mean)} and {formatting.plain(sides['shallow'].mean)}"
            for cause, sides in effects.items()
            if np.isfinite([at.mean for at in sides.values()]).all()
        ]
        parts.append(f"{optimiser}, {', '.join(words) or 'no finite effect'}")
    return (
        "Relative change of the general and of the shallow part per 1,000 steps in planted duels with the most decay:"
        f" {'; '.join(parts)}."
    )


def _of_duels(planted: pd.DataFrame, optimiser: str) -> dict[str, dict[str, Estimate]]:
    """Return the effects, by cause and side, in the registered duel with the most decay instead of none."""
    most = float(planted.loc[planted["optimiser"] == optimiser, "general_decay"].max())
    rows = duel_outcomes.duels(planted, optimiser, general_decay=most, shallow_decay=most)
    columns = dict(zip(CAUSES, ("decay_effect", "transfer", "reinforcement"), strict=True))
    effects = {cause: 1000 * duel_outcomes.by_side(rows, column) for cause, column in columns.items()}
    return {cause: {side: estimate(table[side]) for side in COLOURS} for cause, table in effects.items()}


def _of_training(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the effect of decay on the unseen component and on the rest, relative to each: steps × replicas, by side.

    The general side is the unseen component, the shallow side is the margin without it.
    """
    rows = at_common_steps(rows[(rows["split"] == "train") & rows["is_scheduled"]])
    components = {name: rows[rows["component"] == name] for name in ("all", "unseen")}
    parts = {name: style.wide(component, "part_of_margin") for name, component in components.items()}
    # The table has effects relative to each component. In logits they can be subtracted.
    lost = {name: parts[name] * style.wide(component, "decay_effect") for name, component in components.items()}
    margin = parts["all"]
    sides = {
        "general": (parts["unseen"], lost["unseen"]),
        "shallow": (margin - parts["unseen"], lost["all"] - lost["unseen"]),
    }
    return {side: (gone / part).where((part > LEAST * margin) & (margin > 0)) for side, (part, gone) in sides.items()}
