"""Both losses at every step, with their spikes, and gains of the general part of margins in and beside spikes."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from general_circuits import formatting
from general_circuits.analysis.estimates import Estimate, estimate
from general_circuits.analysis.variants import BASE
from general_circuits.figures import style

MOST = 3
"""Most replicas whose losses are shown."""
KINDS = {"spike": "spikes", "kick": "kicks", "quiet": "quiet windows"}
COLOURS = {
    "spike": style.VERDICT_COLOURS["contradicted"],
    "kick": style.VERDICT_COLOURS["supported"],
    "quiet": style.GREY,
}


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw losses of a few replicas (left), and gains by kind of window (right).

    Reads `losses`, `spikes` and `spike_effects`.
    """
    losses = tables["losses"][tables["losses"]["condition"] == BASE]
    shown = sorted(losses["replica"].unique())[:MOST]
    rows = max(1, len(shown))
    figure = plt.figure(figsize=(style.WIDTH, 3.6))
    grid = figure.add_gridspec(rows, 2, width_ratios=[3, 2])
    panels = [figure.add_subplot(grid[row, 0]) for row in range(rows)]
    for axes, replica in zip(panels, shown, strict=False):
        _draw_losses(axes, losses[losses["replica"] == replica], tables["spikes"], replica)
        axes.tick_params(labelbottom=axes is panels[-1], labelsize="x-small")
    panels[0].legend(*panels[0].get_legend_handles_labels(), fontsize="x-small", loc="lower left")
    panels[rows // 2].set_ylabel("loss")
    panels[-1].set_xlabel("step")
    _draw_gains(figure.add_subplot(grid[:, 1]), _gains(tables))
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give the number of spikes, in all and on the plateau, and the mean gains."""
    rows = tables["spikes"][(tables["spikes"]["condition"] == BASE) & (tables["spikes"]["kind"] == "spike")]
    replicas = tables["losses"].loc[tables["losses"]["condition"] == BASE, "replica"].nunique()
    gains = _gains(tables)
    means = [f"{words} {formatting.signed(_of_replicas(gains, kind).mean)}" for kind, words in KINDS.items()]
    return (
        f"{len(rows)} spikes in {replicas} replicas, {rows['is_on_plateau'].sum():.0f} of them on the plateau. Mean"
        f" gains of the general share: {'; '.join(means)}."
    )


def _gains(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return grokking's windows with their `gain`, the change of the general share from before to after."""
    effects = tables["spike_effects"][tables["spike_effects"]["condition"] == BASE]
    return effects.assign(gain=effects["general_after"] - effects["general_before"])


def _of_replicas(gains: pd.DataFrame, kind: str) -> Estimate:
    """Estimate the gain in one kind of window, from each replica's mean over its windows."""
    return estimate(gains.loc[gains["kind"] == kind].groupby("replica")["gain"].mean())


def _draw_losses(axes: Axes, rows: pd.DataFrame, spikes: pd.DataFrame, replica: int) -> None:
    """Draw both losses of one replica, with marks at its spikes and quiet windows."""
    axes.plot(rows["step"], rows["validation"], color=style.GREY, linewidth=0.8, label="validation")
    axes.plot(rows["step"], rows["training"], color="black", linewidth=0.8, label="training")
    windows = spikes[(spikes["condition"] == BASE) & (spikes["replica"] == replica)]
    on_plateau = windows["is_on_plateau"].astype(bool)
    is_spike = windows["kind"] == "spike"
    for chosen, kind, mark, fill in (
        (is_spike & on_plateau, "spike", "v", "full"),
        (is_spike & ~on_plateau, "spike", "v", "none"),
        (windows["kind"] == "quiet", "quiet", "|", "full"),
    ):
        at, colour = windows[chosen], COLOURS[kind]
        axes.plot(at["step"], at["loss"], mark, color=colour, fillstyle=fill, markersize=5, markeredgewidth=1)
    axes.set_yscale("log")
    axes.set_xlim(0, rows["step"].max())
    style.linear_steps(axes, 5)


def _draw_gains(axes: Axes, gains: pd.DataFrame) -> None:
    """Draw the gain of every window, and means over replicas beside them."""
    for place, kind in enumerate(KINDS):
        values = gains.loc[gains["kind"] == kind, "gain"].dropna()
        spread = np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else np.zeros(len(values))
        axes.plot(place + spread, values, "o", color=COLOURS[kind], markersize=3, alpha=0.6, markeredgewidth=0)
        gain = _of_replicas(gains, kind)
        axes.plot([place + 0.32] * 2, [gain.low, gain.high], color="black", linewidth=1.2)
        axes.plot(place + 0.32, gain.mean, "D", color="black", markersize=3.5)
    axes.axhline(0, color=style.GREY, linewidth=0.6)
    axes.set_xticks(range(len(KINDS)), list(KINDS.values()), fontsize="x-small")
    axes.set_xlim(-0.5, len(KINDS) - 0.4)
    axes.set_ylabel("gain of the general share")
