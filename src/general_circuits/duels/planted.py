"""Duels between planted modules: their logits add, the sum trains, and every update is judged by what it does.

What a step does is the change of a module's part in a margin, net of decay: raw gradients between modules depend on
where a scale is put.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from general_circuits import scores
from general_circuits.duels.arms import Arm
from general_circuits.duels.grid import RuleSettings
from general_circuits.duels.planting import Ground, Planted
from general_circuits.duels.rules import Part, Stepper
from general_circuits.duels.settings import Duels
from general_circuits.duels.sides import Side, contestants, margin, rivals, set_up
from general_circuits.randomness import stream_seed

AWAY = 0.1
"""Share of the training examples that stays away for the first half of a duel in the order of this name."""
SIDES = ("general", "shallow")


class Move(NamedTuple):
    """What a step adds to a side's weights."""

    by_gradient: Part
    by_decay: Part


def duel(arm: Arm, rule: RuleSettings, duels: Duels, ground: Ground, planted: Planted, replica: int) -> pd.DataFrame:
    """One duel from its modules to its end: rows of the table `planted`, but for the replica."""
    labels = ground.labels(arm.label_noise, replica)
    sides = set_up(arm, ground, labels, *contestants(arm, ground, planted, replica))
    return fight(arm, rule, duels, ground, labels, sides, replica).assign(**arm._asdict())


def fight(
    arm: Arm, rule: RuleSettings, duels: Duels, ground: Ground, labels: Tensor, sides: tuple[Side, Side], replica: int
) -> pd.DataFrame:
    """Train the sum of both sides on the labels (training example), and measure what steps do."""
    n = ground.n_training
    steppers = [
        Stepper(rule.optimiser, rule.learning_rate, torch.full((len(side.modules),), decay), side.modules.tensors)
        for side, decay in zip(sides, (arm.general_decay, arm.shallow_decay), strict=True)
    ]
    generator = torch.Generator().manual_seed(stream_seed(replica, "batches"))
    away = torch.zeros(n, dtype=torch.bool)
    if arm.order == "away":
        away[torch.randperm(n, generator=generator)[: max(1, round(AWAY * n))]] = True
    groups = {"all": labels == ground.targets[:n]}
    if away.any():
        groups["away"] = groups["all"] & away.to(ground.device)
    looks = set(np.linspace(0, duels.steps, duels.looks + 1).round().astype(int).tolist())
    frames = []
    for step, batch in enumerate(_batches(n, arm.batch, away, duels.steps, generator)):
        moves = _moves(sides, steppers, ground, labels, batch.to(ground.device))
        if step in looks:
            is_in_batch = torch.zeros(n, dtype=torch.bool)
            is_in_batch[batch] = True
            frames.append(_look(sides, moves, ground, labels, is_in_batch.to(ground.device), groups).assign(step=step))
        sides = sides[0].moved(*moves[0]), sides[1].moved(*moves[1])
    return pd.concat(frames, ignore_index=True)


def _moves(
    sides: tuple[Side, Side], steppers: list[Stepper], ground: Ground, labels: Tensor, batch: Tensor
) -> list[Move]:
    """What the step on this batch does to each side."""
    leaves = [
        side.with_weights([weight.detach().requires_grad_() for weight in side.modules.tensors]) for side in sides
    ]
    logits = [side.modules.answer(ground.tokens[batch]).sum(0) * side.gains[batch, None] for side in leaves]
    tensors = [weight for side in leaves for weight in side.modules.tensors]
    gradients = list(torch.autograd.grad(scores.loss(logits[0] + logits[1], labels[batch]), tensors))
    of_first = len(leaves[0].modules.tensors)
    parts = gradients[:of_first], gradients[of_first:]
    with torch.no_grad():
        return [
            Move(*stepper.step(side.modules.tensors, part))
            for side, stepper, part in zip(sides, steppers, parts, strict=True)
        ]


@torch.no_grad()
def _look(
    sides: tuple[Side, Side],
    moves: list[Move],
    ground: Ground,
    labels: Tensor,
    is_in_batch: Tensor,
    groups: Mapping[str, Tensor],
) -> pd.DataFrame:
    """Where both sides stand, and what the step does to them net of decay: a row for each, and each group of examples.

    Args:
        sides: before the step.
        moves: the step.
        ground: the examples.
        labels: (training example).
        is_in_batch: (training example), whether the step is of it.
        groups: by name, (training example), which of them are meant.
    """
    n = ground.n_training
    tokens, every = ground.tokens[:n], torch.arange(n, device=ground.device)
    before = [side.of_each(tokens) for side in sides]
    total = before[0].sum(0) + before[1].sum(0)
    others = rivals(total, labels)
    parts = [margin(logits.sum(0), labels, others) for logits in before]
    of_sum = {
        "accuracy": float((total.argmax(-1) == labels).double().mean()),
        "validation_accuracy": _validation_accuracy(sides, ground),
        "loss": float(scores.loss(total, labels)),
    }
    rows: list[dict[str, object]] = []
    for number, (side, move, logits) in enumerate(zip(sides, moves, before, strict=True)):
        after = side.moved(move.by_gradient).of_each(tokens)
        own = margin(logits[side.covers, every], labels, others)
        change = margin(after[side.covers, every], labels, others) - own
        decayed = margin(side.moved(move.by_decay).of_each(tokens)[side.covers, every], labels, others) - own
        is_right = logits.sum(0).argmax(-1) == labels
        norms = [side.modules.norms(tensors).norm() for tensors in (*move, None)]
        of_side = dict(zip(("update_norm", "decay_norm", "weight_norm"), map(float, norms), strict=True))
        for name, group in groups.items():
            rows.append(
                {
                    **of_sum,
                    **of_side,
                    "side": SIDES[number],
                    "examples": name,
                    "margin": float(parts[number][group].mean()),
                    "share": float(parts[number][group].mean() / (parts[0] + parts[1])[group].mean()),
                    "transfer": _median((change / own)[group & ~is_in_batch]),
                    "reinforcement": _median((change / own)[group & is_in_batch]),
                    "decay_effect": _median((decayed / own)[group]),
                    "frequency": float((change[group] > 0).double().mean()),
                    "accuracy_alone": float(is_right[group].double().mean()),
                }
            )
    return pd.DataFrame(rows)


def _validation_accuracy(sides: tuple[Side, Side], ground: Ground) -> float:
    """Of the sum on examples that never train, where a side has its median gain."""
    n = ground.n_training
    logits = [side.modules.answer(ground.tokens[n:]).sum(0) * side.gains.median() for side in sides]
    return float(((logits[0] + logits[1]).argmax(-1) == ground.targets[n:]).double().mean())


def _median(values: Tensor) -> float:
    return float(values.median()) if len(values) else float("nan")


def _batches(n: int, size: int, away: Tensor, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """One more than there are steps, whole batches of one epoch after another; 0 is everybody.

    Examples that are away come from the middle of the duel on.
    """
    everyone, here = torch.arange(n), torch.arange(n)[~away]
    order, place = here[:0], 0
    for step in range(steps + 1):
        present = here if step < steps // 2 else everyone
        if size == 0 or size >= len(present):
            yield present
            continue
        if place + size > len(order) or step == steps // 2:
            order, place = present[torch.randperm(len(present), generator=generator)], 0
        yield order[place : place + size]
        place += size
