"""The command `general-circuits`: its help, its messages and the verdicts that it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner
from verdict_tables import REASON, in_parts, two_claims

from general_circuits import cli, stages
from general_circuits.claims import verdicts
from general_circuits.claims.registry import CLAIMS
from general_circuits.config.kinds import MOST_STEPS
from general_circuits.documentation import readme
from general_circuits.storage import tables
from general_circuits.storage.schemas.verdicts import TABLE as VERDICTS

CLI = CliRunner()


def test_every_stage_and_helper_is_a_command() -> None:
    listed = CLI.invoke(cli.app, ["--help"]).output
    files = {file.stem for file in Path(stages.__file__).parent.glob("*.py")} - {"__init__", "command", "interruption"}
    assert set(cli.stage_names()) == files
    for name in files | {"run", "plan", "replay", "claims", "readme", "reference"}:
        assert name in listed


LONG = "x" * 300


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        *((f"{command} --study {LONG}", "there is no config/xxx") for command in ("plan", "run", "prune", "check")),
        (f"run --study smoke --profile {LONG}", "there is no profiles/xxx"),
        (f"claims {LONG}", "xxx… cannot be used: File name too long"),
        (f"plan --study smoke --claim {LONG}", "xxx…: should be one of"),
        (f"replay --study smoke --condition {LONG} --first 0 --last 1", "smoke has no such condition; known: grokking"),
        ("plan --study config", "study 'config': config/config.yaml is the study workstation; known: "),
    ],
    ids=lambda text: text[:12],
)
def test_names_that_no_file_can_have_are_refused_in_a_sentence(
    arguments: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["general-circuits", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr().err + str(ended.value)
    assert said in printed
    assert len(printed) < 420
    assert "Traceback" not in printed


@pytest.mark.parametrize("option", ["--checkpoints-every", "--metrics-every", "--first", "--last", "--block"])
def test_numbers_of_a_replay_have_a_largest_one(option: str) -> None:
    given = {"--condition": "grokking", "--first": "0", "--last": "1", option: "1" + "0" * 300}
    run = CLI.invoke(cli.app, ["replay", *(text for pair in given.items() for text in pair)])
    assert run.exit_code == 2
    assert option in run.output
    assert MOST_STEPS == cli.MOST_STEPS


def test_a_users_width_of_the_terminal_that_is_no_number_does_no_harm() -> None:
    command = [sys.executable, "-m", "general_circuits.cli", "--help"]
    run = subprocess.run(command, env={**os.environ, "TERMINAL_WIDTH": "abc"}, capture_output=True, check=False)
    assert (run.returncode, run.stderr) == (0, b"")


def test_a_stage_takes_its_parameters_as_options() -> None:
    said = CLI.invoke(cli.app, ["find_events", "--help"]).output
    assert "--metrics" in said
    assert "--output" in said


def test_a_missing_option_is_named() -> None:
    result = CLI.invoke(cli.app, ["find_events", "--metrics", "x", "--condition", "x", "--parent="])
    assert result.exit_code == 2
    assert "--output" in result.output


def test_listing_commands_imports_no_torch() -> None:
    code = "import sys\nfrom general_circuits import cli\ncli.stage_names()\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            "--condition groking --first 1 --last 5",
            "--condition groking: smoke has no such condition; known: grokking, random_labels",
        ),
        (
            "--condition grokking --first 10 --last 5",
            "--first 10 --last 5: should ascend, and be at most the 600 steps",
        ),
        (
            "--condition grokking --first 0 --last 601",
            "--first 0 --last 601: should ascend, and be at most the 600 steps",
        ),
        ("--condition grokking --first 0 --last 5 --block 2", "--block 2: should be from 0 to 0, the blocks of smoke"),
        ("--condition grokking --first 0 --last 5 --study nope", "there is no config/nope.yaml"),
    ],
)
def test_a_replay_of_unknown_conditions_blocks_or_steps_is_refused_before_anything_runs(
    options: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    result = CLI.invoke(cli.app, ["replay", "--study", "smoke", *options.split()])
    assert result.exit_code == 1
    assert said in result.output


def test_a_plan_for_an_unknown_claim_lists_the_measured_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    result = CLI.invoke(cli.app, ["plan", "--study", "smoke", "--claim", "sadness"])
    assert result.exit_code == 1
    assert "--claim sadness: should be one of saliency_skew, topk_damage" in result.output


def test_a_plan_for_a_claim_says_what_the_study_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/mine.yaml").write_text("study: mine\nconditions: {grokking: {}}\n")
    monkeypatch.chdir(tmp_path)
    result = CLI.invoke(cli.app, ["plan", "--study", "mine", "--claim", "spikes"])
    assert (result.exit_code, result.output) == (
        1,
        "general-circuits: --claim spikes: the claim needs more; the study mine has no watched spikes\n",
    )


@pytest.mark.parametrize("command", ["run", "plan", "replay", "claims", "readme", "reference"])
def test_every_option_has_a_help_text(command: str) -> None:
    described = get_command(cli.app).get_command(None, command)
    assert described.help
    assert [option.name for option in described.params if not getattr(option, "help", None)] == []


def test_a_config_that_cannot_run_is_refused_with_its_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/mine.yaml").write_text("study: mine\nreplicas: 0\nconditions: {one: {}}\n")
    monkeypatch.chdir(tmp_path)
    result = CLI.invoke(cli.app, ["plan", "--study", "mine"])
    assert (result.exit_code, result.output) == (
        1,
        "general-circuits: the config cannot run:\n  replicas = 0: should be greater than or equal to 1\n",
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished study, with its verdicts alone."""
    folder = tmp_path_factory.mktemp("workstation")
    tables.write(folder / VERDICTS.path, VERDICTS, verdicts.merge([*two_claims(), in_parts("takeover")]))
    return folder


