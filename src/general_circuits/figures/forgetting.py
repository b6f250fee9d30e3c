"""Effect of updates on other examples on each side, and margins of examples that stay away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from general_circuits.analysis import duel_outcomes
from general_circuits.analysis.estimates import Estimate, estimate
from general_circuits.figures import style
from general_circuits.formatting import plain

STYLES: Mapping[str, Literal["-", "--"]] = {"general": "-", "shallow": "--"}


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw absent examples' margins above, and the effect of a step on others by the number of parts below.

    A column is an optimiser. Reads `planted`.
    """
    planted = tables["planted"]
    optimisers = duel_outcomes.optimisers(planted)
    figure, grid = plt.subplots(2, len(optimisers), figsize=(style.WIDTH, 4.4), squeeze=False)
    colours = {"general": style.VERDICT_COLOURS["supported"], "shallow": style.VERDICT_COLOURS["contradicted"]}
    for column, optimiser in enumerate(optimisers):
        above, below = grid[:, column]
        rows = _away(planted, optimiser)
        for side, colour in colours.items():
            style.draw_band(above, style.wide(rows[rows["side"] == side], "left"), colour, STYLES[side])
        above.axvspan(0, rows["step"].max() / 2, color=style.GREY, alpha=0.12, linewidth=0)
        above.axhline(1, color=style.GREY, linewidth=0.6)
        above.set_xlim(0, rows["step"].max())
        above.set_ylim(bottom=0)
        above.set_title(f"{optimiser}: a tenth\naway, then back", fontsize="medium")
        above.set_xlabel("step")
        style.linear_steps(above, 4)
        parts = sorted(planted["parts"].unique())
        for shift, (side, colour) in zip((-0.08, 0.08), colours.items(), strict=True):
            effects = [_transfer(planted, optimiser, how_many, side) for how_many in parts]
            places = np.arange(len(parts)) + shift
            below.vlines(places, [effect.low for effect in effects], [effect.high for effect in effects], color=colour)
            below.plot(places, [effect.mean for effect in effects], "o", color=colour, markersize=4)
        below.axhline(0, color=style.GREY, linewidth=0.6)
        below.set_xticks(range(len(parts)), [str(how_many) for how_many in parts])
        below.set_xlabel("memorisers K")
        below.margins(x=0.2)
    lines = [Line2D([], [], color=colour, linestyle=STYLES[side]) for side, colour in colours.items()]
    grid[1, 0].legend(lines, list(colours), fontsize="small")
    grid[0, 0].set_ylabel("absent examples' margin,\nrelative to the start")
    grid[1, 0].set_ylabel("effect of other batches,\nper 1,000 steps")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give what is left when absent examples come back, and T, by side."""
    planted = tables["planted"]
    kept, changed = [], []
    for optimiser in duel_outcomes.optimisers(planted):
        rows = _away(planted, optimiser)
        middle = rows[rows["step"] <= rows["step"].max() / 2]
        left = duel_outcomes.at_end(middle, "left").mean()
        most = int(planted["parts"].max())
        means = {side: _transfer(planted, optimiser, most, side).mean for side in duel_outcomes.SIDES}
        kept.append(f"{optimiser} {plain(left['general'])} and {plain(left['shallow'])}")
        changed.append(f"{optimiser} {plain(means['general'])} and {plain(means['shallow'])}")
    return (
        "Shares of the generaliser's and of the memorisers' part that are left when absent examples come back:"
        f" {'; '.join(kept)}. Relative change of both by the gradients of other examples, per 1,000 steps:"
        f" {'; '.join(changed)}."
    )


def _away(planted: pd.DataFrame, optimiser: str) -> pd.DataFrame:
    """Return the rows of the examples that stay away, with `left`: the margin relative to its start."""
    rows = duel_outcomes.duels(planted, optimiser, examples="away", order="away")
    start = rows[rows["step"] == 0].set_index(["replica", "side"])["margin"]
    at_start = start.reindex(pd.MultiIndex.from_frame(rows[["replica", "side"]])).to_numpy()
    return rows.assign(left=rows["margin"] / at_start)


def _transfer(planted: pd.DataFrame, optimiser: str, parts: int, side: str) -> Estimate:
    """Estimate T of one side against this number of parts, over replicas."""
    return estimate(duel_outcomes.transfers(duel_outcomes.duels(planted, optimiser, parts=parts))[side])
