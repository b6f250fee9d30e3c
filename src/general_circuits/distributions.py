"""The histogram over neurons in numbers: how skewed and how concentrated saliency is at each checkpoint."""

from __future__ import annotations

import numpy as np
import pandas as pd

from general_circuits import statistics

STATISTICS = ("median", "median_magnitude", "mean_magnitude", "q95_magnitude", "breadth")
GROUP = ["condition", "replica", "step", "split", "layer", "site", "method", "target", "normalisation"]


def describe(saliency: pd.DataFrame) -> pd.DataFrame:
    """The `saliency` table → the `distribution` table.

    Each statistic of the neurons is described with dead units included and excluded. `degenerate` flags a histogram
    whose shape means nothing: over half of the values are exactly 0, or they have no spread, or are not finite.
    """
    rows = []
    for key, neurons in saliency.groupby(GROUP, observed=True, sort=False):
        for dead_units, kept in (("included", neurons), ("excluded", neurons[neurons["alive"]])):
            for statistic in STATISTICS:
                values = kept[statistic].to_numpy(dtype=np.float64)
                rows.append(
                    {
                        **dict(zip(GROUP, key, strict=True)),
                        "statistic": statistic,
                        "dead_units": dead_units,
                        "neurons": len(values),
                        **measures(values),
                    }
                )
    return pd.DataFrame(rows)


def measures(values: statistics.Array) -> dict[str, float | bool]:
    """The measures of one histogram (neuron)."""
    zero_fraction = float((values == 0).mean()) if len(values) else float("nan")
    l_skewness = statistics.l_skewness(values)
    return {
        "median": float(np.median(values)) if len(values) else float("nan"),
        "zero_fraction": zero_fraction,
        "moment_skewness": statistics.moment_skewness(values),
        "l_skewness": l_skewness,
        "quantile_skewness": statistics.quantile_skewness(values),
        "gini": statistics.gini(values),
        "degenerate": bool(not zero_fraction <= 0.5 or l_skewness != l_skewness),
    }
