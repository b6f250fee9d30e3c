"""A claim's estimate under every choice that could have been made, sorted, and which choices made each.

Specification curve: Simonsohn, Simmons & Nelson 2020, "Specification curve analysis", Nature Human Behaviour 4; the
same idea as Steegen et al. 2016, "Increasing transparency through a multiverse analysis".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from general_circuits import formatting
from general_circuits.analysis import estimates
from general_circuits.figures import style

CHOICES = ("statistic", "method", "target", "normalisation", "layer", "split", "dead_units", "deletion", "control")
SIDES = {"below": "contradicted", "neither": "undecided", "above": "supported"}
"""Where an interval can lie, in the order of sorted estimates, and the verdict whose colour it has."""

FEW = 240
"""Up to as many specifications each has a mark of its own; more are shown as shares of a bin."""

BINS = 110
"""Across the matrix: few enough that a bin holds several specifications, many enough that it is not coarse."""

CURVE, NO_CURVE, ROW, LARGEST = 2.5, 0.8, 0.135, 8.8
"""Inches: height of the curve with its names, of what stands there without one, of a row of the matrix, and the largest
figure that a page holds."""

TEXT = 7.0
"""Points, of the matrix's labels."""

INK, EMPTY, STRIPES = "#333333", "#f3f3f3", "#bdbdbd"


def draw(tables: Mapping[str, pd.DataFrame], claim: str) -> Figure:
    """The curve of one claim above its matrix of choices; from `specification`."""
    rows = _read(tables, claim)
    if rows.empty:
        return _words_alone(describe(tables, claim))
    lines = _lines(rows)
    curve = CURVE if rows["estimate"].notna().any() else NO_CURVE
    heights = [curve, *([ROW * len(lines) * _squeezed(lines)] if lines else [])]
    figure, grid = plt.subplots(
        len(heights), 1, figsize=(style.WIDTH, sum(heights) + 0.6), height_ratios=heights, sharex=True, squeeze=False
    )
    top, last = grid[0, 0], grid[-1, 0]
    last.set_xlim(0.5, len(rows) + 0.5)
    _curve(top, rows)
    if lines:
        _matrix(last, rows, lines)
        top.tick_params(axis="x", length=0, labelbottom=False)
    _mark_failures(top, last, rows)
    _mark_registered(top, last, rows, lines)
    style.linear_steps(last)
    if len(rows) < 10:
        last.set_xticks(rows["rank"])
    last.set_xlabel("specifications, in the order of their estimates")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], claim: str) -> str:
    """How many there are, what they say together, where the registered one stands, and which choice matters most."""
    rows = _read(tables, claim)
    if rows.empty:
        return f"{claim} is not testable in this study: it has no specifications."
    known = rows[rows["estimate"].notna()]
    failed = rows.loc[rows["estimate"].isna(), "failure"]
    why = f" (most often: {failed.value_counts().index[0].rstrip('.')})" if len(failed) else ""
    count = f"{claim}: {len(rows):,} {'specification' if len(rows) == 1 else 'specifications'}"
    if known.empty:
        return f"{count}, none with an estimate{why}."
    all_but = f"{len(failed):,} without an estimate{why}" if len(failed) else "all with an estimate"
    different = len(known.drop_duplicates(["estimate", "low", "high"]))
    unit, threshold = _unit(rows), _threshold(rows)
    within = known[known["unit"] == unit]
    sides = known["side"].value_counts()
    parts = [
        f"{count}, {all_but}; different estimates: {different:,}.",
        f"The median{'' if len(within) == len(known) else ' of those in this unit'} is"
        f" {formatting.signed(within['estimate'].median(), 3)} {unit}; the interval lies"
        f" above {_written(threshold)} in {_share(sides.get('above', 0), len(known))}"
        f" and below {_written(-threshold)} in {_share(sides.get('below', 0), len(known))}.",
    ]
    return " ".join([*parts, *_registered_words(rows, len(known)), *_most(rows)])


def _read(tables: Mapping[str, pd.DataFrame], claim: str) -> pd.DataFrame:
    """One claim's specifications in the order of their estimates, those without one last; `rank` counts from 1.

    Also `side`: where the interval lies to the threshold, a key of `SIDES`.
    """
    rows = tables["specification"]
    rows = rows[rows["claim"] == claim]
    rows = rows.astype({**dict.fromkeys(CHOICES, str), "registered": bool})
    rows = rows.sort_values(["estimate", *CHOICES], ignore_index=True)
    above, below = rows["low"] > rows["threshold"], rows["high"] < -rows["threshold"]
    side = np.select([above, below], ["above", "below"], default="neither")
    return rows.assign(side=side, rank=np.arange(1, len(rows) + 1))


