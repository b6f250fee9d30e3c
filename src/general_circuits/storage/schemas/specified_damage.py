"""The `damage` table for specification curves, at the checkpoints that their claims read."""

from dataclasses import replace

from general_circuits.storage.schemas.damage import TABLE as DAMAGE

TABLE = replace(
    DAMAGE,
    name="specified_damage",
    path="specifications/damage/{condition}/{block}.parquet",
    is_of_all=False,
    also=(),
)
