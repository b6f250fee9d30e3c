"""Dates: whatever the dates of files are, their content decides what runs again."""

from __future__ import annotations

import os
import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from checkouts import TINY, Project

PAST, FUTURE = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (1990, 2030))
EVENTS = "runs/grokking/0/events.parquet"


@pytest.fixture
def dated(project: Project) -> Project:
    """Return a finished study whose files are dated far in the past or in the future, at random."""
    draw = random.Random(0)
    for path in sorted(project.results.rglob("*")):
        _date(path, draw.choice((PAST, FUTURE)))
    return project


def _date(path: Path, date: float) -> None:
    os.utime(path, (date, date))


def test_far_dates_rerun_nothing_and_a_dry_run_writes_nothing(dated: Project) -> None:
    kept = dated.root / ".snakemake/digests.json"
    before = kept.read_bytes(), kept.stat().st_mtime
    assert dated.planned() == {}
    assert (kept.read_bytes(), kept.stat().st_mtime) == before


def test_a_changed_setting_is_seen_behind_outputs_from_the_future(dated: Project) -> None:
    dated.configure(conditions={**TINY["conditions"], "random_labels": {"label_noise": 0.5}})
    assert dated.planned()["train_block"] == 2


def test_a_file_in_place_of_an_output_is_made_again_whatever_its_date(dated: Project) -> None:
    """Another replica's events have the date that the right ones had, as `cp -p` and rsync leave it."""
    events, metrics = dated.results / EVENTS, dated.results / "runs/grokking/0/metrics.parquet"
    before = events.read_bytes()
    shutil.copyfile(dated.results / "runs/grokking/1/events.parquet", events)
    _date(events, PAST)
    _date(metrics, FUTURE)
    planned = dated.planned()
    assert planned["find_events"] == 1
    assert "train_block" not in planned
    made = dated.snakemake("--cores", "1", f"results/tiny/{EVENTS}")
    assert made.returncode == 0, made.stderr  # although its input is dated later
    assert events.read_bytes() == before
    assert dated.planned() == {}


def test_a_changed_input_with_an_old_date_runs_its_readers_again(dated: Project) -> None:
    """The file is declared to be what its job wrote, so only its readers run."""
    events = dated.results / EVENTS
    shutil.copyfile(dated.results / "runs/grokking/1/events.parquet", events)
    assert dated.snakemake("--cores", "1", "--touch", f"results/tiny/{EVENTS}").returncode == 0
    _date(events, PAST)
    planned = dated.planned()
    assert planned["replay_moments"] == 2
    assert "find_events" not in planned


def test_a_replaced_figure_is_drawn_again(dated: Project) -> None:
    loss, accuracy = (dated.results / f"figures/learning_curves-{view}.png" for view in ("loss", "accuracy"))
    shutil.copyfile(loss, accuracy)
    _date(accuracy, FUTURE)
    assert dated.planned() == {"plot_figure": 1, "write_front_page": 1, "all": 1}


def test_an_output_that_is_gone_is_made_again_although_nothing_reads_it(project: Project) -> None:
    words = project.results / "figures/damage_curves-accuracy.txt"
    before = words.read_bytes()
    words.unlink()
    assert project.planned() == {"plot_figure": 1, "all": 1}
    assert project.snakemake("--cores", "1").returncode == 0
    assert words.read_bytes() == before
    assert project.planned() == {}
    (project.results / "runs/grokking/0/weights-0.safetensors").unlink()
    assert project.planned()["train_block"] == 1


def test_results_without_records_are_made_again_unless_they_are_declared_right(project: Project) -> None:
    """Nothing tells what made them: a copy of results/ alone may be of other code or settings."""
    shutil.rmtree(project.root / ".snakemake")
    planned = project.planned()
    assert {"generate_task", "duel_toys", "train_block", "plot_figure", "write_page"} <= planned.keys()
    assert project.snakemake("--cores", "1", "--touch").returncode == 0
    assert project.planned() == {}


def test_a_file_that_is_damaged_before_it_is_recorded_fails_its_job(project: Project) -> None:
    """A copy of the checkout whose stage damages its output, as a bad disk would."""
    page = project.results / "report/settings.html"
    before = page.read_bytes()
    writer = "src/general_circuits/stages/write_page.py"
    text = (project.root / writer).read_text()
    damage = (
        "import atexit, sys\natexit.register(lambda: open(sys.argv[sys.argv.index('--output') + 1], 'a').write('x'))\n"
    )
    (project.root / writer).write_text(
        text.replace("from __future__ import annotations\n", f"from __future__ import annotations\n{damage}", 1)
    )
    run = project.snakemake("--cores", "1", "--force", "results/tiny/report/settings.html")
    assert run.returncode == 1
    assert "results/tiny/report/settings.html: is damaged: its bytes are not those that were written" in run.stderr
    assert "Traceback" not in run.stderr
    assert not page.exists()
    (project.root / writer).write_text(text)
    assert project.snakemake("--cores", "1", "results/tiny/report/settings.html").returncode == 0
    assert page.read_bytes() == before
