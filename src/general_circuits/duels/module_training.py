"""Modules for duels, trained apart: memorisers of a part each, and a generaliser that solves everything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from general_circuits.duels.settings import Planting
from general_circuits.duels.stacked_networks import Modules
from general_circuits.duels.update_rules import Stepper
from general_circuits.models import predictions
from general_circuits.models.build import build
from general_circuits.models.network import Network
from general_circuits.seeds import stream_seed
from general_circuits.tasks.examples import Examples
from general_circuits.tasks.vocabulary import Vocabulary

EVERY, SOLVED = 100, 1.0
"""Steps between two looks at whether a generaliser solves everything, and the margin that it must have everywhere."""


@dataclass(frozen=True)
class DuelExamples:
    """One replica's examples.

    Attributes:
        tokens: (example, n_inputs + 1), training examples first.
        targets: (example), the true answers.
        n_training: how many train.
        vocabulary: what networks read and answer.
    """

    tokens: Tensor
    targets: Tensor
    n_training: int
    vocabulary: Vocabulary

    @classmethod
    def of(cls, splits: dict[str, Examples], vocabulary: Vocabulary) -> DuelExamples:
        """From both splits; without label noise, which duels have of their own."""
        both = splits["train"], splits["validation"]
        tokens, targets = torch.cat([part.tokens for part in both]), torch.cat([part.labels for part in both])
        return cls(tokens, targets, len(both[0]), vocabulary)

    @property
    def device(self) -> torch.device:
        return self.tokens.device

    def labels(self, noise: float, seed: int) -> Tensor:
        """The training examples' labels, (training example): of a share `noise` a wrong one, at random."""
        generator = torch.Generator().manual_seed(stream_seed(seed, "labels"))
        labels, n_classes = self.targets[: self.n_training].clone(), self.vocabulary.n_classes
        order = torch.randperm(self.n_training, generator=generator)
        shift = torch.randint(1, n_classes, (self.n_training,), generator=generator)
        is_wrong = torch.zeros(self.n_training, dtype=torch.bool)
        is_wrong[order[: round(noise * self.n_training)]] = True
        other = (labels + shift.to(labels.device)) % n_classes
        return torch.where(is_wrong.to(labels.device), other, labels)

    def parts(self, how_many: int, seed: int) -> Tensor:
        """Which part each training example is in, (training example): of equal size, at random."""
        generator = torch.Generator().manual_seed(stream_seed(seed, "parts"))
        return (torch.randperm(self.n_training, generator=generator) % how_many).to(self.tokens.device)


def width(d_mlp: int, parts: int) -> int:
    """Neurons of a memoriser of one of so many parts: all together, √parts times those of one for all."""
    return max(8, round(d_mlp / parts**0.5))


class ModuleGroup(NamedTuple):
    """Modules that are trained together, by what they are."""

    kind: Literal["generaliser", "memoriser", "rival_memoriser"]
    parts: int
    label_noise: float


Planted = dict[ModuleGroup, Modules]
"""One replica's modules."""


def module_groups(planting: Planting) -> list[ModuleGroup]:
    """All that the duels need: memorisers of every number of parts, and at the most parts of every rate of noise."""
    noise = planting.label_noises[0]
    wanted = [ModuleGroup("memoriser", parts, noise) for parts in sorted({1, *planting.parts})]
    wanted += [ModuleGroup("memoriser", max(planting.parts), other) for other in planting.label_noises]
    return list(dict.fromkeys([ModuleGroup("generaliser", 1, 0.0), *wanted, ModuleGroup("rival_memoriser", 1, noise)]))


def plant(planting: Planting, ground: DuelExamples, replica: int, say: Callable[[str], None]) -> Planted:
    """Train all modules of one replica."""
    found = {}
    for group in module_groups(planting):
        if group.kind == "generaliser":
            found[group] = _generalisers(planting, ground, replica)
        else:
            found[group] = _memorisers(planting, ground, group, replica)
        say(f"{len(found[group])} × {group.kind}, label noise {group.label_noise:g}")
    return found


