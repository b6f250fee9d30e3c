"""Steps to generalise, by the share of examples that trains."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.variant_outcomes import START
from general_circuits.figures import steps_left, style
from general_circuits.formatting import NO_DATA


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw steps by share, with a line per weight decay; read `conditions` and `events`."""
    by_decay = _left(tables)
    figure, axes = plt.subplots(figsize=(style.WIDTH * 0.62, 2.9))
    for colour, (decay, left) in zip(sns.color_palette("viridis", len(by_decay)), by_decay.items(), strict=True):
        steps_left.draw_levels(axes, left, colour, f"decay {decay:g}")
    axes.set_xlabel("share of examples that trains")
    axes.set_ylabel("steps to generalise")
    if any(rows["steps"].notna().any() for left in by_decay.values() for rows in left.values()):
        steps_left.label_times(axes)
    if by_decay:
        axes.legend(fontsize="x-small")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give the median steps by share and decay."""
    parts = []
    for decay, left in _left(tables).items():
        words = [f"{text} at {share:g}" for share, text in steps_left.in_words(left).items()]
        parts.append(f"with decay {decay:g}, {', '.join(words)}")
    return f"Median steps to generalise by the share that trains: {'; '.join(parts) or NO_DATA}."


def _left(tables: Mapping[str, pd.DataFrame]) -> dict[float, dict[float, pd.DataFrame]]:
    """Return the steps that each replica took, by decay and share; decays with one share are left out."""
    by_decay = variant_outcomes.by_fraction(variant_outcomes.settings(tables["conditions"]))
    return {
        decay: {share: variant_outcomes.left(tables["events"], name, START) for share, name in names.items()}
        for decay, names in by_decay.items()
        if len(names) > 1
    }
