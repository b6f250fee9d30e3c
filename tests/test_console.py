"""Printing: a table that any terminal, pipe or encoding can show, and commands that end in one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner
from verdict_tables import two_claims

from general_circuits import cli
from general_circuits.claims import verdicts
from general_circuits.console import print_table
from general_circuits.running import launch
from general_circuits.storage import tables
from general_circuits.storage.schemas.verdicts import TABLE as VERDICTS

ROOT = Path(__file__).parents[1]
CLAIMS = pd.DataFrame(
    {
        "claim": ["partial_generalisation (patchwork)", "spikes"],
        "found": ["1.48 ratio of variances", "no data"],
        "interval": ["1.17 to 1.78", "–"],
        "verdict": ["undecided (about 570 replicas would decide)", "not testable (three spikes or more; four must)"],
    }
)


def shell(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash, in which $CLI is the command `general-circuits`."""
    cli = f"{sys.executable} -m general_circuits.cli"
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}".replace("$CLI", cli)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **variables},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize("columns", ["", "0", "1", "20", "80", "100", "500", "many"])
def test_no_word_of_a_table_is_broken_however_narrow_the_terminal_is(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    print_table(CLAIMS, whole=("interval",))
    printed = capsys.readouterr().out
    words = {word for cells in CLAIMS.to_numpy() for cell in cells for word in cell.split()}
    assert words <= set(printed.split())
    assert "1.17 to 1.78" in printed
    widths = {len(line) for line in printed.splitlines()}
    assert max(widths) <= (int(columns) if columns in ("80", "100", "500") else 120)


def test_a_wide_terminal_shows_every_cell_on_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    print_table(CLAIMS)
    printed = capsys.readouterr().out
    assert all(cell in printed for cells in CLAIMS.to_numpy() for cell in cells)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study that has nothing but verdicts."""
    folder = tmp_path_factory.mktemp("results")
    tables.write(folder / VERDICTS.path, VERDICTS, verdicts.merge(two_claims()))
    return folder


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii", "PYTHONWARNINGS": "error", "MPLBACKEND": "rubbish"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TERM": "dumb", "COLUMNS": "20"},
    ],
    ids=str,
)
def test_verdicts_are_printed_in_any_encoding_and_terminal(results: Path, variables: dict[str, str]) -> None:
    run = shell(f"$CLI claims {results} | cat", **variables)
    assert (run.returncode, run.stderr) == (0, "")
    assert "saliency_skew" in run.stdout.split()


def test_verdicts_as_json_stay_json_in_an_encoding_without_their_letters(results: Path) -> None:
    run = shell(f"$CLI claims {results} --format json", PYTHONIOENCODING="ascii")
    assert {row["claim"] for row in json.loads(run.stdout)} >= {"saliency_skew", "topk_damage"}


def test_a_pipe_that_closes_early_gives_no_traceback(results: Path) -> None:
    run = shell(f"$CLI claims {results} --format json | head -c 1")
    assert run.stderr == ""


def test_a_full_disk_is_told_in_one_sentence(results: Path) -> None:
    run = shell(f"$CLI claims {results} > /dev/full")
    assert (run.returncode, run.stderr) == (
        1,
        "general-circuits: the output cannot be written: No space left on device\n",
    )


def test_a_closed_output_is_opened_before_another_file_gets_its_number(tmp_path: Path) -> None:
    """Python has no `sys.stderr` where the caller has closed it, and gives its number to the next file."""
    code = f"""
import sys
from general_circuits import cli
def app():
    with open({str(tmp_path / "said")!r}, "w") as file:
        print(file.fileno(), sys.stdin.read(), sys.stdout.isatty(), sys.stderr.isatty(), file=file)
    print("lost")
cli.app = app
cli.main()"""
    run = shell('exec $PYTHON -c "$CODE" <&- >&- 2>&-', PYTHON=sys.executable, CODE=code)
    assert run.returncode == 0
    assert (tmp_path / "said").read_text() == "3  False False\n"


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "2>&- >&- <&-"])
def test_a_command_without_outputs_ends_as_usual(closed: str) -> None:
    assert shell(f"$CLI plan --study absent {closed}").returncode == 1
    assert shell(f"$CLI plan --help {closed}").returncode == 0


@pytest.mark.parametrize("cores", ["0", "-1", "abc", "1.5", "٣", "", "99999999999", "ALL"])
def test_a_number_of_cores_that_is_none_is_refused_in_one_sentence(cores: str) -> None:
    run = CliRunner().invoke(cli.app, ["run", "--study", "smoke", "--cores", cores])
    assert (run.exit_code, run.stderr) == (
        1,
        f"general-circuits: --cores {cores}: should be a whole number above 0, or all\n",
    )


@pytest.mark.parametrize(("given", "cores"), [("all", os.cpu_count()), ("3", 3)])
def test_all_cores_are_those_of_the_machine(given: str, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    monkeypatch.setattr(launch, "launch", lambda study, cores, *others: used.append(cores))
    assert CliRunner().invoke(cli.app, ["run", "--cores", given]).exit_code == 0
    assert used == [cores]
