"""Reruns: a change runs the jobs again that depend on it, and no others."""

from __future__ import annotations

import shutil

from checkouts import TINY, TINY_DRAWINGS, Project

from general_circuits.figures.registry import FIGURES
from general_circuits.report.registry import PAGES
from general_circuits.storage.schemas import registry as schemas


def test_a_recursive_copy_of_project_and_results_reruns_nothing(project: Project) -> None:
    assert project.planned() == {}


def test_new_dates_comments_and_docstrings_rerun_nothing(project: Project) -> None:
    for file in project.root.rglob("*"):
        if file.is_file():
            file.touch()
    for file in (project.root / "src").rglob("*.py"):
        file.write_text(f"{file.read_text()}\n\n# a comment\n")
    project.edit("src/general_circuits/training/loop.py", "Train one replica.", "Train one replica, as before.")
    for file in (project.root / "workflow").rglob("*.smk"):
        file.write_text(f"# a comment\n{file.read_text()}")
    assert project.planned() == {}


def test_editing_a_figure_redraws_that_figure_alone(project: Project) -> None:
    before = {file.name: file.read_bytes() for file in project.results.glob("figures/*.svg")}
    project.edit("src/general_circuits/figures/learning_curves.py", "({kind} steps)", "({kind} updates)")
    assert project.planned() == {"plot_figure": 2, "write_front_page": 1, "all": 1}
    run = project.snakemake("--cores", "1")
    assert run.returncode == 0, run.stderr
    after = {file.name: file.read_bytes() for file in project.results.glob("figures/*.svg")}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"learning_curves-accuracy.svg", "learning_curves-loss.svg"}
    assert project.planned() == {}


def test_editing_saliency_trains_nothing(project: Project) -> None:
    statistics = "src/general_circuits/measurements/saliency/order_statistics.py"
    project.edit(statistics, "_quantile(magnitude, 0.95)", "_quantile(magnitude, 0.94)")
    planned = project.planned()
    assert {"extract_saliency", "extract_example_saliency", "describe_saliency", "ablate_neurons"} <= planned.keys()
    assert not planned.keys() & {"generate_task", "split_examples", "train_block", "find_events"}


def test_editing_training_keeps_tasks_and_splits(project: Project) -> None:
    project.edit("src/general_circuits/training/optimisers/adam.py", "maximize=False", "maximize=True")
    planned = project.planned()
    assert planned["train_block"] == 4
    assert not planned.keys() & {"generate_task", "split_examples"}


def test_a_new_condition_is_the_only_one_trained(project: Project) -> None:
    project.configure(conditions={**TINY["conditions"], "no_weight_decay": {"weight_decay": 0.0}})
    planned = project.planned()
    assert planned["train_block"] == planned["extract_saliency"] == planned["ablate_neurons"] == 2
    assert "generate_task" not in planned


def test_a_new_branch_is_trained_and_its_parent_is_not_trained_again(project: Project) -> None:
    before = {path: path.read_bytes() for path in project.results.glob("runs/grokking/*/*")}
    fast = {"branch": {"from": "grokking", "at": "step 7", "change": {"learning_rate": "x10"}}}
    project.configure(conditions={**TINY["conditions"], "fast": fast})
    planned = project.planned()
    assert planned["train_block"] == planned["split_examples"] == planned["find_events"] == 2
    assert not planned.keys() & {"extract_saliency", "ablate_neurons", "measure_progress", "generate_task"}
    run = project.snakemake("--cores", "2", "results/tiny/runs/fast/0/metrics.parquet")
    assert run.returncode == 0, run.stderr
    assert {path: path.read_bytes() for path in project.results.glob("runs/grokking/*/*")} == before


def test_more_replicas_are_more_blocks(project: Project) -> None:
    project.configure(replicas=3)
    planned = project.planned()
    assert planned["train_block"] == planned["extract_saliency"] == planned["ablate_neurons"] == 2


def test_a_changed_condition_is_the_only_one_trained_again(project: Project) -> None:
    project.configure(conditions={**TINY["conditions"], "random_labels": {"label_noise": 0.5}})
    assert project.planned()["train_block"] == 2


def test_jobs_that_failed_run_again_and_their_figures_are_redrawn(project: Project) -> None:
    """Snakemake alone forgets a failed job if the last files of the DAG still exist from an earlier run."""
    states, figure = project.results / ".state/random_labels", project.results / "figures/learning_curves-loss.svg"
    before = figure.read_bytes()
    project.configure(conditions={**TINY["conditions"], "random_labels": {"label_noise": 1.0, "weight_decay": 0.5}})
    shutil.rmtree(states)
    states.write_text("A file in the place of a folder.")
    run = project.snakemake("--cores", "1")
    assert run.returncode == 1
    assert not list(project.results.glob("runs/random_labels/*/metrics.parquet"))
    assert figure.read_bytes() == before
    states.unlink()
    planned = project.planned()
    assert planned["train_block"] == 2
    of_blocks = set(schemas.of_blocks()) | {"claim"}
    # Figures of single claims stay, since these claims are judged from grokking alone.
    drawn = [FIGURES[name] for name, _ in TINY_DRAWINGS.values() if not FIGURES[name].claim]
    assert planned["plot_figure"] == sum(bool(of_blocks & set(figure.tables)) for figure in drawn)
    targets = [*(f"index/{name}.sha256" for name in ("metrics", "events")), f"figures/{figure.name}"]
    assert project.quickly("--cores", "2", *(f"results/tiny/{path}" for path in targets)).returncode == 0
    assert figure.read_bytes() != before
    assert "train_block" not in project.planned()


