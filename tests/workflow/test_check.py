"""`general-circuits check`: a whole study passes, and each file that is missing or of another study is told."""

from __future__ import annotations

import subprocess
import sys

from checkouts import Project


def check(project: Project, study: str = "tiny") -> tuple[int, list[str], str]:
    command = [sys.executable, "-m", "general_circuits.cli", "check", "--study", study]
    done = subprocess.run(
        command, cwd=project.root, env=project.environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_a_check_tells_what_is_missing_and_what_is_damaged_and_leaves_out_a_users_notes(project: Project) -> None:
    (project.results / "figures/notes.txt").write_text("mine")
    status, lines, _ = check(project)
    assert status == 0
    assert len(lines) == 1
    assert lines[0].endswith(" files checked, 0 cannot be used")
    (project.results / "figures/damage_curves-accuracy.txt").unlink()
    metrics = project.results / "runs/grokking/0/metrics.parquet"
    metrics.write_bytes(b"")
    command = "snakemake --cores 1 --configfile config/tiny.yaml --force results/tiny/runs/grokking/0/metrics.parquet"
    status, lines, _ = check(project)
    assert status == 1
    assert lines[0] == f"results/tiny/runs/grokking/0/metrics.parquet: is empty; make it anew: {command}"
    words = "results/tiny/figures/damage_curves-accuracy.txt"
    assert lines[1] == f"{words}: missing, one of 1; a run of the study makes what is missing"
    assert lines[2].endswith(" files checked, 1 cannot be used")


def test_another_configs_results_are_not_checked(project: Project) -> None:
    (project.root / "config/mine.yaml").write_bytes((project.root / "config/tiny.yaml").read_bytes())
    status, _, message = check(project, "mine")
    assert status == 1
    assert "config/mine.yaml: the results in results/tiny were made from config/tiny.yaml" in message
