"""A network's logits, split into the general solution and the rest (Nanda et al. 2023: restricted and excluded loss).

The general part of the logits depends on nothing but the right answer: the mean over all examples with that answer,
and of that only the key frequencies. The rest is everything else. They add up to the logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from general_circuits.measurements.progress.solution import NONE, Solution
from general_circuits.tasks.examples import SPLITS, Examples, is_mirrored

Floats = NDArray[np.float64]

HELD = 0.95
"""Key frequencies are the fewest that hold this share of the energy of what depends on the right answer alone."""


@dataclass(frozen=True)
class ExamplesByAnswer:
    """All of a replica's examples together, but for those whose answer is no element of the group.

    Attributes:
        tokens: (example, n_inputs + 1).
        labels: (example), the classes they count as.
        element: (example), the right answer's place among elements; its class, where no group is known.
        numbers: (example), their numbers in the task table.
        rows: of each split, its examples' places, (example of the split).
        unseen: the places of validation examples whose mirror image (b, a) does not train either.
        classes: (element), the class that each element is: without a group, each that is some example's answer.
        solution: the group, if one is known.
    """

    tokens: Tensor
    labels: Tensor
    element: Tensor
    numbers: Tensor
    rows: dict[str, Tensor]
    unseen: Tensor
    classes: Tensor
    solution: Solution | None

    @classmethod
    def of(cls, splits: dict[str, Examples], solution: Solution | None, n_classes: int) -> Self:
        """From examples under "train" and "validation", which know their right answers."""
        parts = [splits[name] for name in SPLITS]
        targets = torch.cat([part.targets for part in parts if part.targets is not None])
        numbers = torch.cat([part.numbers for part in parts if part.numbers is not None])
        device = targets.device
        element = _numbered(targets, n_classes) if solution is None else torch.as_tensor(solution.element).to(device)
        known = element[targets] != NONE
        side = torch.cat([torch.full((len(part),), i, device=device) for i, part in enumerate(parts)])[known]
        classes = torch.nonzero(element != NONE).squeeze(1)
        tokens = torch.cat([part.tokens for part in parts])[known]
        rows = {name: torch.nonzero(side == i).squeeze(1) for i, name in enumerate(SPLITS)}
        return cls(
            tokens,
            torch.cat([part.labels for part in parts])[known],
            element[targets][known],
            numbers[known],
            rows,
            rows["validation"][~is_mirrored(tokens[rows["validation"]], tokens[rows["train"]])],
            classes[element[classes].argsort()],
            solution,
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def has_unseen(self) -> bool:
        """Whether every right answer has an unseen example."""
        return len(self.element[self.unseen].unique()) == len(self.classes)

    def by_answer(self, logits: Tensor, rows: Tensor | None = None) -> Tensor:
        """Means of logits (example, class) over the examples of each right answer, (element, class); 0 without any.

        With `rows`, over those of the examples that are at these places.
        """
        n = len(self.classes)
        element, logits = (self.element, logits) if rows is None else (self.element[rows], logits[rows])
        total = logits.new_zeros(n, logits.shape[1]).index_add(0, element, logits)
        return total / torch.bincount(element, minlength=n).clamp(min=1).to(logits).unsqueeze(1)


@dataclass(frozen=True)
class General:
    """Which functions of the right answer the general solution is made of.

    Attributes:
        examples: the examples.
        frequencies: key frequencies, ascending; empty where no group is known.
        basis: orthonormal, (element, dimension): of these frequencies, or of all functions but the constant.
    """

    examples: ExamplesByAnswer
    frequencies: list[int]
    basis: Tensor

    @classmethod
    def of(cls, examples: ExamplesByAnswer, logits: Tensor) -> Self:
        """What a network's logits (example, class) are made of, the last of a run as a rule."""
        n, solution = len(examples.classes), examples.solution
        if solution is None:
            constant = np.full((n, n), 1 / n)
            _, vectors = np.linalg.eigh(np.eye(n) - constant)
            return cls(examples, [], torch.as_tensor(vectors[:, 1:]).to(logits))
        keys = key_frequencies(energies(examples, logits))
        bases = [solution.parts[k].basis for k in keys]
        return cls(examples, keys, torch.as_tensor(np.concatenate(bases, axis=1)).to(logits))

    def restricted(self, logits: Tensor, rows: Tensor | None = None) -> Tensor:
        """The general part of logits, (example, class); with `rows`, as these examples alone tell it."""
        means = self.examples.by_answer(centred(logits), rows)
        return (self.basis @ (self.basis.T @ means))[self.examples.element]

    def unseen(self, logits: Tensor) -> Tensor:
        """The general part as unseen examples alone tell it, (example, class); NaN where some answer has none."""
        if not self.examples.has_unseen:
            return torch.full_like(logits, torch.nan)
        return self.restricted(logits, self.examples.unseen)

    def split(self, logits: Tensor) -> dict[str, Tensor]:
        """Logits whole and in parts, each (example, class), less their mean over classes.

        `restricted` and `excluded` add up to `all`. `unseen` is what `restricted` is as unseen examples alone tell it:
        a table of the training examples has a restricted part too, their answers being right, but none of this.
        `answer` is all that depends on the right answer alone, of which `restricted` is a part; `trig` is the part of
        that which is the same for all right answers, and for a difference and its inverse.
        """
        whole = centred(logits)
        restricted = self.restricted(logits)
        found = {"all": whole, "restricted": restricted, "excluded": whole - restricted}
        found["unseen"] = self.unseen(logits)
        found["answer"] = self.examples.by_answer(whole)[self.examples.element]
        if self.examples.solution is not None:
            found["trig"] = self.trig(logits)
        return found

    def trig(self, logits: Tensor) -> Tensor:
        """The part made of the group's real characters at the difference of right answer and class, (example, class).

        Of addition modulo p that is Σ α cos(2πk(a + b − c) / p) over the key frequencies k.
        """
        solution, classes = self.examples.solution, self.examples.classes
        assert solution is not None
        means = self.examples.by_answer(centred(logits))[:, classes]
        found = torch.zeros_like(means)
        for k in self.frequencies:
            projector = torch.as_tensor(solution.parts[k].projector).to(means)
            found += projector * (means * projector).sum() / projector.square().sum()
        whole = torch.zeros_like(logits)
        whole[:, classes] = found[self.examples.element]
        return whole


def _numbered(targets: Tensor, n_classes: int) -> Tensor:
    """Numbers for the classes that occur, (class); `NONE` for others."""
    element = torch.full((n_classes,), NONE, device=targets.device)
    occurring = targets.unique()
    element[occurring] = torch.arange(len(occurring), device=targets.device)
    return element


def centred(logits: Tensor) -> Tensor:
    """Less each example's mean over classes, which no answer depends on."""
    return logits - logits.mean(dim=-1, keepdim=True)


def energies(examples: ExamplesByAnswer, logits: Tensor) -> Floats:
    """How much of what depends on the right answer alone is in each part but the constant, (frequency − 1)."""
    assert examples.solution is not None
    means = examples.by_answer(centred(logits)).double().cpu().numpy()  # (element, class)
    return np.array([np.square(part.basis.T @ means).sum() for part in examples.solution.parts[1:]])


def key_frequencies(energy: Floats) -> list[int]:
    """The fewest frequencies, from 1, that together hold `HELD` of the energy (frequency − 1), ascending."""
    order = np.argsort(-energy, kind="stable")
    total = energy.sum()
    enough = int(np.searchsorted(np.cumsum(energy[order]), HELD * total)) + 1
    return sorted((order[:enough] + 1).tolist())
