"""Modules for duels, each trained apart: memorisers of one part of the examples, and generalisers that solve all."""

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
"""Steps between two checks of the generalisers, and the margin that ends their training once every example has it."""


@dataclass(frozen=True)
class DuelExamples:
    """One replica's examples.

    Attributes:
        tokens: (example, n_inputs + 1), training examples first.
        targets: (example), the true answers.
        n_training: number of training examples.
        vocabulary: number of inputs, symbols and classes.
    """

    tokens: Tensor
    targets: Tensor
    n_training: int
    vocabulary: Vocabulary

    @classmethod
    def of(cls, splits: dict[str, Examples], vocabulary: Vocabulary) -> DuelExamples:
        """Join both splits, which must have no label noise: duels draw their own."""
        both = splits["train"], splits["validation"]
        tokens, targets = torch.cat([part.tokens for part in both]), torch.cat([part.labels for part in both])
        return cls(tokens, targets, len(both[0]), vocabulary)

    @property
    def device(self) -> torch.device:
        return self.tokens.device

    def labels(self, noise: float, seed: int) -> Tensor:
        """Draw the training examples' labels, (training example): a share `noise` gets a wrong class at random.

        One seed draws one order of examples and one wrong class for each. So more noise keeps every wrong label of
        less noise and adds others.
        """
        # Drawn on the CPU, so that every device has the same labels.
        generator = torch.Generator().manual_seed(stream_seed(seed, "labels"))
        labels, n_classes = self.targets[: self.n_training].clone(), self.vocabulary.n_classes
        order = torch.randperm(self.n_training, generator=generator)
        shift = torch.randint(1, n_classes, (self.n_training,), generator=generator)  # never 0: always a wrong class
        is_wrong = torch.zeros(self.n_training, dtype=torch.bool)
        is_wrong[order[: round(noise * self.n_training)]] = True
        other = (labels + shift.to(labels.device)) % n_classes
        return torch.where(is_wrong.to(labels.device), other, labels)

    def parts(self, how_many: int, seed: int) -> Tensor:
        """Draw the part that each training example is in, (training example): sizes differ by one at most."""
        generator = torch.Generator().manual_seed(stream_seed(seed, "parts"))
        return (torch.randperm(self.n_training, generator=generator) % how_many).to(self.tokens.device)


def width(d_mlp: int, parts: int) -> int:
    """Return a memoriser's neurons per layer: K memorisers together have √K times the neurons of a single one."""
    return max(8, round(d_mlp / parts**0.5))


class ModuleGroup(NamedTuple):
    """Modules that are trained together: their kind, number of parts, and share of wrong labels."""

    kind: Literal["generaliser", "memoriser", "rival_memoriser"]
    parts: int
    label_noise: float


Planted = dict[ModuleGroup, Modules]
"""One replica's trained modules, by group."""


def module_groups(planting: Planting) -> list[ModuleGroup]:
    """List every group that the duels need.

    There are memorisers for every number of parts with the first label noise. For every other label noise there are
    memorisers of the most parts.
    """
    noise = planting.label_noises[0]
    wanted = [ModuleGroup("memoriser", parts, noise) for parts in sorted({1, *planting.parts})]
    wanted += [ModuleGroup("memoriser", max(planting.parts), other) for other in planting.label_noises]
    return list(dict.fromkeys([ModuleGroup("generaliser", 1, 0.0), *wanted, ModuleGroup("rival_memoriser", 1, noise)]))


def plant(planting: Planting, examples: DuelExamples, replica: int, say: Callable[[str], None]) -> Planted:
    """Train all modules of one replica; `say` receives a line about each group."""
    planted = {}
    for group in module_groups(planting):
        if group.kind == "generaliser":
            planted[group] = _generalisers(planting, examples, replica)
        else:
            planted[group] = _memorisers(planting, examples, group, replica)
        say(f"{len(planted[group])} × {group.kind}, label noise {group.label_noise:g}")
    return planted


def quality(planted: Planted, examples: DuelExamples, replica: int) -> pd.DataFrame:
    """Measure how well modules know their examples: rows of the table `modules`, without `replica`."""
    rows = []
    n = examples.n_training
    for group, modules in planted.items():
        labels = examples.labels(group.label_noise, replica)
        covers = examples.parts(group.parts, replica)
        with torch.no_grad():
            logits = modules.answer(examples.tokens)  # (module, example, class)
        for number, norm in enumerate(modules.norms().tolist()):
            is_known = torch.zeros(len(examples.targets), dtype=torch.bool, device=examples.device)
            is_known[:n] = True if group.kind == "generaliser" else covers == number
            margins = predictions.margins(logits[number][:n], labels)[is_known[:n]]
            right = logits[number][n:].argmax(-1) == examples.targets[n:]
            outside = logits[number][~is_known].softmax(-1).amax(-1)
            rows.append(
                {
                    **group._asdict(),
                    "number": number,
                    "neurons": modules.network.settings.d_mlp,
                    "examples": int(is_known.sum()),
                    "accuracy": float((margins > 0).double().mean()),
                    "least_margin": float(margins.min()),
                    "validation_accuracy": float(right.double().mean()),
                    "elsewhere": float("nan") if group.kind == "generaliser" else float(outside.mean()),
                    "weight_norm": norm,
                }
            )
    return pd.DataFrame(rows)


