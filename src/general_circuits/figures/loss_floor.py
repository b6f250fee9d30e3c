"""Both losses around the peak of validation loss on the plateau, and the floor of training loss."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from general_circuits import formatting
from general_circuits.analysis.loss_floor import floor, leads
from general_circuits.analysis.plateau import smoothed
from general_circuits.analysis.variants import BASE
from general_circuits.figures import captions, style

MOST = 6
"""Most replicas shown."""


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw one column per replica: validation loss above, training loss with its floor below.

    Reads `losses` and `events`. Replicas that never memorised have no losses.
    """
    losses = tables["losses"][tables["losses"]["condition"] == BASE]
    by_replica = leads(losses, tables["events"])
    shown = sorted(losses["replica"].unique())[:MOST]
    figure, grid = plt.subplots(
        2, max(1, len(shown)), figsize=(style.WIDTH, 3.4), sharex="col", sharey="row", squeeze=False
    )
    colour = style.condition_colours([BASE])[BASE]
    for place, (column, replica) in enumerate(zip(grid.T, shown, strict=False)):
        of_replica = losses[losses["replica"] == replica].set_index("step").sort_index()
        lows = (smoothed(of_replica["validation"]), floor(of_replica["training"]))
        for axes, name, low in zip(column, ("validation", "training"), lows, strict=True):
            axes.plot(of_replica.index, of_replica[name], color=style.GREY, linewidth=0.6)
            axes.plot(low.index, low, color=colour, linewidth=1.4)
            axes.set_yscale("log")
            lead = by_replica[replica]
            if lead and np.isfinite(lead.first_nat):
                axes.axvspan(lead.plateau.peak, lead.plateau.fallen, color=colour, alpha=0.15, linewidth=0)
            style.linear_steps(axes, 2)
        column[0].set_title(f"replica {replica}", fontsize="small")
        column[1].set_xlabel("step" if place == 0 else "")
    grid[0, 0].set_ylabel("validation loss, nats")
    grid[1, 0].set_ylabel("training loss\nand its floor, nats")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give the step at which validation loss peaks, and the change of the floor while it falls by a nat."""
    replicas = [lead for lead in leads(tables["losses"], tables["events"]).values() if lead]
    changes = captions.span([lead.change for lead in replicas], "{:+.2f}").replace("-", formatting.MINUS)
    peaks = captions.span([lead.plateau.peak for lead in replicas])
    nats = captions.span([lead.first_nat for lead in replicas])
    return (
        f"On the plateau, validation loss peaks at step {peaks} and falls by a nat in {nats} steps. Meanwhile the log"
        f" of the floor of training loss changes by {changes}."
    )
