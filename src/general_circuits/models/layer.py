"""Activations of one place on some examples, with the rest of the network after it.

Measurements read and change neurons through a `Layer`. They do not need to know what kind of network it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from general_circuits.models.network import Network, Place


@dataclass(frozen=True)
class Layer:
    """Units of one place on some examples.

    Attributes:
        model: the network at one checkpoint.
        place: the layer and site of the neurons.
        past: activations that bypass these neurons on the way to the answer, (example, position, …).
        units: activations of the neurons, (example, position, unit).
        labels: the right class of each example, (example).
    """

    model: Network
    place: Place
    past: Tensor
    units: Tensor
    labels: Tensor

    @classmethod
    @torch.no_grad()
    def at(cls, model: Network, tokens: Tensor, labels: Tensor, place: Place) -> Layer:
        """Run the network on tokens (example, n_inputs + 1) up to this place."""
        return cls(model, place, *model.run_to(model.read(tokens), place), labels)

    def some(self, examples: Tensor | slice) -> Layer:
        """Return the same place on some of the examples, chosen by an index (example) or a slice."""
        return Layer(self.model, self.place, self.past[examples], self.units[examples], self.labels[examples])

    @cached_property
    def logits(self) -> Tensor:
        """Logits (example, class) of the unchanged network."""
        with torch.no_grad():
            return self.answer(self.units)

    def answer(self, units: Tensor) -> Tensor:
        """Return the logits (example, class) that other units (example, position, unit) lead to. Gradients flow."""
        return self.model.answer_from(self.past, units, self.place)

    def unit_gradients(self, targets: Sequence[Callable[[Tensor, Tensor], Tensor]]) -> list[Tensor]:
        """Return each target's gradient in the units, (example, position, unit), by autograd.

        Args:
            targets: logits (example, class), labels (example) → one number per example.
        """
        units = self.units.detach().clone().requires_grad_()
        logits = self.answer(units)
        # One backward pass of the sum gives each example its own gradient, because examples do not interact.
        return [
            torch.autograd.grad(target(logits, self.labels).sum(), units, retain_graph=True)[0] for target in targets
        ]

    @property
    def is_linear(self) -> bool:
        """Tell whether the logits are affine in the units."""
        return self.model.is_linear_from(self.place)

    @cached_property
    def weights(self) -> Tensor:
        """Effect of each unit on each logit, (unit, class). Raises ValueError where the place is not linear."""
        return self.model.logit_weights(self.place).detach()

    @property
    def width(self) -> int:
        """Units per neuron: d_head where a neuron is a whole head, else 1."""
        return self.model.width(self.place)

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return self.units.shape[-1] // self.width

    @property
    def fires(self) -> Tensor:
        """Mask (example, neuron) of neurons with a unit that is not zero, at a position that can reach the answer."""
        return self.units.ne(0).any(dim=1).unflatten(1, (-1, self.width)).any(dim=2)

    def by_neuron(self, values: Tensor) -> Tensor:
        """Sum values (example, position, unit) over positions and over each neuron's units: (example, neuron)."""
        summed = values.sum(dim=1)  # (example, unit)
        return summed if self.width == 1 else summed.unflatten(1, (-1, self.width)).sum(dim=2)

    def without(self, neurons: Tensor, values: Tensor) -> Tensor:
        """Return a copy of the units (example, position, unit) in which these neurons have the given values.

        Args:
            neurons: numbers of the neurons to set.
            values: (position, unit), or (example, position, unit) where examples get different values.
        """
        units = self.units.clone()
        chosen = self.units_of(neurons)
        units[:, :, chosen] = values[..., chosen].expand(units.shape[:-1] + chosen.shape)  # (…, chosen unit)
        return units

    def units_of(self, neurons: Tensor) -> Tensor:
        """Return the numbers of the units that make up these neurons, in the neurons' order."""
        if self.width == 1:
            return neurons
        within = torch.arange(self.width, device=neurons.device)
        return (neurons.unsqueeze(1) * self.width + within).flatten()  # (neuron, width) → (neuron · width)
