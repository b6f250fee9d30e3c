"""Accuracy lost against the number of deleted units, at several moments of training, beside its controls."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from general_circuits import damage
from general_circuits.figures import style

RANKINGS = {"top": "most salient", "matched": "matched on activation", "random": "random", "bottom": "least salient"}
PANELS = 4


def draw(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Grokking (or the first condition there is) from `ablation` and `events`."""
    conditions = list(tables["ablation"]["condition"].cat.categories)
    condition = "grokking" if "grokking" in conditions else conditions[0]
    lost = damage.curves(tables["ablation"][tables["ablation"]["condition"] == condition])["accuracy"].reset_index()
    moments = _moments(style.median_steps(tables["events"], condition), np.sort(lost["step"].unique()))
    figure, grid = plt.subplots(1, len(moments), figsize=(style.WIDTH, 2.6), sharey=True, squeeze=False)
    colours = dict(zip(RANKINGS, [*sns.color_palette("colorblind", 10)[:3], style.GREY], strict=True))
    for axes, (step, name) in zip(grid[0], moments.items(), strict=True):
        here = lost[lost["step"] == step]
        for ranking, label in RANKINGS.items():
            rows = here[here["ranking"] == ranking].dropna(subset=["accuracy"])
            if len(rows):
                table = rows.pivot(index="k", columns="replica", values="accuracy")
                style.draw_band(axes, table, colours[ranking], label)
        axes.set_xscale("log")
        axes.set_title(f"step {step:,}{name}", fontsize="medium")
        axes.set_xlabel("deleted units k")
        axes.set_ylim(-0.02, 1.02)
    grid[0, 0].set_ylabel("training accuracy lost")
    grid[0, 0].legend(fontsize="x-small", loc="upper left", handlelength=1.4)
    return figure


def _moments(events: dict[str, float], steps: np.ndarray) -> dict[int, str]:
    """Measured steps to show, each with the event it is near: memorised, onset, generalised and the last."""
    found: dict[int, str] = {}
    for event, step in events.items():
        found[int(steps[np.abs(steps - step).argmin()])] = f" (≈ {style.EVENT_NAMES[event]})"
    found.setdefault(int(steps[-1]), "")
    for step in steps[np.linspace(0, len(steps) - 1, PANELS).round().astype(int)]:
        if len(found) < PANELS:
            found.setdefault(int(step), "")
    return dict(sorted(found.items()))
