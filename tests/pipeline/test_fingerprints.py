"""Fingerprints, on a copy of the package: what must change one, and what must not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from general_circuits.figures.registry import FIGURES
from general_circuits.pipeline import fingerprints

SOURCE = Path(fingerprints.__file__).parents[1]
OWN = ("training.losses.cross_entropy", "training.optimisers.adamw")
"""The loss and the update rule of the conditions below."""
JOBS = {
    "generate_task": ("stages.generate_task", "tasks.modular"),
    **{stage: (f"stages.{stage}", *OWN) for stage in ("train_block", "replay_block", "replay_moments")},
    **{
        stage: (f"stages.{stage}",)
        for stage in (
            "split_examples",
            "find_events",
            "extract_saliency",
            "extract_example_saliency",
            "describe_saliency",
            "ablate_neurons",
            "merge_verdicts",
        )
    },
    **{f"judge {claim}": ("stages.judge_claim", f"claims.{claim}") for claim in ("saliency_skew", "topk_damage")},
    **{f"plot {figure}": ("stages.plot_figure", f"figures.{figure}") for figure in FIGURES},
}
"""Modules whose code each job depends on, as the DAG names them."""
SALIENCY = {"extract_saliency", "extract_example_saliency"}
TRAINING = {"train_block", "replay_block", "replay_moments"}

SCRIPT = """
import json, sys
from pathlib import Path
from general_circuits.pipeline import fingerprints
assert Path(fingerprints.__file__).parents[2] == Path(sys.argv[1])
print(json.dumps({job: fingerprints.fingerprint(*modules) for job, modules in json.loads(sys.argv[2]).items()}))
"""


def of_copy(package: Path) -> dict[str, str]:
    """The fingerprint of every job, computed by this copy of the package in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    arguments = [sys.executable, "-c", SCRIPT, str(package.parent), json.dumps(JOBS)]
    answer = subprocess.run(arguments, env=environment, cwd=package.parent, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy that may be edited."""
    return Path(
        shutil.copytree(SOURCE, tmp_path / "general_circuits", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    )


@pytest.fixture(scope="module")
def here() -> dict[str, str]:
    """The fingerprints of the package under test."""
    return {job: fingerprints.fingerprint(*modules) for job, modules in JOBS.items()}


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) >= 1, f"{file.name} no longer holds {old!r}"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def changed(package: Path, before: dict[str, str]) -> set[str]:
    after = of_copy(package)
    return {job for job in before if after[job] != before[job]}


def append(package: Path, path: str, code: str = "ADDED = 1") -> None:
    file = package / path
    file.write_text(f"{file.read_text(encoding='utf-8')}\n{code}\n", encoding="utf-8")


def test_touches_copies_comments_docstrings_and_layout_change_nothing(package: Path, here: dict[str, str]) -> None:
    for file in package.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        file.write_text(f"# a comment\n\n\n{text}\n\n# and another\n", encoding="utf-8")
        os.utime(file, (time.time() - 1e6,) * 2)
    attribution = 'class Attribution:\n    "A docstring before the docstring."\n'
    edit(package / "measurements/saliency/attribution.py", "class Attribution:\n", attribution)
    edit(package / "training/loop.py", '"""The training loop', '"""The loop of training')
    edit(
        package / "models/transformer.py",
        "from general_circuits.models.settings import Model",
        "from general_circuits.models.settings import (\n    Model,\n)",
    )
    assert changed(package, here) == set()


def test_other_words_for_columns_and_settings_change_nothing(package: Path, here: dict[str, str]) -> None:
    edit(package / "storage/schemas/metrics.py", "meanings={", 'meanings={"more": "of it",')
    edit(package / "storage/schemas/ablation.py", "MEANINGS = {", 'MEANINGS = {"more": "of it",')
    edit(package / "storage/schemas/events.py", 'row="', 'row="one ')
    edit(package / "storage/tables.py", "MEANINGS: Mapping[str, str] = {", 'MEANINGS: Mapping[str, str] = {"x": "y",')
    edit(package / "config/condition.py", 'description="', 'description="by the way, ')
    assert changed(package, here) == set()


def test_words_elsewhere_are_code(package: Path, here: dict[str, str]) -> None:
    """A keyword of this name in any other call is what a job does."""
    append(package, "training/events.py", 'dict(description="a")')
    before = of_copy(package)
    edit(package / "training/events.py", 'dict(description="a")', 'dict(description="b")')
    after = of_copy(package)
    assert {job for job in before if after[job] != before[job]} == {"find_events"}


def test_a_new_option_of_a_literal_changes_nothing(package: Path, here: dict[str, str]) -> None:
    edit(package / "seeds.py", '"kick",', '"kick",\n    "another_stream",')
    edit(package / "training/settings.py", '"hinge", "stablemax"]', '"hinge", "stablemax", "another"]')
    edit(package / "training/settings.py", '"sgd", "line_search"', '"sgd", "another", "line_search"')
    assert changed(package, here) == set()


def test_a_new_loss_update_rule_task_family_or_preset_changes_nothing(package: Path, here: dict[str, str]) -> None:
    shutil.copy(package / "training/losses/hinge.py", package / "training/losses/another.py")
    shutil.copy(package / "training/optimisers/sgd.py", package / "training/optimisers/another.py")
    shutil.copy(package / "tasks/digits.py", package / "tasks/another.py")
    edit(package / "tasks/registry.py", "MODULAR = {", 'MODULAR = {\n    "x^5+y": "nobody",')
    append(package, "models/presets.py", 'PRESETS["another"] = PRESETS["nanda"]')
    assert changed(package, here) == set()


def test_a_loss_or_an_update_rule_changes_the_jobs_that_use_it(package: Path, here: dict[str, str]) -> None:
    edit(package / "training/losses/hinge.py", "torch.relu(1.0", "torch.relu(2.0")
    append(package, "training/optimisers/sgd.py")
    assert changed(package, here) == set()
    edit(package / "training/losses/cross_entropy.py", "-1.0", "-2.0")
    assert changed(package, here) == TRAINING


def test_an_expression_in_an_imported_module_changes_every_job_that_reaches_it(
    package: Path, here: dict[str, str]
) -> None:
    edit(package / "seeds.py", ">> 1", ">> 2")
    assert changed(package, here) == {"split_examples", "ablate_neurons", *TRAINING, *SALIENCY}


def test_an_edit_with_an_older_date_is_seen(package: Path, here: dict[str, str]) -> None:
    file = package / "training/events.py"
    edit(file, "to_numpy() >= 0.99", "to_numpy() >= 0.98")
    os.utime(file, (0, 0))
    assert changed(package, here) == {"find_events"}


def test_saliency_reruns_saliency_and_not_training(package: Path, here: dict[str, str]) -> None:
    file = package / "measurements/saliency/order_statistics.py"
    edit(file, "_quantile(magnitude, 0.95)", "_quantile(magnitude, 0.96)")
    assert changed(package, here) == SALIENCY


def test_the_network_reruns_all_that_runs_it(package: Path, here: dict[str, str]) -> None:
    append(package, "models/transformer.py")
    assert changed(package, here) == {"ablate_neurons", *TRAINING, *SALIENCY}


@pytest.mark.parametrize(
    "part",
    [
        "loop.py",
        "replica.py",
        "batches.py",
        "losses/__init__.py",
        "optimisers/updater.py",
        "optimisers/adamw.py",
        "optimisers/adam.py",
        "reduced/__init__.py",
        "reduced/tape.py",
    ],
)
def test_how_a_step_is_taken_retrains_and_measures_with_the_same_code(
    part: str, package: Path, here: dict[str, str]
) -> None:
    append(package, f"training/{part}")
    assert changed(package, here) == TRAINING


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figures_file_redraws_that_figure_alone(figure: str, package: Path, here: dict[str, str]) -> None:
    append(package, f"figures/{figure}.py")
    assert changed(package, here) == {f"plot {figure}"}


def test_a_claims_file_judges_that_claim_alone(package: Path, here: dict[str, str]) -> None:
    edit(package / "claims" / "saliency_skew.py", "THRESHOLD = 0.05", "THRESHOLD = 0.06")
    assert changed(package, here) == {"judge saliency_skew"}


def test_a_new_claim_or_figure_changes_only_what_lists_the_claims(package: Path, here: dict[str, str]) -> None:
    (package / "figures" / "another.py").write_text("def draw(tables):\n    return None\n", encoding="utf-8")
    edit(package / "figures" / "registry.py", "FIGURES = {", 'FIGURES = {\n    "another": Figure("", "", (), ""),')
    edit(package / "claims" / "registry.py", "CLAIMS = {", 'CLAIMS = {\n    "another": Claim("", ""),')
    assert changed(package, here) == {"merge_verdicts"}


def test_the_config_and_the_pipeline_are_in_no_jobs_closure(package: Path, here: dict[str, str]) -> None:
    for file in [
        *(package / "config").glob("*.py"),
        *(package / "pipeline").glob("*.py"),
        *(package / "running").glob("*.py"),
        package / "cli.py",
    ]:
        append(package, str(file.relative_to(package)))
    assert changed(package, here) == set()


def test_the_packages_own_init_is_in_every_closure(package: Path, here: dict[str, str]) -> None:
    """It runs before any module of the package."""
    edit(package / "__init__.py", '("general-circuits")', '("general-circuits") + "+local"')
    assert changed(package, here) == set(JOBS)


def test_a_new_table_changes_no_fingerprint(package: Path, here: dict[str, str]) -> None:
    source = (package / "storage/schemas/events.py").read_text()
    (package / "storage/schemas/another.py").write_text(source.replace("events", "another"))
    assert changed(package, here) == set()


def test_a_changed_table_changes_those_who_write_and_read_it(package: Path, here: dict[str, str]) -> None:
    edit(package / "storage/schemas/ablation.py", '"margin": NUMBER', '"margin": NUMBER, "more": NUMBER')
    assert changed(package, here) == {"ablate_neurons"}


def test_jobs_of_different_code_have_different_fingerprints(here: dict[str, str]) -> None:
    assert len(set(here.values())) == len(here)
    assert all(len(value) == 16 and int(value, 16) >= 0 for value in here.values())
