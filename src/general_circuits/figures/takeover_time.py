"""Steps until the toy's general circuit gives most of the right logits, by the number of pairs that it covers."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from general_circuits.analysis import duel_outcomes
from general_circuits.analysis.windows import crossing
from general_circuits.figures import style

SHARE = 0.6
"""Share of both contributions that the general circuit must exceed; the claim `takeover` has the same."""


def draw(tables: Mapping[str, pd.DataFrame], attention: str) -> Figure:
    """Draw steps against coverage, a panel per optimiser, a line per decay, gradient flow dotted; read `toy`."""
    times, last = _read(tables["toy"], attention)
    optimisers = duel_outcomes.optimisers(tables["toy"])
    figure, grid = plt.subplots(1, len(optimisers), figsize=(style.WIDTH, 2.5), sharey=True, squeeze=False)
    never = 1.6 * last  # height of toys that do not get there within training
    for axes, optimiser in zip(grid[0], optimisers, strict=True):
        of_optimiser = times[times["optimiser"] == optimiser]
        decays = sorted(of_optimiser["weight_decay"].unique())
        shades = plt.get_cmap("viridis")(np.linspace(0.0, 0.75, len(decays)))
        for decay, shade in zip(decays, shades, strict=True):
            rows = of_optimiser[of_optimiser["weight_decay"] == decay].sort_values("coverage")
            label = f"λ = {decay:g}" if decay else "no decay"
            axes.plot(rows["coverage"], rows["time"].fillna(never), "o-", color=shade, markersize=4, label=label)
            if rows["flow"].notna().any():
                axes.plot(rows["coverage"], rows["flow"], ":", color="black", linewidth=1.4)
        axes.axhline(last, color=style.GREY, linewidth=0.6, linestyle=(0, (2, 2)))
        axes.set_yscale("log")
        axes.set_xscale("log", base=2)
        coverages = sorted(of_optimiser["coverage"].unique())
        axes.set_xticks(coverages, [str(value) for value in coverages])
        axes.set_title(optimiser, fontsize="medium")
        axes.set_xlabel("coverage c")
        axes.legend(fontsize="x-small", loc="lower left")
    grid[0, 0].set_ylim(top=2.4 * last)
    grid[0, 0].set_ylabel("steps to a share of 0.6")
    grid[0, -1].annotate(
        "not within\ntraining",
        (1.0, never),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize="x-small",
        color=style.GREY,
    )
    return figure


def describe(tables: Mapping[str, pd.DataFrame], attention: str) -> str:
    """Give the times at the largest coverage."""
    times, last = _read(tables["toy"], attention)
    largest = times[times["coverage"] == times["coverage"].max()]
    parts = [
        f"{row.optimiser}, {f'decay {row.weight_decay:g}' if row.weight_decay else 'no decay'}:"
        f" {f'{row.time:,.0f}' if np.isfinite(row.time) else f'not by {last:,}'}"
        for row in largest.itertuples()
    ]
    return f"Steps to a share of {SHARE} for a general circuit that covers all pairs: {'; '.join(parts)}."


def _read(toy: pd.DataFrame, attention: str) -> tuple[pd.DataFrame, int]:
    """Return the steps to `SHARE`, and the last step of training.

    One row per optimiser, decay and coverage: `time`, and `flow` where gradient flow is derived.
    """
    rows = duel_outcomes.toys(toy, attention=attention, sharing="shared")
    keys = ["optimiser", "weight_decay", "coverage"]
    shares = duel_outcomes.toy_shares(rows).reset_index().set_index([*keys, "step"])["share"].unstack("step")
    predicted = duel_outcomes.flow_shares(rows, [*keys, "step"])["share"].unstack("step").reindex(shares.index)
    times = pd.DataFrame(
        {"time": shares.apply(crossing, axis=1, level=SHARE), "flow": predicted.apply(crossing, axis=1, level=SHARE)}
    )
    return times.reset_index(), int(toy["step"].max())
