"""Every measured claim: its registered contrast, and those beside it in the same unit, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from general_circuits.figures import style
from general_circuits.numbers import NO_DATA, interval, is_change, of_unit

BESIDE = 7
"""Contrasts shown beside the registered ones; the report's page of contrasts has them all."""

OF_DUELS = ("update_share", "takeover", "forgetting")
"""Claims whose contrasts are no changes over training."""


def draw(tables: Mapping[str, pd.DataFrame], variant: str) -> Figure:
    """One panel per claim, from `claim`."""
    panels = {claim: _rows(tables["claim"], claim) for claim in tables["claim"]["claim"].unique()}
    heights = [len(rows) + 1.5 for rows in panels.values()]
    figure, grid = plt.subplots(
        len(panels), 1, figsize=(style.WIDTH, 0.21 * sum(heights) + 0.4), height_ratios=heights, squeeze=False
    )
    for axes, (claim, rows) in zip(grid[:, 0], panels.items(), strict=True):
        _panel(axes, claim, rows)
    return figure


def found(tables: Mapping[str, pd.DataFrame], variant: str) -> str:
    """The registered contrasts: those that have a verdict."""
    registered = tables["claim"][tables["claim"]["verdict"] != ""]
    return " ".join(f"{_named(row)}: {row.verdict}. {row.sentence}" for row in registered.itertuples())


def _named(row: Any) -> str:
    """A claim, with what it is judged for where it has several verdicts."""
    _, _, judged_for = str(row.contrast).partition(", ")
    return f"{row.claim} ({judged_for})" if judged_for else str(row.claim)


def _rows(claims: pd.DataFrame, claim: str) -> pd.DataFrame:
    """Registered contrasts first, those with a verdict; then the first others in their unit."""
    rows = claims[claims["claim"] == claim]
    is_registered = rows["verdict"] != ""
    first = rows[is_registered]
    others = rows[~is_registered & (rows["unit"] == first["unit"].iloc[0])]
    return pd.concat([first, others.head(BESIDE)], ignore_index=True)


def _panel(axes: Axes, claim: str, rows: pd.DataFrame) -> None:
    verdicts = [verdict for verdict in rows["verdict"] if verdict]
    unit = rows["unit"].iloc[0]
    for place, row in enumerate(rows.itertuples()):
        is_registered = bool(row.verdict)
        colour = style.VERDICT_COLOURS.get(row.verdict, style.GREY)
        axes.plot([row.low, row.high], [place, place], color=colour, linewidth=2.4 if is_registered else 1.2)
        axes.plot(
            row.estimate, place, "D" if is_registered else "o", color=colour, markersize=6 if is_registered else 3
        )
        within = interval(row.low, row.high, is_change=is_change(unit)) if np.isfinite(row.low) else "no interval"
        axes.annotate(
            f"{of_unit(row.estimate, unit)} ({within})" if np.isfinite(row.estimate) else NO_DATA,
            (1.0, place),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
            fontweight="bold" if is_registered else "normal",
            color=colour,
            annotation_clip=False,
        )
    axes.axvline(0 if is_change(unit) else 0.5, color=style.GREY, linewidth=0.6)
    axes.set_yticks(range(len(rows)), rows["contrast"])
    axes.tick_params(axis="y", length=0)
    for label in axes.get_yticklabels()[: len(verdicts)]:
        label.set_fontweight("bold")
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(unit if claim in OF_DUELS or not unit else f"change from $t_m$ to the late window, {unit}")
    agreed = verdicts[0] if len(set(verdicts)) == 1 else ""
    axes.set_title(
        f"{claim}: {', '.join(verdicts)}", color=style.VERDICT_COLOURS.get(agreed, style.GREY), fontsize="medium"
    )
