"""Planted duels over time: both sides' parts in the margin, with and without decay, and the null controls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from general_circuits.analysis import duel_outcomes
from general_circuits.figures import style
from general_circuits.formatting import plain

STYLES = {"general": "-", "shallow": "--"}


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw a column per optimiser and decay, with a line per number of memorisers; read `planted`."""
    planted = tables["planted"]
    columns = [(name, *decay) for name in duel_outcomes.optimisers(planted) for decay in _decays(planted, name)]
    size = (style.WIDTH, 4.2)
    figure, grid = plt.subplots(2, len(columns), figsize=size, sharex="col", sharey="row", squeeze=False)
    parts = sorted(planted["parts"].unique())
    shades = dict(zip(parts, plt.get_cmap("viridis")(np.linspace(0, 0.8, len(parts))), strict=True))
    for (above, below), (optimiser, name, decays) in zip(grid.T, columns, strict=True):
        for duel_kind in duel_outcomes.CONTROLS:
            rows = duel_outcomes.duels(planted, optimiser, duel_kind=duel_kind, parts=1, **decays)
            style.draw_band(above, style.wide(rows[rows["side"] == "general"], "share"), style.GREY, ":")
        for how_many in parts:
            rows = duel_outcomes.duels(planted, optimiser, parts=how_many, **decays)
            for side, look in STYLES.items():
                of_side = rows[rows["side"] == side]
                style.draw_band(below, style.wide(of_side, "margin"), shades[how_many], look)
                if side == "general":
                    style.draw_band(above, style.wide(of_side, "share"), shades[how_many], look)
        above.set_title(f"{optimiser},\n{name}", fontsize="medium")
        below.set_xlabel("step")
        below.set_xlim(0, rows["step"].max())
        style.linear_steps(below, 2)
    grid[0, 0].set_ylim(0, 1)
    grid[1, 0].set_ylim(bottom=0)
    grid[0, 0].set_ylabel("general share")
    grid[1, 0].set_ylabel("part in the margin")
    for place, how_many in enumerate(parts):
        grid[0, 0].annotate(
            f"K = {how_many}",
            (0.06, 0.04 + 0.09 * place),
            xycoords="axes fraction",
            fontsize="small",
            color=shades[how_many],
        )
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give the general share at the end of each duel, mean over replicas."""
    planted = tables["planted"]
    numbers = sorted(planted["parts"].unique())
    parts = []
    for optimiser in duel_outcomes.optimisers(planted):
        for name, decays in _decays(planted, optimiser):
            duels = [duel_outcomes.duels(planted, optimiser, parts=how_many, **decays) for how_many in numbers]
            shares = [plain(duel_outcomes.at_end(rows, "share").mean()["general"]) for rows in duels]
            parts.append(f"{optimiser}, {name}: {', '.join(shares)}")
    return (
        f"General share of the margin at the end, against K = {', '.join(map(str, numbers))} memorisers:"
        f" {'; '.join(parts)}."
    )


def _decays(planted: pd.DataFrame, optimiser: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of no decay and of the most decay, and their settings for both sides."""
    most = float(planted.loc[planted["optimiser"] == optimiser, "general_decay"].max())
    for decay in (0.0, most):
        yield (f"decay {decay:g}" if decay else "no decay"), {"general_decay": decay, "shallow_decay": decay}
