"""Losses of the general part of the logits and of the rest, with learning curves, and growth of structure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from general_circuits.analysis.estimates import Array
from general_circuits.analysis.windows import at_common_steps, over_replicas, steps_of_events, value_at
from general_circuits.figures import captions, style
from general_circuits.formatting import NO_DATA

COLUMNS = 5
"""Most conditions shown, the first of the study; more would be too small to read."""

LOSSES: dict[str, tuple[str, str, str, Any]] = {
    "training": ("train", "all", style.GREY, (0, (3, 1.5))),
    "validation": ("validation", "all", style.GREY, "-"),
    "restricted": ("validation", "restricted", style.VERDICT_COLOURS["supported"], "-"),
    "unseen": ("validation", "unseen", "black", (0, (1, 1))),
    "excluded": ("train", "excluded", style.VERDICT_COLOURS["contradicted"], "-"),
}
"""Split, component, colour and style of each line, by name."""

LEAST = 1e-4
"""Nats below which no loss is drawn."""

MEASURES: dict[str, tuple[str, Any]] = {
    "gini_of_logits": ("Gini, logits", "-"),
    "gini_of_embedding": ("Gini, embedding", (0, (3, 1.5))),
    "tuned_share": ("tuned units", (0, (1, 1))),
}


def draw(tables: Mapping[str, pd.DataFrame], steps: str) -> Figure:
    """Draw conditions side by side, losses above structure.

    Steps are those of all `training`, or those around each replica's `onset`. Reads `progress`, `structure` and
    `events`.
    """
    progress, structure, events = tables["progress"], tables["structure"], tables["events"]
    conditions = _shown(progress, events, steps)
    size = (style.WIDTH, 4.6)
    figure, grid = plt.subplots(2, max(1, len(conditions)), figsize=size, sharex="col", sharey="row", squeeze=False)
    colours = style.condition_colours(list(progress["condition"].cat.categories))
    largest = LEAST
    for (above, below), condition in zip(grid.T, conditions, strict=False):
        rows, shape = (_of(frame, condition, events, steps) for frame in (progress, structure))
        for split, component, colour, line in LOSSES.values():
            losses = rows[(rows["split"] == split) & (rows["component"] == component)]
            mean = style.draw_band(above, style.wide(losses, "loss"), colour, line, is_logged=True)
            largest = max(largest, mean.max() if len(mean) else largest)
        for measure, (_, line) in MEASURES.items():
            style.draw_band(below, style.wide(shape, measure), "black", line)
        style.name_column(above, condition, colours[condition], style.LETTERS_BESIDE // len(conditions))
        below.set_xlabel("step" if steps == "training" else "steps after onset")
        style.linear_steps(below, max(2, 8 // len(conditions)))
        if len(rows):
            below.set_xlim(rows["step"].min(), max(rows["step"].max(), rows["step"].min() + 1))
        if steps == "training":
            style.mark_events(above, style.median_steps(events, condition))
            style.mark_events(below, style.median_steps(events, condition), names=False)
        else:
            for axes in (above, below):
                axes.axvline(0, color=style.GREY, linewidth=0.8, linestyle=(0, (2, 2)))
    grid[0, 0].set_yscale("log")
    for above in grid[0]:
        above.yaxis.set_minor_locator(NullLocator())
    grid[0, 0].set_ylim(LEAST, 3 * largest)
    if not conditions:
        grid[0, 0].annotate(NO_DATA, (0.5, 0.5), xycoords="axes fraction", ha="center", color=style.GREY)
    grid[1, 0].set_ylim(0, 1)
    grid[0, 0].set_ylabel("loss, nats")
    grid[1, 0].set_ylabel("structure")
    losses = {name: (colour, line) for name, (_, _, colour, line) in LOSSES.items()}
    measures = {name: ("black", line) for name, line in MEASURES.values()}
    for axes, looks in ((grid[0, -1], losses), (grid[1, -1], measures)):
        lines = [Line2D([], [], color=colour, linestyle=line) for colour, line in looks.values()]
        axes.legend(lines, list(looks), loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], steps: str) -> str:
    """Give the validation losses of the whole network and of its general part in grokking, at each event."""
    events = steps_of_events(tables["events"], "grokking")
    progress = tables["progress"]
    rows = progress[(progress["condition"] == "grokking") & (progress["split"] == "validation")]
    if events.empty or rows.empty or not events["onset"].notna().any():
        return "No replica of grokking has an onset."
    components = {"all": "all logits", "restricted": "restricted part", "unseen": "unseen part"}
    parts = []
    for name, event in (("t_m", "memorised"), ("t_o", "onset"), ("t_g", "generalised")):
        losses = [
            f"{words} {captions.span(_at(rows[rows['component'] == component], events, event), '{:.2f}')}"
            for component, words in components.items()
        ]
        parts.append(f"at {name} {', '.join(losses)}")
    return f"Validation loss in grokking, nats: {'; '.join(parts)}."


def _at(rows: pd.DataFrame, events: pd.DataFrame, event: str) -> Array:
    """Return each replica's loss at an event, (replica)."""
    return over_replicas(rows, "loss", events, lambda series, steps: value_at(series, steps[event]))


def _shown(progress: pd.DataFrame, events: pd.DataFrame, steps: str) -> list[str]:
    """Return the first conditions; around onset, the first ones that have an onset."""
    names = list(progress["condition"].cat.categories)
    if steps == "onset":
        reached = events.loc[(events["event"] == "onset") & ~events["censored"], "condition"].unique()
        names = [name for name in names if name in reached]
    return names[:COLUMNS]


def _of(frame: pd.DataFrame, condition: str, events: pd.DataFrame, steps: str) -> pd.DataFrame:
    """Return one condition's rows: spaced over training, or around onset with `step` counted from the onset."""
    rows = frame[frame["condition"] == condition]
    if steps == "training":
        return at_common_steps(rows[rows["is_scheduled"]])
    rows = rows[rows["around_onset"]]
    return rows.assign(step=rows["step"] - rows["replica"].map(steps_of_events(events, condition)["onset"]))
