"""Small duels that several tests share."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pandas as pd
import torch

from general_circuits.config.duels import PlantedSettings
from general_circuits.config.duels import RuleSettings as RuleOf
from general_circuits.duels import module_training, planted_training, toy_training
from general_circuits.duels.planted_grid import PlantedDuel, planted_duels
from general_circuits.duels.settings import Duels, Planting
from general_circuits.duels.sides import Side, contestants, set_up
from general_circuits.duels.toy_grid import Grid, RuleSettings
from general_circuits.tasks.vocabulary import Vocabulary


def grid(rate: float = 0.5, decays: tuple[float, ...] = (0.0,), **changes: Any) -> Grid:
    """Make a grid of SGD toys in which only `changes` vary."""
    plain: dict[str, Any] = {
        "pairs": 4,
        "margin": 4.0,
        "coverages": (1, 4),
        "attentions": ("linear",),
        "sharings": ("shared", "apart"),
        "batch_sizes": (),
        "orders": (),
        "initial_shares": (),
        "frequencies": (),
        "rules": (RuleSettings("sgd", rate, decays),),
        "steps": 20,
        "block_steps": 5,
        "replicas": 2,
        "first_seed": 0,
    }
    return Grid(**{**plain, **changes})


SMALL = {
    "modulus": 11,
    "d_mlp": 64,
    "parts": [1, 4],
    "memory_steps": 200,
    "batch_sizes": [8, 0],
    "margins": [4.0, 2.0],
    "initial_shares": [0.5, 0.2],
    "rules": {
        "sgd": RuleOf(learning_rate=0.2, weight_decays=[1e-3]),
        "momentum": RuleOf(learning_rate=0.02, weight_decays=[1e-3]),
        "adamw": RuleOf(learning_rate=2e-3, weight_decays=[1.0]),
    },
    "duel_steps": 8,
    "settling": {"sgd": 2, "adamw": 3},
    "evaluations": 4,
}
"""Keys of planted duels that take seconds."""


def small(**changes: Any) -> tuple[Planting, Duels]:
    """Make settings of planted duels that take seconds: SMALL with `changes`."""
    _, how, duels = PlantedSettings(**{**SMALL, **changes}).resolve()
    return how, duels


@lru_cache
def examples(modulus: int = 11, n_training: int = 80, seed: int = 0) -> module_training.DuelExamples:
    """Make the shuffled examples of x + y, of which the first `n_training` train."""
    pairs = torch.cartesian_prod(torch.arange(modulus), torch.arange(modulus))
    pairs = pairs[torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed))]
    tokens = torch.cat([pairs, torch.full((len(pairs), 1), modulus)], dim=1)
    return module_training.DuelExamples(tokens, pairs.sum(1) % modulus, n_training, Vocabulary(2, modulus, modulus))


@lru_cache
def modules(replica: int = 0) -> module_training.Planted:
    """Train the modules of one replica of the small duels, once per test run."""
    return module_training.plant(small()[0], examples(), replica, lambda line: None)


def registered(**changes: Any) -> PlantedDuel:
    """Make the registered duel of SGD with `changes`."""
    how, duels = small()
    return planted_duels(how, duels, duels.rules[0])[0]._replace(**changes)


def sides(duel: PlantedDuel) -> tuple[Side, Side]:
    """Set up both sides of a duel of replica 0."""
    labels = examples().labels(duel.label_noise, 0)
    return set_up(duel, examples(), labels, *contestants(duel, examples(), modules(), 0))


@lru_cache
def planted_table() -> pd.DataFrame:
    """Fight the small duels of two replicas: the table `planted`, as `read_study` gives it."""
    how, duels = small()
    frames = [
        planted_training.fight(stack, rule, duels, examples(), modules(replica), replica).assign(replica=replica)
        for replica in range(2)
        for rule in duels.rules
        for stack in planted_training.stacks(planted_duels(how, duels, rule), examples(), modules(replica), replica)
    ]
    return pd.concat(frames, ignore_index=True)


@lru_cache
def toy_table() -> pd.DataFrame:
    """Train toys by two update rules: the table `toy`, as `read_study` gives it."""
    rules = (RuleSettings("sgd", 0.5, (0.0, 0.01)), RuleSettings("adamw", 0.003, (0.0, 1.0)))
    settings = grid(
        rules=rules,
        attentions=("linear", "softmax"),
        batch_sizes=(1,),
        orders=("shuffled", "sequential", "blocked"),
        initial_shares=(0.2,),
        frequencies=(4,),
        steps=60,
    )
    frames = [toy_training.train(settings, rule.optimiser).assign(optimiser=rule.optimiser) for rule in rules]
    frame = pd.concat(frames, ignore_index=True)
    return frame.assign(optimiser=pd.Categorical(frame["optimiser"], categories=["sgd", "adamw"]))
