"""Small duels that several tests share."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pandas as pd
import torch

from general_circuits.config.duels import PlantedSettings
from general_circuits.config.duels import RuleSettings as RuleOf
from general_circuits.duels import module_training, planted_training, toy_training
from general_circuits.duels.planted_grid import planted_duels
from general_circuits.duels.settings import Duels, Planting
from general_circuits.duels.toy_grid import Grid, RuleSettings
from general_circuits.tasks.vocabulary import Vocabulary


def grid(rate: float = 0.5, decays: tuple[float, ...] = (0.0,), **changes: Any) -> Grid:
    """Toys of SGD, nothing varied but what is asked."""
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
        "adamw": RuleOf(learning_rate=2e-3, weight_decays=[1.0]),
    },
    "duel_steps": 8,
    "evaluations": 4,
}


def small(**changes: Any) -> tuple[Planting, Duels]:
    """Planted duels that take seconds."""
    _, how, duels = PlantedSettings(**{**SMALL, **changes}).resolve()
    return how, duels


@lru_cache
def ground(modulus: int = 11, n_training: int = 80, seed: int = 0) -> module_training.DuelExamples:
    """x + y, shuffled, so many of it for training."""
    pairs = torch.cartesian_prod(torch.arange(modulus), torch.arange(modulus))
    pairs = pairs[torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed))]
    tokens = torch.cat([pairs, torch.full((len(pairs), 1), modulus)], dim=1)
    return module_training.DuelExamples(tokens, pairs.sum(1) % modulus, n_training, Vocabulary(2, modulus, modulus))


@lru_cache
def modules(replica: int = 0) -> module_training.Planted:
    """The modules of one replica of the small duels."""
    return module_training.plant(small()[0], ground(), replica, lambda line: None)


@lru_cache
def planted_table() -> pd.DataFrame:
    """The table `planted` of two replicas, as `read_study` gives it."""
    how, duels = small()
    frames = [
        planted_training.fight(stack, rule, duels, ground(), modules(replica), replica).assign(replica=replica)
        for replica in range(2)
        for rule in duels.rules
        for stack in planted_training.stacks(planted_duels(how, duels, rule), ground(), modules(replica), replica)
    ]
    return pd.concat(frames, ignore_index=True)


@lru_cache
def toy_table() -> pd.DataFrame:
    """The table `toy` of two update rules, as `read_study` gives it."""
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
