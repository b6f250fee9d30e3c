"""Every example's gradient in each neuron's weights, as outer products: their mean and spread in one backward pass.

A gradient in a linear map's weights is a sum over positions of what the map read times the gradient in what it made of
it. So the squared norm of one example's gradient needs products of positions with positions, and no gradient is formed
that is as large as the weights, but the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from general_circuits.models import predictions
from general_circuits.models.network import Network, Place
from general_circuits.models.settings import EXAMPLES_PER_PASS

ROUNDING = 1e-12
"""Share of a mean square that is nothing but rounding."""


@dataclass(frozen=True)
class Moments:
    """Of gradients g over n examples, each in all of one neuron's weights together, float64.

    Attributes:
        n: examples.
        mean_square: ‖mean of g‖², (neuron).
        square_mean: mean of ‖g‖², (neuron).
    """

    n: int
    mean_square: Tensor
    square_mean: Tensor

    @property
    def norm(self) -> Tensor:
        """‖mean of g‖, (neuron)."""
        return self.mean_square.sqrt()

    @property
    def gsnr(self) -> Tensor:
        """Gradient signal to noise (Liu et al. 2020): ‖mean‖² / (mean of ‖g‖² − ‖mean‖²), (neuron).

        NaN where the gradients do not differ. Theirs is of one weight; here numerator and denominator are summed over
        a neuron's weights.
        """
        noise = self.square_mean - self.mean_square
        return _ratio(self.mean_square, torch.where(noise > ROUNDING * self.square_mean, noise, 0.0))

    @property
    def coherence(self) -> Tensor:
        """m-coherence (Chatterjee and Zielinski 2020): n · ‖mean‖² / mean of ‖g‖², (neuron); NaN without a gradient.

        How many of the examples a step on one of them helps: 1 where gradients are orthogonal, n where they are equal,
        0 where they cancel.
        """
        return self.n * _ratio(self.mean_square, self.square_mean)


@dataclass(frozen=True)
class Sums:
    """Over some examples, float64: of their gradients in each of a neuron's weights, and of these gradients' squares.

    Attributes:
        n: examples.
        gradients: into the neurons (width, neuron), in their biases (neuron) and out of them (neuron, width).
        squares: of ‖g‖², (neuron).
    """

    n: int
    gradients: tuple[Tensor, Tensor, Tensor]
    squares: Tensor

    def __add__(self, other: Sums) -> Sums:
        into, biases, outward = (a + b for a, b in zip(self.gradients, other.gradients, strict=True))
        return Sums(self.n + other.n, (into, biases, outward), self.squares + other.squares)

    @property
    def moments(self) -> Moments:
        into, biases, outward = (gradient / self.n for gradient in self.gradients)
        mean_square = into.square().sum(dim=0) + biases.square() + outward.square().sum(dim=1)
        return Moments(self.n, mean_square, self.squares / self.n)


@dataclass(frozen=True)
class Outer:
    """One loss's gradients in the weights of one layer's neurons, example by example.

    Attributes:
        inputs: what the neurons read, (example, position, width).
        units: the neurons, (example, position, neuron).
        into: the gradient before the activation, (example, position, neuron).
        outward: the gradient in what the neurons write, (example, position, width of that).
        has_biases: whether they have any.
    """

    inputs: Tensor
    units: Tensor
    into: Tensor
    outward: Tensor
    has_biases: bool

    @property
    def sums(self) -> Sums:
        """Over the examples."""
        inputs, units, into, outward = (part.double() for part in (self.inputs, self.units, self.into, self.outward))
        # Without biases there is nothing to move there.
        biases = into.sum(dim=1) if self.has_biases else torch.zeros_like(into[:, 0])  # (example, neuron)
        gradients = (
            inputs.flatten(0, 1).T @ into.flatten(0, 1),
            biases.sum(dim=0),
            units.flatten(0, 1).T @ outward.flatten(0, 1),
        )
        squares = _squares(into, inputs) + biases.square().sum(dim=0) + _squares(units, outward)
        return Sums(len(inputs), gradients, squares)


def moments(
    model: Network, tokens: Tensor, labelings: tuple[Tensor, ...], place: Place, precision: torch.dtype
) -> tuple[Moments, ...]:
    """Of the gradients of each example's cross-entropy, for each of several labelings of the same examples.

    Args:
        model: the network.
        tokens: (example, n_inputs + 1).
        labelings: each (example).
        place: whose neurons' weights the gradients are in; of an MLP.
        precision: the logits', in which the loss is taken.
    """
    parts = zip(*(of.split(EXAMPLES_PER_PASS) for of in (tokens, *labelings)), strict=True)
    found = [[outer.sums for outer in _outers(model, some, labels, place, precision)] for some, *labels in parts]
    return tuple(reduce(Sums.__add__, sums).moments for sums in zip(*found, strict=True))


def _outers(
    model: Network, tokens: Tensor, labelings: list[Tensor], place: Place, precision: torch.dtype
) -> list[Outer]:
    """The gradients of these examples' losses, for each labeling."""
    into, *biases, _ = (model.get_parameter(name) for name in model.neuron_weights(place))
    with torch.no_grad():
        x = model.read(tokens)
        inputs, (past, _) = model.neuron_inputs(x, place), model.run_to(x, place)
        pre = inputs @ into
        for bias in biases:
            pre = pre + bias
    pre.requires_grad_()
    units = model.activation(pre)
    written = model.write(units, place)
    logits = model.answer_from_written(past, written, place).to(precision)
    found = []
    for labels in labelings:
        # One sum, whose gradient is every example's own.
        loss = predictions.surprise(logits, labels).sum()
        delta, epsilon = torch.autograd.grad(loss, [pre, written], retain_graph=True)
        found.append(Outer(inputs, units.detach(), delta, epsilon, bool(biases)))
    return found


def _squares(of_neurons: Tensor, shared: Tensor) -> Tensor:
    """Σ over examples of ‖Σ over positions of a_j b‖²: a (example, position, neuron), b (example, position, width).

    (neuron).
    """
    products = shared @ shared.transpose(1, 2)  # (example, position, position)
    return (of_neurons * (products @ of_neurons)).sum(dim=(0, 1))


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """NaN where what is below is not above 0."""
    return torch.where(below > 0, above / below, torch.nan)
