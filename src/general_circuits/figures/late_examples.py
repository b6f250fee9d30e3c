"""When examples are learnt for good, and with what lateness goes."""

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
from general_circuits.formatting import interval, plain

WORDS = {"operands": "neighbours\nby operand", "answer": "neighbours\nby answer", "diagonal": "a = b"}
SIDES = {"train": style.GREY, "validation": style.VERDICT_COLOURS["supported"]}


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Left, how many of either side are learnt; right, with what lateness goes; from `answers` and `split`."""
    found = list(records(tables["answers"], tables["split"], BASE))
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.WIDTH, 2.7), width_ratios=[3, 2])
    for side, colour in SIDES.items():
        curves = {}
        for replica, record in enumerate(found):
            steps, learnt = record.right.columns.to_numpy(float), record.learnt[record.on(side)]
            curves[replica] = pd.Series([float((learnt <= step).mean()) for step in steps], index=steps)
        style.draw_band(left, pd.DataFrame(curves), colour)
        left.plot([], [], color=colour, label=side)
    left.set_xscale("symlog", linthresh=10)
    left.set_xlim(0, tables["answers"]["step"].max())
    left.set_ylim(-0.02, 1.02)
    left.set_xlabel("step")
    left.set_ylabel("share learnt for good")
    left.legend(fontsize="x-small", loc="lower right")
    for offset, (side, colour) in zip((-0.12, 0.12), SIDES.items(), strict=True):
        late = pd.DataFrame([lateness(record, side) for record in found]).reindex(columns=list(WORDS))
        for row, feature in enumerate(WORDS):
            of_it = estimate(late[feature])
            right.plot([of_it.low, of_it.high], [row + offset] * 2, color=colour, linewidth=1.4)
            right.plot(of_it.mean, row + offset, "o", color=colour, markersize=4)
    right.axvline(0, color=style.GREY, linewidth=0.6)
    right.set_yticks(range(len(WORDS)), list(WORDS.values()))
    right.set_ylim(len(WORDS) - 0.5, -0.5)
    right.tick_params(axis="y", labelsize="x-small")
    right.set_xlabel("rank correlation with lateness")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """When examples are learnt, and the correlations of validation examples."""
    of_all = list(records(tables["answers"], tables["split"], BASE))
    said = []
    for side in SIDES:
        learnt = [record.learnt[record.on(side)] for record in of_all]
        medians = [float(np.quantile(steps, 0.5, method="inverted_cdf")) for steps in learnt]
        said.append(f"half of the {side} examples {_reached(float(np.median(medians)))}")
    late = pd.DataFrame([lateness(record, "validation") for record in of_all])
    for feature in late:
        of_it = estimate(late[feature])
        words = WORDS[str(feature)].replace("\n", " ")
        said.append(f"ρ with {words} {plain(of_it.mean)} ({interval(of_it.low, of_it.high, 2)})")
    return f"Learnt for good: {'; '.join(said)}."


def _reached(step: float) -> str:
    return f"by step {step:,.0f}" if np.isfinite(step) else "not by the last checkpoint"
