"""Skewness of the neurons' saliency over training, all conditions together."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from general_circuits.figures import captions, style
from general_circuits.registered import registered_rows


def draw(tables: Mapping[str, pd.DataFrame], dead_units: str) -> Figure:
    """With dead units `excluded` or `included`; from `distribution` and `events`."""
    rows = _skewness(tables["distribution"], dead_units)
    return style.over_training(rows, "l_skewness", tables["events"], "L-skewness of mean |saliency|\nover units")


def describe(tables: Mapping[str, pd.DataFrame], dead_units: str) -> str:
    """Where each condition begins and ends."""
    rows = _skewness(tables["distribution"], dead_units)
    return captions.from_memorised_to_late(rows, "l_skewness", tables["events"])


def _skewness(distribution: pd.DataFrame, dead_units: str) -> pd.DataFrame:
    rows = registered_rows(distribution)
    return rows[(rows["statistic"] == "mean_magnitude") & (rows["dead_units"] == dead_units)]
