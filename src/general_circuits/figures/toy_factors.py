"""What else decides a toy: batches, order, the share at the start, and how often one pair is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from general_circuits import contests
from general_circuits.estimates import estimate
from general_circuits.figures import style
from general_circuits.numbers import plain

DECAYS = ("none", "largest")
STYLES = {"linear": "-", "softmax": "--"}


def draw(tables: Mapping[str, pd.DataFrame], decay: str) -> Figure:
    """The general share at the end, of pair 0, with parameters shared and all pairs covered; from `toy`."""
    shares = _read(tables["toy"], decay)
    panels = list(_panels(shares))
    figure, grid = plt.subplots(1, len(panels), figsize=(style.WIDTH, 2.6), sharey=True, squeeze=False)
    colours = style.condition_colours(contests.optimisers(tables["toy"]))
    for axes, (name, column, rows) in zip(grid[0], panels, strict=True):
        values = list(dict.fromkeys(rows[column]))
        for (optimiser, attention), line in rows.groupby(["optimiser", "attention"], observed=True):
            means = [estimate(line.loc[line[column] == value, "share"]) for value in values]
            places = range(len(values))
            axes.plot(
                places,
                [m.mean for m in means],
                STYLES[str(attention)],
                marker="o",
                markersize=3,
                color=colours[str(optimiser)],
                linewidth=1.2,
            )
            axes.vlines(places, [m.low for m in means], [m.high for m in means], color=colours[str(optimiser)])
        axes.set_xticks(range(len(values)), [_label(column, value) for value in values], fontsize="small")
        axes.set_xlabel(name)
        axes.axhline(0.5, color=style.GREY, linewidth=0.6)
        axes.margins(x=0.15)
    grid[0, 0].set_ylim(-0.02, 1.02)
    grid[0, 0].set_ylabel("general share at the end")
    for place, (optimiser, colour) in enumerate(colours.items()):
        grid[0, 0].annotate(
            optimiser, (0.04, 0.04 + 0.08 * place), xycoords="axes fraction", fontsize="small", color=colour
        )
    return figure


def found(tables: Mapping[str, pd.DataFrame], decay: str) -> str:
    """What one pair's being shown more often does with the first optimiser, and what single examples do with all."""
    shares = _read(tables["toy"], decay)
    optimisers = contests.optimisers(tables["toy"])
    said = []
    for name, column, rows in _panels(shares):
        for optimiser in optimisers:
            means = rows[(rows["optimiser"] == optimiser) & (rows["attention"] == rows["attention"].iloc[0])]
            by_value = means.groupby(column, sort=False)["share"].mean()
            values = ", ".join(f"{_label(column, value)}: {plain(share)}" for value, share in by_value.items())
            said.append(f"{name}, {optimiser}: {values}")
    return f"General share at the end, {rows['attention'].iloc[0]} attention. {'; '.join(said)}."


def _read(toy: pd.DataFrame, decay: str) -> pd.DataFrame:
    """A row per toy at its last step, with the share of pair 0."""
    rows = toy[(toy["sharing"] == "shared") & (toy["coverage"] == toy["coverage"].max())]
    chosen = rows.groupby("optimiser", observed=True)["weight_decay"].transform("max" if decay == "largest" else "min")
    rows = rows[(rows["weight_decay"] == chosen) & (rows["step"] == rows["step"].max())]
    first = rows.assign(coverage=1)  # so that of all pairs the first is looked at
    return contests.toy_shares(first)["share"].reset_index()


def _panels(shares: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """One for each thing that is varied: its name, its column, and the toys, in the order of the axis."""
    names = {
        "batch": "pairs per step",
        "order": "order",
        "initial_share": "share at the start",
        "frequency": "pair shown × times",
    }
    for column, name in names.items():
        plain_values = {key: value for key, value in contests.TOY_BASE.items() if key != column}
        if column == "order":
            del plain_values["batch"]  # one pair at a time is an order
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
    if column == "batch" and value == 0:
        return "all"
    return {"sequential": "in turn"}.get(str(value), f"{value:g}" if isinstance(value, float) else str(value))
