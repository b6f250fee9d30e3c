"""Excess damage and skewness over training, all conditions together."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from general_circuits import damage
from general_circuits.figures import style
from general_circuits.frames import registered_rows


def draw(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """From `ablation`, `distribution` and `events`."""
    conditions = list(tables["ablation"]["condition"].cat.categories)
    colours = style.condition_colours(conditions)
    areas, skew = damage.areas(tables["ablation"]), _skewness(tables["distribution"])
    marks = style.median_steps(tables["events"], "grokking")
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(style.WIDTH, 5.0), sharex=True)
    for condition in conditions:
        here = areas[areas["condition"] == condition]
        style.draw_band(top, style.wide(here, "excess"), colours[condition], style.readable(condition))
        table = style.wide(skew[skew["condition"] == condition], "l_skewness")
        style.draw_band(bottom, table, colours[condition])
    bottom.set_xlim(0, skew["step"].max())
    for axes in (top, bottom):
        axes.axhline(0, color=style.GREY, linewidth=0.6)
        style.mark_events(axes, marks, names=axes is top)
    top.set_ylabel("excess damage\n(share of training accuracy)")
    bottom.set_ylabel("L-skewness of saliency\nover alive units")
    bottom.set_xlabel("step")
    figure.legend(loc="outside upper center", fontsize="small", ncols=3)
    return figure


def _skewness(distribution: pd.DataFrame) -> pd.DataFrame:
    rows = registered_rows(distribution)
    return rows[(rows["statistic"] == "mean_magnitude") & (rows["dead_units"] == "excluded")]
