"""Training of toys: which pairs reinforce each circuit, how it is updated, and what it adds to the logits."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from general_circuits.duels import gradient_flow, toy_network
from general_circuits.duels.toy_grid import Grid, RuleSettings, Toy, evaluation_steps, toys
from general_circuits.duels.toy_network import Heads
from general_circuits.duels.update_rules import Stepper
from general_circuits.seeds import stream_seed

REINFORCED = 0.01
"""Share of the largest gradient norm of any circuit and pair, above which a pair reinforces a circuit."""


class Stack(NamedTuple):
    """Toys of one shape, which train together in one set of tensors."""

    attention: str
    sharing: str
    coverage: int
    toys: list[Toy]


def train(grid: Grid, optimiser: str) -> pd.DataFrame:
    """Train all toys of one update rule: rows of the table `toy`, without `optimiser`."""

    def shape(toy: Toy) -> tuple[str, str, int]:
        return toy.attention, toy.sharing, toy.coverage

    rule = next(rule for rule in grid.rules if rule.optimiser == optimiser)
    ordered = sorted(toys(grid, rule), key=shape)
    stacks = [Stack(*key, list(same)) for key, same in itertools.groupby(ordered, shape)]
    return pd.concat([_trained(grid, rule, stack) for stack in stacks], ignore_index=True)


@torch.no_grad()
def _trained(grid: Grid, rule: RuleSettings, stack: Stack) -> pd.DataFrame:
    """Train one stack: a row per recorded step, toy and circuit."""
    is_linear = stack.attention == "linear"
    share = torch.tensor([toy.initial_share for toy in stack.toys])
    # Right logit minus mean logit is 1 − 1/n of the margin, since all other logits are equal.
    strength = grid.margin * (1 - 1 / grid.pairs)
    weights, circuits = toy_network.plant(
        grid.pairs, stack.coverage, stack.sharing == "shared", is_linear, share * strength, (1 - share) * strength
    )
    stepper = Stepper(
        rule.optimiser,
        rule.learning_rate,
        torch.tensor([toy.weight_decay for toy in stack.toys]),
        weights.tensors,
    )
    shown = torch.stack([_schedule(grid, toy) for toy in stack.toys], dim=1)  # (step, toy, pair)
    evaluated = set(evaluation_steps(grid))
    records = []
    # One update more than there are steps: the last recorded step has an update too, which nothing follows.
    for step in range(grid.steps + 1):
        run = toy_network.forward(weights, is_linear)
        back = toy_network.backward(weights, run, is_linear)
        gradient = toy_network.gradients(weights, run, back, shown[step])
        by_gradient, by_decay = stepper.step(weights.tensors, gradient.tensors)
        if step in evaluated:
            per_pair = toy_network.gradient_norms(weights, run, back, circuits)
            # Compared within a toy and step, since gradients shrink as toys train.
            largest = per_pair.amax(dim=(1, 2), keepdim=True)
            numbers = [
                (per_pair > REINFORCED * largest).sum(dim=2).float(),
                gradient.norms(circuits),
                Heads(*by_gradient).norms(circuits),
                Heads(*by_decay).norms(circuits),
            ]
            records.append((step, torch.stack(numbers), toy_network.contributions(weights, run, circuits)))
        for weight, first, second in zip(weights.tensors, by_gradient, by_decay, strict=True):
            weight.add_(first).add_(second)
    frames = [_rows(grid, stack, *record) for record in records]
    return pd.concat(frames, ignore_index=True).assign(gradient_flow=_theory(grid, rule, stack))


def circuit_names(grid: Grid) -> list[str]:
    """List the circuits in their order in `toy_network.plant`."""
    return ["general", *(f"shallow_{i}" for i in range(grid.pairs))]


def _rows(grid: Grid, stack: Stack, step: int, numbers: Tensor, contributions: Tensor) -> pd.DataFrame:
    """Make one step's rows, one per toy and circuit."""
    names = circuit_names(grid)
    settings = pd.DataFrame([toy._asdict() for toy in stack.toys])
    rows = settings.loc[settings.index.repeat(len(names))].reset_index(drop=True)
    columns = ("reinforced", "gradient_norm", "update_norm", "decay_norm")
    values = dict(zip(columns, numbers.flatten(1).numpy(), strict=True))
    rows = rows.assign(step=step, circuit=names * len(stack.toys), **values)
    return rows.assign(contributions=list(contributions.flatten(0, 1).numpy()))


def _theory(grid: Grid, rule: RuleSettings, stack: Stack) -> NDArray[np.float32]:
    """Predict contributions by gradient flow, (step · toy · circuit); NaN where it is not derived.

    It is derived for SGD on all pairs, shown equally often, for the general circuit and the shallow ones beside it.
    """
    steps = evaluation_steps(grid)
    predicted = np.full((len(steps), len(stack.toys), 1 + grid.pairs), np.nan, dtype=np.float32)
    is_linear = stack.attention == "linear"
    strength = grid.margin * (1 - 1 / grid.pairs)
    for i, toy in enumerate(stack.toys):
        # Equal to a toy that has the default batch, order and frequency.
        if rule.optimiser == "sgd" and toy == Toy(*toy[:4], initial_share=toy.initial_share, replica=toy.replica):
            both = strength * torch.tensor([toy.initial_share, 1 - toy.initial_share], dtype=torch.float64)
            scores, attentions = toy_network.start(both, grid.pairs, is_linear)
            predicted[:, i, 0], shallow = gradient_flow.shares(
                grid.pairs,
                stack.coverage if stack.sharing == "shared" else 1,
                (float(both[0]), float(both[1])),
                (float(scores[0]), float(scores[1])),
                (float(attentions[0]), float(attentions[1])),
                None if is_linear else toy_network.REST,
                toy.weight_decay,
                [rule.learning_rate * step for step in steps],
            )
            predicted[:, i, 1 : 1 + stack.coverage] = shallow[:, None]
    return predicted.ravel()


def _schedule(grid: Grid, toy: Toy) -> Tensor:
    """Weigh each pair in each step, (step, pair); a step's weights add up to 1."""
    n, steps = grid.pairs, grid.steps + 1
    # The first pair is in an epoch as often as its frequency says, every other pair once.
    multiset = np.repeat(np.arange(n), [toy.frequency, *[1] * (n - 1)])
    frequencies = np.bincount(multiset, minlength=n) / len(multiset)
    if toy.order == "sequential":
        rows = np.eye(n)[np.arange(steps) % n]
    elif toy.order == "blocked":
        rows = np.tile(frequencies, (steps, 1))
        is_away = np.arange(steps) // grid.block_steps % 2 == 0
        rows[is_away, 0] = 0.0
        rows /= rows.sum(axis=1, keepdims=True)
    elif toy.batch == 0:
        rows = np.tile(frequencies, (steps, 1))
    else:
        generator = np.random.default_rng(stream_seed(toy.replica, "batches"))
        # Epochs of whole batches, each in a new order; an incomplete last batch is dropped.
        per_epoch = len(multiset) // toy.batch
        epochs = -(-steps // per_epoch)
        order = np.concatenate([generator.permutation(multiset)[: per_epoch * toy.batch] for _ in range(epochs)])
        batches = order.reshape(-1, toy.batch)[:steps]
        rows = np.zeros((steps, n))
        # Adds repeatedly where a batch has the first pair more than once; plain indexing would add once.
        np.add.at(rows, (np.arange(steps)[:, None], batches), 1 / toy.batch)
    return torch.tensor(rows, dtype=torch.float32)
