"""Excess damage over training, all conditions in one panel."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from general_circuits.analysis import damage
from general_circuits.figures import captions, style

COLUMNS = {"accuracy": "excess", "margin": "matched_margin_excess"}
LABELS = {
    "accuracy": "excess damage\n(share of training accuracy)",
    "margin": "excess damage\n(lost margin, relative to logit scale)",
}


def draw(tables: Mapping[str, pd.DataFrame], lost: str) -> Figure:
    """Draw excess damage in lost `accuracy`, or in lost `margin` at matched logit scale.

    Reads `damage` and `events`.
    """
    return style.over_training(damage.areas(tables["damage"]), COLUMNS[lost], tables["events"], LABELS[lost])


def describe(tables: Mapping[str, pd.DataFrame], lost: str) -> str:
    """Give each condition's excess damage at t_m and in the late window."""
    rows, name = damage.areas(tables["damage"]), f"excess damage in {lost}"
    return captions.from_memorised_to_late(rows, COLUMNS[lost], tables["moments"], name) or captions.NO_GROKKING
