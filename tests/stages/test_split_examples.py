"""Examples of a block."""

from __future__ import annotations

from pathlib import Path

from builders import split_settings

from general_circuits.records import to_json
from general_circuits.stages import generate_task, split_examples
from general_circuits.storage import tables
from general_circuits.storage.schemas.split import TABLE as SPLIT
from general_circuits.storage.schemas.task import TABLE as TASK
from general_circuits.tasks.modular import Modular


def test_blocks_have_consecutive_seeds_and_every_example_of_the_task(tmp_path: Path) -> None:
    task, settings = tmp_path / "task.parquet", to_json(split_settings(0.5))
    generate_task.main(to_json(Modular(("x-y",), 5)), task)
    table = tables.read(task, TASK)
    seeds = []
    for block in range(3):
        output = tmp_path / f"{block}.parquet"
        split_examples.main(task, settings, "case", first_seed=1000, block=block, replicas=2, output=output)
        split = tables.read(output, SPLIT)
        for replica, rows in split.groupby("replica"):
            seeds.append(replica)
            assert rows["a"].tolist() == table["a"].tolist()
            assert rows["b"].tolist() == table["b"].tolist()
            assert rows["label"].tolist() == table["target"].tolist()
        metadata = tables.read_metadata(output)
        assert metadata["vocabulary"] == {"n_inputs": 2, "n_symbols": 5, "n_classes": 5}
    assert seeds == [1000, 1001, 1002, 1003, 1004, 1005]
