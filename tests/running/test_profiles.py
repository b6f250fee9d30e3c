"""Profiles: those of this project decide what runs, and others say only how."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser
from snakemake.profiles import ProfileConfigFileParser
from snakemake.settings.enums import RerunTrigger

from general_circuits.running import environment, profiles

ROOT = Path(__file__).parents[2]


def options() -> list[set[str]]:
    """Return the long names of each option of Snakemake. Some have several."""
    actions = get_argument_parser()._actions
    return [{name[2:] for name in action.option_strings if name.startswith("--")} for action in actions]


def test_every_name_of_an_option_is_harmless_or_none_is() -> None:
    for names in options():
        assert names <= profiles.HARMLESS or not names & profiles.HARMLESS, names


def test_every_harmless_option_is_one_of_this_version_of_snakemake() -> None:
    assert set().union(*options()) >= profiles.HARMLESS


def test_options_that_decide_what_runs_are_not_harmless_and_those_of_plugins_are_not_among_them() -> None:
    deciding = profiles.deciding()
    known = "rerun-triggers forceall forcerun force touch config configfile directory until omit-from batch sdm"
    known += " use-conda rerun-incomplete max-checksum-file-size keep-going ignore-incomplete notemp cache executor"
    assert deciding >= set(known.split())
    assert not {name for name in deciding if name.startswith(("slurm", "scheduler-greedy", "report-html"))}


FAULTY = {
    b"": "cannot be read as keys with values, such as jobs: 4;",
    b"- a": "cannot be read as keys with values, such as jobs: 4;",
    b"hello": "cannot be read as keys with values, such as jobs: 4;",
    b"cores: 1\n\tjobs: 2": "cannot be read as keys with values, such as jobs: 4 (while scanning",
    b"cores: \xff": "cannot be read as keys with values, such as jobs: 4 ('utf-8' codec can't decode byte 0xff",
    b"nosuch: 1": "Snakemake has no option nosuch;",
}


@pytest.mark.parametrize("content", FAULTY, ids=ascii)
def test_a_users_profile_that_is_none_is_named_in_one_sentence(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ProfileConfigFileParser, "parse", ProfileConfigFileParser.parse)
    profiles.ignore_what_decides()
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with path.open(encoding="utf-8") as stream, pytest.raises(SystemExit) as ended:
        ProfileConfigFileParser().parse(stream)
    assert ended.value.code == environment.UNSTARTED
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith(f"snakemake: the profile {path}: {FAULTY[content]}")
    assert sentence.endswith("; mend it, or unset SNAKEMAKE_PROFILE")


@pytest.mark.parametrize("name", ["default", "slurm"])
def test_profiles_of_this_project_pin_what_decides_about_reruns(name: str) -> None:
    profile = yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())
    assert set(profile["rerun-triggers"]) == {str(trigger) for trigger in RerunTrigger.all()}
    assert profile["rerun-incomplete"] is True
    assert profile["keep-going"] is True
    assert profile["executor"] == {"default": "local", "slurm": "slurm"}[name]
    assert "profiles.ignore_what_decides()" in profile["__definitions__"]
    assert "environment.prepare()" in profile["__definitions__"]
