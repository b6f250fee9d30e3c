"""Both losses around the peak of validation loss, and the floor of training loss."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from general_circuits import formatting
from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.loss_floor import floor, leads
from general_circuits.analysis.variants import BASE
from general_circuits.figures import captions, style

MOST = 6
"""Most replicas shown."""


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw one column per replica: validation loss above, training loss with its floor below; read `metrics`."""
    metrics = tables["metrics"]
    by_replica = leads(metrics)
    shown = list(by_replica)[:MOST]
    figure, grid = plt.subplots(
        2, max(1, len(shown)), figsize=(style.WIDTH, 3.4), sharex="col", sharey="row", squeeze=False
    )
    colour = style.condition_colours([BASE])[BASE]
    for place, (column, replica) in enumerate(zip(grid.T, shown, strict=False)):
        losses = variant_outcomes.curves(metrics, BASE, replica, "loss")
        column[0].plot(losses.index, losses["validation"], color=colour, linewidth=1.2)
        column[1].plot(losses.index, losses["train"], color=style.GREY, linewidth=0.6)
        column[1].plot(losses.index, floor(losses["train"]), color=colour, linewidth=1.4)
        for axes in column:
            axes.set_yscale("log")
            axes.axvspan(by_replica[replica].peak, by_replica[replica].fallen, color=colour, alpha=0.15, linewidth=0)
            style.linear_steps(axes, 2)
        column[0].set_title(f"replica {replica}", fontsize="small")
        column[1].set_xlabel("step" if place == 0 else "")
    grid[0, 0].set_ylabel("validation loss, nats")
    grid[1, 0].set_ylabel("training loss\nand its floor, nats")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give the step at which validation loss peaks, and the change of the floor while it falls by a nat."""
    replicas = leads(tables["metrics"]).values()
    changes = captions.span([lead.change for lead in replicas], "{:+.2f}").replace("-", formatting.MINUS)
    peaks, nats = (captions.span([getattr(lead, name) for lead in replicas]) for name in ("peak", "first_nat"))
    return (
        f"Validation loss peaks at step {peaks} and falls by a nat in {nats} steps. Meanwhile the log of the floor of"
        f" training loss changes by {changes}."
    )
