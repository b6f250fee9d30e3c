"""Launches: the record that they leave for the README, and names that they refuse."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from general_circuits.pipeline import launch


def test_every_launch_adds_a_line_below_one_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch.machine, "description", lambda: "A processor, 2 cores, 8 GB")
    launch._record(tmp_path, 12.34, 2)
    launch._record(tmp_path, 100.0, 16)
    assert (tmp_path / launch.LAUNCHES).read_text(encoding="utf-8").splitlines() == [
        "s\tcores\tmachine",
        "12.3\t2\tA processor, 2 cores, 8 GB",
        "100.0\t16\tA processor, 2 cores, 8 GB",
    ]
    assert pd.read_csv(tmp_path / launch.LAUNCHES, sep="\t")["s"].sum() == pytest.approx(112.3)


def test_a_machine_is_one_line_without_a_tab() -> None:
    assert not set("\t\n") & set(launch.machine.description())
    assert f"{os.cpu_count()} cores" in launch.machine.description()


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    root = Path(__file__).parents[2]
    assert launch._profile("slurm", root) == root / "profiles" / "slurm"
    with pytest.raises(launch.LaunchError, match=r"no profiles/slrum; known: default, slurm"):
        launch._profile("slrum", root)