def quality(planted: Planted, ground: DuelExamples, replica: int) -> pd.DataFrame:
    """How well modules know what they are to know: rows of the table `modules`, but for the replica."""
    rows = []
    n = ground.n_training
    for group, modules in planted.items():
        labels = ground.labels(group.label_noise, replica)
        covers = ground.parts(group.parts, replica)
        with torch.no_grad():
            logits = modules.answer(ground.tokens)  # (module, example, class)
        for number, norm in enumerate(modules.norms().tolist()):
            own = torch.zeros(len(ground.targets), dtype=torch.bool, device=ground.device)
            own[:n] = True if group.kind == "generaliser" else covers == number
            margins = predictions.margins(logits[number][:n], labels)[own[:n]]
            right = logits[number][n:].argmax(-1) == ground.targets[n:]
            outside = logits[number][~own].softmax(-1).amax(-1)
            rows.append(
                {
                    **group._asdict(),
                    "number": number,
                    "neurons": modules.network.settings.d_mlp,
                    "examples": int(own.sum()),
                    "accuracy": float((margins > 0).double().mean()),
                    "least_margin": float(margins.min()),
                    "validation_accuracy": float(right.double().mean()),
                    "elsewhere": float("nan") if group.kind == "generaliser" else float(outside.mean()),
                    "weight_norm": norm,
                }
            )
    return pd.DataFrame(rows)


def network(planting: Planting, ground: DuelExamples, parts: int) -> Network:
    """A generaliser, or with its neurons a memoriser of one of so many parts; its weights are not drawn yet."""
    model = replace(planting.model, d_mlp=width(planting.model.d_mlp, parts))
    return build(model, ground.vocabulary)


def _memorisers(planting: Planting, ground: DuelExamples, group: ModuleGroup, replica: int) -> Modules:
    """One network for each part: it knows the labels there, and answers with equal probabilities everywhere else."""
    first = 0 if group.kind == "memoriser" else 1_000_000
    seeds = [stream_seed(replica * 10_000_019 + first + part, "memorisers") for part in range(group.parts)]
    modules = Modules.drawn(network(planting, ground, group.parts), seeds, ground.device)
    n, n_classes = len(ground.targets), ground.vocabulary.n_classes
    own = torch.zeros(group.parts, n, dtype=torch.bool, device=ground.device)
    covers = ground.parts(group.parts, replica)
    own[:, : ground.n_training] = covers == torch.arange(group.parts, device=ground.device)[:, None]
    labels = torch.cat([ground.labels(group.label_noise, replica), ground.targets[ground.n_training :]])
    uniform = torch.full((), 1 / n_classes, device=ground.device)
    answers = torch.where(own[..., None], one_hot(labels, n_classes).float(), uniform)
    weight = torch.where(own, 1 / own.sum(1, keepdim=True), 1 / (~own).sum(1, keepdim=True).clamp(min=1))

    def loss(logits: Tensor) -> Tensor:
        surprise = -(answers * logits.log_softmax(dim=-1)).sum(dim=-1)
        return (surprise * weight).sum()

    stepper = Stepper("adamw", planting.learning_rate, torch.zeros(group.parts), modules.tensors)
    for _ in range(planting.memory_steps):
        modules = _step(modules, stepper, loss, ground.tokens)
    return modules


def _generalisers(planting: Planting, ground: DuelExamples, replica: int) -> Modules:
    """Two networks that train on more examples, each on its own, until both answer all of them rightly.

    Those that have not come so far by `general_steps` are returned as they are.
    """
    seeds = [stream_seed(replica * 10_007 + number, "generaliser") for number in range(2)]
    modules = Modules.drawn(network(planting, ground, 1), seeds, ground.device)
    orders = [torch.randperm(len(ground.targets), generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    seen = torch.zeros(2, len(ground.targets))
    for number, order in enumerate(orders):
        seen[number, order[: round(planting.general_fraction * len(order))]] = 1.0
    weight = (seen / seen.sum(dim=1, keepdim=True)).to(ground.device)

    def loss(logits: Tensor) -> Tensor:
        return (predictions.surprise(logits, ground.targets) * weight).sum()

    decay = torch.full((2,), planting.weight_decay)
    stepper = Stepper("adamw", planting.learning_rate, decay, modules.tensors)
    for done in range(planting.general_steps):
        if done % EVERY == 0 and _solve(modules, ground):
            break
        modules = _step(modules, stepper, loss, ground.tokens)
    return modules


@torch.no_grad()
def _solve(modules: Modules, ground: DuelExamples) -> bool:
    """Whether each answers every example rightly, and with some margin."""
    return bool((predictions.margins(modules.answer(ground.tokens), ground.targets) >= SOLVED).all())


def _step(modules: Modules, stepper: Stepper, loss: Callable[[Tensor], Tensor], tokens: Tensor) -> Modules:
    """One update of all modules, by the gradient of the sum of their losses."""
    leaves = modules.with_weights([weight.requires_grad_() for weight in modules.tensors])
    gradients = torch.autograd.grad(loss(leaves.answer(tokens)), leaves.tensors)
    with torch.no_grad():
        weights = [weight.detach() for weight in leaves.tensors]
        by_gradient, by_decay = stepper.step(weights, list(gradients))
        moved = [w + g + d for w, g, d in zip(weights, by_gradient, by_decay, strict=True)]
    return modules.with_weights(moved)
