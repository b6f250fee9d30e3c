"""Forest of all measured claims: primary contrasts with their thresholds, others in the same unit, intervals."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from general_circuits.analysis.decisions import BETWEEN, CONTRADICTED, SUPPORTED, UNDECIDED
from general_circuits.figures import style
from general_circuits.formatting import NO_DATA, interval, is_change, of_unit

BESIDE, ROWS = 7, 45
"""Most contrasts of a claim beside the primary ones, and rows to aim at in all; a page has every contrast."""

NOT_TESTABLE = "not testable"
"""Verdict on runs that fail a precondition."""

KINDS = (SUPPORTED, CONTRADICTED, BETWEEN, UNDECIDED, NOT_TESTABLE)
"""All verdicts, in the order in which they are counted."""

HEAD = 2.4
"""Height of a panel's title and axis, rows."""

VALUES, NARROW = 100, 96
"""Width of estimates and intervals beside a panel, and beside one of two columns, points."""

SHARE = "general share of the margin"
"""Unit in which a half says that both sides are equal."""

IN_ONE_COLUMN = 10
"""Most panels in one column; more are in two."""

OF_NEURONS = ("saliency_skew", "topk_damage")
"""Claims whose contrasts are changes over training, which the axis label says."""


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw one panel per claim with data and unit that it is judged in; read `claim`."""
    claims = tables["claim"]
    claims = claims.assign(claim=claims["claim"].astype(str), verdict=claims["verdict"].astype(str))
    judged = claims[(claims["verdict"] != "") & ~claims["is_lacking"].astype(bool)]
    units = _units(judged)
    beside = int(np.clip((ROWS - len(judged)) // max(1, len(units)), 1, BESIDE))
    panels = [(claim, _rows(claims[claims["claim"] == claim], unit, beside)) for claim, unit in units]
    half = (len(panels) + 1) // 2
    columns = [panels] if len(panels) <= IN_ONE_COLUMN else [panels[:half], panels[half:]]
    heights = [[len(rows) + HEAD for _, rows in column] or [HEAD] for column in columns]
    row = 0.21 if len(columns) == 1 else 0.2
    # The layout is found at the resolution of print. At a lower one letters are narrower, and names would be cut off.
    figure = plt.figure(figsize=(style.WIDTH, row * max(map(sum, heights)) + 0.4), dpi=300)
    parts = figure.subfigures(1, len(columns), squeeze=False)[0]
    for part, column, ratios in zip(parts, columns, heights, strict=True):
        grid = part.subplots(len(ratios), 1, height_ratios=ratios, squeeze=False)
        for axes, (claim, rows) in zip(grid[:, 0], column, strict=False):
            _panel(axes, claim, rows, is_narrow=len(columns) > 1)
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Count the verdicts by kind; only registered contrasts have one."""
    claims = tables["claim"]
    counts = claims.loc[~claims["is_lacking"].astype(bool), "verdict"].astype(str).value_counts()
    words = [f"{counts[kind]} {kind}" for kind in KINDS if kind in counts]
    return (
        f"Verdicts of measured claims: {', '.join(words) or 'none'}."
        " Blue and orange marks in a row are its thresholds of support and of contradiction."
    )


def _units(judged: pd.DataFrame) -> list[tuple[str, str]]:
    """Return each claim with each unit that it is judged in. A claim that is only "not testable" has the unit ""."""
    pairs = list(dict.fromkeys(zip(judged["claim"], judged["unit"], strict=True)))
    with_unit = {claim for claim, unit in pairs if unit}
    return [(claim, unit) for claim, unit in pairs if unit or claim not in with_unit]


def _rows(claim: pd.DataFrame, unit: str, beside: int) -> pd.DataFrame:
    """Return one claim's rows in one unit: primary contrasts, which have a verdict, then up to `beside` others.

    Parts that are not testable have no unit. They stand in the claim's first panel.
    """
    is_testable = (claim["verdict"] != "") & (claim["unit"] != "")
    first = claim.loc[is_testable, "unit"].iloc[0] if is_testable.any() else ""
    is_untestable = (claim["verdict"] == NOT_TESTABLE) & ~claim["is_lacking"].astype(bool)
    rows = claim[((claim["unit"] == unit) & (claim["unit"] != "")) | (is_untestable & (unit == first))]
    is_registered = rows["verdict"] != ""
    return pd.concat([rows[is_registered], rows[~is_registered].head(beside)], ignore_index=True)


def _panel(axes: Axes, claim: str, rows: pd.DataFrame, is_narrow: bool) -> None:
    """Draw a claim's contrasts in one unit, the first on top; `is_narrow` is for one of two columns."""
    small, medium = ("x-small", "small") if is_narrow else ("small", "medium")
    verdicts = [verdict for verdict in rows["verdict"] if verdict]
    unit = next((unit for unit in rows["unit"] if unit), "")
    for place, row in enumerate(rows.itertuples()):
        is_registered = bool(row.verdict)
        colour = style.VERDICT_COLOURS.get(row.verdict, style.GREY)
        # Where both thresholds are one number, each has half of the mark.
        ends = (-0.4, 0.0, 0.4) if row.supported_beyond == row.contradicted_beyond else (-0.4, 0.4, -0.4)
        for kind, x, start, end in (
            ("supported", row.supported_beyond, *ends[:2]),
            ("contradicted", row.contradicted_beyond, *ends[1:]),
        ):
            axes.plot([x, x], [place + start, place + end], color=style.VERDICT_COLOURS[kind], linewidth=1.0)
        axes.plot([row.low, row.high], [place, place], color=colour, linewidth=2.4 if is_registered else 1.2)
        axes.plot(
            row.estimate, place, "D" if is_registered else "o", color=colour, markersize=6 if is_registered else 3
        )
        within = interval(row.low, row.high, is_change=is_change(unit)) if np.isfinite(row.low) else "no interval"
        text = f"{of_unit(row.estimate, unit)} ({within})" if np.isfinite(row.estimate) else NO_DATA
        axes.annotate(
            NOT_TESTABLE if row.verdict == NOT_TESTABLE else text,
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
    if unit:
        nothing = 0.0 if is_change(unit) else 0.5 if unit == SHARE else None
        if nothing is not None:
            axes.axvline(nothing, color=style.GREY, linewidth=0.6)
    else:  # nothing has an estimate, so numbers below the panel would mean nothing
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)
    names = [name.removeprefix("registered, ") for name in rows["contrast"]]  # bold type says that it is registered
    names = [textwrap.shorten(name, 26, placeholder=" …") if is_narrow else name for name in names]
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
    only = verdicts[0] if len(set(verdicts)) == 1 else ""
    heading = f"{claim}: {', '.join(dict.fromkeys(verdicts))}"
    title = axes.set_title(
        textwrap.shorten(heading, 56, placeholder=" …") if is_narrow else heading,
        color=style.VERDICT_COLOURS.get(only, style.GREY),
        fontsize=medium,
    )
    if is_narrow:
        axes.locator_params("x", nbins=2)
        title.set_x(0.01)  # where the column begins
        title.set_transform(blended_transform_factory(axes.figure.transSubfigure, title.get_transform()))
