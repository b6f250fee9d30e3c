"""The `general-circuits` command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from general_circuits import cli, stages

CLI = CliRunner()


def test_every_stage_and_helper_is_a_command() -> None:
    listed = CLI.invoke(cli.app, ["--help"]).output
    files = {file.stem for file in Path(stages.__file__).parent.glob("*.py")} - {"__init__", "command"}
    assert set(cli.stage_names()) == files
    for name in files | {"run", "plan", "replay", "reference"}:
        assert name in listed


def test_a_stage_takes_its_parameters_as_options() -> None:
    said = CLI.invoke(cli.app, ["find_events", "--help"]).output
    assert "--metrics" in said
    assert "--output" in said


def test_a_missing_option_is_named() -> None:
    result = CLI.invoke(cli.app, ["find_events", "--metrics", "x"])
    assert result.exit_code == 2
    assert "--output" in result.output


def test_listing_commands_imports_no_torch() -> None:
    code = "import sys\nfrom general_circuits import cli\ncli.stage_names()\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--condition groking --first 1 --last 5", "--condition groking: smoke has grokking, random_labels"),
        ("--condition grokking --first 10 --last 5", "--first 10 --last 5: should ascend within the 300 steps"),
        ("--condition grokking --first 0 --last 301", "--first 0 --last 301: should ascend within the 300 steps"),
        ("--condition grokking --first 0 --last 5 --block 2", "--block 2: smoke has blocks 0 to 1"),
        ("--condition grokking --first 0 --last 5 --study nope", "there is no config/nope.yaml"),
    ],
)
def test_a_replay_of_what_is_not_there_is_refused_before_anything_runs(
    options: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    result = CLI.invoke(cli.app, ["replay", "--study", "smoke", *options.split()])
    assert result.exit_code == 1
    assert said in result.output
