"""Accuracy of validation examples whose mirror image trains, and of the others, in splits by example."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from general_circuits import formatting
from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.variants import BASE
from general_circuits.analysis.windows import over_replicas, steps_of_events, value_at
from general_circuits.figures import style

PARTS = {
    "validation_mirrored": "mirror image trains",
    "validation_unmirrored": "mirror image does not",
    "train": "training",
}
COLOURS = {
    "validation_mirrored": style.VERDICT_COLOURS["supported"],
    "validation_unmirrored": style.VERDICT_COLOURS["contradicted"],
    "train": style.GREY,
}


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw one panel per condition that is split by example, on a log axis of steps.

    Reads `conditions`, `metrics` and `events`.
    """
    metrics, shown = tables["metrics"], _shown(tables)
    figure, panels = plt.subplots(1, max(1, len(shown)), figsize=(style.WIDTH, 2.7), sharey=True, squeeze=False)
    for axes, condition in zip(panels[0], shown, strict=False):
        rows = metrics[metrics["condition"] == condition]
        for split in PARTS:
            style.draw_band(axes, style.wide(rows[rows["split"] == split], "accuracy"), COLOURS[split])
        style.log_steps(axes, float(rows["step"].max()))
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("step")
        style.mark_events(axes, style.median_steps(tables["events"], condition))
        style.name_column(axes, condition, "black", 65 // len(shown), pad=16)
    panels[0, 0].set_ylabel("accuracy")
    for split, name in PARTS.items():
        panels[0, -1].plot([], [], color=COLOURS[split], label=name)
    panels[0, -1].legend(fontsize="x-small", loc="lower right")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give both accuracies at the step where training examples are memorised."""
    parts = []
    for condition in _shown(tables):
        steps = steps_of_events(tables["events"], condition)
        rows = tables["metrics"][tables["metrics"]["condition"] == condition]
        means = []
        for split in list(PARTS)[:2]:
            of_split = rows[rows["split"] == split]
            values = over_replicas(of_split, "accuracy", steps, lambda series, at: value_at(series, at["memorised"]))
            means.append(formatting.plain(float(pd.Series(values).mean())))
        parts.append(f"{style.readable(condition)} {means[0]} where the mirror image trains, {means[1]} elsewhere")
    return f"Validation accuracy at t_m, means over replicas: {'; '.join(parts) or formatting.NO_DATA}."


def _shown(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return the conditions beside grokking that are split by example."""
    conditions = variant_outcomes.settings(tables["conditions"])
    return [name for name in conditions if name != BASE and conditions[name]["split.split_by"] == "example"]
