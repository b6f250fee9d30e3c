"""A condition's settings: presets and defaults that resolving fills in."""

from __future__ import annotations

from typing import Any

import pytest
from configs import faults, resolved, study, undescribed

from general_circuits.config.condition import (
    LINE_SEARCHING,
    SECTIONS,
    ConditionSettings,
    Settings,
    SpacingSettings,
)
from general_circuits.config.load import load
from general_circuits.models.presets import PRESETS
from general_circuits.records import from_json, to_json
from general_circuits.training.schedule import Spacing
from general_circuits.training.settings import Condition


def test_resolving_fills_in_the_preset() -> None:
    model = load(study(defaults={"d_mlp": 64})).conditions["grokking"].resolve().model
    assert (model.n_layers, model.d_model, model.n_heads, model.d_mlp) == (1, 128, 4, 64)
    assert (model.activation, model.normalisation, model.biases, model.positions) == ("relu", "none", "mlp", "learned")


@pytest.mark.parametrize(
    ("settings", "decay"),
    [
        ({}, "decoupled"),
        ({"optimiser": "adamw"}, "decoupled"),
        ({"optimiser": "adam"}, "coupled"),
        ({"optimiser": "sgd"}, "coupled"),
        ({"optimiser": "sgd", "decay": "decoupled"}, "decoupled"),
        ({"optimiser": "line_search", "batch_size": "full"}, "coupled"),
        ({"optimiser": "lbfgs", "batch_size": "full"}, "coupled"),
    ],
)
def test_decay_is_decoupled_for_adamw_and_coupled_for_other_rules_by_default(
    settings: dict[str, Any], decay: str
) -> None:
    assert load(study(defaults=settings)).conditions["grokking"].resolve().optimiser.decay == decay


@pytest.mark.parametrize(
    ("settings", "warm_up"),
    [
        ({}, 10),
        ({"optimiser": "sgd", "warm_up": 5}, 5),
        ({"optimiser": "line_search", "batch_size": "full", "warm_up": 5}, 0),
        ({"optimiser": "lbfgs", "batch_size": "full"}, 0),
    ],
)
def test_rules_that_search_for_their_step_size_do_not_warm_up(settings: dict[str, Any], warm_up: int) -> None:
    assert load(study(defaults=settings)).conditions["grokking"].resolve().optimiser.warm_up == warm_up


def test_by_default_gradients_have_no_noise_and_the_loss_is_cross_entropy() -> None:
    optimiser = load(study()).conditions["grokking"].resolve().optimiser
    assert (optimiser.gradient_noise, optimiser.grokfast_lambda, optimiser.decay_on) == (0.0, 0.0, "all")
    assert optimiser.loss == "cross_entropy"


def test_by_default_random_labels_are_drawn_by_example_and_the_starting_weights_are_not_moved() -> None:
    resolved = load(study()).conditions["grokking"].resolve()
    assert (resolved.split.label_noise_by, resolved.perturbation) == ("example", 0.0)


def test_a_branch_starts_as_its_parent_did() -> None:
    leaves = {"branch": {"from": "perturbed", "at": "onset"}}
    conditions = {"perturbed": {"perturbation": 1e-7}, "fast": leaves}
    assert load(study(conditions=conditions)).conditions["fast"].resolve().perturbation == 1e-7
    change = {"branch": {**leaves["branch"], "change": {"perturbation": 0.0}}}
    assert faults(study(conditions={**conditions, "fast": change})) == [
        "conditions.fast.branch.change.perturbation = 0.0: cannot be changed: a branch continues its parent's network"
    ]


def test_decay_may_be_on_all_weights_or_on_named_ones() -> None:
    patterns = ["embed.W_E", "blocks.*.mlp.*"]
    resolved = load(study(defaults={"decay_on": patterns})).conditions["grokking"].resolve()
    assert resolved.optimiser.decay_on == tuple(patterns)
    assert from_json(Condition, to_json(resolved)) == resolved
    assert faults(study(conditions={"one": {"decay_on": "embed.W_E"}})) == [
        "conditions.one.decay_on = 'embed.W_E': should be 'all' or a list"
    ]
    assert faults(study(defaults={"decay_on": []})) == ["defaults.decay_on = []: should not be empty"]


