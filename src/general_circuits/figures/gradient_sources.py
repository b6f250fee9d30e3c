"""Sources of gradients: training examples that the network is sure of, and the others."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from general_circuits import formatting
from general_circuits.analysis.variants import BASE
from general_circuits.analysis.windows import steps_of_events
from general_circuits.figures import style

COLUMNS = {"probability": "probability of the label", "gradient_norm": "gradient norm"}


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw one line per tenth of the training examples in both panels; read `deciles` and `events`."""
    rows = tables["deciles"][tables["deciles"]["condition"] == BASE]
    figure, panels = plt.subplots(1, 2, figsize=(style.WIDTH, 2.8))
    for axes, (column, label) in zip(panels, COLUMNS.items(), strict=True):
        for colour, (decile, tenth) in zip(sns.color_palette("viridis", 10), rows.groupby("decile"), strict=False):
            mean = style.wide(tenth, column).mean(axis=1)
            name = {1: "least sure tenth", 10: "surest tenth"}.get(int(str(decile)))
            axes.plot(mean.index, mean, color=colour, linewidth=1.2, label=name)
        axes.set_xscale("symlog", linthresh=10)
        axes.set_xlim(0, rows["step"].max())
        axes.set_xlabel("step")
        axes.set_ylabel(label)
        style.mark_events(axes, style.median_steps(tables["events"], BASE))
    panels[0].legend(fontsize="x-small", loc="lower right")
    if (rows["gradient_norm"] > 0).any():
        panels[1].set_yscale("log")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give the least sure tenth's share in the sum of the tenths' gradient norms, at both ends of the plateau."""
    rows = tables["deciles"][tables["deciles"]["condition"] == BASE]
    total = rows.groupby(["replica", "step"])["gradient_norm"].sum().rename("total").reset_index()
    least = rows[rows["decile"] == 1].merge(total, on=["replica", "step"])
    least = least.assign(share=least["gradient_norm"] / least["total"])
    steps = steps_of_events(tables["events"], BASE)
    memorised, onset = (least["replica"].map(steps[event]) for event in ("memorised", "onset"))
    plateau = least[(least["step"] >= memorised) & (least["step"] <= onset)].sort_values("step").groupby("replica")
    ends = {"at the first checkpoint after t_m": plateau.first(), "at the last one before t_o": plateau.last()}
    parts = [f"{formatting.plain(float(rows['share'].mean()))} {name}" for name, rows in ends.items()]
    return (
        f"The least sure tenth's share in the sum of all ten gradient norms is {' and '.join(parts)}, means over"
        " replicas."
    )
