"""Two hundred steps with the reduced network and torch's fused update against the plain ones, option by option.

A bias of keys has no effect, and its gradient is zero. Autograd gives rounding noise instead. Adam divides the noise by
its own size and so makes steps of the learning rate. The path of this bias is therefore left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from builders import addition, condition, model_settings

from general_circuits.config.load import load
from general_circuits.pipeline.timings import generated_splits
from general_circuits.tasks.vocabulary import Vocabulary
from general_circuits.training import loop
from general_circuits.training.replica import Replica
from general_circuits.training.schedule import Spacing
from general_circuits.training.settings import Condition

MODULUS, N_CLASSES = 11, 5
VOCABULARY = Vocabulary(2, MODULUS, N_CLASSES)
BATCH = 80
"""Batch size that is large enough for a table: more than 4 · (8 + 11)."""

OPTIONS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "n_layers = 2": {"n_layers": 2},
    "n_layers = 3": {"n_layers": 3},
    "activation = gelu": {"activation": "gelu"},
    "normalisation = pre": {"normalisation": "pre"},
    "normalisation = post": {"normalisation": "post"},
    "biases = none": {"biases": "none"},
    "biases = blocks": {"biases": "blocks"},
    "biases = all": {"biases": "all"},
    "activation = quadratic": {"activation": "quadratic"},
    "positions = sinusoidal": {"positions": "sinusoidal"},
    "n_heads = 1": {"n_heads": 1},
    "n_heads = 8": {"n_heads": 8},
    "everything": {"n_layers": 2, "normalisation": "pre", "biases": "all", "activation": "gelu"},
    "output folded, no table": {"batch_size": 20},
    "nothing folded": {"batch_size": 4},
    "whole training set": {"batch_size": "full"},
    "adam, coupled": {"optimiser": "adam", "decay": "coupled", "weight_decay": 0.01},
    "sgd, coupled": {"optimiser": "sgd", "decay": "coupled", "learning_rate": 0.05},
    "sgd, decoupled, momentum": {"optimiser": "sgd", "learning_rate": 0.01, "momentum": 0.9},
}
"""One change each to AdamW with one layer, biases in the MLP and a table."""


def setting(changes: dict[str, Any], arithmetic: str, **more: Any) -> Condition:
    changes = {"batch_size": BATCH, "weight_decay": 0.1, "arithmetic": arithmetic, **more, **changes}
    kinds = model_settings().__dataclass_fields__
    model = model_settings(**{key: value for key, value in changes.items() if key in kinds})
    optimiser = {key: value for key, value in changes.items() if key not in kinds}
    return condition(200, Spacing(1, 20), Spacing(1, 20), model, **optimiser)


def both(changes: dict[str, Any], **more: Any) -> list[loop.Run]:
    return [
        loop.train(setting(changes, arithmetic, **more), addition(MODULUS, N_CLASSES), VOCABULARY, seed=0)
        for arithmetic in ("plain", "reduced")
    ]


def farthest(plain: loop.Run, reduced: loop.Run) -> float:
    """Return the largest difference between two weights at any of the checkpoints."""
    return max(
        (plain.weights[name] - weight).abs().max().item()
        for name, weight in reduced.weights.items()
        if "b_K" not in name
    )


def assert_same_metrics(plain: pd.DataFrame, reduced: pd.DataFrame, atol: float, leave_out: tuple[str, ...]) -> None:
    """Check the metrics of both splits, and that both networks learned something."""
    for frame in (plain, reduced):
        losses = frame[frame["split"] == "train"]["loss"]
        assert losses.iloc[-1] < losses.iloc[0]
    left = ["accuracy", *leave_out]  # accuracy jumps where two logits are equal to rounding
    pd.testing.assert_frame_equal(plain.drop(columns=left), reduced.drop(columns=left), rtol=0, atol=atol)


@pytest.fixture
def float64() -> Iterator[None]:
    """Make float64 torch's default precision, which networks, initialisation and optimisers have."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("option", OPTIONS)
def test_in_float64_the_paths_are_equal_to_1e_10(option):
    """Differences are about 1e-13 for weights and 5e-12 for norms of gradients."""
    plain, reduced = both(OPTIONS[option], loss_precision="float64", **learning_rate(option, 3e-3))
    assert all(weight.dtype == torch.float64 for weight in reduced.weights.values())
    assert farthest(plain, reduced) < 1e-10
    assert_same_metrics(plain.metrics, reduced.metrics, atol=1e-10, leave_out=())


@pytest.mark.parametrize("option", OPTIONS)
def test_in_float32_the_paths_are_equal_to_rounding(option):
    """Weights agree to 5e-5, losses and margins to 2e-4; differences are about 2e-6 and 5e-6.

    Weights move by up to 0.2.
    """
    plain, reduced = both(OPTIONS[option], **learning_rate(option, 1e-3))
    assert all(weight.dtype == torch.float32 for weight in reduced.weights.values())
    assert farthest(plain, reduced) < 5e-5
    # A gradient's norm is large where a layer norm divides by little; a weights' norm has the bias of keys.
    assert_same_metrics(plain.metrics, reduced.metrics, atol=2e-4, leave_out=("gradient_norm", "weight_norm"))


def learning_rate(option: str, usual: float) -> dict[str, float]:
    """Return a rate at which training does not enlarge rounding errors; SGD's options have their own."""
    return {} if "learning_rate" in OPTIONS[option] else {"learning_rate": usual}


def test_the_options_reach_every_way_of_multiplying_out():
    choices = {}
    for option, changes in OPTIONS.items():
        replica = Replica(setting(changes, "reduced"), addition(MODULUS, N_CLASSES), VOCABULARY, seed=0)
        choices[option] = replica.network.shape.folds_output, replica.network.shape.has_table
    with_norm = {"normalisation = pre", "normalisation = post", "everything"}
    assert {option for option, (folds, _) in choices.items() if not folds} == {"nothing folded"} | with_norm
    deep = {"n_layers = 2", "n_layers = 3"}
    assert {option for option, ways in choices.items() if ways == (True, False)} == {"output folded, no table"} | deep


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_bias_of_keys_stays_where_it_began(optimiser):
    """Adam moves it in the plain network, by steps of the learning rate that change nothing."""
    plain, reduced = both({"biases": "all", "optimiser": optimiser, "learning_rate": 1e-3})
    assert (reduced.weights["blocks.0.attn.b_K"] == 0).all()
    moved = plain.weights["blocks.0.attn.b_K"].abs().max().item()
    assert moved > 1e-4 if optimiser == "adamw" else moved < 1e-6


def test_the_workstation_study_takes_the_plain_path_too():
    """The grokking condition takes 30 steps in float32. Later, rounding grows as it does if weights move by one ulp."""
    raw = yaml.safe_load((Path(__file__).parents[3] / "config" / "config.yaml").read_text())
    raw["defaults"] |= {"steps": 30, "checkpoints": {"log": 2, "every": 15}, "metrics": {"log": 10, "every": 10}}
    raw["conditions"] = {name: {"arithmetic": name} for name in ("plain", "reduced")}
    runs = []
    for settings in load(raw).conditions.values():
        resolved = settings.resolve()
        n = resolved.task.modulus
        runs.append(loop.train(resolved, generated_splits(resolved, seed=0), Vocabulary(2, n, n), seed=0))
    plain, reduced = (run.metrics.set_index(["step", "split"]) for run in runs)
    for column, tolerance in {"loss": 1e-3, "accuracy": 2e-3, "weight_norm": 1e-2}.items():
        assert (plain[column] - reduced[column]).abs().max() < tolerance