def test_arithmetic_is_reduced_for_transformers_by_default_and_plain_for_mlps() -> None:
    kinds = {"usual": {}, "reference": {"arithmetic": "plain"}, "mlp": {"preset": "mlp"}}
    resolved = [setting.resolve().optimiser.arithmetic for setting in load(study(conditions=kinds)).conditions.values()]
    assert resolved == ["reduced", "plain", "plain"]


@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "parity_mlp"])
def test_a_preset_without_other_keys_is_its_network(preset: str) -> None:
    loaded = load(study(defaults={"preset": preset}))
    assert loaded.conditions["grokking"].resolve().model == PRESETS[preset].model


def test_the_parity_preset_is_its_network_where_there_are_two_classes() -> None:
    settings = {"preset": "parity_mlp", "batch_size": "full"}
    assert load(study(defaults={"modulus": 2, **settings})).conditions["grokking"].resolve().model == (
        PRESETS["parity_mlp"].model
    )
    assert faults(study(defaults=settings)) == [
        "conditions.grokking.outputs = 'sign': should be classes, since there are 59 and not two"
    ]


def test_an_mlp_that_reads_no_embedding_has_no_embedding_width() -> None:
    resolved = load(study(defaults={"preset": "mlp", "inputs": "one_hot"})).conditions["grokking"].resolve().model
    assert (resolved.inputs, resolved.d_model) == ("one_hot", 0)


def test_an_mlp_accepts_that_it_has_no_normalisation() -> None:
    load(study(defaults={"preset": "mlp", "normalisation": "none"}))


BY_HAND = {"d_model": 44, "n_heads": 2, "d_mlp": 120, "modulus": 13, "batch_size": "full", "steps": 0}


@pytest.mark.parametrize("kind", ["fourier", "lookup_table"])
def test_a_network_built_by_hand_can_be_measured_without_training(kind: str) -> None:
    resolved = load(study(defaults={"initialisation": kind, **BY_HAND})).conditions["grokking"].resolve()
    assert resolved.model.initialisation == kind
    assert resolved.schedule.checkpoints.steps(0) == [0]


def test_a_resolved_condition_has_no_open_key_and_survives_json() -> None:
    raw = study(conditions={"grokking": {"checkpoints": {"log": 3, "every": 7}, "batch_size": "full"}})
    resolved = load(raw).conditions["grokking"].resolve()
    assert resolved.schedule.checkpoints == Spacing(3, 7)
    assert "null" not in to_json(resolved).replace('"until": null', "")  # such a condition trains all of its steps
    assert from_json(Condition, to_json(resolved)) == resolved


@pytest.mark.parametrize("section", [*SECTIONS, SpacingSettings])
def test_every_key_is_described(section: type[Settings]) -> None:
    assert undescribed(section) == set()


def test_sections_share_no_key_and_cover_all_keys_of_a_condition() -> None:
    keys = [key for section in SECTIONS for key in section.model_fields]
    assert len(keys) == len(set(keys))
    assert set(keys) == set(ConditionSettings.model_fields)


@pytest.mark.parametrize(("settings", "size"), [({}, 0.6), ({"train_fraction": 0.3}, 0.3), ({"train_count": 900}, 900)])
def test_the_size_of_training_is_a_float_if_a_fraction_and_an_int_if_a_count(settings: Any, size: float) -> None:
    train_size = resolved(**settings).split.train_size
    assert (train_size, type(train_size)) == (size, type(size))


def test_rules_that_search_for_their_step_size_are_update_rules() -> None:
    rules = ConditionSettings.model_json_schema()["properties"]["optimiser"]["enum"]
    assert set(LINE_SEARCHING) < set(rules)
