"""Command lines of stages: arguments and fields of a dataclass are required options, whose exact values arrive."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections import defaultdict
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from general_circuits import stages
from general_circuits.duels.files import PLACES
from general_circuits.stages.ablate_neurons import Ablation
from general_circuits.stages.command import FOLDERS, RUN, Stage, of_another_run, with_options
from general_circuits.stages.extract_saliency import Extraction
from general_circuits.stages.measure_progress import Progress
from general_circuits.stages.replay_block import Replay
from general_circuits.stages.replay_moments import Moments
from general_circuits.stages.train_block import Training
from general_circuits.stages.watch_spikes import Watch
from general_circuits.storage.files import STATES, WEIGHTS
from general_circuits.storage.schemas import registry as schemas

RECEIVED: list[object] = []
"""Arguments that reached a stage."""


@pytest.fixture(autouse=True)
def nothing_received() -> None:
    RECEIVED.clear()


def of_arguments(split: Path, condition: str, steps: int, threshold: float) -> None:
    """Measure SPLIT."""
    RECEIVED.append((split, condition, steps, threshold))


@dataclass(frozen=True)
class Job:
    split: Path
    condition: str
    keep_states: int
    threshold: float


def of_dataclass(job: Job) -> None:
    """Train a block."""
    RECEIVED.append(job)


def called(main: Stage, *words: str) -> Result:
    """Call a stage with the words of a command line."""
    app = typer.Typer()
    app.command()(with_options(main))
    return CliRunner().invoke(app, words)


ARGUMENTS = ("--split", "runs/a b/split.parquet", "--condition", "tiny", "--steps", "-6", "--threshold", "1e-3")


def test_arguments_arrive_as_the_types_of_the_function() -> None:
    assert called(of_arguments, *ARGUMENTS).exit_code == 0
    assert [(Path("runs/a b/split.parquet"), "tiny", -6, 0.001)] == RECEIVED


def test_a_dataclass_arrives_with_every_field_as_its_type() -> None:
    words = ("--split", "s.parquet", "--condition", '{"a": [1, "b c"]}', "--keep-states", "8", "--threshold", "2")
    assert called(of_dataclass, *words).exit_code == 0
    assert [Job(Path("s.parquet"), '{"a": [1, "b c"]}', 8, 2.0)] == RECEIVED
    (job,) = RECEIVED
    assert isinstance(job, Job)
    assert isinstance(job.threshold, float)


def test_the_order_of_options_does_not_matter_and_an_empty_text_is_a_value() -> None:
    words = ("--threshold=0.5", "--steps=3", "--condition=", "--split=.")
    assert called(of_arguments, *words).exit_code == 0
    assert [(Path(), "", 3, 0.5)] == RECEIVED


@pytest.mark.parametrize("missing", range(4))
@pytest.mark.parametrize("main", [of_arguments, of_dataclass])
def test_every_option_is_required(main: Stage, missing: int) -> None:
    numbers = "--steps" if main is of_arguments else "--keep-states"
    options = [("--split", "s"), ("--condition", "tiny"), (numbers, "3"), ("--threshold", "2")]
    name, _ = options.pop(missing)
    result = called(main, *(word for option in options for word in option))
    assert result.exit_code == 2
    assert "Missing option" in result.output
    assert name in result.output
    assert RECEIVED == []


@pytest.mark.parametrize("words", [("runs", "tiny", "3", "2.0"), (*ARGUMENTS, "more"), (*ARGUMENTS, "--more", "1")])
def test_positional_arguments_and_unknown_options_are_refused(words: tuple[str, ...]) -> None:
    assert called(of_arguments, *words).exit_code == 2
    assert RECEIVED == []


def test_a_value_of_another_type_is_refused_with_the_name_of_its_option() -> None:
    result = called(of_arguments, "--split", "s", "--condition", "tiny", "--steps", "3.5", "--threshold", "2")
    assert result.exit_code == 2
    assert "--steps" in result.output
    assert "valid integer" in result.output
    assert RECEIVED == []


@pytest.mark.parametrize(("main", "text"), [(of_arguments, "Measure SPLIT."), (of_dataclass, "Train a block.")])
def test_help_shows_the_docstring_of_the_stage(main: Stage, text: str) -> None:
    assert text in called(main, "--help").output


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({}, ""),
        (
            {"saliency": Path("saliency/random_labels/3.parquet")},
            "saliency/random_labels/3.parquet: is of random_labels, block 3",
        ),
        ({"saliency": Path("saliency/grokking/2.parquet")}, "saliency/grokking/2.parquet: is of grokking, block 2"),
        (
            {"moments": "moments/random_labels/3.parquet"},
            "moments/random_labels/3.parquet: is of random_labels, block 3",
        ),
        ({"moments": "", "saliency": Path("mine.parquet")}, ""),
        ({"partner": "runs/fast/3/events.parquet"}, ""),
        ({"partner": "runs/fast/2/events.parquet"}, "runs/fast/2/events.parquet: is of fast, block 2"),
        ({"condition": "random_labels"}, "runs/grokking/3/split.parquet: is of grokking, block 3"),
        ({"block": 4}, "runs/grokking/3/split.parquet: is of grokking, block 3"),
        ({"settings": '{"operation": "x/2"}', "axes": Path("/dev/fd/63"), "output": Path("/home/mine/7.parquet")}, ""),
        (
            {"saliency": Path("/home/runs/9/results/tiny/specifications/damage/grokking/2.parquet")},
            "/home/runs/9/results",
        ),
    ],
)
def test_a_file_of_another_condition_or_block_is_refused(changed: dict[str, Any], fault: str) -> None:
    arguments: dict[str, Any] = {
        "split": Path("runs/grokking/3/split.parquet"),
        "moments": "moments/grokking/3.parquet",
        "saliency": Path("saliency/grokking/3.parquet"),
        "condition": "grokking",
        "states": Path(".state/grokking/3"),
        "output": Path("ablation/grokking/3.parquet"),
    }
    found = of_another_run({**arguments, **changed})
    assert found.startswith(fault)
    assert bool(found) == bool(fault)


def test_every_file_of_a_block_is_known_by_its_folder() -> None:
    places = {place for name in schemas.names() for place in schemas.table(name).places}
    of_blocks = {place for place in {*places, *WEIGHTS.values(), *PLACES} if "{block}" in place}
    for place in of_blocks:
        path = f"results/tiny/{place}".format_map(defaultdict(lambda: "x", condition="grokking", block=7))
        assert RUN.findall(path)[-1:] == [("planted" if "planted" in place else "grokking", "7")], place
    assert {place.split("/")[0] for place in of_blocks} | {STATES} == set(FOLDERS)


# The stages themselves

HELPERS = {"command", "interruption"}
STAGES = sorted(module.name for module in pkgutil.iter_modules(stages.__path__) if module.name not in HELPERS)


def options_of(main: Stage) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(with_options(main)).parameters)


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_reads_required_options_alone(name: str) -> None:
    options = options_of(importlib.import_module(f"general_circuits.stages.{name}").main)
    assert len(options) > 1
    assert all(option.default is inspect.Parameter.empty for option in options.values())
    assert all(option.annotation.__origin__ in (str, int, float, Path) for option in options.values())


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("train_block", Training),
        ("replay_block", Replay),
        ("replay_moments", Moments),
        ("watch_spikes", Watch),
        ("extract_saliency", Extraction),
        ("ablate_neurons", Ablation),
        ("measure_progress", Progress),
    ],
)
def test_stages_with_many_arguments_read_the_fields_of_one_dataclass(name: str, record: type) -> None:
    main = importlib.import_module(f"general_circuits.stages.{name}").main
    kinds = get_type_hints(record)
    expected = {field.name: kinds[field.name] for field in fields(record)}
    assert {key: option.annotation.__origin__ for key, option in options_of(main).items()} == expected
