"""Steps to generalise at other weight decays, and what decay or noise alone takes from margins."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from general_circuits.analysis import moved_alone, variant_outcomes
from general_circuits.analysis.variant_outcomes import START
from general_circuits.analysis.variants import DECAY
from general_circuits.figures import captions, steps_left, style


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw steps by decay, and what branches without a gradient lose.

    Reads `conditions`, `events` and `progress`.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.WIDTH, 2.8), width_ratios=[3, 2])
    by_decay = _by_decay(tables)
    above_none = {decay: rows for decay, rows in by_decay.items() if decay > 0}
    steps_left.draw_levels(left, above_none, style.VERDICT_COLOURS["supported"])
    steps_left.label_levels(left, above_none)
    left.set_xlabel("weight decay")
    left.set_ylabel("steps to generalise")
    without = by_decay.get(0.0)
    if without is not None and without["steps"].notna().any():
        ended = int((~without["censored"]).sum())
        trained = captions.span(without["steps"])
        text = f"without decay: {ended} of {len(without)} generalise within {trained} steps"
        left.set_title(text, fontsize="small", fontweight="normal")
    steps_left.draw_lost(right, moved_alone.alone(tables["progress"], variant_outcomes.settings(tables["conditions"])))
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give the median steps by decay."""
    words = [f"{decay:g}: {text}" for decay, text in steps_left.in_words(_by_decay(tables)).items()]
    return f"Median steps to generalise by weight decay: {'; '.join(words)}."


def _by_decay(tables: Mapping[str, pd.DataFrame]) -> dict[float, pd.DataFrame]:
    """Return the steps that each replica took, by weight decay, of conditions that differ in it alone."""
    levels = variant_outcomes.levels(variant_outcomes.settings(tables["conditions"]), DECAY)
    return {decay: variant_outcomes.left(tables["events"], name, START) for name, decay in levels.items()}
