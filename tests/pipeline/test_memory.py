"""Predictions of memory: sizes agree with real networks, and predicted peaks with the peaks of real jobs.

A job fits its prediction if its peak is at most the prediction, and at least half of it.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
from builders import branch_of, mlp_settings, model_settings

from general_circuits.analysis.moments import MOMENTS
from general_circuits.config.duels import PlantedSettings, ToySettings
from general_circuits.config.load import load
from general_circuits.config.measurements import (
    AblationSettings,
    Method,
    Normalisation,
    SaliencySettings,
    TargetName,
)
from general_circuits.models.perceptron import Perceptron
from general_circuits.models.transformer import Transformer
from general_circuits.pipeline import memory
from general_circuits.records import to_json
from general_circuits.stages import generate_task, split_examples
from general_circuits.storage import tables
from general_circuits.storage.schemas.events import TABLE as EVENTS
from general_circuits.tasks.vocabulary import Vocabulary
from general_circuits.training.reduced import network
from general_circuits.training.settings import Condition

DRAWS = 1
MOST = 2.5
"""Largest ratio of prediction to peak for jobs whose peaks vary between runs. For all other jobs it is 2."""
EVERYTHING = {
    "methods": list(get_args(Method)),
    "targets": list(get_args(TargetName)),
    "normalisations": list(get_args(Normalisation)),
}
"""All settings of saliency, without its sites."""
INPUTS = ("one_hot", "embedding", "ordinal")
RARELY = {"log": 1, "every": 1000}
FEW = {"steps": 3, "checkpoints": RARELY, "metrics": RARELY}
BITS = {"preset": "pre_norm", "batch_size": 64, **FEW}
JOBS = {
    "many checkpoints": {"modulus": 59, "batch_size": 256, "steps": 60, "checkpoints": {"log": 1, "every": 1}},
    "full batch": {"modulus": 113, "train_fraction": 0.3, "batch_size": "full", **FEW},
    "two pre-norm layers": {
        "modulus": 97,
        "n_layers": 2,
        "normalisation": "pre",
        "activation": "gelu",
        "biases": "all",
        "batch_size": 512,
        **FEW,
    },
    "plain, large batch": {"modulus": 97, "batch_size": 2048, "arithmetic": "plain", **FEW},
    "L-BFGS": {"modulus": 59, "batch_size": "full", "optimiser": "lbfgs", **FEW, "steps": 15},
    "one-hot, full batch": {"preset": "quadratic_mlp", "modulus": 97, "batch_size": "full", **FEW},
    "two layers over embeddings": {"preset": "mlp", "modulus": 113, "n_layers": 2, "batch_size": 512, **FEW},
    "twelve bits": {"operation": "sparse_parity", "bits": 12, "examples": 1500, "train_count": 600, **BITS},
    "tiny": {"modulus": 7, "d_model": 8, "n_heads": 2, "d_mlp": 16, "batch_size": 16, **FEW},
}
IS_WHOLE = "EVERY_COST" in os.environ
"""Switch by which `make costs` measures all jobs and not only a sample."""
MEASURED = [name for name in JOBS if name not in {"many checkpoints", "L-BFGS", "full batch"}]
"""Jobs whose measurements differ. The way in which a network was trained does not matter to them."""
if not IS_WHOLE:
    MEASURED = ["two pre-norm layers", "one-hot, full batch", "tiny"]

Trained = tuple[Condition, Path, int]


def condition(settings: dict[str, object]) -> Condition:
    """Return the condition with these settings."""
    return load({"study": "costs", "conditions": {"case": settings}}).conditions["case"].resolve()


@pytest.mark.parametrize(
    ("n_layers", "normalisation", "biases", "positions"),
    list(
        itertools.product((1, 3), ("none", "pre", "post"), ("none", "mlp", "blocks", "all"), ("learned", "sinusoidal"))
    ),
)
def test_parameters_are_those_of_a_transformer(n_layers: int, normalisation: str, biases: str, positions: str) -> None:
    options = {"n_layers": n_layers, "normalisation": normalisation, "biases": biases, "positions": positions}
    size = memory.Size.of(
        condition({"modulus": 11, "d_model": 12, "n_heads": 3, "d_mlp": 20, "batch_size": 8, **options})
    )
    model = Transformer(model_settings(d_model=12, n_heads=3, d_mlp=20, **options), Vocabulary(2, 11, 11))
    assert size.parameters == sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize(
    ("n_layers", "inputs", "biases", "vocabulary", "outputs"),
    [
        *itertools.product((1, 3), INPUTS, ("none", "mlp", "all"), [Vocabulary(2, 11, 7)], ["classes"]),
        *itertools.product((1, 3), INPUTS, ("none", "mlp", "all"), [Vocabulary(9, 2, 2)], ["classes", "sign"]),
    ],
)
def test_parameters_are_those_of_a_perceptron(
    n_layers: int, inputs: str, biases: str, vocabulary: Vocabulary, outputs: str
) -> None:
    model = Perceptron(mlp_settings(n_layers=n_layers, inputs=inputs, biases=biases, outputs=outputs), vocabulary)
    assert memory.parameters(model.settings, vocabulary) == sum(weight.numel() for weight in model.parameters())


def test_reduced_arithmetic_has_the_slices_that_memory_assumes() -> None:
    assert memory.EXAMPLES_PER_SLICE == network.EXAMPLES_PER_SLICE


def test_examples_are_counted_as_they_are_split() -> None:
    size = memory.Size.of(condition({"modulus": 7, "train_fraction": 0.5, "split_by": "example", "batch_size": "full"}))
    assert (size.n_training, size.n_validation, size.batch) == (25, 24, 25)


@pytest.mark.parametrize(
    ("settings", "copies"),
    [
        ({"optimiser": "adamw"}, 3),
        ({"optimiser": "sgd"}, 1),
        ({"optimiser": "sgd", "momentum": 0.9}, 2),
        ({"optimiser": "adam", "grokfast_lambda": 2.0}, 4),
        ({"optimiser": "line_search", "batch_size": "full"}, 1),
        ({"optimiser": "lbfgs", "batch_size": "full"}, 1 + 2 + 2 * 10),
    ],
)
def test_a_state_holds_weights_and_moments(settings: dict[str, object], copies: int) -> None:
    size = memory.Size.of(condition(settings))
    assert size.state_bytes == copies * size.parameters * 4


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    """Function from a job's name to its condition, the folder of its one block, and the peak of its training."""

    @cache
    def train(name: str) -> Trained:
        setting, folder = condition(JOBS[name]), tmp_path_factory.mktemp("job")
        generate_task.main(to_json(setting.task), folder / "task.parquet")
        drawn = {"split": to_json(setting.split), "condition": "case", "first_seed": 0, "block": 0, "replicas": 1}
        split_examples.main(folder / "task.parquet", output=folder / "split.parquet", **drawn)
        states = {"code": "0", "states": folder / "state", "keep_states": 0}
        files = {"split": folder / "split.parquet", "metrics": folder / "metrics.parquet"}
        told = {"condition": "case", "settings": to_json(setting), "device": "cpu"}
        none = {"branch": "", "parent": ".", "parent_states": ".", "parent_code": "", "as_kicked": "", "partner": ""}
        return setting, folder, peak_mb("train_block", **told, **files, **states, **none)

    return train


