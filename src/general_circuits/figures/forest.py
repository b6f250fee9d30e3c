"""Every measured claim: its registered contrast, and those beside it in the same unit, with their intervals."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from general_circuits.figures import style
from general_circuits.formatting import NO_DATA, interval, is_change, of_unit

BESIDE, ROWS = 7, 45
"""Contrasts of a claim shown beside the registered ones, and rows in all; a page of the report has every contrast."""

NOT_TESTABLE = "not testable in this study"
"""A verdict without data."""

HEAD = 2.4
"""Rows that a panel's title and its axis take."""

VALUES, NARROW = 100, 96
"""Points that estimates and intervals take, beside a panel, and where there are two columns."""

IN_ONE_COLUMN = 10
"""Panels."""

OF_NEURONS = ("saliency_skew", "topk_damage")
"""Claims whose contrasts are changes over training."""


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """One panel per claim and unit that it is judged in, of those with data, from `claim`."""
    claims = tables["claim"]
    claims = claims.assign(claim=claims["claim"].astype(str), verdict=claims["verdict"].astype(str))
    judged = claims[(claims["verdict"] != "") & (claims["verdict"] != NOT_TESTABLE)]
    units = list(dict.fromkeys(zip(judged["claim"], judged["unit"], strict=True)))
    beside = int(np.clip((ROWS - len(judged)) // max(1, len(units)), 1, BESIDE))
    panels = [(claim, _rows(claims[claims["claim"] == claim], unit, beside)) for claim, unit in units]
    half = (len(panels) + 1) // 2
    columns = [panels] if len(panels) <= IN_ONE_COLUMN else [panels[:half], panels[half:]]
    heights = [[len(rows) + HEAD for _, rows in column] or [HEAD] for column in columns]
    row = 0.21 if len(columns) == 1 else 0.2
    figure = plt.figure(figsize=(style.WIDTH, row * max(map(sum, heights)) + 0.4))
    parts = figure.subfigures(1, len(columns), squeeze=False)[0]
    for part, column, of_column in zip(parts, columns, heights, strict=True):
        grid = part.subplots(len(of_column), 1, height_ratios=of_column, squeeze=False)
        for axes, (claim, rows) in zip(grid[:, 0], column, strict=False):
            _panel(axes, claim, rows, is_narrow=len(columns) > 1)
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """The registered contrasts: those that have a verdict."""
    registered = tables["claim"][tables["claim"]["verdict"] != ""]
    return " ".join(f"{_named(row)}: {row.verdict}. {row.sentence}" for row in registered.itertuples())


def _named(row: Any) -> str:
    """A claim, with what it is judged for where it has several verdicts."""
    _, _, judged_for = str(row.contrast).partition(", ")
    return f"{row.claim} ({judged_for})" if judged_for else str(row.claim)


def _rows(claim: pd.DataFrame, unit: str, beside: int) -> pd.DataFrame:
    """Of one claim in one unit: registered contrasts first, those with a verdict; then so many others."""
    rows = claim[(claim["unit"] == unit) & (claim["verdict"] != NOT_TESTABLE)]
    is_registered = rows["verdict"] != ""
    return pd.concat([rows[is_registered], rows[~is_registered].head(beside)], ignore_index=True)


def _panel(axes: Axes, claim: str, rows: pd.DataFrame, is_narrow: bool) -> None:
    small, medium = ("x-small", "small") if is_narrow else ("small", "medium")
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
            fontsize=small,
            fontweight="bold" if is_registered else "normal",
            color=colour,
            annotation_clip=False,
        )
    axes.axvline(0 if is_change(unit) else 0.5, color=style.GREY, linewidth=0.6)
    names = [textwrap.shorten(name, 26, placeholder=" …") if is_narrow else name for name in rows["contrast"]]
    axes.set_yticks(range(len(rows)), names)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(labelsize=small)
    for label in axes.get_yticklabels()[: len(verdicts)]:
        label.set_fontweight("bold")
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.spines["left"].set_visible(False)
    axes.annotate(
        f"change, {unit}" if claim in OF_NEURONS else unit,
        (1.0, 0.0 if is_narrow else 1.0),
        xycoords="axes fraction",
        xytext=(NARROW, -17) if is_narrow else (VALUES, 4),
        textcoords="offset points",
        ha="right",
        va="top" if is_narrow else "bottom",
        fontsize=small,
        color=style.GREY,
    )
    agreed = verdicts[0] if len(set(verdicts)) == 1 else ""
    axes.set_title(
        f"{claim}: {', '.join(dict.fromkeys(verdicts))}",
        x=-0.9 if is_narrow else 0.0,
        color=style.VERDICT_COLOURS.get(agreed, style.GREY),
        fontsize=medium,
    )
