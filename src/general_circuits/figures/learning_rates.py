"""Effect of other learning rates on grokking: accuracies of branches, and the steps left to generalise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from general_circuits import formatting
from general_circuits.analysis import rate_change, variant_outcomes
from general_circuits.analysis.variant_outcomes import Rate
from general_circuits.analysis.variants import RATE
from general_circuits.figures import steps_left, style

HOWS = {
    "free": "rate alone",
    "held": "rate × decay held",
    "annealed": "annealed",
    "for a while": "for a while",
    "with another decay": "with another decay",
}
COLUMNS = 4
"""Most branches side by side whose accuracies are shown."""
AROUND = 0.5
"""Stretch shown before a branch, as a share of its first step."""


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw accuracies in branches that change the rate alone above, and steps left by the rate's multiplier below.

    All are variants of the claim's base. Reads `conditions`, `events` and `metrics`.
    """
    base, _, rates = _of_base(tables)
    shown = sorted((rate for rate in rates if rate.how == "free" and rate.is_branch), key=_in_order)[: 2 * COLUMNS]
    rows = max(1, -(-len(shown) // COLUMNS))  # rounded up
    heights = 1.7 * rows + 0.2, 2.6
    figure = plt.figure(figsize=(style.WIDTH, sum(heights)))
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=heights).ravel()
    panels = above.subplots(rows, max(1, min(COLUMNS, len(shown))), sharey=True, squeeze=False).ravel()
    for axes, rate in zip(panels, shown, strict=False):
        _accuracies(axes, tables, base, rate.condition)
        axes.set_title(f"×{rate.multiplier:g} at {_place(rate.at)}", fontsize="small")
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    panels[0].set_ylabel("accuracy")
    lines = [Line2D([], [], color=style.GREY, linestyle=line) for line in ((0, (3, 1.5)), "-")]
    above.legend(lines, ["training", "validation"], fontsize="x-small", loc="outside upper right", ncols=2)
    places = _places(rates)
    for axes, at in zip(below.subplots(1, max(1, len(places)), sharey=True, squeeze=False)[0], places, strict=False):
        _left(axes, tables["events"], base, [rate for rate in rates if rate.at == at])
    below.axes[0].set_ylabel("steps left to generalise")
    labels = {
        label: handle for axes in below.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    below.axes[-1].legend(labels.values(), labels.keys(), fontsize="x-small")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give the median steps left, by place and multiplier."""
    base, value, rates = _of_base(tables)
    rates = [rate for rate in rates if rate.how == "free"]
    parts = []
    for at in _places(rates):
        series = _series(tables["events"], base, [rate for rate in rates if rate.at == at])["free"]
        words = [
            f"{steps_left.written(time)} at ×{multiplier:g}" for multiplier, time in steps_left.medians(series).items()
        ]
        parts.append(f"from {at} {', '.join(words)}")
    return (
        f"Median steps left to generalise, by the multiplier of the rate alone, where ×1 is {value:g}:"
        f" {'; '.join(parts) or formatting.NO_DATA}."
    )


def _of_base(tables: Mapping[str, pd.DataFrame]) -> tuple[str, float, list[Rate]]:
    """Return the claim's base, its learning rate, and its variants with another rate."""
    conditions = variant_outcomes.settings(tables["conditions"])
    base = rate_change.slowest_base(conditions)
    rates = [rate for rate in variant_outcomes.rates(conditions, base) if rate.how != "kick"]
    return base, float(conditions[base][RATE]), rates


def _place(at: str) -> str:
    """Return the symbol of an event, or the step as it is."""
    return style.EVENT_NAMES.get(at, at)


def _places(rates: Sequence[Rate]) -> list[str]:
    """Return the events or steps at which variants leave the base, each once, in order."""
    return list(dict.fromkeys(rate.at for rate in sorted(rates, key=_in_order)))


def _in_order(rate: Rate) -> tuple[bool, float, float]:
    """Return a key that sorts events before steps, and variants of one place by multiplier."""
    events = list(style.EVENT_NAMES)
    if rate.at in events:
        return False, float(events.index(rate.at)), rate.multiplier
    return True, float(rate.at.removeprefix("step ")) if rate.at.startswith("step ") else 0.0, rate.multiplier


def _accuracies(axes: Axes, tables: Mapping[str, pd.DataFrame], base: str, name: str) -> None:
    """Draw the accuracies of every replica, by steps since it left the base."""
    starts = variant_outcomes.left(tables["events"], name, "")["start"].dropna()
    colours = style.condition_colours(list(tables["metrics"]["condition"].cat.categories))
    for replica, start in starts.items():
        before = variant_outcomes.curves(tables["metrics"], base, replica)
        after = variant_outcomes.curves(tables["metrics"], name, replica)
        for rows, colour in ((before[before.index <= start], style.GREY), (after, colours[name])):
            for split, line in (("train", (0, (3, 1.5))), ("validation", "-")):
                axes.plot(rows.index - start, rows[split], linestyle=line, color=colour, linewidth=0.7)
    if len(starts):
        last = tables["metrics"].loc[tables["metrics"]["condition"] == name, "step"].max()
        axes.set_xlim(-AROUND * starts.max(), last - starts.min())
    axes.axvline(0, color=style.GREY, linewidth=0.6)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("steps since branch")
    style.linear_steps(axes, 3)


def _series(events: pd.DataFrame, base: str, rates: Sequence[Rate]) -> dict[str, dict[float, pd.DataFrame]]:
    """Return what was left, by multiplier, for each way in which rates differ.

    Args:
        events: the table of that name.
        base: the condition that takes the part of grokking. It has multiplier 1 in each series.
        rates: variants that all leave the base at one place.
    """
    by_how: dict[str, dict[float, pd.DataFrame]] = {}
    for rate in rates:
        series = by_how.setdefault(rate.how, {1.0: variant_outcomes.left(events, base, rate.at, base)})
        series[rate.multiplier] = variant_outcomes.left(events, rate.condition, rate.at, base)
    return {how: dict(sorted(series.items())) for how, series in sorted(by_how.items())}


def _left(axes: Axes, events: pd.DataFrame, base: str, rates: Sequence[Rate]) -> None:
    """Draw the steps left by multiplier; dotted is a time that is inversely proportional to the rate."""
    palette = dict(zip(HOWS, style.condition_colours(list(HOWS)).values(), strict=True))
    series = _series(events, base, rates)
    for how, by_times in series.items():
        steps_left.draw_levels(axes, by_times, palette[how], HOWS[how])
        line = steps_left.medians(by_times)
        if how == "free" and np.isfinite(line.get(1.0, np.nan)):
            axes.plot(
                line.index, line[1.0] / line.index, ":", color="black", linewidth=0.8, label="inverse to the rate"
            )
    steps_left.label_levels(axes, *series.values())
    axes.set_title(f"from {_place(rates[0].at)}", fontsize="small")
    axes.set_xlabel("multiplier of the rate")
