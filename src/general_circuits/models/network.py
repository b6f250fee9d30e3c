"""What training and measurements need of a network, whatever its kind."""

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
    """Where in a network neurons are: in which layer, from 0, and at which site of it.

    `mlp` are the MLP's units after their activation, TransformerLens' `hook_post`; `head_outputs` the units of the
    attention heads' outputs before they are mixed, `hook_z`, head after head; `heads` the same as whole heads, each of
    which is one neuron.
    """

    layer: int
    site: Site = "mlp"


class Network(nn.Module, ABC):
    """Reads the inputs of a task and answers; in each layer there are neurons where a measurement can step in.

    Tokens are (example, n_inputs + 1), the inputs and then "=". What is `read` of them goes to a place's `units`
    (example, position, unit), and what goes `past` them, (example, position, …), is needed to go on to the answer. Of
    the last layer only the last position reaches the answer, and only that is there. A neuron is one unit or, where
    `width` says so, several in a row.

    Args:
        settings: widths and options.
        vocabulary: what it reads and answers.
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
        """Where there are neurons in each layer."""

    def places(self, sites: Sequence[Site]) -> list[Place]:
        """Those of its places that are at these sites, by layer."""
        return [Place(i, site) for i in range(self.settings.n_layers) for site in sites if site in self.sites]

    @abstractmethod
    def answer(self, tokens: Tensor) -> Tensor:
        """Tokens → logits (example, n_classes)."""

    @torch.no_grad()
    def answer_all(self, tokens: Tensor) -> Tensor:
        """The same for any number of examples, without what gradients would need."""
        return torch.cat([self.answer(part) for part in tokens.split(EXAMPLES_PER_PASS)])

    @abstractmethod
    def read(self, tokens: Tensor) -> Tensor:
        """Tokens → the vectors that the first layer gets, (example, …)."""

    @abstractmethod
    def blank(self, tokens: Tensor) -> Tensor:
        """What is read where there is no input: zero in place of every input's vector; as `read` in all else."""

    @abstractmethod
    def run_to(self, x: Tensor, place: Place) -> tuple[Tensor, Tensor]:
        """What was read → what goes past the place's units, and the units."""

    @abstractmethod
    def answer_from(self, past: Tensor, units: Tensor, place: Place) -> Tensor:
        """What `run_to` gave, changed or not → logits (example, n_classes)."""

    @abstractmethod
    def neuron_inputs(self, x: Tensor, place: Place) -> Tensor:
        """What was read → what the MLP's neurons read, (example, position, width)."""

    @abstractmethod
    def neuron_weights(self, place: Place) -> dict[str, int]:
        """The weights of the MLP's neurons: into them, their biases where they have any, and out of them.

        By name, in this order, the axis along which there is one entry per neuron.
        """

    def activation(self, pre: Tensor) -> Tensor:
        """What the MLP's neurons make of their weighted inputs, TransformerLens' `hook_pre`, of any shape."""
        return ACTIVATIONS[self.settings.activation](pre)

    @abstractmethod
    def write(self, units: Tensor, place: Place) -> Tensor:
        """The MLP's neurons (example, position, neuron) → what they add up to, (example, position, width).

        That is linear in them and in their weights out: what is added to the residual stream, or, where there is none,
        what the next layer of neurons or the outputs are made of.
        """

    @abstractmethod
    def answer_from_written(self, past: Tensor, written: Tensor, place: Place) -> Tensor:
        """What goes past the MLP's neurons, and what they write → logits (example, n_classes)."""

    def width(self, place: Place) -> int:
        """How many units in a row are one neuron."""
        return self.settings.d_model // self.settings.n_heads if place.site == "heads" else 1

    @abstractmethod
    def weight_norms(self, place: Place) -> Tensor:
        """Norm of the weights into each neuron times that of those out of it, (neuron); biases are left out.

        A ReLU unit may have its weights in scaled by any factor and those out by its inverse; this does not change.
        """

    def is_last(self, place: Place) -> bool:
        """Whether it is in the last layer."""
        return place.layer == self.settings.n_layers - 1

    def is_linear_from(self, place: Place) -> bool:
        """Whether the logits are affine in this place's units: nothing but the unembedding follows."""
        return self.is_last(place) and place.site == "mlp" and self.settings.normalisation == "none"

    def logit_weights(self, place: Place) -> Tensor:
        """How each unit moves each logit, (d_mlp, n_classes). Linear places only."""
        if not self.is_linear_from(place):
            raise ValueError(f"{place.site} of layer {place.layer}: the logits are not linear in its units")
        return self._logit_weights()

    @torch.no_grad()
    def logit_scale(self, tokens: Tensor) -> float:
        """Of its answers to these tokens, its training examples: what logits are divided by to be matched."""
        return predictions.logit_scale(self.answer(tokens))

    @contextmanager
    def frozen_norms(self) -> Iterator[None]:
        """Gradients take the scale that each layer norm divides by for a constant."""
        yield

    @abstractmethod
    def _logit_weights(self) -> Tensor:
        """Of the last layer, where the logits are linear in it."""
