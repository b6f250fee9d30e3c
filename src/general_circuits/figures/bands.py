"""Maps of the examples of an operation's table that are right at some moments, and accuracy by band."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.example_order import Record, records
from general_circuits.figures import style

MAPPED = (0.1, 0.4, 0.7, 0.95)
"""Shares of a replica's highest validation accuracy at which its examples are mapped."""
GROUPS = 6
"""Number of groups that bands are put into, with a line each."""
TRAINED, WRONG, RIGHT = "#d9d9d9", "#ffffff", style.VERDICT_COLOURS["supported"]


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw one row per variant: maps of its first replica, and accuracy by band over all replicas.

    Reads `conditions`, `split` and `answers`.
    """
    shown = _shown(tables)
    rows, columns = max(1, len(shown)), len(MAPPED) + 1
    widths = [1.0] * len(MAPPED) + [1.7]
    size = (style.WIDTH, 1.75 * rows + 0.3)
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, width_ratios=widths)
    for axes in grid.ravel():
        axes.set_axis_off()
    for row, (condition, replicas) in zip(grid, shown.items(), strict=False):
        for axes, step in zip(row, _mapped(replicas[0]), strict=False):
            _draw_map(axes, replicas[0], step)
        row[0].set_ylabel(_name(tables, condition), fontsize="small")
        _draw_bands(row[-1], _by_band(replicas))
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give the accuracy of the lowest and of the highest group of bands at the last checkpoint."""
    parts = []
    for condition, replicas in _shown(tables).items():
        last = _by_band(replicas).iloc[-1]
        ends = [f"{last.iloc[i]:.2f}" for i in (0, -1)]
        parts.append(f"{_name(tables, condition)} {ends[0]} in the lowest and {ends[1]} in the highest bands")
    return f"Validation accuracy at the last checkpoint: {'; '.join(parts)}."


def _shown(tables: Mapping[str, pd.DataFrame]) -> dict[str, list[Record]]:
    """Return the records of the variants whose examples have bands, one per replica, by name."""
    names = dict.fromkeys(tables["answers"]["condition"].astype(str))
    replicas = {name: list(records(tables["answers"], tables["split"], name)) for name in names}
    return {name: of_variant for name, of_variant in replicas.items() if of_variant and of_variant[0].bands is not None}


def _name(tables: Mapping[str, pd.DataFrame], condition: str) -> str:
    """Name a variant by its formula and by how it reads its operands."""
    settings = variant_outcomes.settings(tables["conditions"])[condition]
    formula = ", ".join(settings.get("task.formulas", [])).replace("*", "·")
    inputs = "numbers" if settings.get("model.inputs") == "ordinal" else "tokens"
    return f"{formula}, {inputs}" if formula else inputs


def _mapped(record: Record) -> list[int]:
    """Return the checkpoints whose validation accuracy is nearest to the shares `MAPPED` of its maximum."""
    accuracy = record.accuracy("validation")
    return sorted({int((accuracy - share * accuracy.max()).abs().idxmin()) for share in MAPPED})


def _draw_map(axes: Axes, record: Record, step: int) -> None:
    """Draw the answers of one replica at one step, an example a cell."""
    a, b = (record.examples[name].to_numpy(int) for name in ("a", "b"))
    cells = np.full((b.max() + 1, a.max() + 1), np.nan)  # (b, a) → place in the list of colours
    cells[b, a] = np.where(record.on("train"), 0, np.where(record.right[step], 2, 1))
    axes.imshow(cells, origin="lower", cmap=ListedColormap([TRAINED, WRONG, RIGHT]), vmin=0, vmax=2)
    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([])
    accuracy = float(record.accuracy("validation")[step])
    axes.set_title(f"step {step:,}: {accuracy:.2f}", fontsize="x-small", fontweight="normal")


def _by_band(replicas: list[Record]) -> pd.DataFrame:
    """Return validation accuracy by step (row) and group of bands (column), mean over replicas."""
    parts = []
    for record in replicas:
        bands, mask = record.bands, record.asked
        assert bands is not None
        # Examples of one band have one rank, so a band is never cut, and groups are only about equal in size.
        place = pd.Series(bands[mask], index=record.right.index[mask]).rank(pct=True)
        parts.append(record.right[mask].groupby(np.ceil(place * GROUPS)).mean().T)
    return pd.concat(parts).groupby(level=0).mean()


def _draw_bands(axes: Axes, accuracy: pd.DataFrame) -> None:
    """Draw validation accuracy over steps, a line for each group of bands."""
    for colour, group in zip(sns.color_palette("viridis", accuracy.shape[1]), accuracy, strict=True):
        axes.plot(accuracy.index, accuracy[group], color=colour, linewidth=1.2)
    axes.set_axis_on()
    axes.set_ylim(-0.02, 1.02)
    axes.set_xscale("symlog", linthresh=10)
    axes.set_xlim(0, accuracy.index.max())
    axes.tick_params(labelsize="x-small")
    axes.set_ylabel("validation accuracy", fontsize="x-small")
    axes.set_xlabel("step", fontsize="x-small")
