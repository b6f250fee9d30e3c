"""Skewness of the neurons' saliency over training, all conditions in one panel."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from general_circuits.figures import captions, style
from general_circuits.registered import registered_rows


def draw(tables: Mapping[str, pd.DataFrame], dead_units: str) -> Figure:
    """Draw L-skewness with dead units `excluded` or `included`; read `distribution` and `events`."""
    rows = _skewness(tables["distribution"], dead_units)
    return style.over_training(rows, "l_skewness", tables["events"], "L-skewness of mean |saliency|\nover units")


def describe(tables: Mapping[str, pd.DataFrame], dead_units: str) -> str:
    """Give each condition's L-skewness at t_m and in the late window."""
    rows = _skewness(tables["distribution"], dead_units)
    ends = captions.from_memorised_to_late(rows, "l_skewness", tables["moments"], "L-skewness")
    return ends or captions.NO_GROKKING


def _skewness(distribution: pd.DataFrame, dead_units: str) -> pd.DataFrame:
    """Return the registered rows of mean |saliency|, with or without dead units."""
    rows = registered_rows(distribution)
    return rows[(rows["statistic"] == "mean_magnitude") & (rows["dead_units"] == dead_units)]
