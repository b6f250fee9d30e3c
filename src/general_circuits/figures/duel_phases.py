"""Winner of planted duels and of toys, by decay and coverage."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from general_circuits.analysis import duel_outcomes
from general_circuits.figures import style
from general_circuits.formatting import plain
from general_circuits.registered import rows_of


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw the general share at the end, a panel per optimiser: planted duels above, toys below.

    Reads `planted` and `toy`.
    """
    rows = {"memorisers K": _planted(tables["planted"]), "coverage c": _toys(tables["toy"])}
    columns = max(map(len, rows.values()))
    figure, grid = plt.subplots(2, columns, figsize=(style.WIDTH, 4.4), squeeze=False)
    for row, (across, panels) in zip(grid, rows.items(), strict=True):
        for axes in row[len(panels) :]:
            axes.set_axis_off()
        for axes, (optimiser, table) in zip(row, panels.items(), strict=False):
            image = axes.imshow(table.to_numpy(), vmin=0, vmax=1, cmap="RdBu", aspect="auto", origin="lower")
            _annotate(axes, table)
            axes.set_title(optimiser, fontsize="medium")
            axes.set_xticks(range(table.shape[1]), [str(value) for value in table.columns])
            axes.set_yticks(range(table.shape[0]), [f"{value:g}" for value in table.index])
            axes.set_xlabel(across)
            axes.spines[:].set_visible(False)
            axes.tick_params(length=0)
    grid[0, 0].set_ylabel("planted: decay λ")
    grid[1, 0].set_ylabel("toy: decay λ")
    figure.colorbar(image, ax=grid, label="general share at the end", fraction=0.04)
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give the range of shares over coverages, at the least and at the most decay."""
    parts = []
    for kind, panels in (("planted", _planted(tables["planted"])), ("toy", _toys(tables["toy"]))):
        for optimiser, table in panels.items():
            decays = dict.fromkeys([table.index[0], table.index[-1]])
            ranges = [
                f"{plain(table.loc[decay].min())} to {plain(table.loc[decay].max())} at decay {decay:g}"
                for decay in decays
            ]
            parts.append(f"{kind} with {optimiser} {', '.join(ranges)}")
    return f"General share at the end, over all coverages: {'; '.join(parts)}."


def _toys(toy: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the general share at the end of toys, decay × coverage, by optimiser."""
    rows = duel_outcomes.toys(toy, sharing="shared", attention=str(toy["attention"].iloc[0]))
    last = duel_outcomes.toy_shares(rows[rows["step"] == rows["step"].max()])["share"].reset_index()
    return {name: _table(last[last["optimiser"] == name], "coverage") for name in duel_outcomes.optimisers(toy)}


def _planted(planted: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the mean general share at the end of planted duels, decay × number of memorisers, by optimiser."""
    registered = duel_outcomes.registered(planted)
    base = {key: value for key, value in registered.items() if not key.endswith(("decay", "parts"))}
    rows = rows_of(planted, **base, examples="all", side="general")
    is_shown = (rows["general_decay"] == rows["shallow_decay"]) & (rows["step"] == rows["steps"])
    last = rows[is_shown].assign(weight_decay=lambda shown: shown["general_decay"])
    return {name: _table(last[last["optimiser"] == name], "parts") for name in duel_outcomes.optimisers(planted)}


def _table(rows: pd.DataFrame, across: str) -> pd.DataFrame:
    """Pivot to the mean share, decay × values of a column."""
    return rows.pivot_table(index="weight_decay", columns=across, values="share", observed=True, dropna=False)


def _annotate(axes: Axes, table: pd.DataFrame) -> None:
    """Write each share into its cell, in white where the cell is dark."""
    for y, shares in enumerate(table.to_numpy()):
        for x, share in enumerate(shares):
            colour = "white" if abs(share - 0.5) > 0.3 else "black"
            axes.text(x, y, plain(share), ha="center", va="center", fontsize="small", color=colour)
