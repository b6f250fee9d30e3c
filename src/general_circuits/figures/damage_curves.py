"""What is lost against the number of deleted units, at several moments of training, beside its controls."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from general_circuits.analysis import damage
from general_circuits.figures import style
from general_circuits.formatting import plain
from general_circuits.registered import SHARE

RANKINGS = {
    "top": "most salient",
    "matched": "matched (dotted)",
    "random": "random (dashed)",
    "bottom": "least salient",
}
STYLES = {"top": "-", "matched": ":", "random": "--", "bottom": "-."}
PANELS = 4
COLUMNS = {"accuracy": "accuracy", "margin": "matched_margin"}
LABELS = {"accuracy": "training accuracy lost", "margin": "margin lost, in logit scales"}


def draw(tables: Mapping[str, pd.DataFrame], lost: str) -> Figure:
    """Lost `accuracy`, or `margin` at matched logit scale, in grokking (or the first condition there is).

    From `ablation` and `events`.
    """
    condition, rows, moments = _read(tables, lost)
    figure, grid = plt.subplots(1, len(moments), figsize=(style.WIDTH, 2.6), sharey=True, squeeze=False)
    own = style.condition_colours(list(tables["ablation"]["condition"].cat.categories))[condition]
    # Colours are the conditions': what is ranked by saliency has this one's, and the controls have none.
    colours: dict[str, object] = {"top": own, "matched": own, "random": "black", "bottom": style.GREY}
    names = {ranking: label for ranking, label in RANKINGS.items() if (rows["ranking"] == ranking).any()}
    for axes, (step, name) in zip(grid[0], moments.items(), strict=True):
        here = rows[rows["step"] == step]
        for ranking in names:
            table = here[here["ranking"] == ranking].pivot(index="k", columns="replica", values=lost)
            if len(table):
                style.draw_band(axes, table, colours[ranking], STYLES[ranking])
        axes.axvline(SHARE * rows["k"].max(), color=style.GREY, linewidth=0.6, linestyle=(0, (1, 2)))
        axes.set_xscale("log")
        axes.set_title(f"step {step:,}{name}", fontsize="medium")
        axes.set_xlabel("deleted units k")
        if lost == "accuracy":
            axes.set_ylim(-0.02, 1.02)
    grid[0, 0].set_ylabel(LABELS[lost])
    for place, (ranking, label) in enumerate(names.items()):
        grid[0, 0].annotate(
            label,
            (0.04, 0.97 - 0.1 * place),
            xycoords="axes fraction",
            va="top",
            fontsize="small",
            color=colours[ranking],
        )
    return figure


def describe(tables: Mapping[str, pd.DataFrame], lost: str) -> str:
    """What a quarter of the units is worth at each moment."""
    condition, rows, moments = _read(tables, lost)
    k = rows["k"].max() * SHARE
    quarter = rows["k"].unique()[np.abs(rows["k"].unique() - k).argmin()]
    means = rows[rows["k"] == quarter].groupby(["step", "ranking"], observed=True)[lost].mean()
    parts = [
        f"step {step:,}{name.replace('$', '')}: most salient {plain(means[step, 'top'])},"
        f" random {plain(means[step, 'random'])}, least salient {plain(means[step, 'bottom'])}"
        for step, name in moments.items()
    ]
    return f"{style.readable(condition).capitalize()}, mean lost to k = {quarter}: {'; '.join(parts)}."


def _read(tables: Mapping[str, pd.DataFrame], lost: str) -> tuple[str, pd.DataFrame, dict[int, str]]:
    """The condition shown, its curves, and the measured steps to show with the event that each is near."""
    conditions = list(tables["ablation"]["condition"].cat.categories)
    condition = "grokking" if "grokking" in conditions else conditions[0]
    curves = damage.curves(tables["ablation"][tables["ablation"]["condition"] == condition])
    rows = curves[COLUMNS[lost]].rename(lost).dropna().reset_index()
    return condition, rows, _moments(style.median_steps(tables["events"], condition), np.sort(rows["step"].unique()))


def _moments(events: dict[str, float], steps: np.ndarray) -> dict[int, str]:
    """Measured steps to show, each with the event it is near: memorised, onset, generalised and the last."""
    found: dict[int, str] = {}
    for event, step in events.items():
        found[int(steps[np.abs(steps - step).argmin()])] = f" (≈ {style.EVENT_NAMES[event]})"
    found.setdefault(int(steps[-1]), "")
    for step in steps[np.linspace(0, len(steps) - 1, PANELS).round().astype(int)]:
        if len(found) < PANELS:
            found.setdefault(int(step), "")
    return dict(sorted(found.items()))
