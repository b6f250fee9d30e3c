"""Interface of every network. Training and measurements use it, and do not depend on the kind of network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from general_circuits.models import predictions
from general_circuits.models.initialisation import initialise
from general_circuits.models.parts import ACTIVATIONS
from general_circuits.models.settings import EXAMPLES_PER_PASS, Model
from general_circuits.tasks.vocabulary import Vocabulary

Site = Literal["mlp", "head_outputs", "heads"]


class Place(NamedTuple):
    """Location of neurons in a network: a layer, counted from 0, and a site in this layer.

    The sites, and the TransformerLens hook that holds the same activations:
        `mlp`: units of the MLP after the activation, `blocks.{layer}.mlp.hook_post`.
        `head_outputs`: units of the attention heads' outputs before W_O, `blocks.{layer}.attn.hook_z`, head by head.
        `heads`: the same units, grouped so that each whole head is one neuron.
    """

    layer: int
    site: Site = "mlp"


class Network(nn.Module, ABC):
    """Network that reads the inputs of a task and answers. A measurement can step in at the neurons of each layer.

    Tokens are (example, n_inputs + 1): the inputs, then "=". A forward pass has three steps:
        `read` turns the tokens into the vectors of the first layer;
        `run_to` runs up to a place and returns two tensors: `past` and `units`;
        `answer_from` turns these two, changed or not, into the logits.

    `units` (example, position, unit) are the activations at the place. `past` (example, position, …) holds the
    activations that bypass them. In the last layer both hold the last position only, because no other position reaches
    the answer. A neuron is one unit, or `width` consecutive units.

    Args:
        settings: widths and options.
        vocabulary: the symbols and classes of the task.
    """

    def __init__(self, settings: Model, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.settings, self.vocabulary = settings, vocabulary

    def initialise(self, generator: torch.Generator) -> Self:
        """Draw every weight from `generator`, as the settings say, in the order of `named_parameters`."""
        initialise(self, self.settings, self.vocabulary, generator)
        return self

    @property
    @abstractmethod
    def sites(self) -> tuple[Site, ...]:
        """Sites that have neurons, the same in each layer."""

    def places(self, sites: Sequence[Site]) -> list[Place]:
        """List the network's places at these sites, layer by layer. Sites that it lacks are left out."""
        return [Place(i, site) for i in range(self.settings.n_layers) for site in sites if site in self.sites]

    @abstractmethod
    def answer(self, tokens: Tensor) -> Tensor:
        """Return the logits (example, n_classes) of tokens (example, n_inputs + 1)."""

    @torch.no_grad()
    def answer_all(self, tokens: Tensor) -> Tensor:
        """Return the logits of any number of examples, without gradients and in passes of limited size."""
        return torch.cat([self.answer(part) for part in tokens.split(EXAMPLES_PER_PASS)])

    @abstractmethod
    def read(self, tokens: Tensor) -> Tensor:
        """Return the vectors that the first layer receives, (example, …): a transformer's first `hook_resid_pre`."""

    @abstractmethod
    def blank(self, tokens: Tensor) -> Tensor:
        """Return the same as `read`, but with zero in place of each input's vector. Integration paths begin here."""

    @abstractmethod
    def run_to(self, x: Tensor, place: Place) -> tuple[Tensor, Tensor]:
        """Run what `read` returned up to a place. Return `past` and `units`, as the class describes them."""

    @abstractmethod
    def answer_from(self, past: Tensor, units: Tensor, place: Place) -> Tensor:
        """Run the rest of the network on `past` and `units`, changed or not. Return logits (example, n_classes)."""

    @abstractmethod
    def neuron_inputs(self, x: Tensor, place: Place) -> Tensor:
        """Run what `read` returned up to an MLP. Return the input of its W_in, (example, position, width)."""

    @abstractmethod
    def neuron_weights(self, place: Place) -> dict[str, int]:
        """Map the names of an MLP's weights to their neuron axis, which has one entry per neuron.

        The order is: weights into the neurons, their biases if there are any, weights out of the neurons.
        """

    def activation(self, pre: Tensor) -> Tensor:
        """Apply the MLP's activation function: `hook_pre` → `hook_post`, of any shape."""
        return ACTIVATIONS[self.settings.activation](pre)

    @abstractmethod
    def write(self, units: Tensor, place: Place) -> Tensor:
        """Apply the weights out of an MLP's neurons: (example, position, neuron) → (example, position, width).

        The result is affine in the neurons and in these weights. In a transformer it is `hook_mlp_out`, which is added
        to the residual stream. In a perceptron it is the next layer before its activation, or the outputs.
        """

    @abstractmethod
    def answer_from_written(self, past: Tensor, written: Tensor, place: Place) -> Tensor:
        """Run the rest of the network on `past` and on the result of `write`. Return logits (example, n_classes)."""

    def width(self, place: Place) -> int:
        """Return how many consecutive units make up one neuron."""
        return self.settings.d_model // self.settings.n_heads if place.site == "heads" else 1

    @abstractmethod
    def weight_norms(self, place: Place) -> Tensor:
        """Return the norm of the weights into each neuron times the norm of the weights out of it, (neuron).

        Biases do not count. A ReLU unit computes the same function if its weights in are scaled up and its weights out
        are scaled down by the same factor. The product is the same too, but neither norm is.
        """

    def is_last(self, place: Place) -> bool:
        """Tell whether a place is in the last layer."""
        return place.layer == self.settings.n_layers - 1

    def is_linear_from(self, place: Place) -> bool:
        """Tell whether the logits are affine in the units of a place.

        They are after the last MLP without a layer norm: only linear maps follow, W_out and W_U.
        """
        return self.is_last(place) and place.site == "mlp" and self.settings.normalisation == "none"

    def logit_weights(self, place: Place) -> Tensor:
        """Return the effect of each unit on each logit, (d_mlp, n_classes). A transformer's is W_out W_U.

        Raises:
            ValueError: if the logits are not affine in the units of this place.
        """
        if not self.is_linear_from(place):
            raise ValueError(f"{place.site} of layer {place.layer}: the logits are not linear in its units")
        return self._logit_weights()

    @torch.no_grad()
    def logit_scale(self, tokens: Tensor) -> float:
        """Return the logit scale on these tokens, the training examples. Logits divided by it are at matched scale."""
        return predictions.logit_scale(self.answer(tokens))

    @contextmanager
    def frozen_norms(self) -> Iterator[None]:
        """Treat the scale that each layer norm divides by as a constant in gradients, inside this context."""
        yield

    @abstractmethod
    def _logit_weights(self) -> Tensor:
        """Return the effect of the last layer's units on the logits, where the logits are affine in them."""