@pytest.mark.parametrize("name", JOBS)
def test_training_fits_its_prediction(trained: Callable[[str], Trained], name: str) -> None:
    setting, _, peak = trained(name)
    assert peak <= memory.Size.of(setting).training_mb() <= 2 * peak


@pytest.mark.parametrize("name", ["full batch", "two layers over embeddings"])
def test_a_branch_fits_its_prediction(trained: Callable[[str], Trained], name: str) -> None:
    setting, folder, _ = trained(name)
    events = pd.DataFrame({"condition": ["case"], "replica": 0, "event": "onset", "step": 1, "censored": False})
    tables.write(folder / "events.parquet", EVENTS, events.assign(after=0))
    own = folder / "branch"
    told = {"condition": "case", "settings": to_json(setting), "device": "cpu", "code": "0", "keep_states": 0}
    parent = {"parent": folder, "parent_states": folder / "state", "parent_code": "0", "as_kicked": "", "partner": ""}
    files = {"split": folder / "split.parquet", "metrics": own / "metrics.parquet", "states": own / "state"}
    peak = peak_mb("train_block", **told, **files, **parent, branch=to_json(branch_of(setting, "step 1")))
    assert peak <= memory.Size.of(setting).training_mb(is_branch=True) <= 2 * peak


def test_a_replay_to_moments_fits_its_prediction(trained: Callable[[str], Trained]) -> None:
    """The run kept every step, and the replay does so too."""
    setting, folder, _ = trained("many checkpoints")
    events = pd.DataFrame({"condition": "case", "replica": 0, "event": ["memorised", "onset", "generalised"]})
    events = events.assign(step=[2, 30, 40], after=[1, 29, 39], censored=False)
    tables.write(folder / "moments-events.parquet", EVENTS, events)
    told = {"settings": to_json(setting), "training_code": "0", "states": folder / "state"}
    told |= {"before": 30, "after": 30, "every": 1, "output": folder / "moments.parquet"}
    told |= dict.fromkeys(("events", "partner"), folder / "moments-events.parquet")
    peak = peak_mb("replay_moments", **of_block(folder), **told)
    assert peak <= memory.Size.of(setting).training_mb(kept=len(MOMENTS) + 61) <= 2 * peak


