"""Specification curve: a claim's estimate under every choice that could have been made, sorted, with the choices.

Source: Simonsohn, Simmons & Nelson 2020, "Specification curve analysis", Nature Human Behaviour 4. Steegen et al. 2016,
"Increasing transparency through a multiverse analysis", have the same idea.
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
"""Verdict whose colour an interval has, by its side of both thresholds, in the order of sorted estimates."""

FEW = 240
"""Most specifications that are drawn with a mark each; more are drawn as shares of bins."""

BINS = 110
"""Number of bins across the matrix: few enough to hold several specifications each, enough not to look coarse."""

CURVE, NO_CURVE, ROW, LARGEST = 2.5, 0.8, 0.135, 8.8
"""Heights in inches: the curve with its names, its place without any estimate, a row of the matrix, and the largest
figure on a page."""

TEXT = 7.0
"""Size of the matrix's labels, points."""

INK, EMPTY, STRIPES = "#333333", "#f3f3f3", "#bdbdbd"


def draw(tables: Mapping[str, pd.DataFrame], claim: str) -> Figure:
    """Draw the curve of one claim above its matrix of choices; read `specification`."""
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
    """Give the number of specifications, their median, the registered one's rank, and the choice that matters most."""
    rows = _read(tables, claim)
    if rows.empty:
        return f"{claim} is not testable: this study has no specifications."
    known = rows[rows["estimate"].notna()]
    failed = rows.loc[rows["estimate"].isna(), "failure"]
    why = f" (most often: {failed.value_counts().index[0].rstrip('.')})" if len(failed) else ""
    count = f"{claim}: {len(rows):,} {'specification' if len(rows) == 1 else 'specifications'}"
    if known.empty:
        return f"{count}, none with an estimate{why}."
    without = f"{len(failed):,} without an estimate{why}" if len(failed) else "all with an estimate"
    different = len(known.drop_duplicates(["estimate", "low", "high"]))
    unit, (against, support) = _unit(rows), _thresholds(rows)
    within = known[known["unit"] == unit]
    sides = known["side"].value_counts()
    counts = (
        f"{count}, {without}; different estimates: {different:,}; the interval lies"
        f" above {_written(support)} in {_share(sides.get('above', 0), len(known))}"
        f" and below {_written(against)} in {_share(sides.get('below', 0), len(known))}."
    )
    median = (
        f"The median{'' if len(within) == len(known) else ' of those in this unit'} is"
        f" {formatting.signed(within['estimate'].median(), 3)} {unit}"
    )
    return f"{counts} {'; '.join([median, *_registered_words(rows, len(known)), *_most(rows)])}."


def _read(tables: Mapping[str, pd.DataFrame], claim: str) -> pd.DataFrame:
    """Return one claim's specifications in the order of their estimates; specifications without one come last.

    Adds `rank`, which counts from 1, and `side`, the interval's place relative to both thresholds, a key of `SIDES`.
    """
    rows = tables["specification"]
    rows = rows[rows["claim"] == claim]
    rows = rows.astype({**dict.fromkeys(CHOICES, str), "registered": bool})
    rows = rows.sort_values(["estimate", *CHOICES], ignore_index=True)
    above, below = rows["low"] > rows["supported_beyond"], rows["high"] < rows["contradicted_beyond"]
    side = np.select([above, below], ["above", "below"], default="neither")
    return rows.assign(side=side, rank=np.arange(1, len(rows) + 1))


def _unit(rows: pd.DataFrame) -> str:
    """Return the unit of the registered specification, or else the most common one; medians are of this unit alone."""
    registered = rows.loc[rows["registered"], "unit"]
    return str(registered.iloc[0] if len(registered) else rows["unit"].mode().iloc[0])


