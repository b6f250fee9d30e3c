"""The neurons of one place on some examples, and the rest of the network from there: what measurements step into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from general_circuits.models.network import Network, Place


@dataclass(frozen=True)
class Layer:
    """One place's units on some examples.

    Attributes:
        model: the network at one checkpoint.
        place: where its neurons are.
        past: what goes past them, (example, position, …).
        units: (example, position, unit).
        labels: (example), the class that each answer should be.
    """

    model: Network
    place: Place
    past: Tensor
    units: Tensor
    labels: Tensor

    @classmethod
    @torch.no_grad()
    def at(cls, model: Network, tokens: Tensor, labels: Tensor, place: Place) -> Layer:
        """Run the network on tokens (example, n_inputs + 1) up to a place."""
        return cls(model, place, *model.run_to(model.read(tokens), place), labels)

    def some(self, examples: Tensor | slice) -> Layer:
        """The same on some of its examples: an index (example), or a slice."""
        return Layer(self.model, self.place, self.past[examples], self.units[examples], self.labels[examples])

    @cached_property
    def logits(self) -> Tensor:
        """(example, class), with every neuron in place."""
        with torch.no_grad():
            return self.answer(self.units)

    def answer(self, units: Tensor) -> Tensor:
        """Logits (example, class) of other units (example, position, unit); gradients go through it."""
        return self.model.answer_from(self.past, units, self.place)

    def unit_gradients(self, targets: Sequence[Callable[[Tensor, Tensor], Tensor]]) -> list[Tensor]:
        """Return each target's gradient in the units, (example, position, unit), by autograd.

        Args:
            targets: logits (example, class), labels (example) → one number per example.
        """
        units = self.units.detach().clone().requires_grad_()
        logits = self.answer(units)
        # A target's sum over examples has every example's own gradient: examples do not meet in the network.
        return [
            torch.autograd.grad(target(logits, self.labels).sum(), units, retain_graph=True)[0] for target in targets
        ]

    @property
    def is_linear(self) -> bool:
        """Whether the logits are affine in the units."""
        return self.model.is_linear_from(self.place)

    @cached_property
    def weights(self) -> Tensor:
        """How each unit moves each logit, (unit, class); linear places only."""
        return self.model.logit_weights(self.place).detach()

    @property
    def width(self) -> int:
        """Units in a neuron."""
        return self.model.width(self.place)

    @property
    def n_neurons(self) -> int:
        return self.units.shape[-1] // self.width

    @property
    def fires(self) -> Tensor:
        """Whether each neuron is anything but zero at a position that can reach the answer, (example, neuron)."""
        return self.units.ne(0).any(dim=1).unflatten(1, (-1, self.width)).any(dim=2)

    def by_neuron(self, values: Tensor) -> Tensor:
        """Of units at positions (example, position, unit), the sum for each neuron: (example, neuron)."""
        summed = values.sum(dim=1)
        return summed if self.width == 1 else summed.unflatten(1, (-1, self.width)).sum(dim=2)

    def without(self, neurons: Tensor, values: Tensor) -> Tensor:
        """Units (example, position, unit) with these neurons set to `values`, (position, unit) or by example too."""
        units = self.units.clone()
        chosen = self.units_of(neurons)
        units[:, :, chosen] = values[..., chosen].expand(units.shape[:-1] + chosen.shape)
        return units

    def units_of(self, neurons: Tensor) -> Tensor:
        """The numbers of the units that these neurons are made of, in the neurons' order."""
        if self.width == 1:
            return neurons
        within = torch.arange(self.width, device=neurons.device)
        return (neurons.unsqueeze(1) * self.width + within).flatten()
