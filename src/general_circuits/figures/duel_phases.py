"""Who wins by decay and coverage: planted duels, and toys."""

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
    """The general share at the end, a panel per optimiser: above of `planted` duels, below of toys, from `toy`."""
    rows = {"K, memorisers": _planted(tables["planted"]), "coverage c": _toys(tables["toy"])}
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
    """Least and largest share by decay."""
    said = []
    for kind, panels in (("planted", _planted(tables["planted"])), ("toy", _toys(tables["toy"]))):
        for optimiser, table in panels.items():
            for decay, shares in table.iterrows():
                said.append(f"{kind}, {optimiser}, decay {decay:g}: {plain(shares.min())} to {plain(shares.max())}")
    return f"General share at the end, from the least to the largest over coverages: {'; '.join(said)}."


def _toys(toy: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """By optimiser: decay × coverage → the general share at the end."""
    rows = duel_outcomes.toys(toy, sharing="shared", attention=str(toy["attention"].iloc[0]))
    last = duel_outcomes.toy_shares(rows[rows["step"] == rows["step"].max()])["share"].reset_index()
    return {name: _table(last[last["optimiser"] == name], "coverage") for name in duel_outcomes.optimisers(toy)}


def _planted(planted: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """By optimiser: decay × number of memorisers → the mean general share at the end."""
    registered = duel_outcomes.registered(planted)
    base = {key: value for key, value in registered.items() if not key.endswith(("decay", "parts"))}
    rows = rows_of(planted, **base, examples="all", side="general")
    same = rows[(rows["general_decay"] == rows["shallow_decay"]) & (rows["step"] == rows["step"].max())]
    named = same.assign(weight_decay=same["general_decay"])
    return {name: _table(named[named["optimiser"] == name], "parts") for name in duel_outcomes.optimisers(planted)}


def _table(rows: pd.DataFrame, across: str) -> pd.DataFrame:
    return rows.pivot_table(index="weight_decay", columns=across, values="share", observed=True)


def _annotate(axes: Axes, table: pd.DataFrame) -> None:
    for y, shares in enumerate(table.to_numpy()):
        for x, share in enumerate(shares):
            colour = "white" if abs(share - 0.5) > 0.3 else "black"
            axes.text(x, y, plain(share), ha="center", va="center", fontsize="small", color=colour)
