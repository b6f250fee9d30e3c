"""What updates on other examples do to each side, and what becomes of examples that stay away."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from general_circuits.analysis import duel_outcomes
from general_circuits.analysis.estimates import Estimate, estimate
from general_circuits.figures import style
from general_circuits.formatting import plain

STYLES = {"general": "-", "shallow": "--"}


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Left, absent examples' margins; right, what a step on others does, by the number of parts; from `planted`."""
    planted = tables["planted"]
    optimisers = duel_outcomes.optimisers(planted)
    figure, grid = plt.subplots(2, len(optimisers), figsize=(style.WIDTH, 4.4), squeeze=False)
    colours = {"general": style.VERDICT_COLOURS["supported"], "shallow": style.VERDICT_COLOURS["contradicted"]}
    for column, optimiser in enumerate(optimisers):
        above, below = grid[:, column]
        ends: dict[str, tuple[float, object]] = {}
        rows = _away(planted, optimiser)
        for side, colour in colours.items():
            mean = style.draw_band(above, style.wide(rows[rows["side"] == side], "left"), colour, STYLES[side])
            ends[side] = (float(mean.iloc[-1]), colour)
        above.axvspan(0, planted["step"].max() / 2, color=style.GREY, alpha=0.12, linewidth=0)
        above.axhline(1, color=style.GREY, linewidth=0.6)
        above.set_xlim(0, planted["step"].max())
        above.set_ylim(bottom=0)
        above.set_title(f"{optimiser}: a tenth away, then back", fontsize="medium")
        above.set_xlabel("step")
        style.linear_steps(above, 5)
        parts = sorted(planted["parts"].unique())
        for shift, (side, colour) in zip((-0.08, 0.08), colours.items(), strict=True):
            found = [_transfer(planted, optimiser, how_many, side) for how_many in parts]
            places = np.arange(len(parts)) + shift
            below.vlines(places, [f.low for f in found], [f.high for f in found], color=colour)
            below.plot(places, [f.mean for f in found], "o", color=colour, markersize=4)
        below.axhline(0, color=style.GREY, linewidth=0.6)
        below.set_xticks(range(len(parts)), [str(how_many) for how_many in parts])
        below.set_xlabel("K, memorisers")
        below.margins(x=0.2)
        figure.draw_without_rendering()
        style.name_ends(above, ends)
    grid[0, 0].set_ylabel("absent examples' margin,\nrelative to the start")
    grid[1, 0].set_ylabel("what steps on others do,\nper 1,000 steps")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """What is left when absent examples come back, and T by side."""
    planted = tables["planted"]
    said = []
    for optimiser in duel_outcomes.optimisers(planted):
        rows = _away(planted, optimiser)
        middle = rows[rows["step"] <= rows["step"].max() / 2]
        left = duel_outcomes.at_end(middle, "left").mean()
        most = int(planted["parts"].max())
        means = {side: _transfer(planted, optimiser, most, side).mean for side in duel_outcomes.SIDES}
        said.append(
            f"{optimiser}: when absent examples come back, {plain(left['general'])} of the generaliser's part is there"
            f" and {plain(left['shallow'])} of the memorisers'; steps on other examples change a part, per 1,000 steps"
            f" and relative to it, by {plain(means['general'])} and {plain(means['shallow'])}"
        )
    return f"{'; '.join(said)}."


def _away(planted: pd.DataFrame, optimiser: str) -> pd.DataFrame:
    """Rows on the examples that stay away, with `left`, the margin relative to its start."""
    rows = duel_outcomes.duels(planted, optimiser, examples="away", order="away")
    start = rows[rows["step"] == 0].set_index(["replica", "side"])["margin"]
    at_start = start.reindex(pd.MultiIndex.from_frame(rows[["replica", "side"]])).to_numpy()
    return rows.assign(left=rows["margin"] / at_start)


def _transfer(planted: pd.DataFrame, optimiser: str, parts: int, side: str) -> Estimate:
    return estimate(duel_outcomes.transfers(duel_outcomes.duels(planted, optimiser, parts=parts))[side])
