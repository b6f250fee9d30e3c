"""Other factors in toy duels: batches, order, the share at the start, and how often one pair is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from general_circuits.analysis import duel_outcomes
from general_circuits.analysis.estimates import estimate
from general_circuits.figures import style
from general_circuits.formatting import plain

DECAYS = {"no decay": "min", "largest decay": "max"}
"""Rows of the figure, and which of each rule's decays they show."""


def draw(tables: Mapping[str, pd.DataFrame], attention: str) -> Figure:
    """Draw the general share of pair 0 at the end, with shared parameters and all pairs covered; read `toy`."""
    optimisers = duel_outcomes.optimisers(tables["toy"])
    colours = style.condition_colours(optimisers)
    by_decay = {name: list(_panels(_read(tables["toy"], attention, which))) for name, which in DECAYS.items()}
    columns = len(by_decay["no decay"])
    size = (style.WIDTH, 4.4)
    figure, grid = plt.subplots(2, columns, figsize=size, sharex="col", sharey=True, squeeze=False)
    for row, (decay, panels) in zip(grid, by_decay.items(), strict=True):
        for axes, (name, column, rows) in zip(row, panels, strict=True):
            values = list(dict.fromkeys(rows[column]))
            for place, optimiser in enumerate(optimisers):
                line, aside = rows[rows["optimiser"] == optimiser], 0.06 * (place - (len(optimisers) - 1) / 2)
                look = {"color": colours[optimiser], "linewidth": 1.2, "marker": "o"}
                _line(axes, line, column, values, "first", aside, **look)
                if column == "frequency":
                    _line(axes, line, column, values, "others", aside, markerfacecolor="white", linestyle=":", **look)
            axes.set_xticks(range(len(values)), [_label(column, value) for value in values], fontsize="small")
            if decay != "no decay":
                axes.set_xlabel(name)
            axes.axhline(0.5, color=style.GREY, linewidth=0.6)
            axes.margins(x=0.15)
        row[0].set_ylabel(f"general share, {decay}")
    grid[0, 0].set_ylim(-0.04, 1.04)
    for place, (optimiser, colour) in enumerate(reversed(colours.items())):
        grid[0, 0].annotate(
            optimiser, (0.04, 0.04 + 0.09 * place), xycoords="axes fraction", fontsize="small", color=colour
        )
    return figure


def _line(
    axes: Axes, rows: pd.DataFrame, column: str, values: list[Any], share: str, aside: float, **look: Any
) -> None:
    """Draw means over replicas at each value, with intervals."""
    means = [estimate(rows.loc[rows[column] == value, share]) for value in values]
    places = np.arange(len(values)) + aside  # update rules that agree stand side by side
    axes.plot(places, [mean.mean for mean in means], markersize=3, **look)
    axes.vlines(places, [m.low for m in means], [m.high for m in means], color=look["color"])


def describe(tables: Mapping[str, pd.DataFrame], attention: str) -> str:
    """Give mean shares without decay at the first and last value of each factor, by optimiser."""
    shares = _read(tables["toy"], attention, DECAYS["no decay"])
    parts = []
    for name, column, rows in _panels(shares):
        ends = [rows[column].iloc[0], rows[column].iloc[-1]]
        of_rules = []
        for optimiser in duel_outcomes.optimisers(tables["toy"]):
            by_value = rows[rows["optimiser"] == optimiser].groupby(column, observed=True)[["first", "others"]]
            means = by_value.mean().reindex(ends)
            others = f" (other pairs {plain(means['others'].iloc[-1])})" if column == "frequency" else ""
            of_rules.append(f"{optimiser} {' to '.join(map(plain, means['first']))}{others}")
        parts.append(f"{name} from {' to '.join(_label(column, end) for end in ends)}, {', '.join(of_rules)}")
    return f"General share at the end without decay, at the first and last value of each factor: {'; '.join(parts)}."


def _read(toy: pd.DataFrame, attention: str, decay: str) -> pd.DataFrame:
    """Return a row per toy at its last step, with the general share of the `first` pair and of the `others`."""
    rows = toy[(toy["sharing"] == "shared") & (toy["coverage"] == toy["coverage"].max())]
    rows = rows[(rows["attention"] == attention) & (rows["step"] == rows["step"].max())]
    rows = rows[rows["weight_decay"] == rows.groupby("optimiser", observed=True)["weight_decay"].transform(decay)]
    first = duel_outcomes.toy_shares(rows, pairs=slice(0, 1))["share"]
    others = duel_outcomes.toy_shares(rows, pairs=slice(1, None))["share"]
    return pd.DataFrame({"first": first, "others": others}).reset_index()


def _panels(shares: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield for each factor its name, its column, and the toys that vary it, in the order of the axis."""
    names = {
        "batch": "pairs per step",
        "order": "order",
        "initial_share": "share at the start",
        "frequency": "times the pair is shown",
    }
    for column, name in names.items():
        plain_values = {key: value for key, value in duel_outcomes.TOY_BASE.items() if key != column}
        if column == "order":
            del plain_values["batch"]  # in sequential order a step takes one pair
        rows = shares
        for key, value in plain_values.items():
            rows = rows[rows[key] == value]
        if column == "order":
            rows = rows[(rows["order"] != "shuffled") | (rows["batch"] == 0)]
            rank = rows["order"].astype(str).map({"shuffled": 0, "blocked": 1, "sequential": 2})
        else:
            rank = rows[column].where(rows[column] > 0, 10**9)
        if rows[column].nunique() > 1:
            yield name, column, rows.assign(rank=rank).sort_values("rank").astype({"order": str})


def _label(column: str, value: object) -> str:
    """Write one value of a factor as its tick."""
    if column == "batch" and value == 0:
        return "all"
    return {"sequential": "in turn"}.get(str(value), f"{value:g}" if isinstance(value, float) else str(value))
