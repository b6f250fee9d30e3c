"""Components of a network's logits: the general solution and the rest (Nanda et al. 2023: restricted, excluded loss).

The general part of the logits depends on the right answer alone. It is made in two steps: average the logits over all
examples with one right answer, then keep the key frequencies of these means. The rest is everything else, so that the
two parts add up to the logits.
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
"""Share of energy that the key frequencies hold: they are the fewest that do.

It is the energy of the part of the logits that depends on the right answer alone.
"""


@dataclass(frozen=True)
class ExamplesByAnswer:
    """A replica's examples of both splits, grouped by their right answers.

    Answers are elements of the task's group. If no group is known, every class that is some example's answer counts as
    one element. Examples whose answer is no element are left out: those with answer 0 in multiplication modulo p.

    Attributes:
        tokens: (example, n_inputs + 1).
        labels: (example), the classes that count as right.
        element: (example), the element that the right answer is.
        numbers: (example), the examples' numbers in the task table.
        rows: places of each split's examples, as split → (example of the split).
        unseen: places of validation examples whose mirror image (b, a) does not train either.
        classes: (element), the class that each element is.
        solution: the group and its frequencies; None if no group is known.
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
        """Group examples by their right answers.

        Args:
            splits: examples under "train" and "validation", with targets and numbers.
            solution: the task's group, or None if none is known.
            n_classes: how many classes the network answers with.
        """
        parts = [splits[name] for name in SPLITS]
        targets = torch.cat([part.targets for part in parts if part.targets is not None])
        numbers = torch.cat([part.numbers for part in parts if part.numbers is not None])
        device = targets.device
        # (class): the element that each class is, or `NONE`.
        element = _numbered(targets, n_classes) if solution is None else torch.as_tensor(solution.element).to(device)
        known = element[targets] != NONE
        # 0 for training and 1 for validation examples, without the ones that are left out.
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
            classes[element[classes].argsort()],  # the inverse of `element`
            solution,
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def has_unseen(self) -> bool:
        """Return whether every right answer has an unseen example, so that unseen examples alone give all means."""
        return len(self.element[self.unseen].unique()) == len(self.classes)

    def by_answer(self, logits: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return the mean logits of each right answer, (element, class); 0 for an answer without examples.

        Args:
            logits: (example, class).
            rows: places of the examples to average over; None for all.
        """
        n = len(self.classes)
        element, logits = (self.element, logits) if rows is None else (self.element[rows], logits[rows])
        total = logits.new_zeros(n, logits.shape[1]).index_add(0, element, logits)
        return total / torch.bincount(element, minlength=n).clamp(min=1).to(logits).unsqueeze(1)


@dataclass(frozen=True)
class General:
    """Functions of the right answer that a replica's general solution is made of.

    Attributes:
        examples: the replica's examples.
        frequencies: the key frequencies, ascending; empty if no group is known.
        basis: orthonormal functions on the elements, (element, dimension). They span the key frequencies or, if no
            group is known, all functions but the constant.
    """

    examples: ExamplesByAnswer
    frequencies: list[int]
    basis: Tensor

    @classmethod
    def of(cls, examples: ExamplesByAnswer, logits: Tensor) -> Self:
        """Find the functions that a network's logits are made of.

        The network is that of a run's last checkpoint or, in a branch, of its first. What a branch leaves must not
        choose how its effect is measured.

        Args:
            examples: the replica's examples.
            logits: (example, class).
        """
        n, solution = len(examples.classes), examples.solution
        if solution is None:
            # The projector onto functions without a constant has eigenvalue 0 once, for the constant, which `eigh`
            # puts first. All other eigenvectors are a basis of the rest.
            constant = np.full((n, n), 1 / n)
            _, vectors = np.linalg.eigh(np.eye(n) - constant)
            return cls(examples, [], torch.as_tensor(vectors[:, 1:]).to(logits))
        keys = key_frequencies(energies(examples, logits))
        bases = [solution.parts[k].basis for k in keys]
        return cls(examples, keys, torch.as_tensor(np.concatenate(bases, axis=1)).to(logits))

    def restricted(self, logits: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return the general part of logits, (example, class).

        Args:
            logits: (example, class).
            rows: places of the only examples to average over; None for all. Every example gets its part either way.
        """
        means = self.examples.by_answer(centred(logits), rows)
        # Project the means (element, class) onto the basis, then give every example the row of its right answer.
        return (self.basis @ (self.basis.T @ means))[self.examples.element]

    def unseen(self, logits: Tensor) -> Tensor:
        """Return the general part as unseen examples alone tell it, (example, class); NaN if some answer has none."""
        if not self.examples.has_unseen:
            return torch.full_like(logits, torch.nan)
        return self.restricted(logits, self.examples.unseen)

    def split(self, logits: Tensor) -> dict[str, Tensor]:
        """Split logits (example, class) into components, each (example, class) and less its mean over classes.

        - `all`: the logits.
        - `restricted`: the general part, the key frequencies of the mean logits of each right answer.
        - `excluded`: the rest, so that `restricted` + `excluded` = `all`.
        - `unseen`: `restricted`, but with means over unseen examples alone. A table of the training examples has a
          `restricted` part, since its training answers are right, but no `unseen` part.
        - `answer`: everything that depends on the right answer alone. `restricted` is a part of it.
        - `trig`: the part of `restricted` that depends on the difference of right answer and class alone. A difference
          and its inverse have the same. Missing if no group is known.
        """
        whole = centred(logits)
        restricted = self.restricted(logits)
        # A difference, not a second projection: so the two parts add up by construction.
        components = {"all": whole, "restricted": restricted, "excluded": whole - restricted}
        components["unseen"] = self.unseen(logits)
        components["answer"] = self.examples.by_answer(whole)[self.examples.element]
        if self.examples.solution is not None:
            components["trig"] = self.trig(logits)
        return components

    def trig(self, logits: Tensor) -> Tensor:
        """Return the part made of real characters at the difference of right answer and class, (example, class).

        In addition modulo p this part is Σ α cos(2πk(a + b − c) / p), over the key frequencies k. In any group the
        projector onto frequency k, (element, element), is a multiple of the character at x⁻¹·y.
        """
        solution, classes = self.examples.solution, self.examples.classes
        assert solution is not None
        # Columns in the order of elements, so that right answers and classes are elements of one group: both (element).
        means = self.examples.by_answer(centred(logits))[:, classes]
        character_part = torch.zeros_like(means)
        for k in self.frequencies:
            projector = torch.as_tensor(solution.parts[k].projector).to(means)
            # Least squares with one coefficient: α = ⟨means, projector⟩ / ‖projector‖². Projectors of different
            # frequencies are orthogonal, so each is fitted by itself.
            character_part += projector * (means * projector).sum() / projector.square().sum()
        part = torch.zeros_like(logits)
        part[:, classes] = character_part[self.examples.element]
        return part


def _numbered(targets: Tensor, n_classes: int) -> Tensor:
    """Number the classes that occur among targets, (class); `NONE` for the others."""
    element = torch.full((n_classes,), NONE, device=targets.device)
    occurring = targets.unique()
    element[occurring] = torch.arange(len(occurring), device=targets.device)
    return element


def centred(logits: Tensor) -> Tensor:
    """Return logits less each example's mean over classes, on which no answer depends."""
    return logits - logits.mean(dim=-1, keepdim=True)


def energies(examples: ExamplesByAnswer, logits: Tensor) -> Floats:
    """Return the energy of each frequency from 1 in the mean logits of right answers, (frequency − 1).

    The energy is the sum of squares over elements and classes of the part with this frequency.
    """
    assert examples.solution is not None
    means = examples.by_answer(centred(logits)).double().cpu().numpy()  # (element, class)
    return np.array([np.square(part.basis.T @ means).sum() for part in examples.solution.parts[1:]])


def key_frequencies(energy: Floats) -> list[int]:
    """Return the fewest frequencies that together hold `HELD` of the energy (frequency − 1), ascending, from 1."""
    order = np.argsort(-energy, kind="stable")
    total = energy.sum()
    # Largest first, up to the first one whose running sum reaches the share.
    enough = int(np.searchsorted(np.cumsum(energy[order]), HELD * total)) + 1
    return sorted((order[:enough] + 1).tolist())