@pytest.mark.parametrize("name", MEASURED)
def test_saliency_and_ablation_fit_their_predictions(trained: Callable[[str], Trained], name: str) -> None:
    setting, folder, _ = trained(name)
    peak, predicted = saliency_mb(setting, folder, SaliencySettings())
    assert peak <= predicted <= 2 * peak
    rankings = ["mean_magnitude", "weight_norm"]
    counts = {"k_points": 2, "random_draws": DRAWS, "examples": 1024, "checkpoints": 1}
    option = AblationSettings(deletions=["resample"], rankings=rankings, **counts).as_option("registered")
    files = {"saliency": folder / "saliency.parquet", "moments": ""}
    files |= {name: folder / f"{name}.parquet" for name in ("ablation", "damage")}
    peak = peak_mb("ablate_neurons", **of_block(folder), deletions=option, **files)
    # one statistic and one norm, the statistic from its other end, matched neurons, and random orders
    deletions = memory.Deletions(1024, splits=2, k_points=2, curves=4 + DRAWS, checkpoints=1, moments=0, replicas=1)
    assert peak <= memory.Size.of(setting).ablation_mb(deletions) <= MOST * peak


@pytest.mark.parametrize("name", MEASURED if IS_WHOLE else MEASURED[1:])
def test_progress_and_updates_fit_their_predictions(trained: Callable[[str], Trained], name: str) -> None:
    setting, folder, _ = trained(name)
    told = {"settings": to_json(setting), "steps": 1, "moments": ""}
    peak = peak_mb(
        "measure_progress",
        **of_block(folder),
        **told,
        examples=1,
        examples_steps=1,
        general_at="last",
        output=folder / "progress.parquet",
    )
    predicted = memory.Size.of(setting).progress_mb()
    tracked, tracking = (
        peak_mb("track_updates", **of_block(folder), **told, output=folder / "updates.parquet"),
        memory.Size.of(setting).updates_mb(),
    )
    assert peak <= predicted <= MOST * peak
    assert tracked <= tracking <= MOST * tracked


