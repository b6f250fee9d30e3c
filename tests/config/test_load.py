"""Loading: a raw mapping becomes a study, in which conditions override `defaults` and these the programmed ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from configs import faults, study

from general_circuits.config.condition import SpacingSettings
from general_circuits.config.errors import ConfigError
from general_circuits.config.load import load

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("raw", [None, [], "study", 3])
def test_a_config_that_is_no_mapping_is_refused(raw: Any) -> None:
    with pytest.raises(ConfigError, match="should be a mapping of keys to values"):
        load(raw)


def test_a_study_has_at_least_one_condition() -> None:
    (message,) = faults(study(conditions={}))
    assert message.startswith("conditions = {}: ")


def test_text_that_spells_a_number_is_read_as_that_number() -> None:
    raw = yaml.safe_load("{study: tiny, defaults: {learning_rate: 1e-3, weight_decay: 5e-1}, conditions: {one: {}}}")
    assert raw["defaults"]["learning_rate"] == "1e-3"  # what YAML 1.1 makes of it
    optimiser = load(raw).conditions["one"].resolve().optimiser
    assert (optimiser.learning_rate, optimiser.weight_decay) == (0.001, 0.5)


def test_conditions_override_defaults_and_defaults_override_the_programmed_ones() -> None:
    loaded = load(
        study(defaults={"modulus": 13, "batch_size": 16}, conditions={"one": {"modulus": 17}, "two": {}, "three": None})
    )
    assert [loaded.conditions[name].modulus for name in ("one", "two", "three")] == [17, 13, 13]
    assert {settings.batch_size for settings in loaded.conditions.values()} == {16}
    assert {settings.train_fraction for settings in loaded.conditions.values()} == {0.6}


def test_a_condition_overrides_a_nested_setting_key_by_key() -> None:
    loaded = load(
        study(defaults={"checkpoints": {"log": 4, "every": 900}}, conditions={"a": {"checkpoints": {"every": 50}}})
    )
    assert loaded.conditions["a"].checkpoints == SpacingSettings(log=4, every=50)


def test_conditions_keep_their_order() -> None:
    assert list(load(study(conditions={"b": {}, "a": {}, "c": {}})).conditions) == ["b", "a", "c"]


def test_a_condition_with_another_kind_of_network_ignores_defaults_that_it_has_no_place_for() -> None:
    defaults = {"d_model": 32, "n_heads": 2, "d_mlp": 64, "normalisation": "pre", "initialisation": "normal"}
    conditions = {
        "usual": {},
        "one_hot": {"preset": "quadratic_mlp"},
        "embedded": {"preset": "mlp"},
        "ordinal": {"preset": "mlp", "inputs": "ordinal"},
    }
    loaded = load(study(defaults=defaults, conditions=conditions))
    models = {name: settings.resolve().model for name, settings in loaded.conditions.items()}
    assert [(model.d_model, model.n_heads, model.d_mlp) for model in models.values()] == [
        *((32, 2, 64), (0, 0, 64), (32, 0, 64), (0, 0, 64))
    ]
    assert [model.normalisation for model in models.values()] == ["pre", "none", "none", "none"]
    own = study(defaults=defaults, conditions={"one": {"preset": "mlp", "n_heads": 2}})
    assert faults(own) == ["conditions.one.n_heads = 2: an MLP has none; leave it out"]


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_the_projects_own_configs_load(path: Path) -> None:
    loaded = load(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert loaded.conditions
    assert loaded.replicas == loaded.blocks * loaded.block


def test_there_is_a_default_and_a_smoke_config() -> None:
    assert {"config.yaml", "smoke.yaml"} <= {path.name for path in (ROOT / "config").glob("*.yaml")}


@pytest.mark.parametrize(
    ("default", "own", "replaced"),
    [
        ({"train_fraction": 0.3}, {"train_count": 900}, {"train_fraction": 0.6, "train_count": 900}),
        ({"train_count": 900}, {"train_fraction": 0.3}, {"train_fraction": 0.3, "train_count": None}),
        ({"operation": "x*y"}, {"expression": "x+2*y"}, {"operation": "x+y", "expression": "x+2*y"}),
        ({"expression": "x+2*y"}, {"operation": "x*y"}, {"operation": "x*y", "expression": None}),
        ({"train_count": 900}, {"train_count": None}, {"train_fraction": 0.6, "train_count": None}),
    ],
)
def test_a_key_of_a_condition_drops_the_default_of_the_key_that_it_replaces(
    default: dict[str, Any], own: dict[str, Any], replaced: dict[str, Any]
) -> None:
    loaded = load(study(defaults=default, conditions={"one": own})).conditions["one"]
    assert {key: getattr(loaded, key) for key in replaced} == replaced


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            study(defaults={"train_count": 9, "train_fraction": 0.5}),
            "defaults: train_count and train_fraction: should be one of them",
        ),
        (
            study(conditions={"one": {"operation": "x*y", "expression": "x+y"}}),
            "conditions.one: expression and operation: should be one of them",
        ),
    ],
)
def test_two_keys_that_replace_each_other_are_refused_in_one_section(config: dict[str, Any], message: str) -> None:
    assert faults(config) == [message]


def test_loading_leaves_the_raw_mapping_as_it_was() -> None:
    raw = study(
        defaults={"checkpoints": {"log": 4}},
        conditions={
            "one": {"checkpoints": {"every": 50}},
            "fast": {"branch": {"from": "one", "at": "onset", "change": {"learning_rate": "x10"}}},
        },
    )
    before = yaml.safe_dump(raw)
    load(raw)
    assert yaml.safe_dump(raw) == before