def test_claims_are_a_table_by_default(results: Path) -> None:
    result = CLI.invoke(cli.app, ["claims", str(results)], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    for verdict in ("supported", "contradicted", "between", "undecided (about 12 replicas would decide)"):
        assert verdict in result.output
    for text in ("saliency_skew", "topk_damage", "takeover (sgd)", f"not testable ({REASON})", "are not measured yet"):
        assert text in result.output
    assert "topk_damage: topk_damage was" in result.output
    assert "takeover (toy)" not in result.output
    assert "complexity" not in result.output


@pytest.mark.parametrize("width", [80, 100])
def test_a_narrow_terminal_breaks_lines_between_words(width: int, results: Path) -> None:
    result = CLI.invoke(cli.app, ["claims", str(results)], env={"COLUMNS": str(width)})
    words = result.output.split("saliency_skew:")[0].split()
    assert {"saliency_skew", "topk_damage", "supported", "contradicted", "between", "undecided", "replicas"} <= set(
        words
    )
    assert "…" not in result.output
    assert max(map(len, result.output.splitlines())) <= width


def test_claims_in_markdown_are_a_row_each(results: Path) -> None:
    result = CLI.invoke(cli.app, ["claims", str(results), "--format", "markdown"])
    assert result.exit_code == 0
    assert [line.split(" | ")[0] for line in result.output.splitlines() if line.startswith("| `")] == [
        "| `saliency_skew`",
        *(f"| `takeover` ({part})" for part in ("adamw", "momentum", "sgd")),
        "| `topk_damage`",
    ]


def test_claims_in_json_include_those_that_the_study_could_not_test(results: Path) -> None:
    result = CLI.invoke(cli.app, ["claims", str(results), "--format", "json"])
    assert result.exit_code == 0
    assert {record["claim"] for record in json.loads(result.output)} == set(CLAIMS)


def test_claims_of_a_folder_that_is_no_study_are_refused_with_the_path(tmp_path: Path) -> None:
    result = CLI.invoke(cli.app, ["claims", str(tmp_path / "nope")])
    assert result.exit_code == 1
    assert f"{tmp_path / 'nope' / VERDICTS.path} is missing" in result.output
    assert "Traceback" not in result.output


def test_claims_from_a_broken_file_are_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / VERDICTS.path).parent.mkdir()
    (tmp_path / VERDICTS.path).write_text("no table")
    result = CLI.invoke(cli.app, ["claims", str(tmp_path)])
    assert result.exit_code == 1
    assert result.output.startswith("general-circuits: ")


def test_a_check_of_the_readme_names_the_stages_whose_code_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readme, "check", lambda root: ["train_block", "judge_claim"])
    result = CLI.invoke(cli.app, ["readme", "--check"])
    assert result.exit_code == 0
    assert "the code of train_block, judge_claim has changed" in result.output
    monkeypatch.setattr(readme, "check", lambda root: [])
    result = CLI.invoke(cli.app, ["readme", "--check"])
    assert (result.exit_code, result.output) == (0, "")


def test_a_stale_readme_fails_its_check_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(root: Path) -> list[str]:
        raise readme.ReadmeError("README.md is stale")

    monkeypatch.setattr(readme, "check", stale)
    result = CLI.invoke(cli.app, ["readme", "--check"])
    assert (result.exit_code, result.output) == (1, "general-circuits: README.md is stale\n")


def test_a_readme_is_not_refreshed_without_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CLI.invoke(cli.app, ["readme"])
    assert result.exit_code == 1
    assert "results/workstation/claims/verdicts.parquet is missing" in result.output
