"""Duels between planted modules: their logits add, the sum trains, and every update is judged by what it does.

What a step does is the change of a module's part in a margin, net of decay: raw gradients between modules depend on
where a scale is put.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from general_circuits.duels.module_training import DuelExamples, Planted
from general_circuits.duels.planted_grid import NUMBERS_PER_STACK, PlantedDuel
from general_circuits.duels.settings import Duels
from general_circuits.duels.sides import Side, contestants, set_up
from general_circuits.duels.toy_grid import RuleSettings
from general_circuits.duels.update_rules import Part, Stepper
from general_circuits.models import predictions
from general_circuits.seeds import stream_seed

AWAY = 0.1
"""Share of the training examples that stays away for the first half of a duel in the order of this name."""
SIDES = ("general", "shallow")


class Move(NamedTuple):
    """What a step adds to a side's weights."""

    by_gradient: Part
    by_decay: Part


def stacks(
    planted_duels: Sequence[PlantedDuel], ground: DuelExamples, planted: Planted, replica: int
) -> list[list[PlantedDuel]]:
    """Which duels are fought at once: of as many modules of one shape, on the same batches."""

    def kind(arm: PlantedDuel) -> tuple[int, int, str]:
        return arm.parts, arm.batch, arm.order

    stacks = []
    for _, same in itertools.groupby(sorted(planted_duels, key=kind), kind):
        alike = list(same)
        *_, shallow, _ = contestants(alike[0], ground, planted, replica)
        logits = len(shallow) * ground.n_training * ground.vocabulary.n_classes
        at_once = max(1, NUMBERS_PER_STACK // (logits + sum(weight.numel() for weight in shallow.tensors)))
        stacks += [alike[first : first + at_once] for first in range(0, len(alike), at_once)]
    return stacks


def fight(
    planted_duels: Sequence[PlantedDuel],
    rule: RuleSettings,
    duels: Duels,
    ground: DuelExamples,
    planted: Planted,
    replica: int,
) -> pd.DataFrame:
    """Duels that are fought at once, from their modules to their end: rows of the table `planted`, but for the replica.

    The sum of both sides trains, of each duel by itself: stacked networks share nothing but the batches.
    """
    n = ground.n_training
    labels = torch.stack([ground.labels(arm.label_noise, replica) for arm in planted_duels])
    pairs = [
        set_up(arm, ground, own, *contestants(arm, ground, planted, replica))
        for arm, own in zip(planted_duels, labels, strict=True)
    ]
    sides = Side.stacked([pair[0] for pair in pairs]), Side.stacked([pair[1] for pair in pairs])
    decays = [arm.general_decay for arm in planted_duels], [arm.shallow_decay for arm in planted_duels]
    steppers = [
        Stepper(
            rule.optimiser,
            rule.learning_rate,
            torch.tensor(of_each).repeat_interleave(len(side.modules) // len(planted_duels)),
            side.modules.tensors,
        )
        for side, of_each in zip(sides, decays, strict=True)
    ]
    generator = torch.Generator().manual_seed(stream_seed(replica, "batches"))
    away = torch.zeros(n, dtype=torch.bool)
    if planted_duels[0].order == "away":
        away[torch.randperm(n, generator=generator)[: max(1, round(AWAY * n))]] = True
    module_groups = {"all": labels == ground.targets[:n]}
    if away.any():
        module_groups["away"] = module_groups["all"] & away.to(ground.device)
    evaluated = set(np.linspace(0, duels.steps, duels.evaluations + 1).round().astype(int).tolist())
    frames = []
    for step, batch in enumerate(_batches(n, planted_duels[0].batch, away, duels.steps, generator)):
        moves = _moves(sides, steppers, ground, labels, batch.to(ground.device))
        if step in evaluated:
            is_in_batch = torch.zeros(n, dtype=torch.bool)
            is_in_batch[batch] = True
            seen = _look(sides, moves, ground, labels, is_in_batch.to(ground.device), module_groups)
            frames.append(seen.assign(step=step))
        sides = sides[0].moved(*moves[0]), sides[1].moved(*moves[1])
    rows = pd.concat(frames, ignore_index=True)
    settings = pd.DataFrame(list(planted_duels)).loc[rows.pop("duel")].reset_index(drop=True)
    return pd.concat([rows, settings], axis="columns")


def _moves(
    sides: tuple[Side, Side], steppers: list[Stepper], ground: DuelExamples, labels: Tensor, batch: Tensor
) -> list[Move]:
    """What the step on this batch does to each side: labels (duel, training example)."""
    leaves = [
        side.with_weights([weight.detach().requires_grad_() for weight in side.modules.tensors]) for side in sides
    ]
    logits = [side.answer(ground.tokens[batch]).sum(1) * side.gains[:, batch, None] for side in leaves]
    tensors = [weight for side in leaves for weight in side.modules.tensors]
    losses = predictions.loss(logits[0] + logits[1], labels[:, batch])  # (duel)
    gradients = list(torch.autograd.grad(losses.sum(), tensors))
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
    ground: DuelExamples,
    labels: Tensor,
    is_in_batch: Tensor,
    module_groups: Mapping[str, Tensor],
) -> pd.DataFrame:
    """Where both sides stand, and what the step does to them net of decay.

    Args:
        sides: before the step.
        moves: the step.
        ground: the examples.
        labels: (duel, training example).
        is_in_batch: (training example), whether the step is of it.
        module_groups: by name, (duel, training example), which of them are meant.

    Returns:
        A row for each duel, by its number, each side, and each group of examples.
    """
    n = ground.n_training
    tokens, every = ground.tokens[:n], torch.arange(n, device=ground.device)
    before = [side.of_each(tokens) for side in sides]
    total = before[0].sum(1) + before[1].sum(1)
    others = predictions.rivals(total, labels)
    parts = [predictions.margins_over(logits.sum(1), labels, others) for logits in before]
    of_sum = {
        "accuracy": _mean(total.argmax(-1) == labels),
        "validation_accuracy": _validation_accuracy(sides, ground),
        "loss": predictions.loss(total, labels),
    }
    frames = []
    for number, (side, move, logits) in enumerate(zip(sides, moves, before, strict=True)):
        after = side.moved(move.by_gradient).of_each(tokens)
        own = predictions.margins_over(logits[:, side.covers, every], labels, others)
        change = predictions.margins_over(after[:, side.covers, every], labels, others) - own
        decayed = (
            predictions.margins_over(side.moved(move.by_decay).of_each(tokens)[:, side.covers, every], labels, others)
            - own
        )
        is_right = logits.sum(1).argmax(-1) == labels
        of_side = {
            name: side.modules.norms(tensors).unflatten(0, (len(labels), -1)).norm(dim=1)
            for name, tensors in zip(("update_norm", "decay_norm", "weight_norm"), (*move, None), strict=True)
        }
        for name, group in module_groups.items():
            given = _mean(parts[number], group)
            of_group = {
                "margin": given,
                "share": given / _mean(parts[0] + parts[1], group),
                "transfer": _median(change / own, group & ~is_in_batch),
                "reinforcement": _median(change / own, group & is_in_batch),
                "decay_effect": _median(decayed / own, group),
                "frequency": _mean(change > 0, group),
                "accuracy_alone": _mean(is_right, group),
            }
            columns = {column: values.numpy(force=True) for column, values in (of_sum | of_side | of_group).items()}
            frames.append(pd.DataFrame(columns).assign(side=SIDES[number], examples=name, duel=range(len(labels))))
    return pd.concat(frames, ignore_index=True)


def _validation_accuracy(sides: tuple[Side, Side], ground: DuelExamples) -> Tensor:
    """Of the sum on examples that never train, where a side has its median gain: (duel)."""
    n = ground.n_training
    logits = [side.answer(ground.tokens[n:]).sum(1) * side.gains.median(dim=1).values[:, None, None] for side in sides]
    return _mean((logits[0] + logits[1]).argmax(-1) == ground.targets[n:])


def _mean(values: Tensor, of: Tensor | None = None) -> Tensor:
    """Over the examples that are meant, of values (duel, example): (duel)."""
    meant = torch.ones_like(values, dtype=torch.bool) if of is None else of
    return torch.where(meant, values.double(), 0.0).sum(dim=1) / meant.sum(dim=1)


def _median(values: Tensor, of: Tensor) -> Tensor:
    """The lower one of the examples that are meant, of values (duel, example): (duel), NaN where there are none."""
    return torch.where(of, values, float("nan")).nanmedian(dim=1).values


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
