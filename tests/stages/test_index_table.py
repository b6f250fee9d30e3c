"""The stage that lists the files of one table in a study."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pandas as pd

from general_circuits.stages import index_table
from general_circuits.storage import tables
from general_circuits.storage.schemas.events import TABLE as EVENTS

ROW = {"event": "onset", "after": 3, "step": 4, "censored": False}


def test_every_file_of_the_study_is_listed_in_its_order_with_its_checksum(tmp_path: Path) -> None:
    axes = {"condition": ["zeta", "alpha"], "block": [0, 1], "replica": [8, 9]}
    files = [tmp_path / file for file in tables.files(EVENTS, axes)]
    for file in files:
        condition, block = file.parts[-3:-1]
        row = {**ROW, "condition": condition, "replica": 8 + int(block)}
        tables.write(file, EVENTS, pd.DataFrame([row]))
    (tmp_path / "runs/alpha/7").mkdir()
    (tmp_path / "runs/alpha/7/events.parquet").write_text("A block that the study no longer has.")
    (tmp_path / "axes.json").write_text(json.dumps({"events": axes}))
    output = tmp_path / "index/events.sha256"
    index_table.main("events", tmp_path, tmp_path / "axes.json", output)
    assert output.read_text().splitlines()[1:] == [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file}" for file in files
    ]
    assert [file.parts[-3:-1] for file in files] == [("zeta", "0"), ("zeta", "1"), ("alpha", "0"), ("alpha", "1")]
    # Other tools can check it too.
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", output], check=True)
