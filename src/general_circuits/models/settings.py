"""Settings of a network, in the form that the stages receive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from general_circuits.tasks.vocabulary import Vocabulary

EXAMPLES_PER_PASS = 2048
"""Most examples that go through a network in one pass. It bounds memory where a caller passes a whole table."""


@dataclass(frozen=True)
class Model:
    """Settings of a network that reads the inputs of a task and answers with a class.

    A setting that an architecture does not have is "none", or 0.

    Attributes:
        inputs: a transformer reads `tokens`. An MLP reads each input as a vector.
        d_model: width of a transformer's residual stream, or of an MLP's embedding of one input.
        d_mlp: neurons per layer.
        biases: the linear maps that have a bias. `mlp` means the layers of neurons. `blocks` adds attention. `all` adds
            the unembedding.
        outputs: one logit per class, or one number whose sign tells two classes apart.
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
        """Return how many numbers an MLP's first layer reads."""
        each = {"one_hot": vocabulary.n_symbols, "embedding": self.d_model, "ordinal": 1}
        return vocabulary.n_inputs * each[self.inputs]