@pytest.mark.parametrize("name", MEASURED)
def test_answers_and_spikes_fit_their_predictions(trained: Callable[[str], Trained], name: str) -> None:
    """The run has no spikes; spikes only add weights."""
    setting, folder, _ = trained(name)
    size, told = memory.Size.of(setting), {"settings": to_json(setting)}
    recorded = peak_mb("record_answers", **of_block(folder), **told, steps=1, output=folder / "answers.parquet")
    assert recorded <= size.answers_mb(1, 1) <= MOST * recorded
    events = pd.DataFrame({"condition": "case", "replica": 0, "event": ["memorised", "generalised"], "after": 0})
    tables.write(folder / "memorised.parquet", EVENTS, events.assign(step=[1, 3], censored=[False, True]))
    again = {"training_code": "0", "states": folder / "state", "threshold": 2.0, "most": 1}
    files = {"events": folder / "memorised.parquet", "output": folder / "spikes.parquet"}
    watched = peak_mb("watch_spikes", **of_block(folder), **told, **again, **files)
    assert watched <= size.spikes_mb(1, 1) <= MOST * watched


@pytest.mark.parametrize("name", ["one-hot, full batch", "plain, large batch", "tiny"])
def test_the_saliency_of_every_example_fits_its_prediction(trained: Callable[[str], Trained], name: str) -> None:
    setting, folder, _ = trained(name)
    counts = {"step": 0, "output": folder / "examples.parquet"}
    peak = peak_mb("extract_example_saliency", **of_block(folder), questions=SaliencySettings().as_option(), **counts)
    assert peak <= memory.Size.of(setting).example_saliency_mb(attributions(SaliencySettings())) <= 2 * peak


@pytest.mark.parametrize(
    ("name", "sites"),
    [
        ("one-hot, full batch", ["mlp"]),
        ("plain, large batch", ["mlp", "head_outputs", "heads"]),
        ("tiny", ["mlp", "head_outputs", "heads"]),
    ],
)
def test_saliency_with_all_settings_fits_its_prediction(
    trained: Callable[[str], Trained], name: str, sites: list[str]
) -> None:
    """The numbers of steps and of permutations do not matter, because they run one after the other."""
    setting, folder, _ = trained(name)
    few = {"integration_steps": 4, "most_integration_steps": 4, "permutations": 2}
    peak, predicted = saliency_mb(setting, folder, SaliencySettings(**EVERYTHING, **few, sites=sites))
    assert peak <= predicted <= MOST * peak


@pytest.mark.parametrize(
    "network",
    [
        {"parts": [1, 16]},
        {"modulus": 59, "d_mlp": 512, "parts": [16]},
        {"preset": "nanda", "d_model": 64, "n_heads": 2, "parts": [16]},
    ][: None if IS_WHOLE else 1],
)
def test_planted_duels_fit_their_prediction(network: dict[str, object], tmp_path: Path) -> None:
    brief = {"memory_steps": 2, "general_steps": 2, "duel_steps": 2, "evaluations": 1, "label_noises": [0.0]}
    setting, planting, duels = PlantedSettings(**network, **brief).resolve()
    generate_task.main(to_json(setting.task), tmp_path / "task.parquet")
    drawn = {"split": to_json(setting.split), "condition": "planted", "first_seed": 0, "block": 0, "replicas": 1}
    split_examples.main(tmp_path / "task.parquet", output=tmp_path / "split.parquet", **drawn)
    told = {"split": tmp_path / "split.parquet", "weights": tmp_path / "modules", "device": "cpu"}
    told["planting"] = to_json(planting)
    peaks = [
        peak_mb("train_modules", **told, modules=tmp_path / "modules.parquet"),
        peak_mb("duel_modules", **told, duels=to_json(duels), output=tmp_path / "duels.parquet"),
    ]
    assert max(peaks) <= memory.Size.of(setting).modules_mb(max(planting.parts)) <= 2 * max(peaks)


def test_toys_fit_their_prediction(tmp_path: Path) -> None:
    grid = ToySettings(steps=100, block_steps=10).resolve(3, 0)
    peak = peak_mb("duel_toys", grid=to_json(grid), optimiser="adamw", output=tmp_path / "toy.parquet")
    assert peak <= memory.toy_mb(grid) <= 2 * peak


