"""Contributions of the toy's general and shallow circuits to a right logit over training, beside gradient flow."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from general_circuits.analysis import duel_outcomes
from general_circuits.figures import style
from general_circuits.formatting import plain

MOST = 4
"""Most coverages shown."""


def draw(tables: Mapping[str, pd.DataFrame], attention: str) -> Figure:
    """Draw SGD on all pairs with shared parameters, a column per coverage and a row per decay; read `toy`."""
    given, flow = _read(tables["toy"], attention)
    coverages, decays = _levels(given)
    size = (style.WIDTH, 1.7 * len(decays) + 0.5)
    figure, grid = plt.subplots(len(decays), len(coverages), figsize=size, sharex=True, sharey="row", squeeze=False)
    colours = {"general": style.VERDICT_COLOURS["supported"], "shallow": style.VERDICT_COLOURS["contradicted"]}
    for row, decay in zip(grid, decays, strict=True):
        for axes, coverage in zip(row, coverages, strict=True):
            trained = given.xs((coverage, decay), level=("coverage", "weight_decay"))
            theory = flow.xs((coverage, decay), level=("coverage", "weight_decay"))
            for side, colour in colours.items():
                axes.plot(trained.index, trained[side], color=colour, linewidth=1.6)
                axes.plot(theory.index, theory[side], ":", color="black", linewidth=1.2)
            if decay == decays[0]:
                axes.set_title(f"c = {coverage}", fontsize="medium")
            if decay == decays[-1]:
                axes.set_xlabel("step")
                style.linear_steps(axes, 3)
        row[0].set_ylim(bottom=0)
        row[0].set_ylabel(f"λ = {decay:g}\nlogits" if decay else "no decay\nlogits")
    last = given.xs((coverages[-1], decays[0]), level=("coverage", "weight_decay"))
    figure.draw_without_rendering()
    style.name_ends(grid[0, -1], {side: (float(last[side].iloc[-1]), colours[side]) for side in colours})
    return figure


def describe(tables: Mapping[str, pd.DataFrame], attention: str) -> str:
    """Give both contributions at the end, and the largest error of gradient flow."""
    given, flow = _read(tables["toy"], attention)
    coverages, decays = _levels(given)
    ends = []
    for decay in decays:
        for coverage in (coverages[0], coverages[-1]):
            last = given.xs((coverage, decay), level=("coverage", "weight_decay")).iloc[-1]
            ends.append(
                f"{f'decay {decay:g}' if decay else 'no decay'}, c = {coverage}: general {plain(last['general'])},"
                f" shallow {plain(last['shallow'])}"
            )
    off = float((flow["share"] - given["share"]).abs().max())
    return f"After the last step, {'; '.join(ends)}. Gradient flow's share is never off by more than {plain(off, 3)}."


def _read(toy: pd.DataFrame, attention: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return contributions by coverage, decay and step: measured, and derived from gradient flow."""
    optimiser = duel_outcomes.optimisers(toy)[0]
    rows = duel_outcomes.toys(toy, optimiser=optimiser, attention=attention, sharing="shared")
    keys = ["coverage", "weight_decay", "step"]
    given = duel_outcomes.toy_shares(rows).reset_index().set_index(keys)[["general", "shallow", "share"]].sort_index()
    return given, duel_outcomes.flow_shares(rows, keys)


def _levels(given: pd.DataFrame) -> tuple[list[int], list[float]]:
    """Return up to `MOST` coverages, evenly chosen with both ends, and all decays."""
    coverages = given.index.get_level_values("coverage").unique().tolist()
    shown = [coverages[i] for i in np.unique(np.linspace(0, len(coverages) - 1, MOST).round().astype(int))]
    return shown, given.index.get_level_values("weight_decay").unique().tolist()
