"""Number of random units, and of the most salient ones, that a network can lose after memorising and generalising.

Networks that memorise lean on single units, so fewer random deletions break them. This is figure 3 of Morcos et al.
2018, "On the importance of single directions for generalization". Networks that generalise lean on their most salient
units (Pope 2022, the post). The curves of both, side by side, show whether both can be true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from general_circuits.analysis.moments import BASELINE, steps_of
from general_circuits.figures import style
from general_circuits.formatting import UNKNOWN
from general_circuits.registered import REGISTERED, in_last_layer, rows_of

RANKINGS = {
    "random": "random units deleted\n(Morcos et al. 2018)",
    "top": "most salient units deleted\n(Pope 2022)",
}
CONTROLS = ("random_labels", "no_delay")
LATE = 1.25
"""Middle of the late window [t_g, 1.5 t_g], in units of t_g."""

MEMORISED, GENERALISED, YOKED = "memorised", "late", "at the same steps as late"
TICKS = (0, 0.25, 0.5, 0.75, 1)
NOTHING = "no replica memorised or generalised"
COLUMNS = {"accuracy": "accuracy", "margin": "matched_margin"}
LABELS = {"accuracy": "training accuracy left", "margin": "margin left, logits at matched scale"}


@dataclass(frozen=True)
class Line:
    """One condition at one moment.

    Attributes:
        condition: its name.
        moment: `MEMORISED`, `GENERALISED` or `YOKED`.
        left: what is left under each ranking, share of units deleted × replica.
    """

    condition: str
    moment: str
    left: dict[str, pd.DataFrame]

    @property
    def is_dashed(self) -> bool:
        return self.moment == MEMORISED


def draw(tables: Mapping[str, pd.DataFrame], left: str) -> Figure:
    """Draw the `accuracy` or `margin` left in grokking and two controls.

    A study without grokking shows its first condition. Reads `ablation` and `moments`.
    """
    lines = _lines(tables, left)
    colours = style.condition_colours(list(tables["ablation"]["condition"].cat.categories))
    figure, grid = plt.subplots(1, 2, figsize=(style.WIDTH, 2.9), sharey=True)
    for axes, (ranking, title) in zip(grid, RANKINGS.items(), strict=True):
        axes.set_title(title, fontsize="medium")
        axes.set_xlabel("share of the layer's units deleted")
        axes.set_xlim(0, 1)
        axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
        for line in lines:
            mean = style.draw_band(axes, line.left[ranking], colours[line.condition], "--" if line.is_dashed else "-")
            _mark_half(axes, mean, colours[line.condition])
    grid[0].set_ylabel(LABELS[left])
    if left == "accuracy":
        grid[0].set_ylim(-0.02, 1.02)
    _name(grid[1], lines, colours)
    if not lines:
        grid[0].annotate(NOTHING, (0.5, 0.5), xycoords="axes fraction", ha="center", va="center", color=style.GREY)
    return figure


def describe(tables: Mapping[str, pd.DataFrame], left: str) -> str:
    """Give the share of units whose deletion leaves half, for each line."""
    lines = _lines(tables, left)
    if not lines:
        return f"{NOTHING.capitalize()}."
    parts = [
        f"{style.readable(line.condition)} {line.moment}, {_written(half_at(line.left['random']))} of random units and"
        f" {_written(half_at(line.left['top']))} of the most salient"
        for line in lines
    ]
    return f"Half of the {left} is lost with (medians over replicas): {'; '.join(parts)}."


def half_at(left: pd.DataFrame) -> float:
    """Return the share of units whose deletion first leaves half of the whole network's value, median over replicas.

    Args:
        left: share of units deleted × replica. At share 0 stands the whole network. Values between shares are
            interpolated.

    Returns:
        The share, 0 to 1. It is infinite if half of the replicas or more never lose as much. It is NaN if no
        replica's whole network has a value above 0.
    """
    shares = [_first_below(left[replica].dropna()) for replica in left if left[replica].iloc[0] > 0]
    return float(np.median(shares)) if shares else float("nan")


def _first_below(curve: pd.Series) -> float:
    """Return the share at which one replica's curve first falls to half of its first value, linearly interpolated."""
    half = curve.iloc[0] / 2
    below = np.flatnonzero(curve.to_numpy() <= half)
    if not len(below):
        return float("inf")
    after = max(int(below[0]), 1)
    (x0, y0), (x1, y1) = list(curve.items())[after - 1 : after + 1]
    return float(x0 + (x1 - x0) * (y0 - half) / (y0 - y1)) if y0 > y1 else float(x1)


