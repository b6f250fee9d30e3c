"""Skewness and concentration of the histograms over a layer's neurons."""

from general_circuits.storage.tables import ATTRIBUTION, CATEGORY, FLAG, INTEGER, NEURONS, NUMBER, Table

TABLE = Table(
    "distribution",
    "distribution/{condition}/{block}.parquet",
    row="replica, step, split, layer, site, method, target, normalisation, statistic and dead_units",
    key={**NEURONS, **ATTRIBUTION, "statistic": CATEGORY, "dead_units": CATEGORY},
    columns={
        "neurons": INTEGER,
        "median": NUMBER,
        "zero_fraction": NUMBER,
        "moment_skewness": NUMBER,
        "l_skewness": NUMBER,
        "quantile_skewness": NUMBER,
        "gini": NUMBER,
        "degenerate": FLAG,
    },
    meanings={
        "statistic": (
            "column of the saliency table that the histogram shows: median, median_magnitude, mean_magnitude,"
            " q95_magnitude or breadth"
        ),
        "neurons": "number of neurons in the histogram",
        "median": "median over the neurons, in the unit of the saliency (a share for breadth); missing without any",
        "zero_fraction": "share of the neurons at exactly 0, 0 to 1; missing without neurons",
        "moment_skewness": "third central moment over the cubed standard deviation; missing without spread",
        "l_skewness": "third L-moment over the second, −1 to 1; missing without spread",
        "quantile_skewness": (
            "place of the median between the 10 % and 90 % quantiles, −1 (at the upper one) to 1 (at the lower one);"
            " missing where the two are equal"
        ),
        "gini": (
            "Gini coefficient, 0 (all neurons equal) to 1 − 1/neurons (one neuron has everything); missing if all are 0"
            " or any is negative"
        ),
        "degenerate": (
            "whether the histogram's shape means nothing; reasons are more than half of the neurons at exactly 0, fewer"
            " than three neurons, no spread, or a value that is not finite"
        ),
    },
    measurement="saliency",
    also=("specifications/distribution/{condition}/{block}.parquet",),
)
