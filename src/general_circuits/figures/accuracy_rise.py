"""Rise of validation accuracy on three clocks: log steps, linear steps, and the distance that weights travel."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from general_circuits import formatting
from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.accuracy_rise import rises
from general_circuits.analysis.estimates import estimate
from general_circuits.analysis.variants import BASE
from general_circuits.figures import captions, style

CLOCKS = ("steps, log axis", "steps", "distance travelled, Σ‖Δθ‖")


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw grokking's accuracies against each clock, with the rise from 5 % to 95 % in colour.

    Reads `metrics` and `events`.
    """
    metrics, events = tables["metrics"], tables["events"]
    figure, panels = plt.subplots(1, 3, figsize=(style.WIDTH, 2.6), sharey=True)
    colour = style.condition_colours([BASE])[BASE]
    replicas = sorted(metrics.loc[metrics["condition"] == BASE, "replica"].unique())
    for replica, rise in zip(replicas, rises(metrics, events, BASE), strict=True):
        accuracy = variant_outcomes.curves(metrics, BASE, replica)
        distance = variant_outcomes.curves(metrics, BASE, replica, "distance")["train"]
        clocks = (
            accuracy.index.to_numpy(float),
            accuracy.index.to_numpy(float),
            distance.reindex(accuracy.index).to_numpy(),
        )
        is_rise = (accuracy.index >= rise.start) & (accuracy.index <= rise.end)
        for axes, clock in zip(panels, clocks, strict=True):
            axes.plot(clock, accuracy["train"], linestyle=(0, (3, 1.5)), color=style.GREY, linewidth=0.6)
            axes.plot(clock, accuracy["validation"], color=style.GREY, linewidth=0.6)
            axes.plot(clock, accuracy["validation"].where(is_rise), color=colour, linewidth=1.6)
    style.log_steps(panels[0], float(metrics.loc[metrics["condition"] == BASE, "step"].max()))
    for axes, clock in zip(panels, CLOCKS, strict=True):
        axes.set_xlabel(clock)
        axes.set_ylim(-0.02, 1.02)
    for axes in panels[1:]:
        axes.set_xlim(left=0)
        style.linear_steps(axes, 4)
    panels[0].set_ylabel("accuracy")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Say which shares of the time and of the distance the rises take, and how they compare with memorisation."""
    by_replica = rises(tables["metrics"], tables["events"], BASE)
    shares = {
        "steps": [rise.share for rise in by_replica],
        "distance": [rise.share_of_distance for rise in by_replica],
    }
    means = [f"{formatting.plain(estimate(values).mean)} of the {clock}" for clock, values in shares.items()]
    longer = [rise.steps / rise.memorisation_steps for rise in by_replica if rise.memorisation_steps > 0]
    ratio = captions.span([value for value in longer if np.isfinite(value)], "{:.1f}")
    return (
        f"The rise of validation accuracy from 5 % to 95 % takes {' and '.join(means)} until its end, means over"
        f" replicas. It has {ratio} times as many steps as the rise of training accuracy."
    )