def _lines(tables: Mapping[str, pd.DataFrame], left: str) -> list[Line]:
    """Return the lines for which any replica has reached the event."""
    ablation = tables["ablation"]
    conditions = list(ablation["condition"].cat.categories)
    condition = "grokking" if "grokking" in conditions else conditions[0]
    steps = steps_of(tables["moments"], condition)
    late = LATE * steps["generalised"]
    wanted = [
        (condition, MEMORISED, steps[BASELINE]),
        (condition, GENERALISED, late),
        *((name, YOKED, late) for name in CONTROLS if name in conditions and name != condition),
    ]
    lines = []
    for name, moment, at in wanted:
        rows = _registered(ablation, name)
        # The middle of the window is no moment, so no replay made weights there.
        read = at if moment == MEMORISED else _nearest(rows, at.dropna())
        rows = rows[rows["step"] == rows["replica"].map(read)]
        curves = {ranking: _left(rows, ranking, COLUMNS[left]) for ranking in RANKINGS}
        if not all(curve.empty for curve in curves.values()):
            lines.append(Line(name, moment, curves))
    return lines


def _registered(ablation: pd.DataFrame, condition: str) -> pd.DataFrame:
    """Return one condition's rows of the registered deletion, of every ranking."""
    rows = rows_of(ablation, condition=condition, split=REGISTERED["split"], site=REGISTERED["site"], deletion="zero")
    return in_last_layer(rows)


def _nearest(rows: pd.DataFrame, steps: pd.Series) -> pd.Series:
    """Return each replica's checkpoint nearest to its own step."""
    nearest = {}
    for replica, step in steps.items():
        measured = np.sort(rows.loc[rows["replica"] == replica, "step"].unique())
        if len(measured):
            nearest[replica] = measured[np.abs(measured - step).argmin()]
    return pd.Series(nearest, dtype=float)


def _left(rows: pd.DataFrame, ranking: str, left: str) -> pd.DataFrame:
    """Return what is left, share of units deleted × replica, mean over draws; share 0 is the whole network."""
    choices = {"ranking": ranking, "dead_units": "included"}
    if ranking == "top":
        choices |= {name: REGISTERED[name] for name in ("method", "target", "normalisation")}
        choices["by"] = "mean_magnitude"
    deleted = rows_of(rows[rows["k"] > 0], **choices)
    if deleted.empty:
        return pd.DataFrame()
    # The whole network is stored once per replica, and belongs to every ranking.
    whole = rows[(rows["k"] == 0) & rows["replica"].isin(deleted["replica"])]
    table = pd.concat([whole, deleted]).pivot_table(index="k", columns="replica", values=left, observed=True)
    return table.set_axis(table.index / rows["k"].max(), axis="index")


def _mark_half(axes: Axes, mean: pd.Series, colour: object) -> None:
    """Draw a dot where the mean has lost half of the whole network's value."""
    share = half_at(mean.to_frame()) if len(mean) else float("nan")
    if np.isfinite(share):
        axes.plot(share, mean.iloc[0] / 2, "o", color=colour, markersize=4, mec="white", mew=0.6, zorder=5)


def _name(axes: Axes, lines: list[Line], colours: Mapping[str, object]) -> None:
    """Name the lines at the right, with the shares at which half is lost; the most robust network comes first."""
    order = sorted(lines, key=lambda line: -np.nan_to_num(half_at(line.left["random"]), posinf=2))
    for place, line in enumerate(order):
        halves = ", ".join(f"{ranking} {_written(half_at(line.left[ranking]))}" for ranking in RANKINGS)
        for text, weight, below in (
            (style.readable(line.condition), "bold", 0),
            (f"{line.moment}{' (dashed)' if line.is_dashed else ''}", "normal", 1),
            (f"half lost (median): {halves}", "normal", 2),
        ):
            axes.annotate(
                text,
                (1.0, 1.0),
                xycoords="axes fraction",
                xytext=(8, -37 * place - 10 * below),
                textcoords="offset points",
                va="top",
                fontsize="small" if below == 0 else "x-small",
                fontweight=weight,
                color=colours[line.condition],
                annotation_clip=False,
            )


def _written(share: float) -> str:
    """Write a share in per cent of the layer's units."""
    if np.isnan(share):
        return UNKNOWN
    return f"{100 * share:.0f} %" if np.isfinite(share) else "> 100 %"
