"""Who wins by decay and coverage: planted duels, and toys."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from general_circuits import contests
from general_circuits.figures import style
from general_circuits.frames import rows_of
from general_circuits.numbers import plain

DUELS = ("planted", "toy")


def draw(tables: Mapping[str, pd.DataFrame], duel: str) -> Figure:
    """The general share at the end, a panel per optimiser; from `planted` or `toy`."""
    panels = _read(tables, duel)
    figure, grid = plt.subplots(1, len(panels), figsize=(style.WIDTH, 2.4), squeeze=False)
    for axes, (optimiser, table) in zip(grid[0], panels.items(), strict=True):
        image = axes.imshow(table.to_numpy(), vmin=0, vmax=1, cmap="RdBu", aspect="auto", origin="lower")
        _annotate(axes, table)
        axes.set_title(optimiser, fontsize="medium")
        axes.set_xticks(range(table.shape[1]), [str(value) for value in table.columns])
        axes.set_yticks(range(table.shape[0]), [f"{value:g}" for value in table.index])
        axes.set_xlabel("K, memorisers" if duel == "planted" else "coverage c")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    grid[0, 0].set_ylabel("decay λ")
    figure.colorbar(image, ax=list(grid[0]), label="general share", fraction=0.05)
    return figure


def found(tables: Mapping[str, pd.DataFrame], duel: str) -> str:
    """Least and largest share, with and without decay."""
    said = []
    for optimiser, table in _read(tables, duel).items():
        for decay, shares in table.iterrows():
            said.append(f"{optimiser}, decay {decay:g}: {plain(shares.min())} to {plain(shares.max())}")
    over = "numbers of memorisers" if duel == "planted" else "coverages"
    return f"General share at the end, over {over}: {'; '.join(said)}."


def _read(tables: Mapping[str, pd.DataFrame], duel: str) -> dict[str, pd.DataFrame]:
    """By optimiser: decay × coverage → the mean general share at the end."""
    frame = tables[duel]
    if duel == "toy":
        rows = contests.toys(frame, sharing="shared", attention=str(frame["attention"].iloc[0]))
        last = contests.toy_shares(rows[rows["step"] == rows["step"].max()])["share"].reset_index()
        return {name: _table(last[last["optimiser"] == name], "coverage") for name in contests.optimisers(frame)}
    found = {}
    for name in contests.optimisers(frame):
        base = {key: value for key, value in contests.registered(frame).items() if not key.endswith(("decay", "parts"))}
        rows = rows_of(frame, **base, optimiser=name, examples="all", side="general")
        same = rows[(rows["general_decay"] == rows["shallow_decay"]) & (rows["step"] == rows["step"].max())]
        found[name] = _table(same.assign(weight_decay=same["general_decay"]), "parts")
    return found


def _table(rows: pd.DataFrame, across: str) -> pd.DataFrame:
    return rows.pivot_table(index="weight_decay", columns=across, values="share", observed=True)


def _annotate(axes: Axes, table: pd.DataFrame) -> None:
    for y, shares in enumerate(table.to_numpy()):
        for x, share in enumerate(shares):
            colour = "white" if abs(share - 0.5) > 0.3 else "black"
            axes.text(x, y, plain(share), ha="center", va="center", fontsize="small", color=colour)
