"""Lists of the files of one table in a study."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from general_circuits.stages import index_table


def test_every_file_of_the_study_is_listed_in_its_order_with_its_checksum(tmp_path: Path) -> None:
    axes = {"condition": ["zeta", "alpha"], "block": [0, 1]}
    for condition in axes["condition"]:
        for block in axes["block"]:
            folder = tmp_path / "runs" / str(condition) / str(block)
            folder.mkdir(parents=True)
            (folder / "events.parquet").write_text(f"{condition} {block}")
    (tmp_path / "runs/alpha/7").mkdir()
    (tmp_path / "runs/alpha/7/events.parquet").write_text("A block that the study no longer has.")
    (tmp_path / "axes.json").write_text(json.dumps({"events": axes}))
    index_table.main("events", tmp_path, tmp_path / "axes.json", tmp_path / "index/events.sha256")
    expected = [
        f"{hashlib.sha256(f'{condition} {block}'.encode()).hexdigest()}"
        f"  {tmp_path}/runs/{condition}/{block}/events.parquet"
        for condition in axes["condition"]
        for block in axes["block"]
    ]
    assert (tmp_path / "index/events.sha256").read_text().splitlines() == expected
