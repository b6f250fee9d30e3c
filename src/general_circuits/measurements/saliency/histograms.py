"""Skewness and concentration of the histogram of saliency over neurons, at each checkpoint."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from general_circuits.analysis import distribution_shape

STATISTICS = ("median", "median_magnitude", "mean_magnitude", "q95_magnitude", "breadth")
PLACE = ["condition", "replica", "step", "split", "layer", "site"]
ATTRIBUTION = ["method", "target", "normalisation"]

COLUMNS = (
    *(*PLACE, *ATTRIBUTION, "statistic", "dead_units", "neurons", "median", "zero_fraction", "moment_skewness"),
    *("l_skewness", "quantile_skewness", "gini", "degenerate"),
)


def describe(saliency: pd.DataFrame) -> pd.DataFrame:
    """Turn the `saliency` table into the `distribution` table.

    Each statistic is described with dead units included and excluded. `degenerate` flags a histogram whose shape has no
    meaning: over half of the values are exactly 0, or the values have no spread, or some are not finite.
    """
    frames = []
    for place, rows in saliency.groupby(PLACE, observed=True, sort=False):
        # All attributions at one place have the same neurons, so one call measures all their histograms.
        values = rows.pivot(index=ATTRIBUTION, columns="neuron", values=list(STATISTICS)).astype(np.float64)
        alive = rows.groupby("neuron")["alive"].first().to_numpy()
        # (statistic · attribution, neuron), in the order of `names` below
        histograms = np.concatenate([values[statistic].to_numpy() for statistic in STATISTICS])
        names = pd.concat([values.index.to_frame(index=False)] * len(STATISTICS), ignore_index=True)
        names["statistic"] = np.repeat(STATISTICS, len(values))
        names = names.assign(**dict(zip(PLACE, place, strict=True)))
        for dead_units, kept in (("included", histograms), ("excluded", histograms[:, alive])):
            shapes = pd.DataFrame({"dead_units": dead_units, "neurons": kept.shape[1], **measures(kept)})
            frames.append(names.join(shapes))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS))


def measures(values: distribution_shape.Array) -> dict[str, NDArray[Any]]:
    """Measure each histogram's shape: values (histogram, neuron) → by column, (histogram)."""
    has_neurons = values.shape[1] > 0
    nan = np.full(len(values), np.nan)
    zero_fraction = (values == 0).mean(axis=1) if has_neurons else nan
    l_skewness = distribution_shape.l_skewness(values)
    return {
        "median": np.median(values, axis=1) if has_neurons else nan,
        "zero_fraction": zero_fraction,
        "moment_skewness": distribution_shape.moment_skewness(values),
        "l_skewness": l_skewness,
        "quantile_skewness": distribution_shape.quantile_skewness(values),
        "gini": distribution_shape.gini(values),
        "degenerate": ~(zero_fraction <= 0.5) | np.isnan(l_skewness),  # written so that a NaN fraction counts too
    }
