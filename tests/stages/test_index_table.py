"""The list of a study's files of one table."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from general_circuits.stages import index_table


def test_it_lists_every_file_in_the_studys_order_with_its_checksum(tmp_path: Path) -> None:
    axes = {"condition": ["zeta", "alpha"], "block": [0, 1]}
    for condition in axes["condition"]:
        for block in axes["block"]:
            folder = tmp_path / "runs" / str(condition) / str(block)
            folder.mkdir(parents=True)
            (folder / "events.parquet").write_text(f"{condition} {block}")
    (tmp_path / "runs/alpha/7").mkdir()
    (tmp_path / "runs/alpha/7/events.parquet").write_text("Of more replicas than the study has now.")
    (tmp_path / "axes.json").write_text(json.dumps({"events": axes}))
    index_table.main("events", tmp_path, tmp_path / "axes.json", tmp_path / "index/events.sha256")
    expected = [
        f"{hashlib.sha256(f'{condition} {block}'.encode()).hexdigest()}"
        f"  {tmp_path}/runs/{condition}/{block}/events.parquet"
        for condition in axes["condition"]
        for block in axes["block"]
    ]
    assert (tmp_path / "index/events.sha256").read_text().splitlines() == expected
