"""Mean and spread of the examples' gradients in each neuron's weights, from one backward pass for all examples.

Take a linear map y = x·W. One example's gradient in W is Σ_p x_p ⊗ δ_p, a sum of outer products over positions p. Here
x_p is the map's input, and δ_p is the loss's gradient in its output. In one neuron's row of W that is Σ_p a_p b_p, with
numbers a_p and vectors b_p. Inner products alone give its squared norm: ‖Σ_p a_p b_p‖² = Σ_pq a_p a_q ⟨b_p, b_q⟩. So
only the mean gradient is ever formed. One gradient per example would need the weights' memory times the examples.
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
"""Largest share of a mean square that counts as rounding, not as a spread of the gradients."""


@dataclass(frozen=True)
class Moments:
    """Moments over n examples of their gradients g, each in all of one neuron's weights together, float64.

    Attributes:
        n: the number of examples.
        mean_square: ‖mean of g‖², (neuron).
        square_mean: mean of ‖g‖², (neuron).
    """

    n: int
    mean_square: Tensor
    square_mean: Tensor

    @property
    def norm(self) -> Tensor:
        """Return the norm of the mean gradient, ‖mean of g‖, (neuron)."""
        return self.mean_square.sqrt()

    @property
    def gsnr(self) -> Tensor:
        """Return the gradients' signal to noise (Liu et al. 2020), ‖mean‖² / (mean of ‖g‖² − ‖mean‖²), (neuron).

        NaN if the gradients do not differ. The paper's ratio is of a single weight; here numerator and denominator are
        summed over a neuron's weights.
        """
        # The variance is a difference of two rounded numbers: what rounding alone could leave counts as 0.
        noise = self.square_mean - self.mean_square
        return _ratio(self.mean_square, torch.where(noise > ROUNDING * self.square_mean, noise, 0.0))

    @property
    def coherence(self) -> Tensor:
        """Return m-coherence (Chatterjee and Zielinski 2020), n · ‖mean‖² / mean of ‖g‖², (neuron).

        It says how many of the examples a step on one of them helps. It is 1 if gradients are orthogonal, n if they are
        equal, and 0 if they cancel. NaN if every gradient is 0.
        """
        return self.n * _ratio(self.mean_square, self.square_mean)


@dataclass(frozen=True)
class Sums:
    """Sums over some examples of their gradients g and of ‖g‖², float64.

    Attributes:
        n: the number of examples.
        gradients: Σ g in the weights into the neurons (width, neuron), in their biases (neuron), and in the weights out
            of them (neuron, width).
        squares: Σ ‖g‖², each ‖g‖ over all of one neuron's weights, (neuron).
    """

    n: int
    gradients: tuple[Tensor, Tensor, Tensor]
    squares: Tensor

    def __add__(self, other: Sums) -> Sums:
        into, biases, outward = (a + b for a, b in zip(self.gradients, other.gradients, strict=True))
        return Sums(self.n + other.n, (into, biases, outward), self.squares + other.squares)

    @property
    def moments(self) -> Moments:
        """Return the moments of these examples' gradients."""
        into, biases, outward = (gradient / self.n for gradient in self.gradients)
        mean_square = into.square().sum(dim=0) + biases.square() + outward.square().sum(dim=1)
        return Moments(self.n, mean_square, self.squares / self.n)


@dataclass(frozen=True)
class Outer:
    """Factors of every example's gradient in the weights of one layer's neurons, for one loss.

    An example's gradient in the weights into neuron j is Σ_p inputs_p · into_pj, and in those out of it
    Σ_p units_pj · outward_p.

    Attributes:
        inputs: vectors that the neurons read, (example, position, width).
        units: the neurons' activations, (example, position, neuron).
        into: the loss's gradient in the neurons before their activation, (example, position, neuron).
        outward: the loss's gradient in the vectors that the neurons write, (example, position, width written).
        has_biases: whether the neurons have biases.
    """

    inputs: Tensor
    units: Tensor
    into: Tensor
    outward: Tensor
    has_biases: bool

    @property
    def sums(self) -> Sums:
        """Return the sums over the examples, without forming any single example's gradient."""
        inputs, units, into, outward = (part.double() for part in (self.inputs, self.units, self.into, self.outward))
        # A bias is added at every position, so its gradient is the sum of `into` over positions.
        biases = into.sum(dim=1) if self.has_biases else torch.zeros_like(into[:, 0])  # (example, neuron)
        # Summed over examples and positions at once, outer products are one matrix product.
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
    """Return the moments of the gradients of each example's cross-entropy, one for each labeling of the examples.

    Args:
        model: the network.
        tokens: (example, n_inputs + 1).
        labelings: labels of the same examples, each (example).
        place: the MLP layer whose neurons' weights the gradients are in.
        precision: the logits' type, in which the loss is taken.
    """
    # Sums add up over passes, and only their total becomes moments: [pass][labeling] → (labeling).
    parts = zip(*(whole.split(EXAMPLES_PER_PASS) for whole in (tokens, *labelings)), strict=True)
    passes = [[outer.sums for outer in _outers(model, some, labels, place, precision)] for some, *labels in parts]
    return tuple(reduce(Sums.__add__, sums).moments for sums in zip(*passes, strict=True))


def _outers(
    model: Network, tokens: Tensor, labelings: list[Tensor], place: Place, precision: torch.dtype
) -> list[Outer]:
    """Return the factors of these examples' gradients, for each labeling, from one forward pass."""
    into, *biases, _ = (model.get_parameter(name) for name in model.neuron_weights(place))
    # Gradients are needed from `pre` on only, so what leads there is not recorded.
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
    outers = []
    for labels in labelings:
        # Examples do not meet in the network, so the gradient of their summed loss is each example's own.
        loss = predictions.surprise(logits, labels).sum()
        delta, epsilon = torch.autograd.grad(loss, [pre, written], retain_graph=True)
        outers.append(Outer(inputs, units.detach(), delta, epsilon, bool(biases)))
    return outers


def _squares(of_neurons: Tensor, shared: Tensor) -> Tensor:
    """Return Σ over examples of ‖Σ_p a_pj b_p‖², over positions p, for every neuron j, (neuron).

    Args:
        of_neurons: a, (example, position, neuron).
        shared: b, which all neurons share, (example, position, width).
    """
    # ‖Σ_p a_p b_p‖² = Σ_p a_p Σ_q ⟨b_p, b_q⟩ a_q: positions × positions instead of neurons × width per example.
    products = shared @ shared.transpose(1, 2)  # (example, position, position)
    return (of_neurons * (products @ of_neurons)).sum(dim=(0, 1))


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """Return above / below; NaN where `below` is not positive."""
    return torch.where(below > 0, above / below, torch.nan)
