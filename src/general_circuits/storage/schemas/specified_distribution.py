"""The `distribution` table for specification curves, at the checkpoints that their claims read."""

from dataclasses import replace

from general_circuits.storage.schemas.distribution import TABLE as DISTRIBUTION

TABLE = replace(
    DISTRIBUTION,
    name="specified_distribution",
    path="specifications/distribution/{condition}/{block}.parquet",
    is_of_all=False,
    also=(),
)