def _unit(rows: pd.DataFrame) -> str:
    """The unit of the registered specification, or else the most common one: medians are of that alone."""
    registered = rows.loc[rows["registered"], "unit"]
    return str(registered.iloc[0] if len(registered) else rows["unit"].mode().iloc[0])


def _threshold(rows: pd.DataFrame) -> float:
    """In that unit."""
    return float(rows.loc[rows["unit"] == _unit(rows), "threshold"].iloc[0])


def _medians(rows: pd.DataFrame, choice: str) -> pd.Series:
    """The median estimate under each option of a choice, largest first; missing where nothing could be estimated."""
    within = rows[rows["unit"] == _unit(rows)]
    medians = within.groupby(choice)["estimate"].median().reindex(sorted(rows[choice].unique()))
    return medians.sort_values(ascending=False, kind="stable")


def _varying(rows: pd.DataFrame) -> list[str]:
    return [choice for choice in CHOICES if rows[choice].nunique() > 1]


def _lines(rows: pd.DataFrame) -> list[tuple[str, str | None, float]]:
    """The matrix's lines: choice, option (none in a choice's heading), and the median or its range over options."""
    lines: list[tuple[str, str | None, float]] = []
    for choice in _varying(rows):
        medians = _medians(rows, choice)
        lines.append((choice, None, float(medians.max() - medians.min())))
        lines += [(choice, str(option), float(median)) for option, median in medians.items()]
    return lines


def _squeezed(lines: list[tuple[str, str | None, float]]) -> float:
    """By how much lines are lower than usual, so that all of them are on a page."""
    return min(1.0, (LARGEST - CURVE - 0.6) / (ROW * len(lines)))


def _curve(axes: Axes, rows: pd.DataFrame) -> None:
    """Estimates and intervals, and how many lie where."""
    known = rows[rows["estimate"].notna()]
    threshold = _threshold(rows)
    if known.empty:
        axes.set_yticks([])
        return
    for level in sorted({-threshold, 0.0, threshold}):
        axes.axhline(level, color=style.GREY, linewidth=0.6, linestyle="-" if level == 0 else (0, (4, 3)), zorder=1)
    width = style.WIDTH * 72 * 0.6 / len(rows)  # points that a specification has
    many = len(rows) > FEW
    for side, verdict in SIDES.items():
        here, colour = known[known["side"] == side], style.VERDICT_COLOURS[verdict]
        axes.vlines(
            here["rank"],
            here["low"],
            here["high"],
            color=colour,
            linewidth=float(np.clip(0.5 * width, 0.3, 1.2)),
            alpha=0.3 if many else 0.5,
            rasterized=many,
            zorder=2,
        )
        size = float(np.clip(0.9 * width, 1.3, 4))
        axes.plot(here["rank"], here["estimate"], "o", color=colour, markersize=size, mew=0, rasterized=many, zorder=3)
    _limits(axes, rows, known)
    places = {"below": (0.0, "left"), "neither": (0.5, "center"), "above": (1.0, "right")}
    names = {"below": f"below {_written(-threshold)}", "neither": "neither", "above": f"above {_written(threshold)}"}
    for side, (place, align) in places.items():
        text = f"{names[side]}: {(known['side'] == side).sum():,}"
        axes.annotate(
            f"interval {text}" if side == "below" else text,
            (place, 1.0),
            xycoords="axes fraction",
            xytext=(0, 15),
            textcoords="offset points",
            ha=align,
            fontsize="small",
            color=style.VERDICT_COLOURS[SIDES[side]],
        )


def _limits(axes: Axes, rows: pd.DataFrame, known: pd.DataFrame) -> None:
    """Every estimate and nearly every interval is inside; far ones are brought near by a scale that says so."""
    units = " or ".join(sorted(rows["unit"].unique(), key=lambda unit: (unit != _unit(rows), unit)))
    label = f"change from $t_m$ to the late window,\n{units}"
    axes.set_ylabel(label, fontsize="small")
    sizes = known["estimate"].abs()
    ends = [known["estimate"].min(), known["estimate"].max(), 0.0, -_threshold(rows), _threshold(rows)]
    if known["low"].notna().any():
        ends += [known["low"].quantile(0.025), known["high"].quantile(0.975)]
    low, high = min(ends), max(ends)
    if sizes.max() > 10 * max(sizes.median(), _threshold(rows)) > 0:
        linear = float(f"{max(sizes.median(), _threshold(rows)):.1g}")
        axes.set_yscale("symlog", linthresh=linear, linscale=1.5)
        axes.set_ylabel(f"{label}\n(log beyond ±{linear:g})", fontsize="small")
        axes.set_ylim(1.3 * low, 1.3 * high)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", formatting.MINUS)))
    else:
        margin = 0.05 * (high - low) or 1.0
        axes.set_ylim(low - margin, high + margin)


