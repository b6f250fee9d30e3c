"""Damage: what claims and figures read off the tables `ablation` and `damage`.

Of each condition the last layer's MLP units, on training examples, set to zero, dead ones among them; ranked by the
registered saliency's mean magnitude, or drawn at random.
"""

from __future__ import annotations

import pandas as pd

from general_circuits.registered import REGISTERED, in_last_layer, rows_of

KEYS = ["condition", "replica", "step"]
RANKINGS = ("top", "bottom", "matched", "random")
LOST = ["accuracy", "margin", "matched_margin"]


def curves(ablation: pd.DataFrame) -> pd.DataFrame:
    """What deleting k units costs: index (condition, replica, step, ranking, k), a column of what is lost for each.

    Columns: `accuracy`; `margin`, logits; `matched_margin`, of logits divided by the checkpoint's scale. Random draws
    are averaged.
    """
    left = _registered(ablation).groupby([*KEYS, "ranking", "k"], observed=True)[LOST].mean()
    whole = left.xs(0, level="k").xs("top", level="ranking")
    return whole - left[left.index.get_level_values("k") > 0]


def areas(damage: pd.DataFrame) -> pd.DataFrame:
    """D under each ranking: one row per condition, replica and step; the mean over random draws.

    Columns: `top`, `bottom`, `matched`, `random`, shares of the examples; `excess` = top − random; `over_bottom` and
    `over_matched` likewise; `margin_excess` and `matched_margin_excess`, top − random of the margin lost, in logits and
    at matched logit scale.
    """
    columns = ["area", "margin_area", "matched_margin_area"]
    means = _registered(damage).groupby([*KEYS, "ranking"], observed=True)[columns].mean().unstack("ranking")
    area, margin, matched_margin = (means[column].reindex(columns=list(RANKINGS)) for column in columns)
    found = area.assign(
        excess=area["top"] - area["random"],
        over_bottom=area["top"] - area["bottom"],
        over_matched=area["top"] - area["matched"],
        margin_excess=margin["top"] - margin["random"],
        matched_margin_excess=matched_margin["top"] - matched_margin["random"],
    )
    return found.rename_axis(columns=None).reset_index()


def _registered(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that the registered definition reads, and those of random draws beside them."""
    rows = rows_of(table, split=REGISTERED["split"], site=REGISTERED["site"], deletion="zero", dead_units="included")
    rows = in_last_layer(rows)
    attribution = {name: REGISTERED[name] for name in ("method", "target", "normalisation")}
    ranked = rows_of(rows, by="mean_magnitude", **attribution)
    return pd.concat([ranked, rows_of(rows, ranking="random")])
