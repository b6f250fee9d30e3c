"""Damage by deleting neurons, read off the tables `ablation` and `damage` for claims and figures.

Only rows of the registered definition count: MLP units of each condition's last layer, on training examples, set to
zero, dead units included. Units are ranked by the mean magnitude of the registered saliency, or drawn at random.
"""

from __future__ import annotations

import pandas as pd

from general_circuits.registered import REGISTERED, in_last_layer, rows_of

KEYS = ["condition", "replica", "step"]
RANKINGS = ("top", "bottom", "matched", "random")
LOST = ["accuracy", "margin", "matched_margin"]


def curves(ablation: pd.DataFrame) -> pd.DataFrame:
    """Return what deleting k units costs, averaged over random draws.

    Returns:
        Index (condition, replica, step, ranking, k). Columns: loss of `accuracy`; loss of `margin` in logits; loss of
        `matched_margin`, the margin of logits that are divided by the checkpoint's logit scale.
    """
    left = _registered(ablation).groupby([*KEYS, "ranking", "k"], observed=True)[LOST].mean()
    # At k = 0 nothing is deleted, so every ranking has the same values there; they are read from "top".
    intact = left.xs(0, level="k").xs("top", level="ranking")
    return intact - left[left.index.get_level_values("k") > 0]


def areas(damage: pd.DataFrame) -> pd.DataFrame:
    """Return D under each ranking, averaged over random draws: one row per condition, replica and step.

    Columns:
        top, bottom, matched, random: D, a share of the examples.
        excess: top − random; `over_bottom` and `over_matched` likewise.
        margin_excess: top − random of the lost margin, in logits.
        matched_margin_excess: the same at matched logit scale.
    """
    columns = ["area", "margin_area", "matched_margin_area"]
    means = _registered(damage).groupby([*KEYS, "ranking"], observed=True)[columns].mean().unstack("ranking")
    area, margin, matched_margin = (means[column].reindex(columns=list(RANKINGS)) for column in columns)
    differences = area.assign(
        excess=area["top"] - area["random"],
        over_bottom=area["top"] - area["bottom"],
        over_matched=area["top"] - area["matched"],
        margin_excess=margin["top"] - margin["random"],
        matched_margin_excess=matched_margin["top"] - matched_margin["random"],
    )
    return differences.rename_axis(columns=None).reset_index()


def _registered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the registered definition, and the rows of random draws."""
    rows = rows_of(table, split=REGISTERED["split"], site=REGISTERED["site"], deletion="zero", dead_units="included")
    rows = in_last_layer(rows)
    # A random draw has no attribution, so its rows are selected apart.
    attribution = {name: REGISTERED[name] for name in ("method", "target", "normalisation")}
    ranked = rows_of(rows, by="mean_magnitude", **attribution)
    return pd.concat([ranked, rows_of(rows, ranking="random")])
