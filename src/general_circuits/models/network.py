"""What training and measurements need of a network, whatever its kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor, nn

from general_circuits.conditions import Model, Vocabulary
from general_circuits.models.initialisation import initialise


class Network(nn.Module, ABC):
    """Reads the inputs of a task and answers; in each layer there are neurons where a measurement can step in.

    Tokens are (example, n_inputs + 1), the inputs and then "=". Neurons are (example, position, d_mlp), after the
    activation: TransformerLens' `hook_post`. What goes past a layer's neurons is `resid_mid` (example, position, …).

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

    @abstractmethod
    def answer(self, tokens: Tensor) -> Tensor:
        """Tokens → logits (example, n_classes)."""

    @abstractmethod
    def run_to_neurons(self, tokens: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """`resid_mid` and the neurons of one layer."""

    @abstractmethod
    def answer_from_neurons(self, resid_mid: Tensor, post: Tensor, layer: int) -> Tensor:
        """What `run_to_neurons` gave, changed or not → logits (example, n_classes)."""

    def is_last(self, layer: int) -> bool:
        """Whether this layer is the last: of its neurons, only those at the last position reach the answer."""
        return layer == self.settings.n_layers - 1

    def is_linear_from(self, layer: int) -> bool:
        """Whether the logits are an affine function of this layer's neurons: nothing but the unembedding follows."""
        return self.is_last(layer) and self.settings.normalisation == "none"

    def logit_weights(self, layer: int) -> Tensor:
        """How each neuron at the last position moves each logit, (d_mlp, n_classes). Linear layers only."""
        if not self.is_linear_from(layer):
            raise ValueError(f"layer {layer}: the logits are not linear in its neurons")
        return self._logit_weights()

    @abstractmethod
    def _logit_weights(self) -> Tensor:
        """Of the last layer, where the logits are linear in it."""
