"""Damage, from the `ablation` table: what claims and figures read off it, on training examples of the last layer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from general_circuits.frames import registered_rows

KEYS = ["condition", "replica", "step"]
SHARE = 0.25
"""D averages over k from 1 to this share of the layer's units."""


def curves(ablation: pd.DataFrame) -> pd.DataFrame:
    """What deleting k units costs: index (condition, replica, step, ranking, k), columns `accuracy` and `margin` lost.

    Units are set to zero; random draws are averaged.
    """
    rows = registered_rows(ablation)
    rows = rows[rows["deletion"] == "zero"]
    left = rows.groupby([*KEYS, "ranking", "k"], observed=True)[["accuracy", "margin"]].mean()
    whole = left.xs(0, level="k").xs("top", level="ranking")
    return whole - left[left.index.get_level_values("k") > 0]


def areas(ablation: pd.DataFrame) -> pd.DataFrame:
    """D under each ranking: one row per condition, replica and step.

    D is the mean loss of accuracy over k from 1 to a quarter of the units, by trapezoids between the measured k; NaN
    where one of them is missing. Columns: `top`, `bottom`, `matched`, `random`; `excess` = top − random; `over_bottom`
    and `over_matched` likewise; `margin_excess`, top − random of lost margin.
    """
    conditions = ablation["condition"].cat.categories
    areas = [_areas(ablation[ablation["condition"] == condition]) for condition in conditions]
    return pd.concat(areas, ignore_index=True).astype({"condition": ablation["condition"].dtype})


def _areas(ablation: pd.DataFrame) -> pd.DataFrame:
    """`areas` of one condition: layers of different conditions may differ in width."""
    lost = curves(ablation)
    k = lost.index.get_level_values("k")
    lost = lost[k <= max(1, int(SHARE * k.max()))]
    accuracy, margin = (_mean_over_k(lost[column].unstack("k")).unstack("ranking") for column in ("accuracy", "margin"))
    found = pd.DataFrame({ranking: accuracy[ranking] for ranking in ("top", "bottom", "matched", "random")})
    return found.assign(
        excess=found["top"] - found["random"],
        over_bottom=found["top"] - found["bottom"],
        over_matched=found["top"] - found["matched"],
        margin_excess=margin["top"] - margin["random"],
    ).reset_index()


def _mean_over_k(table: pd.DataFrame) -> pd.Series:
    """Mean over the columns k, by trapezoids: (row, k) → (row)."""
    k = table.columns.to_numpy(dtype=float)
    values = table.to_numpy()
    if len(k) == 1:
        return table.iloc[:, 0]
    return pd.Series(np.trapezoid(values, k, axis=1) / (k[-1] - k[0]), index=table.index)