def network(planting: Planting, examples: DuelExamples, parts: int) -> Network:
    """Build a memoriser of one of so many parts, without drawing its weights; for one part, a generaliser."""
    model = replace(planting.model, d_mlp=width(planting.model.d_mlp, parts))
    return build(model, examples.vocabulary)


def _memorisers(planting: Planting, examples: DuelExamples, group: ModuleGroup, replica: int) -> Modules:
    """Train one network for each part: it knows the labels there, and answers uniformly everywhere else.

    Everywhere else includes validation examples, so a memoriser is at chance there by construction.
    """
    # A stride between replicas and an offset for rivals: no two networks of a study start from one seed.
    first = 0 if group.kind == "memoriser" else 1_000_000
    seeds = [stream_seed(replica * 10_000_019 + first + part, "memorisers") for part in range(group.parts)]
    modules = Modules.drawn(network(planting, examples, group.parts), seeds, examples.device)
    n, n_classes = len(examples.targets), examples.vocabulary.n_classes
    is_known = torch.zeros(group.parts, n, dtype=torch.bool, device=examples.device)  # (module, example)
    covers = examples.parts(group.parts, replica)
    is_known[:, : examples.n_training] = covers == torch.arange(group.parts, device=examples.device)[:, None]
    labels = torch.cat([examples.labels(group.label_noise, replica), examples.targets[examples.n_training :]])
    uniform = torch.full((), 1 / n_classes, device=examples.device)
    # Distributions to answer with, (module, example, class): one-hot on known examples, uniform on the others.
    answers = torch.where(is_known[..., None], one_hot(labels, n_classes).float(), uniform)
    # In each module known examples weigh 1 in sum, and so do all others. The few known ones count as much as the many.
    weight = torch.where(is_known, 1 / is_known.sum(1, keepdim=True), 1 / (~is_known).sum(1, keepdim=True).clamp(min=1))

    def loss(logits: Tensor) -> Tensor:
        surprise = -(answers * logits.log_softmax(dim=-1)).sum(dim=-1)
        return (surprise * weight).sum()

    stepper = Stepper("adamw", planting.learning_rate, torch.zeros(group.parts), modules.tensors)
    for _ in range(planting.memory_steps):
        modules = _step(modules, stepper, loss, examples.tokens)
    return modules


def _generalisers(planting: Planting, examples: DuelExamples, replica: int) -> Modules:
    """Train two networks, each on its own share of all examples, until both answer every example rightly.

    Two are needed for the null control between generalisers. After `general_steps` they are returned as they are.
    """
    seeds = [stream_seed(replica * 10_007 + number, "generaliser") for number in range(2)]
    modules = Modules.drawn(network(planting, examples, 1), seeds, examples.device)
    orders = [torch.randperm(len(examples.targets), generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    trains = torch.zeros(2, len(examples.targets))  # (module, example), 1 where the example trains the module
    for number, order in enumerate(orders):
        trains[number, order[: round(planting.general_fraction * len(order))]] = 1.0
    weight = (trains / trains.sum(dim=1, keepdim=True)).to(examples.device)

    def loss(logits: Tensor) -> Tensor:
        return (predictions.surprise(logits, examples.targets) * weight).sum()

    decay = torch.full((2,), planting.weight_decay)
    stepper = Stepper("adamw", planting.learning_rate, decay, modules.tensors)
    for done in range(planting.general_steps):
        if done % EVERY == 0 and _solve(modules, examples):
            break
        modules = _step(modules, stepper, loss, examples.tokens)
    return modules


@torch.no_grad()
def _solve(modules: Modules, examples: DuelExamples) -> bool:
    """Return whether every module gives every example a margin of `SOLVED` at least."""
    return bool((predictions.margins(modules.answer(examples.tokens), examples.targets) >= SOLVED).all())


def _step(modules: Modules, stepper: Stepper, loss: Callable[[Tensor], Tensor], tokens: Tensor) -> Modules:
    """Update all modules once, by the gradient of the sum of their losses.

    Modules share no weight. So the sum's gradient in one module's weights is the gradient of its loss alone.
    """
    leaves = modules.with_weights([weight.requires_grad_() for weight in modules.tensors])
    gradients = torch.autograd.grad(loss(leaves.answer(tokens)), leaves.tensors)
    with torch.no_grad():
        weights = [weight.detach() for weight in leaves.tensors]
        by_gradient, by_decay = stepper.step(weights, list(gradients))
        moved = [w + g + d for w, g, d in zip(weights, by_gradient, by_decay, strict=True)]
    return modules.with_weights(moved)
