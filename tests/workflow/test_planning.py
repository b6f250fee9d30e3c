"""Plans: the jobs and the disk space of a study before it runs, and the limit on memory."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from checkouts import BRIEF, TINY, Project, checkout

from general_circuits.config.load import load
from general_circuits.pipeline.plan import plan


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return plan(load(TINY), seconds=0.0)


def test_the_plan_names_every_job_that_will_run(table: pd.DataFrame, tmp_path: Path) -> None:
    expected = checkout(tmp_path / "fresh").planned()
    del expected["all"]
    assert table["jobs"].to_dict() == expected


def test_the_plan_counts_branches_and_the_measurements_of_each_condition(tmp_path: Path) -> None:
    project, tiny = checkout(tmp_path / "fresh"), {**TINY, "duels": {}}
    tiny["conditions"] = {
        "grokking": {"measurements": ["progress"]},
        "random_labels": {"label_noise": 1.0, "measurements": ["saliency"]},
        "fast": {"branch": {"from": "grokking", "at": "onset", "change": {"learning_rate": "x10"}}},
        "measured": {"branch": {"from": "fast_start", "at": "step 7"}, "measurements": "all"},
        "fast_start": {"learning_rate": 0.1, "measurements": []},
    }
    project.configure(**{key: tiny[key] for key in ("duels", "conditions")})
    expected = project.planned()
    del expected["all"]
    assert plan(load(tiny), seconds=0.0)["jobs"].to_dict() == expected
    assert expected["train_block"] == 10
    assert expected["extract_saliency"] == expected["measure_progress"] == 4
    # Both measured conditions are replayed to their moments, but no branch is.
    assert expected["replay_moments"] == 4


def test_answers_and_spikes_are_measured_only_where_claims_read_them(tmp_path: Path) -> None:
    """Claims read the answers of grokking and product, and the spikes of grokking and exact.

    The target `claim_spikes` makes only the spikes.
    """
    project, tiny = checkout(tmp_path / "fresh"), {**TINY, "duels": {}}
    tiny["conditions"] = {
        **TINY["conditions"],
        "exact": {"loss_precision": "float64", "measurements": ["spikes"]},
        "product": {"operation": "x*y", "measurements": ["answers"]},
        "unasked": {"operation": "x-y", "measurements": []},
        "fast": {
            "branch": {"from": "grokking", "at": "onset", "change": {"learning_rate": "x10"}},
            "measurements": "all",
        },
    }
    tiny["measurements"] = {**BRIEF["measurements"], "answers": {"checkpoints": 2}, "spikes": {}}
    project.configure(**{key: tiny[key] for key in ("duels", "conditions", "measurements")})
    expected = project.planned()
    del expected["all"]
    assert plan(load(tiny), seconds=0.0)["jobs"].to_dict() == expected
    assert {rule: expected[rule] for rule in ("record_answers", "watch_spikes", "measure_spikes")} == {
        "record_answers": 4,
        "watch_spikes": 4,
        "measure_spikes": 4,
    }
    trained = {"generate_task": 1, "split_examples": 4, "train_block": 4, "find_events": 4}
    measured = {"watch_spikes": 4, "measure_spikes": 4, "judge_claim": 1, "plot_figure": 1, "claim_spikes": 1}
    assert project.planned("claim_spikes") == {**trained, **measured}


def test_the_target_of_a_claim_runs_only_the_jobs_that_the_claim_needs(tmp_path: Path) -> None:
    project = checkout(tmp_path / "fresh")
    fast = {"branch": {"from": "grokking", "at": "onset", "change": {"learning_rate": "x10"}}}
    project.configure(conditions={**TINY["conditions"], "fast": fast})
    both = {"generate_task": 1, "split_examples": 4, "train_block": 4, "find_events": 4}
    judged = {"list_conditions": 1, "judge_claim": 1, "plot_figure": 1, "claim_learning_rate": 1}
    assert project.planned("claim_learning_rate") == {**both, **judged}
    one = {"generate_task": 1, "split_examples": 2, "train_block": 2, "find_events": 2}
    judged = {"list_conditions": 1, "judge_claim": 1, "plot_figure": 1, "claim_gradual": 1}
    assert project.planned("claim_gradual") == {**one, **judged}
    # The study lacks this claim's conditions, so its verdict needs no training.
    assert project.planned("claim_weight_decay") == {"judge_claim": 1, "claim_weight_decay": 1}


def test_the_plan_predicts_the_disk_space_that_training_takes(table: pd.DataFrame, finished: Project) -> None:
    kept = [*finished.results.glob("runs/*/*/weights-*"), *finished.results.glob(".state/**/*.safetensors")]
    predicted = table.loc["train_block", "disk_mb"] * 1e6
    headers = 4000 * len(kept)
    metrics = sum(path.stat().st_size for path in finished.results.glob("runs/*/*/metrics.parquet"))
    assert abs(sum(path.stat().st_size for path in kept) - predicted) < headers + metrics


def test_the_plan_command_prints_totals_and_refuses_an_unknown_study(finished: Project) -> None:
    command = [sys.executable, "-m", "general_circuits.cli", "plan", "--seconds", "0", "--study"]
    options = {"cwd": finished.root, "env": finished.environment, "capture_output": True, "text": True}
    run = subprocess.run([*command, "tiny"], **options, check=True)
    assert "train_block" in run.stdout
    assert "core-hours" in run.stdout
    assert "GB of disk" in run.stdout
    refused = subprocess.run([*command, "no_such_study"], **options, check=False)
    assert refused.returncode == 1
    assert "there is no config/no_such_study.yaml" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_jobs_that_run_at_once_stay_within_the_memory_limit(tmp_path: Path) -> None:
    """The prediction for a training job is about 400 MB, so two fit into 1,000 MB and one into 500 MB."""
    longer = {**TINY["defaults"], "steps": 1000, "metrics": {"log": 2, "every": 10}}
    for limit, jobs in ((1000, 2), (500, 1)):
        project = checkout(tmp_path / str(limit))
        project.configure(defaults=longer)
        targets = [f"results/tiny/runs/{name}/0/metrics.parquet" for name in TINY["conditions"]]
        command = [sys.executable, "-m", "snakemake", "--configfile", "config/tiny.yaml", "--cores", "8"]
        process = subprocess.Popen(
            [*command, "--resources", f"mem_mb={limit}", "--", *targets],
            cwd=project.root,
            env=project.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        most = 0
        while process.poll() is None:
            most = max(most, _training_jobs(process.pid))
            time.sleep(0.1)
        assert process.returncode == 0
        assert most == jobs


def test_the_memory_limit_is_by_default_the_memory_of_this_machine(tmp_path: Path) -> None:
    project = checkout(tmp_path / "fresh")
    planned = project.snakemake("--dry-run", "--cores", "8").stderr
    run = project.snakemake("--cores", "1", "results/tiny/tasks/x_plus_y_mod_7.parquet")
    assert "mem_mb=" in planned + run.stderr


def _training_jobs(ancestor: int) -> int:
    """Count the training jobs that run now. A job counts once, as its Python process and not as its shell."""
    count = 0
    for process in psutil.Process(ancestor).children(recursive=True):
        try:
            words = process.cmdline()
            count += "general_circuits.stages.train_block" in words and Path(words[0]).name.startswith("python")
        except psutil.Error:
            continue
    return count


def test_snakemake_writes_nothing_through_a_link_out_of_the_results(project: Project, tmp_path: Path) -> None:
    (project.root / "results/mine").symlink_to(tmp_path)
    run = project.snakemake("--cores", "1", "--config", "study=mine", "--", "results/mine/conditions.parquet")
    assert run.returncode == 1
    assert "results/mine is a link that leads out of results/" in run.stderr
    assert "Traceback" not in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