def _matrix(axes: Axes, rows: pd.DataFrame, lines: list[tuple[str, str | None, float]]) -> None:
    """Which options each specification has, one line for each, and the median estimate under it."""
    options = [(place, choice, option) for place, (choice, option, _) in enumerate(lines) if option is not None]
    if len(rows) <= FEW:
        _ticks(axes, rows, options)
    else:
        _shares(axes, rows, options)
    axes.set_ylim(len(lines) - 0.5, -0.6)
    axes.set_yticks(range(len(lines)), [style.readable(option or choice) for choice, option, _ in lines])
    size = TEXT * _squeezed(lines)
    axes.tick_params(axis="y", length=0, labelsize=size, pad=3)
    axes.spines["left"].set_visible(False)
    digits = 3 if np.nanmax([0.0, *(abs(value) for _, option, value in lines if option)]) < 1 else 2
    beside: dict[str, Any] = {
        "xycoords": ("axes fraction", "data"),
        "textcoords": "offset points",
        "annotation_clip": False,
    }
    axes.annotate("median", (1.0, -1.0), xytext=(5, 0), va="center_baseline", fontsize=size, color=INK, **beside)
    registered = rows[rows["registered"]]
    for place, ((choice, option, value), label) in enumerate(zip(lines, axes.get_yticklabels(), strict=True)):
        is_heading = option is None
        is_registered = option in registered[choice].tolist()
        label.set_fontweight("bold" if is_heading else "normal")
        label.set_color("black" if is_heading or is_registered else "#555555")
        text = f"range {formatting.plain(value, digits)}" if is_heading else formatting.signed(value, digits)
        if np.isnan(value) and rows.loc[rows[choice] == option, "estimate"].notna().any():
            text = "other unit"
        axes.annotate(
            text,
            (1.0, place),
            xytext=(5, 0),
            va="center_baseline",
            fontsize=size,
            fontweight="bold" if is_heading else "normal",
            color=label.get_color(),
            **beside,
        )


def _ticks(axes: Axes, rows: pd.DataFrame, options: list[tuple[int, str, str]]) -> None:
    """A mark for each specification and option."""
    places = [place for place, _, _ in options]
    axes.barh(places, len(rows), left=0.5, height=0.76, color=EMPTY, linewidth=0, zorder=0)
    ranks = [rows.loc[rows[choice] == option, "rank"].to_numpy() for _, choice, option in options]
    marks = np.repeat(places, [len(part) for part in ranks])
    width = float(np.clip(0.6 * style.WIDTH * 72 * 0.6 / len(rows), 0.5, 3))
    axes.vlines(np.concatenate(ranks), marks - 0.38, marks + 0.38, color=INK, linewidth=width, zorder=2)


def _shares(axes: Axes, rows: pd.DataFrame, options: list[tuple[int, str, str]]) -> None:
    """The share of each bin's specifications that have an option, darkest at the choice's largest."""
    edges = _bins(int(rows["estimate"].notna().sum()), len(rows))
    all_of_them = np.histogram(rows["rank"], edges)[0]
    shares: dict[tuple[str, str], estimates.Array] = {}
    for choice in dict.fromkeys(choice for _, choice, _ in options):
        own = {
            option: np.histogram(rows.loc[rows[choice] == option, "rank"], edges)[0] / all_of_them
            for _, of, option in options
            if of == choice
        }
        largest = max(share.max() for share in own.values())
        shares |= {(choice, option): share / largest for option, share in own.items()}
    # One mesh, with a missing row in every gap: one picture in the SVG.
    heights = [height for place, _, _ in options for height in (place - 0.38, place + 0.38)]
    cells = np.full((len(heights) - 1, len(edges) - 1), np.nan)
    cells[::2] = [shares[choice, option] for _, choice, option in options]
    axes.pcolormesh(edges, heights, cells, cmap="Greys", vmin=-0.06, vmax=1.1, rasterized=True, zorder=0)


