"""Settings of duels: what they take from their study and from a condition."""

from __future__ import annotations

from typing import Any

import pytest
from configs import undescribed

from general_circuits.config.duels import DuelSettings, PlantedSettings, RuleSettings, ToySettings
from general_circuits.config.kinds import Settings
from general_circuits.config.load import load


def test_duels_have_the_replicas_and_seeds_of_their_study() -> None:
    study = load({"study": "mine", "replicas": 4, "first_seed": 9, "conditions": {"one": {}}, "duels": {"toy": {}}})
    assert study.duels.toy is not None
    grid = study.duels.toy.resolve(study.replicas, study.first_seed)
    assert (grid.replicas, grid.first_seed, grid.pairs) == (4, 9, 8)
    assert {rule.optimiser for rule in grid.rules} == {"sgd", "momentum", "adam", "adamw"}


@pytest.mark.parametrize("options", [{}, {"preset": "nanda", "d_model": 32, "n_heads": 2}, {"train_count": 100}])
def test_planted_networks_resolve_as_a_condition_does(options: dict[str, Any]) -> None:
    planted = PlantedSettings(**options)
    condition, planting, _ = planted.resolve()
    assert planting.model == condition.model
    assert condition.model.d_mlp == 128
    assert condition.split.train_size == options.get("train_count", 0.65)


@pytest.mark.parametrize("section", [DuelSettings, ToySettings, PlantedSettings, RuleSettings])
def test_every_key_is_described(section: type[Settings]) -> None:
    assert undescribed(section) == set()


def test_resolving_keeps_the_lists_of_planted_duels_in_order() -> None:
    """The first value of each list is the registered one."""
    planted = PlantedSettings(margins=[2.0, 8.0], batch_sizes=[32, 0], parts=[2, 8], duel_steps=7, evaluations=3)
    _, planting, duels = planted.resolve()
    assert {rule: duels.steps * times for rule, times in duels.settling}.keys() == {"sgd", "momentum", "adamw"}
    assert (duels.margins, duels.batch_sizes, planting.parts) == ((2.0, 8.0), (32, 0), (2, 8))
    assert (duels.steps, duels.evaluations) == (7, 3)
    assert [(rule.optimiser, rule.learning_rate, rule.weight_decays) for rule in duels.rules] == [
        ("sgd", 2.0, (1e-3,)),
        ("momentum", 0.2, (1e-3,)),  # momentum 0.9 multiplies it by ten
        ("adamw", 2e-3, (1.0,)),
    ]


def test_the_modules_of_planted_duels_train_on_all_examples_at_once() -> None:
    assert PlantedSettings().condition.batch_size == "full"
