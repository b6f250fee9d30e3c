"""One row per neuron: how its saliency is spread over examples."""

from general_circuits.tables import CATEGORY, FLAG, INTEGER, NEURONS, NUMBER, Table

TABLE = Table(
    "saliency",
    "saliency/{condition}/{block}.parquet",
    {**NEURONS, "method": CATEGORY, "neuron": INTEGER},
    {
        "median": NUMBER,
        "median_magnitude": NUMBER,
        "mean_magnitude": NUMBER,
        "q95_magnitude": NUMBER,
        "breadth": NUMBER,
        "alive": FLAG,
        "completeness_error": NUMBER,
    },
)