def _bins(known: int, total: int) -> estimates.Array:
    """Edges of bins of about equal widths, none of which has both ranks up to `known` and ranks above."""
    parts = [(0, known), (known, total)]
    each = [np.linspace(start, end, max(1, round(BINS * (end - start) / total)) + 1) for start, end in parts]
    return 0.5 + np.unique(np.concatenate(each))


def _mark_failures(top: Axes, last: Axes, rows: pd.DataFrame) -> None:
    """A striped stretch for those without an estimate, and how many they are."""
    failed = int(rows["estimate"].isna().sum())
    if not failed:
        return
    start, end = len(rows) - failed + 0.5, len(rows) + 0.5
    top.axvspan(start, end, facecolor="#ededed", edgecolor=STRIPES, hatch="/////", linewidth=0, zorder=0)
    if last is not top:
        last.axvspan(start, end, facecolor="#9a9a9a", alpha=0.25, linewidth=0, zorder=3)
    is_wide = failed > 0.35 * len(rows)
    top.annotate(
        f"no estimate: {failed:,}" if is_wide else f"no estimate: {failed:,} →",
        ((start + end) / 2 if is_wide else start, 0.0),
        xycoords=("data", "axes fraction"),
        xytext=(0 if is_wide else -3, 4),
        textcoords="offset points",
        ha="center" if is_wide else "right",
        fontsize="small",
        color="#555555",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
        zorder=5,
    )


def _mark_registered(top: Axes, last: Axes, rows: pd.DataFrame, lines: list[tuple[str, str | None, float]]) -> None:
    """A diamond on the curve and on each of its options, and a line between."""
    for row in rows[rows["registered"]].to_dict("records"):
        has_estimate = np.isfinite(row["estimate"])
        colour = style.VERDICT_COLOURS[SIDES[row["side"]]]
        for axes in dict.fromkeys((top, last)):
            # Across the gap between the two as well, which must not widen it.
            start = 0 if axes is last else -0.3
            line = axes.axvline(row["rank"], ymin=start, color=colour, linewidth=0.9, zorder=4)
            line.set(clip_on=False, in_layout=False)
        diamond: dict[str, Any] = {"marker": "D", "color": colour, "mec": "white", "linestyle": "none", "zorder": 6}
        if has_estimate:
            top.vlines(row["rank"], row["low"], row["high"], color=colour, linewidth=2.4, zorder=5)
            top.plot(row["rank"], row["estimate"], markersize=7, mew=0.8, **diamond)
        own = [place for place, (choice, option, _) in enumerate(lines) if option == row[choice]]
        if own:
            last.plot([row["rank"]] * len(own), own, markersize=4.5, mew=0.5, **diamond)
        place = (row["rank"] - 0.5) / len(rows)
        top.annotate(
            f"registered: {formatting.signed(row['estimate'], 3) if has_estimate else 'no estimate'}",
            (row["rank"], 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="left" if place < 0.12 else "right" if place > 0.88 else "center",
            fontsize="small",
            fontweight="bold",
            color=colour,
        )


def _words_alone(words: str) -> Figure:
    figure, axes = plt.subplots(figsize=(style.WIDTH, 1.0))
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", color=style.GREY)
    return figure


def _registered_words(rows: pd.DataFrame, known: int) -> list[str]:
    return [
        f"The registered one, {formatting.signed(row.estimate, 3)}, is number {row.rank:,} of {known:,} from the"
        " smallest."
        if np.isfinite(row.estimate)
        else "The registered one has no estimate."
        for row in rows[rows["registered"]].itertuples()
    ]


def _most(rows: pd.DataFrame) -> list[str]:
    """Which choice moves the median most, and between which options."""
    medians = {choice: _medians(rows, choice).dropna() for choice in _varying(rows)}
    ranges = {choice: here.max() - here.min() for choice, here in medians.items() if len(here) > 1}
    if not ranges:
        return []
    choice = max(ranges, key=lambda name: ranges[name])
    low, high = medians[choice].index[-1], medians[choice].index[0]
    ends = [
        f"{formatting.signed(medians[choice][option], 3)} ({style.readable(str(option))})" for option in (low, high)
    ]
    return [f"The choice of {style.readable(choice)} moves the median most: from {ends[0]} to {ends[1]}."]


def _share(count: int, total: int) -> str:
    return f"{count:,} of {total:,} ({100 * count / total:.0f} %)"


def _written(threshold: float) -> str:
    """0 without a sign."""
    return formatting.signed(threshold) if threshold else "0"
