"""Duels between planted modules: their logits add, the sum trains, and each step's effect on both sides is measured.

The effect is the change of a module's part in a margin, without decay. Gradients cannot be compared between modules: a
factor moved from a network's logits into its readout weights changes the gradients and nothing else.

Momentum carries an example's own gradient into later batches without it. So the effect of a batch's own gradient is
measured apart, beside the effect of the whole step.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
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
"""Share of the training examples that stay away for the first half of a duel in the order `away`."""
SIDES = ("general", "shallow")


class Move(NamedTuple):
    """Changes of a side's weights.

    Attributes:
        by_gradient, by_decay: the two parts of a step; momentum puts earlier gradients into the first.
        by_batch: all that the gradient of the step's batch adds, in this step and in later ones.
    """

    by_gradient: Part
    by_decay: Part
    by_batch: Part


def stacks(
    planted_duels: Sequence[PlantedDuel], examples: DuelExamples, planted: Planted, replica: int
) -> list[list[PlantedDuel]]:
    """Group duels that can be fought at once, up to `NUMBERS_PER_STACK`.

    They have equally many modules of one shape, and see the same batches for equally many steps.
    """

    def kind(duel: PlantedDuel) -> tuple[int, int, str, int]:
        return duel.parts, duel.batch, duel.order, duel.steps

    stacks = []
    for _, same in itertools.groupby(sorted(planted_duels, key=kind), kind):
        alike = list(same)
        # A duel's general side is never larger than its shallow one, so the latter sets the size.
        *_, shallow, _ = contestants(alike[0], examples, planted, replica)
        logits = len(shallow) * examples.n_training * examples.vocabulary.n_classes
        at_once = max(1, NUMBERS_PER_STACK // (logits + sum(weight.numel() for weight in shallow.tensors)))
        stacks += [alike[first : first + at_once] for first in range(0, len(alike), at_once)]
    return stacks


def fight(
    planted_duels: Sequence[PlantedDuel],
    rule: RuleSettings,
    duels: Duels,
    examples: DuelExamples,
    planted: Planted,
    replica: int,
) -> pd.DataFrame:
    """Fight duels of one stack to their end: rows of the table `planted`, without `replica`.

    Each duel trains the sum of its own two sides. Duels of a stack share batches and nothing else.
    """
    n = examples.n_training
    labels = torch.stack([examples.labels(duel.label_noise, replica) for duel in planted_duels])  # (duel, example)
    pairs = [
        set_up(duel, examples, of_duel, *contestants(duel, examples, planted, replica))
        for duel, of_duel in zip(planted_duels, labels, strict=True)
    ]
    sides = Side.stacked([pair[0] for pair in pairs]), Side.stacked([pair[1] for pair in pairs])
    steppers = _steppers(sides, rule, planted_duels)
    generator = torch.Generator().manual_seed(stream_seed(replica, "batches"))
    away = torch.zeros(n, dtype=torch.bool)
    if planted_duels[0].order == "away":
        away[torch.randperm(n, generator=generator)[: max(1, round(AWAY * n))]] = True
    # Examples with wrong labels belong to no group: the general side does not know these labels.
    example_groups = {"all": labels == examples.targets[:n]}
    if away.any():
        example_groups["away"] = example_groups["all"] & away.to(examples.device)
    steps = planted_duels[0].steps
    evaluated = _evenly(0, duels.steps, duels.evaluations) | _evenly(duels.steps, steps, duels.evaluations)
    frames = []
    for step, batch in enumerate(_batches(n, planted_duels[0].batch, away, steps, generator)):
        gradients = _gradients(sides, examples, labels, batch.to(examples.device))
        before = [side.modules.tensors for side in sides]
        changes = [stepper.step(*both) for stepper, *both in zip(steppers, before, gradients, strict=True)]
        if step in evaluated:
            alone = [stepper.alone(part) for stepper, part in zip(steppers, gradients, strict=True)]
            moves = [Move(*change, by_batch) for change, by_batch in zip(changes, alone, strict=True)]
            is_in_batch = torch.zeros(n, dtype=torch.bool)
            is_in_batch[batch] = True
            measured = _measured(
                sides,
                # All duels are compared in the effects of their first steps, however long they last.
                moves if step <= duels.steps else None,
                examples,
                labels,
                is_in_batch.to(examples.device),
                example_groups,
            )
            frames.append(measured.assign(step=step))
        sides = sides[0].moved(*changes[0]), sides[1].moved(*changes[1])
    rows = pd.concat(frames, ignore_index=True)
    settings = pd.DataFrame(list(planted_duels)).loc[rows.pop("duel")].reset_index(drop=True)
    return pd.concat([rows, settings], axis="columns")


def _steppers(sides: tuple[Side, Side], rule: RuleSettings, planted_duels: Sequence[PlantedDuel]) -> list[Stepper]:
    """Return the update rule of each side, with each duel's weight decays."""
    decays = [duel.general_decay for duel in planted_duels], [duel.shallow_decay for duel in planted_duels]
    return [
        Stepper(
            rule.optimiser,
            rule.learning_rate,
            # One decay per duel → one per network: a side's stack has each duel's modules in a row.
            torch.tensor(of_each).repeat_interleave(len(side.modules) // len(planted_duels)),
            side.modules.tensors,
        )
        for side, of_each in zip(sides, decays, strict=True)
    ]


def _gradients(
    sides: tuple[Side, Side], examples: DuelExamples, labels: Tensor, batch: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the gradients of both sides' weights on this batch, for labels (duel, training example)."""
    leaves = [
        side.with_weights([weight.detach().requires_grad_() for weight in side.modules.tensors]) for side in sides
    ]
    # (duel, module, example, class) → (duel, example, class): a side answers with the sum of its modules.
    logits = [side.answer(examples.tokens[batch]).sum(1) * side.gains[:, batch, None] for side in leaves]
    tensors = [weight for side in leaves for weight in side.modules.tensors]
    losses = predictions.loss(logits[0] + logits[1], labels[:, batch])  # (duel)
    # Duels share no weight, so the gradient of their summed losses is each duel's own.
    gradients = list(torch.autograd.grad(losses.sum(), tensors))
    of_first = len(leaves[0].modules.tensors)
    return gradients[:of_first], gradients[of_first:]


@torch.no_grad()
def _measured(
    sides: tuple[Side, Side],
    moves: list[Move] | None,
    examples: DuelExamples,
    labels: Tensor,
    is_in_batch: Tensor,
    example_groups: Mapping[str, Tensor],
) -> pd.DataFrame:
    """Measure both sides, and what a step does to them without decay.

    Args:
        sides: both sides before the step.
        moves: the step's changes of each side; None to measure no effects.
        examples: the replica's examples.
        labels: (duel, training example).
        is_in_batch: (training example), whether the step trains on it.
        example_groups: whether each example belongs to a group, (duel, training example), by the group's name.

    Returns:
        A row for each duel, by its number, each side, and each group of examples.
    """
    n = examples.n_training
    tokens = examples.tokens[:n]
    before = [side.of_each(tokens) for side in sides]
    total = before[0].sum(1) + before[1].sum(1)
    # Margins are over the best wrong class before the step. With that class fixed they are linear in the logits. So the
    # sides' parts add up, and no change of a part comes from a change of the class.
    others = predictions.rivals(total, labels)
    parts = [predictions.margins_over(logits.sum(1), labels, others) for logits in before]
    of_sum = {
        "accuracy": _mean(total.argmax(-1) == labels),
        "validation_accuracy": _validation_accuracy(sides, examples),
        "loss": predictions.loss(total, labels),
    }
    frames = []
    for number, (side, logits) in enumerate(zip(sides, before, strict=True)):
        is_right = logits.sum(1).argmax(-1) == labels
        effects = {} if moves is None else _effects(side, moves[number], examples, labels, others, is_in_batch)
        for name, group in example_groups.items():
            given = _mean(parts[number], group)
            of_group = {
                "margin": given,
                "share": given / _mean(parts[0] + parts[1], group),
                "accuracy_alone": _mean(is_right, group),
                "weight_norm": _norms(side),
            }
            of_group |= {column: of(group) for column, of in effects.items()}
            columns = {column: values.numpy(force=True) for column, values in (of_sum | of_group).items()}
            frames.append(pd.DataFrame(columns).assign(side=SIDES[number], examples=name, duel=range(len(labels))))
    return pd.concat(frames, ignore_index=True)


def _effects(
    side: Side, move: Move, examples: DuelExamples, labels: Tensor, others: Tensor, is_in_batch: Tensor
) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return how to compute each column about a step for a group of examples, (duel, training example) → (duel).

    Args:
        side, move: one side before the step, and the step's changes.
        examples, labels, is_in_batch: as in `_measured`.
        others: the class that each margin is over, (duel, training example).
    """
    every = torch.arange(examples.n_training, device=examples.device)

    def part(of_side: Side) -> Tensor:
        # (duel, module, example, class) → (duel, example, class), each example's logits from the module that knows it.
        logits = of_side.of_each(examples.tokens[: examples.n_training])[:, side.covers, every]
        return predictions.margins_over(logits, labels, others)

    before = part(side)
    change, decayed, fresh = (part(side.moved(changes)) - before for changes in move)
    return {
        "transfer": lambda group: _median(change / before, group & ~is_in_batch),
        "fresh_transfer": lambda group: _median(fresh / before, group & ~is_in_batch),
        "reinforcement": lambda group: _median(change / before, group & is_in_batch),
        "decay_effect": lambda group: _median(decayed / before, group),
        "frequency": lambda group: _mean(change > 0, group),
        "update_norm": lambda _: _norms(side, move.by_gradient),
        "decay_norm": lambda _: _norms(side, move.by_decay),
    }


def _norms(side: Side, changes: Part | None = None) -> Tensor:
    """Return the norm of a side's weights, or of changes of them: (duel)."""
    # A side's norm is the norm of its modules' norms.
    return side.modules.norms(changes).unflatten(0, (len(side.gains), -1)).norm(dim=1)


def _validation_accuracy(sides: tuple[Side, Side], examples: DuelExamples) -> Tensor:
    """Return the sum's accuracy on validation examples, (duel).

    Gains belong to training examples. On others a side has its median gain.
    """
    n = examples.n_training
    logits = [
        side.answer(examples.tokens[n:]).sum(1) * side.gains.median(dim=1).values[:, None, None] for side in sides
    ]
    return _mean((logits[0] + logits[1]).argmax(-1) == examples.targets[n:])


def _evenly(first: int, last: int, intervals: int) -> set[int]:
    """Return steps that cut the way from the first to the last into intervals of about one length."""
    return set(np.linspace(first, last, intervals + 1).round().astype(int).tolist())


def _mean(values: Tensor, of: Tensor | None = None) -> Tensor:
    """Return the mean of values (duel, example) over the examples in `of`, or over all: (duel)."""
    meant = torch.ones_like(values, dtype=torch.bool) if of is None else of
    return torch.where(meant, values.double(), 0.0).sum(dim=1) / meant.sum(dim=1)


def _median(values: Tensor, of: Tensor) -> Tensor:
    """Return the lower median of values (duel, example) over the examples in `of`: (duel), NaN without any."""
    return torch.where(of, values, float("nan")).nanmedian(dim=1).values


def _batches(n: int, size: int, away: Tensor, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield one batch of training examples more than there are steps, so that the last state is measured too.

    An epoch is cut into whole batches and its rest is dropped; a size of 0 means all examples. Examples that are away
    come in from the middle of the duel on.
    """
    everyone, here = torch.arange(n), torch.arange(n)[~away]
    order, place = here[:0], 0
    for step in range(steps + 1):
        present = here if step < steps // 2 else everyone
        if size == 0 or size >= len(present):
            yield present
            continue
        # A new epoch also begins where examples come back, so that they are not left waiting for the next.
        if place + size > len(order) or step == steps // 2:
            order, place = present[torch.randperm(len(present), generator=generator)], 0
        yield order[place : place + size]
        place += size
