"""The table `moments` as stages read it, by replica and moment."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from general_circuits.analysis.moments import AROUND_ONSET
from general_circuits.storage import tables
from general_circuits.storage.moments import steps_by_replica
from general_circuits.storage.schemas.moments import TABLE

ROWS = [
    (4, "baseline", 70),
    (4, AROUND_ONSET, 400),
    (4, AROUND_ONSET, 500),
    (4, "onset", 500),
    (7, "baseline", 90),
]


def write(path: Path, rows: list[tuple[int, str, int]]) -> Path:
    frame = pd.DataFrame(rows, columns=["replica", "moment", "step"])
    numbers = {"is_cut": False, "train_accuracy": 1.0, "validation_accuracy": 0.5}
    tables.write(path, TABLE, frame.assign(condition="grokking", **numbers))
    return path


def test_steps_are_read_by_replica_and_moment(tmp_path: Path) -> None:
    assert steps_by_replica(write(tmp_path / "0.parquet", ROWS)) == {
        4: {"baseline": [70], AROUND_ONSET: [400, 500], "onset": [500]},
        7: {"baseline": [90]},
    }


def test_a_block_whose_replicas_never_memorised_has_no_steps(tmp_path: Path) -> None:
    assert steps_by_replica(write(tmp_path / "0.parquet", [])) == {}
