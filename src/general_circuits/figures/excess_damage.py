"""Excess damage over training, all conditions together."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from general_circuits.analysis import damage
from general_circuits.figures import captions, style

COLUMNS = {"accuracy": "excess", "margin": "matched_margin_excess"}
LABELS = {
    "accuracy": "excess damage\n(share of training accuracy)",
    "margin": "excess damage\n(lost margin, in logit scales)",
}


def draw(tables: Mapping[str, pd.DataFrame], lost: str) -> Figure:
    """In lost `accuracy`, or `margin` at matched logit scale; from `damage` and `events`."""
    return style.over_training(damage.areas(tables["damage"]), COLUMNS[lost], tables["events"], LABELS[lost])


def describe(tables: Mapping[str, pd.DataFrame], lost: str) -> str:
    """Where each condition begins and ends."""
    return captions.from_memorised_to_late(damage.areas(tables["damage"]), COLUMNS[lost], tables["events"])