def test_a_table_deleted_together_with_its_index_is_made_again(project: Project) -> None:
    (project.results / "distribution/grokking/0.parquet").unlink()
    (project.results / "index/distribution.sha256").unlink()
    planned = project.planned()
    assert planned["describe_saliency"] == planned["index_table"] == 1
    assert "train_block" not in planned


def test_new_descriptions_of_columns_and_settings_rerun_nothing(project: Project) -> None:
    project.edit("src/general_circuits/storage/schemas/metrics.py", "meanings={", 'meanings={"a": "b",')
    project.edit("src/general_circuits/storage/schemas/saliency.py", "meanings={", 'meanings={"a": "b",')
    project.edit("src/general_circuits/config/condition.py", 'description="', 'description="here, ')
    assert project.planned() == {}


def test_a_new_loss_retrains_nothing(project: Project) -> None:
    folder = "src/general_circuits/training/losses"
    shutil.copy(project.root / folder / "hinge.py", project.root / folder / "another.py")
    for file in ("training/settings.py", "config/condition.py"):
        project.edit(f"src/general_circuits/{file}", '"hinge", "stablemax"]', '"hinge", "stablemax", "another"]')
    assert project.planned() == {}


def test_a_new_update_rule_retrains_nothing(project: Project) -> None:
    folder = "src/general_circuits/training/optimisers"
    shutil.copy(project.root / folder / "sgd.py", project.root / folder / "another.py")
    for file in ("training/settings.py", "config/condition.py"):
        project.edit(f"src/general_circuits/{file}", '"adamw", "adam", "sgd"', '"adamw", "adam", "sgd", "another"')
    assert project.planned() == {}


def test_a_new_task_family_and_a_new_operation_retrain_nothing(project: Project) -> None:
    tasks = "src/general_circuits/tasks"
    source = (project.root / tasks / "digits.py").read_text()
    (project.root / tasks / "other.py").write_text(source.replace("Digits", "Other").replace('"digits"', '"other"'))
    project.edit(f"{tasks}/registry.py", '    "x/y": POWER', '    "x^5+y": "nobody",\n    "x/y": POWER')
    project.edit(f"{tasks}/registry.py", "OTHERS = {", 'OTHERS = {\n    "other": "nobody",')
    assert project.planned() == {}


def test_a_new_preset_retrains_nothing(project: Project) -> None:
    file = project.root / "src/general_circuits/models/presets.py"
    file.write_text(f'{file.read_text()}\nPRESETS["another"] = PRESETS["nanda"]\n')
    project.edit(
        "src/general_circuits/config/condition.py", 'preset: Literal["power", ', 'preset: Literal["another", "power", '
    )
    assert project.planned() == {}


def test_a_new_random_stream_retrains_nothing(project: Project) -> None:
    project.edit("src/general_circuits/seeds.py", '"kick",', '"kick",\n    "another",')
    assert project.planned() == {}


def test_a_changed_loss_retrains_exactly_the_conditions_that_use_it(project: Project) -> None:
    """Only random_labels has the hinge loss. It has two blocks."""
    project.edit("src/general_circuits/training/losses/hinge.py", "torch.relu(1.0", "torch.relu(2.0")
    planned = project.planned()
    assert planned["train_block"] == planned["extract_saliency"] == planned["replay_moments"] == 2
    retrained = project.snakemake("--dry-run", "--until", "train_block").stdout
    assert "Training random_labels, block 0" in retrained
    assert "Training grokking" not in retrained


def test_a_new_claim_is_judged_and_only_the_pages_and_the_figure_of_claims_are_made_again(project: Project) -> None:
    source = (project.root / "src/general_circuits/claims/saliency_skew.py").read_text()
    (project.root / "src/general_circuits/claims/barrier.py").write_text(source)
    project.edit(
        "src/general_circuits/claims/registry.py",
        '"there is an activation barrier between the memorising and the general solution", "comments, disputed"\n',
        '"there is an activation barrier between the memorising and the general solution", "comments, disputed",\n'
        '        tables=("events", "distribution"),\n        needs=("grokking", "random_labels"),\n',
    )
    shown = {"plot_figure": 1, "write_front_page": 1, "write_page": len(PAGES)}
    assert project.planned() == {"judge_claim": 1, "merge_verdicts": 1, **shown, "all": 1}


def test_a_new_default_retrains_no_condition_that_sets_the_key(project: Project) -> None:
    project.edit("src/general_circuits/config/condition.py", "steps: Steps = Field(6000", "steps: Steps = Field(7000")
    assert project.planned() == {}
