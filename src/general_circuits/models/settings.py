"""Settings of a network, as the stages get them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from general_circuits.tasks.vocabulary import Vocabulary

EXAMPLES_PER_PASS = 2048
"""Examples that go through a network together, where any number may be asked for."""


@dataclass(frozen=True)
class Model:
    """A network that reads the inputs of a task and answers with a class; what its architecture lacks is none, or 0.

    Attributes:
        inputs: a transformer reads `tokens`; an MLP reads each input as a vector.
        d_model: width of a transformer's residual stream, or of the embedding of each of an MLP's inputs.
        d_mlp: neurons per layer.
        biases: which linear maps have one: `mlp` are the layers of neurons, `blocks` attention too, `all` also the
            unembedding.
        outputs: a logit per class, or one number whose sign tells two classes apart.
    """

    architecture: Literal["transformer", "mlp"]
    inputs: Literal["tokens", "one_hot", "embedding", "ordinal"]
    n_layers: int
    d_model: int
    n_heads: int
    d_mlp: int
    activation: Literal["relu", "gelu", "quadratic"]
    normalisation: Literal["none", "pre", "post"]
    biases: Literal["none", "mlp", "blocks", "all"]
    positions: Literal["none", "learned", "sinusoidal"]
    initialisation: Literal["normal", "linear", "multihead", "mean_field", "fourier", "lookup_table"]
    outputs: Literal["classes", "sign"]

    def input_width(self, vocabulary: Vocabulary) -> int:
        """Numbers that an MLP's first layer reads."""
        each = {"one_hot": vocabulary.n_symbols, "embedding": self.d_model, "ordinal": 1}
        return vocabulary.n_inputs * each[self.inputs]