def _thresholds(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the thresholds of contradiction and of support in that unit."""
    first = rows[rows["unit"] == _unit(rows)].iloc[0]
    return float(first["contradicted_beyond"]), float(first["supported_beyond"])


def _medians(rows: pd.DataFrame, choice: str) -> pd.Series:
    """Return the median estimate under each option of a choice, largest first; missing where there is no estimate."""
    within = rows[rows["unit"] == _unit(rows)]
    medians = within.groupby(choice)["estimate"].median().reindex(sorted(rows[choice].unique()))
    return medians.sort_values(ascending=False, kind="stable")


def _varying(rows: pd.DataFrame) -> list[str]:
    """Return the choices that have more than one option."""
    return [choice for choice in CHOICES if rows[choice].nunique() > 1]


def _lines(rows: pd.DataFrame) -> list[tuple[str, str | None, float]]:
    """Return the matrix's lines: choice, option (None in a heading), and the option's median or the choice's range."""
    lines: list[tuple[str, str | None, float]] = []
    for choice in _varying(rows):
        medians = _medians(rows, choice)
        lines.append((choice, None, float(medians.max() - medians.min())))
        lines += [(choice, str(option), float(median)) for option, median in medians.items()]
    return lines


def _squeezed(lines: list[tuple[str, str | None, float]]) -> float:
    """Return the factor, at most 1, by which lines are lowered so that all of them fit on a page."""
    return min(1.0, (LARGEST - CURVE - 0.6) / (ROW * len(lines)))


def _curve(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw estimates and intervals, and write how many lie on each side of the threshold."""
    known = rows[rows["estimate"].notna()]
    against, support = _thresholds(rows)
    if known.empty:
        axes.set_yticks([])
        return
    for level in sorted({against, 0.0, support}):
        axes.axhline(level, color=style.GREY, linewidth=0.6, linestyle="-" if level == 0 else (0, (4, 3)), zorder=1)
    width = style.WIDTH * 72 * 0.6 / len(rows)  # points that a specification has
    many = len(rows) > FEW
    for side, verdict in SIDES.items():
        on_side, colour = known[known["side"] == side], style.VERDICT_COLOURS[verdict]
        axes.vlines(
            on_side["rank"],
            on_side["low"],
            on_side["high"],
            color=colour,
            linewidth=float(np.clip(0.5 * width, 0.3, 1.2)),
            alpha=0.3 if many else 0.5,
            rasterized=many,
            zorder=2,
        )
        size = float(np.clip(0.9 * width, 1.3, 4))
        axes.plot(
            on_side["rank"], on_side["estimate"], "o", color=colour, markersize=size, mew=0, rasterized=many, zorder=3
        )
    _limits(axes, rows, known)
    places = {"below": (0.0, "left"), "neither": (0.5, "center"), "above": (1.0, "right")}
    names = {"below": f"below {_written(against)}", "neither": "neither", "above": f"above {_written(support)}"}
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
    """Set limits that hold every estimate and 95 % of the intervals' ends.

    If some estimates are far larger than most, the scale is logarithmic beyond a value that the label names.
    """
    units = " or ".join(sorted(rows["unit"].unique(), key=lambda unit: (unit != _unit(rows), unit)))
    label = f"change from $t_m$ to the late window,\n{units}"
    axes.set_ylabel(label, fontsize="small")
    sizes = known["estimate"].abs()
    ends = [known["estimate"].min(), known["estimate"].max(), 0.0, *_thresholds(rows)]
    if known["low"].notna().any():
        ends += [known["low"].quantile(0.025), known["high"].quantile(0.975)]
    low, high = min(ends), max(ends)
    usual = max(sizes.median(), *np.abs(_thresholds(rows)))
    if sizes.max() > 10 * usual > 0:
        linear = float(f"{usual:.1g}")
        axes.set_yscale("symlog", linthresh=linear, linscale=1.5)
        axes.set_ylabel(f"{label}\n(log beyond ±{linear:g})", fontsize="small")
        axes.set_ylim(1.3 * low, 1.3 * high)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", formatting.MINUS)))
    else:
        margin = 0.05 * (high - low) or 1.0
        axes.set_ylim(low - margin, high + margin)


def _matrix(axes: Axes, rows: pd.DataFrame, lines: list[tuple[str, str | None, float]]) -> None:
    """Draw the options of each specification, one line for each option, and write the median estimate under it."""
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
    """Draw a mark for each specification and option."""
    places = [place for place, _, _ in options]
    axes.barh(places, len(rows), left=0.5, height=0.76, color=EMPTY, linewidth=0, zorder=0)
    ranks = [rows.loc[rows[choice] == option, "rank"].to_numpy() for _, choice, option in options]
    marks = np.repeat(places, [len(part) for part in ranks])
    width = float(np.clip(0.6 * style.WIDTH * 72 * 0.6 / len(rows), 0.5, 3))
    axes.vlines(np.concatenate(ranks), marks - 0.38, marks + 0.38, color=INK, linewidth=width, zorder=2)


def _shares(axes: Axes, rows: pd.DataFrame, options: list[tuple[int, str, str]]) -> None:
    """Draw the share of each bin's specifications that have an option, darkest at the choice's largest share."""
    edges = _bins(int(rows["estimate"].notna().sum()), len(rows))
    per_bin = np.histogram(rows["rank"], edges)[0]  # (bin)
    shares: dict[tuple[str, str], estimates.Array] = {}
    for choice in dict.fromkeys(choice for _, choice, _ in options):
        of_choice = {
            option: np.histogram(rows.loc[rows[choice] == option, "rank"], edges)[0] / per_bin
            for _, of, option in options
            if of == choice
        }
        largest = max(share.max() for share in of_choice.values())
        shares |= {(choice, option): share / largest for option, share in of_choice.items()}
    # All lines are one mesh, with a missing row in every gap, so that the SVG holds one picture instead of dozens.
    heights = [height for place, _, _ in options for height in (place - 0.38, place + 0.38)]
    cells = np.full((len(heights) - 1, len(edges) - 1), np.nan)
    cells[::2] = [shares[choice, option] for _, choice, option in options]
    axes.pcolormesh(edges, heights, cells, cmap="Greys", vmin=-0.06, vmax=1.1, rasterized=True, zorder=0)


def _bins(known: int, total: int) -> estimates.Array:
    """Return edges of bins of about equal widths; no bin has both ranks up to `known` and ranks above it."""
    parts = [(0, known), (known, total)]
    each = [np.linspace(start, end, max(1, round(BINS * (end - start) / total)) + 1) for start, end in parts]
    return 0.5 + np.unique(np.concatenate(each))


def _mark_failures(top: Axes, last: Axes, rows: pd.DataFrame) -> None:
    """Draw a striped stretch for specifications without an estimate, and write their number."""
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
    """Draw a diamond for the registered specification on the curve and on each of its options, and a line between."""
    for row in rows[rows["registered"]].to_dict("records"):
        has_estimate = np.isfinite(row["estimate"])
        colour = style.VERDICT_COLOURS[SIDES[row["side"]]]
        for axes in dict.fromkeys((top, last)):
            # The line also crosses the gap between the two axes, which it must not widen.
            start = 0 if axes is last else -0.3
            line = axes.axvline(row["rank"], ymin=start, color=colour, linewidth=0.9, zorder=4)
            line.set(clip_on=False, in_layout=False)
        diamond: dict[str, Any] = {"marker": "D", "color": colour, "mec": "white", "linestyle": "none", "zorder": 6}
        if has_estimate:
            top.vlines(row["rank"], row["low"], row["high"], color=colour, linewidth=2.4, zorder=5)
            top.plot(row["rank"], row["estimate"], markersize=7, mew=0.8, **diamond)
        places = [place for place, (choice, option, _) in enumerate(lines) if option == row[choice]]
        if places:
            last.plot([row["rank"]] * len(places), places, markersize=4.5, mew=0.5, **diamond)
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
    """Draw a figure that holds nothing but a sentence."""
    figure, axes = plt.subplots(figsize=(style.WIDTH, 1.0))
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", color=style.GREY)
    return figure


def _registered_words(rows: pd.DataFrame, known: int) -> list[str]:
    """Write the estimate and rank of the registered specification, if the table has it."""
    return [
        f"the registered one, {formatting.signed(row.estimate, 3)}, is number {row.rank:,} of {known:,} from the"
        " smallest"
        if np.isfinite(row.estimate)
        else "the registered one has no estimate"
        for row in rows[rows["registered"]].itertuples()
    ]


def _most(rows: pd.DataFrame) -> list[str]:
    """Write which choice moves the median most, and between which options; empty if no choice has two medians."""
    medians = {choice: _medians(rows, choice).dropna() for choice in _varying(rows)}
    ranges = {choice: options.max() - options.min() for choice, options in medians.items() if len(options) > 1}
    if not ranges:
        return []
    choice = max(ranges, key=lambda name: ranges[name])
    low, high = medians[choice].index[-1], medians[choice].index[0]
    ends = [
        f"{formatting.signed(medians[choice][option], 3)} ({style.readable(str(option))})" for option in (low, high)
    ]
    return [f"the choice of {style.readable(choice)} moves it most, from {ends[0]} to {ends[1]}"]


def _share(count: int, total: int) -> str:
    """Write a count as a share of the total."""
    return f"{count:,} of {total:,} ({100 * count / total:.0f} %)"


def _written(threshold: float) -> str:
    """Write a threshold with its sign; 0 has none."""
    return formatting.signed(threshold) if threshold else "0"
