"""Full batches without decay: accuracies by optimiser, precision and loss."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from general_circuits import formatting
from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.accuracy_gains import HORIZON
from general_circuits.analysis.variants import BASE, BATCH, DECAY
from general_circuits.figures import style

COLUMNS = 4
"""Most conditions side by side."""


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw one panel per condition; read `conditions`, `events` and `metrics`."""
    metrics, shown = tables["metrics"], _shown(tables)
    rows = max(1, -(-len(shown) // COLUMNS))
    figure, grid = plt.subplots(
        rows, min(COLUMNS, max(1, len(shown))), figsize=(style.WIDTH, 1.9 * rows + 0.3), sharey=True, squeeze=False
    )
    generalised = style.median_steps(tables["events"], BASE).get("generalised", np.nan)
    horizon = HORIZON * generalised  # NaN draws nothing
    colours = {"train": style.GREY, "validation": style.VERDICT_COLOURS["supported"]}
    for axes, condition in zip(grid.ravel(), shown, strict=False):
        curves = metrics[metrics["condition"] == condition]
        for split, line in (("train", (0, (3, 1.5))), ("validation", "-")):
            for _, series in style.wide(curves[curves["split"] == split], "accuracy").items():
                axes.plot(series.index, series, linestyle=line, color=colours[split], linewidth=0.8)
        style.log_steps(axes, float(curves["step"].max()))
        axes.axvline(horizon, color="black", linewidth=0.8, linestyle=":")
        axes.set_ylim(-0.02, 1.02)
        axes.set_title(style.readable(condition), fontsize="small")
    for axes in grid.ravel()[len(shown) :]:
        axes.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("step")
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give validation accuracies at the end, and the number of steps."""
    metrics, parts = tables["metrics"], []
    for condition in _shown(tables):
        validation = metrics[(metrics["condition"] == condition) & (metrics["split"] == "validation")]
        last = validation[validation["step"] == validation["step"].max()]
        mean = formatting.plain(float(last["accuracy"].mean()))
        parts.append(f"{style.readable(condition)} {mean} after {validation['step'].max():,} steps")
    ends = "; ".join(parts) or formatting.NO_DATA
    return f"Validation accuracy without regularisation, means over replicas: {ends}."


def _shown(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return the conditions with full batches and no weight decay."""
    conditions = variant_outcomes.settings(tables["conditions"])
    return [name for name in conditions if conditions[name][DECAY] == 0 and conditions[name][BATCH] == "full"]