def test_rows_of_many_checkpoints_and_attributions_add_to_the_prediction() -> None:
    size = memory.Size.of(condition(JOBS["many checkpoints"]))
    asked = attributions(SaliencySettings(**EVERYTHING, sites=["mlp", "heads", "head_outputs"]))
    rows = 6 * 4 * 3 * 2 * (512 + 128 + 4)
    assert size.neurons(asked.sites) == 512 + 128 + 4
    every = dataclasses.replace(asked, checkpoints="all", replicas=3)
    added = (3 * size.checkpoints - 1) * rows * memory.SALIENCY_ROW
    assert size.saliency_mb(every) - size.saliency_mb(asked) == pytest.approx(added / 1e6, abs=1)
    assert size.saliency_mb(dataclasses.replace(asked, checkpoints=10**6, replicas=3)) == size.saliency_mb(every)
    at_moments = size.saliency_mb(dataclasses.replace(asked, moments=7)) - size.saliency_mb(asked)
    assert at_moments == pytest.approx(7 * rows * memory.SALIENCY_ROW / 1e6, abs=1)


def attributions(settings: SaliencySettings) -> memory.Attributions:
    """Return the amount of attribution at one checkpoint of one replica."""
    study = load({"study": "costs", "conditions": {"case": {}}, "measurements": {"saliency": settings.model_dump()}})
    return dataclasses.replace(memory.attributions(study), checkpoints=1, moments=0, replicas=1)


def saliency_mb(setting: Condition, folder: Path, settings: SaliencySettings) -> tuple[int, int]:
    """Return the peak of `extract_saliency` at one checkpoint, and its prediction."""
    files = {"output": folder / "saliency.parquet", "attribution": folder / "attribution.parquet"}
    alone = {"moments": "", "steps": 1, "reads": "all"}
    peak = peak_mb("extract_saliency", **of_block(folder), questions=settings.as_option(), **files, **alone)
    return peak, memory.Size.of(setting).saliency_mb(attributions(settings))


def of_block(folder: Path) -> dict[str, object]:
    """Return the options that all measurements of a block share."""
    return {"split": folder / "split.parquet", "condition": "case", "device": "cpu"}


def test_rows_of_a_large_table_add_to_the_prediction() -> None:
    """The table is written one checkpoint at a time, but a million rows still leave a quarter of a gigabyte behind."""
    size = memory.Size.of(condition({"modulus": 59, "steps": 1000, "checkpoints": {"log": 1, "every": 10}}))
    few = memory.Deletions(64, splits=1, k_points=20, curves=10, checkpoints=1, moments=0, replicas=1)
    many = dataclasses.replace(few, curves=500, checkpoints="all")
    rows = 500 * 22 * size.checkpoints
    assert size.ablation_mb(many) - size.ablation_mb(few) == pytest.approx(rows * memory.ABLATION_ROW / 1e6, rel=0.01)
    at_moments = size.ablation_mb(dataclasses.replace(many, moments=7)) - size.ablation_mb(many)
    assert at_moments == pytest.approx(7 * 500 * 22 * memory.ABLATION_ROW / 1e6, abs=1)
    noisy = memory.Size.of(
        dataclasses.replace(size.condition, split=dataclasses.replace(size.condition.split, label_noise=1.0))
    )
    added = [of.ablation_mb(many) - of.ablation_mb(few) for of in (size, noisy)]
    assert added[1] > 2 * added[0]  # training examples are also scored in two parts


def peak_mb(stage: str, **options: object) -> int:
    """Run a stage by itself, and return its peak resident memory in MB."""
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", f"general_circuits.stages.{stage}", *words]
    measured = subprocess.run([sys.executable, "-c", MEASURE, *command], stdout=subprocess.PIPE, text=True, check=True)
    return int(measured.stdout.split()[-1]) * 1024 // memory.MB


MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
