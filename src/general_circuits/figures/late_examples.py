"""Steps at which examples are learnt for good, and correlates of these steps."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from general_circuits.analysis.estimates import estimate
from general_circuits.analysis.example_order import lateness, records
from general_circuits.analysis.variants import BASE
from general_circuits.figures import style
from general_circuits.formatting import interval, signed

WORDS = {"operands": "neighbours\nby operand", "answer": "neighbours\nby answer", "diagonal": "a = b"}
NAMES = {"train": "training", "validation": "validation"}
SIDES = {"train": style.GREY, "validation": style.VERDICT_COLOURS["supported"]}


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw the share of each side that is learnt (left), and correlations with lateness (right).

    Reads `answers` and `split`.
    """
    replicas = list(records(tables["answers"], tables["split"], BASE))
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.WIDTH, 2.7), width_ratios=[3, 2])
    for side, colour in SIDES.items():
        curves = {}
        for replica, record in enumerate(replicas):
            steps, learnt = record.right.columns.to_numpy(float), record.learnt[record.on(side)]
            curves[replica] = pd.Series([float((learnt <= step).mean()) for step in steps], index=steps)
        style.draw_band(left, pd.DataFrame(curves), colour)
        left.plot([], [], color=colour, label=NAMES[side])
    left.set_xscale("symlog", linthresh=10)
    left.set_xlim(0, tables["answers"]["step"].max())
    left.set_ylim(-0.02, 1.02)
    left.set_xlabel("step")
    left.set_ylabel("share learnt for good")
    left.legend(fontsize="x-small", loc="lower right")
    for offset, (side, colour) in zip((-0.12, 0.12), SIDES.items(), strict=True):
        late = pd.DataFrame([lateness(record, side) for record in replicas]).reindex(columns=list(WORDS))
        for row, feature in enumerate(WORDS):
            correlation = estimate(late[feature])
            right.plot([correlation.low, correlation.high], [row + offset] * 2, color=colour, linewidth=1.4)
            right.plot(correlation.mean, row + offset, "o", color=colour, markersize=4)
    right.axvline(0, color=style.GREY, linewidth=0.6)
    right.set_yticks(range(len(WORDS)), list(WORDS.values()))
    right.set_ylim(len(WORDS) - 0.5, -0.5)
    right.tick_params(axis="y", labelsize="x-small")
    right.set_xlabel("rank correlation with lateness")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give the steps by which half of the examples are learnt, and the correlations on validation examples."""
    replicas = list(records(tables["answers"], tables["split"], BASE))
    halves, correlations = [], []
    for side in SIDES:
        learnt = [record.learnt[record.on(side)] for record in replicas]
        medians = [float(np.quantile(steps, 0.5, method="inverted_cdf")) for steps in learnt]
        halves.append(f"half of the {NAMES[side]} examples {_reached(float(np.median(medians)))}")
    late = pd.DataFrame([lateness(record, "validation") for record in replicas])
    for feature in late:
        rho = estimate(late[feature])
        words = WORDS[str(feature)].replace("\n", " ")
        correlations.append(f"{words} {signed(rho.mean)} ({interval(rho.low, rho.high, 2)})")
    learnt_by = f"Learnt for good: {'; '.join(halves)}."
    if not correlations:
        return learnt_by
    return f"{learnt_by} Rank correlation of lateness on validation examples: {'; '.join(correlations)}."


def _reached(step: float) -> str:
    """Write the step by which examples are learnt, if they are."""
    return f"by step {step:,.0f}" if np.isfinite(step) else "not by the last checkpoint"
