"""Settings of a network that contradict each other, and the messages that say what would be right."""

from __future__ import annotations

import dataclasses

import pytest
from builders import mlp_settings, model_settings

from general_circuits.models import compatibility, ground_truth
from general_circuits.models.compatibility import by_hand_misfits, lacking, misfits, why_not_reduced
from general_circuits.models.presets import PRESETS
from general_circuits.tasks.modular import Modular
from general_circuits.tasks.vocabulary import Vocabulary


@pytest.mark.parametrize("preset", PRESETS)
def test_the_settings_of_a_preset_do_not_contradict_each_other(preset: str) -> None:
    record = PRESETS[preset]
    given = dataclasses.asdict(record.model)
    if record.model.architecture == "mlp":
        given |= {"n_heads": None, "positions": None}
    assert list(misfits(given, record.model, record.vocabulary.n_classes)) == []


def test_the_config_knows_how_many_neurons_a_frequency_needs() -> None:
    assert compatibility.DIRECTIONS == ground_truth.DIRECTIONS


@pytest.mark.parametrize(
    ("given", "model", "key", "message"),
    [
        ({"inputs": "one_hot"}, model_settings(), "inputs", "should be tokens for a transformer"),
        ({"outputs": "sign"}, model_settings(), "outputs", "should be classes for a transformer"),
        ({"n_heads": 2}, mlp_settings(), "n_heads", "an MLP has none; leave it out"),
        ({"biases": "blocks"}, mlp_settings(), "biases", "should be none or mlp or all for an MLP"),
        ({}, model_settings(d_model=9, n_heads=2), "n_heads", "should divide d_model = 9"),
        ({}, mlp_settings(inputs="embedding", d_model=0), "inputs", "needs d_model, the width of the embedding"),
        ({}, mlp_settings(d_model=3), "d_model", "belongs to inputs: embedding; leave it out"),
        ({}, mlp_settings(outputs="sign"), "outputs", "should be classes, since there are 5 and not two"),
    ],
)
def test_each_contradiction_names_its_key_and_what_would_be_right(given, model, key: str, message: str) -> None:
    assert list(misfits(given, model, n_classes=5)) == [(key, message)]


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        ({"preset": "mlp", "n_heads": 4, "positions": None}, ["n_heads"]),
        ({"preset": "mlp", "inputs": "one_hot"}, ["d_model"]),
        ({"preset": "quadratic_mlp"}, ["d_model"]),
        ({"preset": "nanda", "n_heads": 4, "inputs": "one_hot"}, ["inputs"]),
        ({"preset": "no such network", "n_heads": 4}, []),
    ],
)
def test_a_preset_lacks_the_keys_that_its_architecture_does_not_have(given, keys: list[str]) -> None:
    assert list(lacking(given)) == keys


ADDITION, P13 = Modular(("x+y",), 13), Vocabulary(2, 13, 13)
FOURIER = model_settings(initialisation="fourier", d_model=4, d_mlp=9)
LOOKUP_TABLE = model_settings(initialisation="lookup_table", d_model=42, n_heads=2, d_mlp=100)
"""Smallest networks that can be built by hand for addition modulo 13, with 100 training examples."""


def by_hand(model, task=ADDITION, vocabulary=P13, **changes) -> list[str]:
    return [key for key, _ in by_hand_misfits(dataclasses.replace(model, **changes), task, vocabulary, 100)]


def test_the_smallest_networks_built_by_hand_fit_and_smaller_ones_do_not() -> None:
    assert by_hand(FOURIER) == by_hand(LOOKUP_TABLE) == by_hand(model_settings(n_layers=2)) == []
    assert by_hand(FOURIER, d_model=3) == ["d_model"]
    assert by_hand(FOURIER, d_mlp=8) == ["d_mlp"]
    assert by_hand(LOOKUP_TABLE, d_model=41) == ["d_model"]
    assert by_hand(LOOKUP_TABLE, d_mlp=99) == ["d_mlp"]
    assert by_hand(LOOKUP_TABLE, n_heads=4) == ["n_heads"]  # 42 // 4 = 10 coordinates cannot hold 13 symbols


def test_networks_built_by_hand_need_one_relu_layer_and_their_own_task() -> None:
    assert by_hand(FOURIER, n_layers=2, activation="gelu") == ["n_layers", "activation"]
    assert by_hand(FOURIER, Modular(("x*y",), 13)) == by_hand(FOURIER, Modular(("x+y",), 14)) == ["initialisation"]
    assert by_hand(LOOKUP_TABLE, Modular(("x*y",), 13)) == []
    assert by_hand(LOOKUP_TABLE, vocabulary=Vocabulary(3, 13, 13)) == ["initialisation"]


def test_only_transformers_on_two_operands_have_a_reduced_form() -> None:
    assert why_not_reduced(model_settings(), n_inputs=2) is None
    assert why_not_reduced(model_settings(), n_inputs=3) == "there are 3 inputs and the reduced form is of two operands"
    assert why_not_reduced(mlp_settings(), n_inputs=2) == "an MLP has no reduced form"
