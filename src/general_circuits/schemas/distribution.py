"""One row per histogram over neurons: how skewed and concentrated it is."""

from general_circuits.tables import CATEGORY, FLAG, INTEGER, NEURONS, NUMBER, Table

TABLE = Table(
    "distribution",
    "distribution/{condition}/{block}.parquet",
    {**NEURONS, "method": CATEGORY, "statistic": CATEGORY, "dead_units": CATEGORY},
    {
        "neurons": INTEGER,
        "median": NUMBER,
        "zero_fraction": NUMBER,
        "moment_skewness": NUMBER,
        "l_skewness": NUMBER,
        "quantile_skewness": NUMBER,
        "gini": NUMBER,
        "degenerate": FLAG,
    },
)
