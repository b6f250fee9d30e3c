"""Configs as Snakemake reads them: each fault of a file or of `--config` ends with a sentence, and runs no code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import quick_snakemake

from general_circuits.running import configs

ROOT = Path(__file__).parents[2]
GOOD = "study: tiny\ndefaults: {modulus: 7, batch_size: full}\nconditions: {grokking: {}}\n"
FAULTS = {
    "latin": (b"study: t\xff", "mine.yaml, line 1: the byte 0xff is no UTF-8; save the file as UTF-8"),
    "deep": (b"study: t\nconditions: " + b"[" * 3000 + b"]" * 3000, "line 2: is nested more than 20 levels deep"),
    "self": (b"conditions: &x {a: *x}", "line 1: conditions.a: the alias stands for something that contains"),
    "twice": (b"study: t\nconditions: {a: {}}\nconditions: {b: {}}", "line 3: conditions: is written twice, first on"),
    "on": (b"study: t\nconditions:\n  on: {}", "line 3: conditions.on: YAML can read this key as true or false"),
    "tag": (b"study: !!python/object/apply:os.system ['true']", "has the tag"),
    "template": (b"__use_yte__: true\nstudy: ?open('ran', 'w').write('x')", "__use_yte__: unknown key"),
    "text": (b"hello", "mine.yaml: holds 'hello'; it should have keys with values"),
}


def refused(folder: Path, *arguments: str) -> str:
    """Return what Snakemake prints when it refuses a config."""
    where = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    how = ["--workflow-profile", str(ROOT / "profiles/default"), "--cores", "1", "--dry-run"]
    assert quick_snakemake.run([*where, *how, *arguments], ROOT, folder / "printed") == 1
    printed = (folder / "printed").read_text(encoding="utf-8")
    assert "Traceback" not in printed
    return printed


@pytest.mark.parametrize("fault", FAULTS)
def test_snakemake_refuses_a_file_in_a_sentence(fault: str, tmp_path: Path) -> None:
    content, message = FAULTS[fault]
    (tmp_path / "mine.yaml").write_bytes(content)
    assert message in refused(tmp_path, "--configfile", str(tmp_path / "mine.yaml"))
    assert not (ROOT / "ran").exists()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("study", "Error: --config study: should be key=value"),
        ("defaults=", "--config: defaults: is empty, and would remove what was given before; leave it out or fill it"),
        ("study=on", "Error: --config study cannot be used"),
        ("defaults={steps: 5, steps: 6}", "line 1: steps: is written twice"),
        ("defaults={steps: ٣}", "defaults.steps = '٣': should be a whole number"),
        ("defaults={steps: -5}", "defaults.steps = -5: should be greater than or equal to 0"),
        ("defaults=" + "[" * 3000, "is nested more than 20 levels deep"),
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_snakemake_reads_changes_on_the_command_line_as_strictly(change: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    assert message in refused(tmp_path, "--configfile", str(tmp_path / "mine.yaml"), "--config", change)


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        ("--config replicas=2 --config study=a", "--config"),
        ("-C replicas=2 --config=study=a", "--config"),
        ("--configfile a.yaml --configfiles=b.yaml", "--configfile"),
    ],
)
def test_an_option_whose_first_values_snakemake_would_forget_is_refused(
    arguments: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["snakemake", *arguments.split()])
    with pytest.raises(SystemExit, match=f"^snakemake: {option} is given twice"):
        configs.read_strictly()


def test_without_a_profile_a_fault_that_snakemake_does_not_see_is_refused_by_the_workflow(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("study: t\nconditions: {a: {}}\nconditions: {b: {}}")
    printed = refused(tmp_path, "--configfile", str(tmp_path / "mine.yaml"), "--workflow-profile", "none")
    assert "line 3: conditions: is written twice" in printed
