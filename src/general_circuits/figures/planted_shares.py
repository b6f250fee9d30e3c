"""Planted duels over time: each side's part in the margin, without decay and with it, and the null controls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from general_circuits import contests
from general_circuits.figures import style
from general_circuits.numbers import plain

LABELS = {"share": "general share of the margin", "margin": "part in the margin, logits"}


def draw(tables: Mapping[str, pd.DataFrame], shown: str) -> Figure:
    """Columns are optimisers, rows without decay and with it; a line per number of parts; from `planted`."""
    planted = tables["planted"]
    optimisers = contests.optimisers(planted)
    figure, grid = plt.subplots(
        2,
        len(optimisers),
        figsize=(style.WIDTH, 4.2),
        sharex=True,
        sharey="row" if shown == "margin" else True,
        squeeze=False,
    )
    parts = sorted(planted["parts"].unique())
    shades = dict(zip(parts, plt.get_cmap("viridis")([i / max(len(parts), 2) for i in range(len(parts))]), strict=True))
    for column, optimiser in enumerate(optimisers):
        for axes, (name, decays) in zip(grid[:, column], _decays(planted, optimiser), strict=True):
            ends: dict[str, tuple[float, object]] = {}
            for how_many in parts:
                rows = contests.duels(planted, optimiser, parts=how_many, **decays)
                for side, style_of in (("general", "-"), ("shallow", "--")):
                    if shown == "share" and side == "shallow":
                        continue
                    of_side = rows[rows["side"] == side]
                    mean = style.draw_band(axes, style.wide(of_side, shown), shades[how_many], style_of)
                    if side == "general":
                        ends[f"K = {how_many}"] = (float(mean.iloc[-1]), shades[how_many])
            if shown == "share":
                for contest in ("generalisers", "memorisers", "copy"):
                    rows = contests.duels(planted, optimiser, contest=contest, parts=1, **decays)
                    style.draw_band(axes, style.wide(rows[rows["side"] == "general"], shown), style.GREY, ":")
                axes.set_ylim(0, 1)
            axes.set_xlim(0, planted["step"].max())
            axes.set_title(f"{optimiser}, {name}", fontsize="medium")
            figure.canvas.draw()
            style.name_ends(axes, ends)
    for axes in grid[1]:
        axes.set_xlabel("step")
        style.linear_steps(axes, 5)
    for row in grid:
        row[0].set_ylabel(LABELS[shown])
    return figure


def found(tables: Mapping[str, pd.DataFrame], shown: str) -> str:
    """Where each duel ends."""
    planted = tables["planted"]
    said = []
    for optimiser in contests.optimisers(planted):
        for name, decays in _decays(planted, optimiser):
            for how_many in sorted(planted["parts"].unique()):
                means = contests.at_end(contests.duels(planted, optimiser, parts=how_many, **decays), shown).mean()
                of_shallow = f" against {plain(means['shallow'])}" if shown == "margin" else ""
                said.append(f"{optimiser}, {name}, K = {how_many}: {plain(means['general'])}{of_shallow}")
    return f"At the end, {LABELS[shown]}: {'; '.join(said)}."


def _decays(planted: pd.DataFrame, optimiser: str) -> Iterator[tuple[str, dict[str, Any]]]:
    most = float(planted.loc[planted["optimiser"] == optimiser, "general_decay"].max())
    for decay in (0.0, most):
        yield (f"decay {decay:g}" if decay else "no decay"), {"general_decay": decay, "shallow_decay": decay}
