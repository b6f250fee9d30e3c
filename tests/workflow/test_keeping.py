"""Files that a run keeps, and replays of some of its steps."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from checkouts import TINY, Project, checkout
from safetensors.torch import load_file

REPLAY = "replays/grokking/1/steps-5-15-checkpoints-5-metrics-1"


def test_a_replay_is_made_on_request_and_retrains_nothing(project: Project) -> None:
    target = f"results/tiny/{REPLAY}/metrics.parquet"
    assert project.planned(target) == {"replay_block": 1}
    done = project.snakemake("--cores", "1", target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.planned(target, "finish_study") == {}
    replay, run = project.results / REPLAY, project.results / "runs/grokking/1"
    replayed, original = (pd.read_parquet(folder / "metrics.parquet") for folder in (replay, run))
    assert replayed["step"].unique().tolist() == list(range(5, 16))
    common = original[original["step"].isin(range(5, 16))].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        replayed[replayed["step"].isin(common["step"])].reset_index(drop=True),
        common,
        check_exact=True,
        check_categorical=False,
    )
    replayed, original = (load_file(folder / "weights-0.safetensors") for folder in (replay, run))
    assert replayed["steps"].tolist() == [5, 10, 15]
    place = original["steps"].tolist().index(10)
    assert all(replayed[name][1].equal(original[name][place]) for name in replayed if name != "steps")


def test_a_replay_of_an_untrained_condition_trains_it_first_and_starts_from_its_states(tmp_path: Path) -> None:
    project = checkout(tmp_path / "fresh")
    project.configure(defaults={**TINY["defaults"], "steps": 1200, "checkpoints": {"log": 2, "every": 600}})
    name = "grokking/1/steps-1100-1200-checkpoints-50-metrics-10"
    run = project.snakemake("--cores", "1", f"results/tiny/replays/{name}/metrics.parquet")
    assert run.returncode == 0, run.stdout + run.stderr
    log = project.results / f"logs/replay_block/{name}.log"
    assert log.read_text() == "grokking, replica 1: replays from the state at step 1,000\n"
    assert len(list(project.results.glob(".state/grokking/1/replica-0/*/state-*"))) == 8


def test_states_lie_in_the_results_even_where_study_and_condition_have_the_same_name(tmp_path: Path) -> None:
    project = checkout(tmp_path / "fresh")
    project.configure(study="grokking")
    target = "results/grokking/replays/grokking/1/steps-0-20-checkpoints-5-metrics-5/metrics.parquet"
    run = project.snakemake("--dry-run", "--printshellcmds", target)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (run.stdout + run.stderr).count(" --states results/grokking/.state/grokking/1 ") == 2


@pytest.mark.parametrize("keep", [{"weights": False}, {"states": 0}])
def test_a_change_of_which_files_are_kept_reruns_nothing(keep: dict[str, object], project: Project) -> None:
    project.configure(keep=keep)
    assert project.planned() == {}


def test_weights_that_the_config_does_not_keep_are_removed_after_the_measurements(tmp_path: Path) -> None:
    project = checkout(tmp_path / "fresh")
    project.configure(replicas=1, conditions={"grokking": {}}, keep={"weights": False, "states": 0})
    tables = ("ablation", "distribution", "progress", "updates")
    measured = [f"results/tiny/{name}/grokking/0.parquet" for name in tables]
    measured.append("results/tiny/example_saliency/grokking/0/step=20/saliency.parquet")
    run = project.snakemake("--cores", "2", "results/tiny/runs/grokking/0/events.parquet", *measured)
    assert run.returncode == 0, run.stdout + run.stderr
    left = {path.name for path in (project.results / "runs/grokking/0").iterdir()}
    assert left == {"split.parquet", "metrics.parquet", "events.parquet"}
    assert list(project.results.rglob("weights-*")) == []
    assert (project.results / "moments/grokking/0.parquet").is_file()
    assert all((project.root / table).is_file() for table in measured)
    assert list((project.results / ".state").rglob("*.safetensors")) == []
    assert "train_block" not in project.planned()
    assert project.planned(*measured) == {}
    assert project.planned(f"results/tiny/{REPLAY.replace('/1/', '/0/')}/metrics.parquet") == {"replay_block": 1}
