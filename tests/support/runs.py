"""Runs of the tiny condition, and comparisons of runs byte by byte."""

from __future__ import annotations

import pandas as pd
from builders import VOCABULARY, addition, condition
from torch import Tensor, nn

from general_circuits.training import loop
from general_circuits.training.replica import Replica
from general_circuits.training.schedule import Spacing
from general_circuits.training.settings import Condition

EVERY_STEP = Spacing(log=1, every=1)

LONG = condition(30)
"""A run of 30 steps. The fixture `a_state_every_seven` keeps its states at 7, 14, 21, 28 and 30."""


def trained(setting: Condition, seed: int = 0, **more: object) -> loop.Run:
    """Train one replica of a condition on `addition`."""
    return loop.train(setting, addition(), vocabulary=VOCABULARY, seed=seed, **more)


def replica_of(seed: int = 0, steps: int = 0, **changes: object) -> Replica:
    """Return a replica of the tiny condition with these changes, after some updates."""
    replica = Replica(condition(**changes), addition(), VOCABULARY, seed)
    for _ in range(steps):
        replica.update(is_observed=False)
    return replica


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of a network's weights, by name."""
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def same_bytes(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Return whether two groups of tensors have equal names and equal bytes. NaN equals NaN here."""
    return first.keys() == second.keys() and all(
        first[name].numpy().tobytes() == second[name].numpy().tobytes() for name in first
    )


def assert_same_run(first: loop.Run, second: loop.Run) -> None:
    """Assert that two runs have equal steps, metrics, checkpoints and final weights, to the bit."""
    assert first.steps == second.steps
    assert same_bytes(first.weights, second.weights)
    assert same_bytes(first.model.state_dict(), second.model.state_dict())
    pd.testing.assert_frame_equal(first.metrics, second.metrics, check_exact=True)
