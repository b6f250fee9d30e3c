"""Published networks of the grokking literature by name, with the same structure, size and initialisation.

The vocabulary is ours: one input per position, then "=". A preset supplies every setting that a config leaves open. A
config cannot change a preset's architecture.
"""

from __future__ import annotations

from dataclasses import dataclass

from general_circuits.models.settings import Model
from general_circuits.tasks.vocabulary import Vocabulary


@dataclass(frozen=True)
class Preset:
    """Settings of one published network.

    Attributes:
        model: settings of the network.
        loss: the loss that its source trains it on.
        source: the publication, and any difference here.
        vocabulary: vocabulary of one task in the source, used to count parameters.
        parameters: number of parameters with this vocabulary.
    """

    model: Model
    loss: str
    source: str
    vocabulary: Vocabulary
    parameters: int


PRESETS = {
    # openai/grok, grok/transformer.py: 394,240 parameters without embedding and head. Its vocabulary had 239 symbols.
    "power": Preset(
        Model(
            architecture="transformer",
            inputs="tokens",
            n_layers=2,
            d_model=128,
            n_heads=4,
            d_mlp=512,
            activation="relu",
            normalisation="post",
            biases="none",
            positions="sinusoidal",
            initialisation="linear",
            outputs="classes",
        ),
        loss="cross_entropy",
        source="Power et al. 2022",
        vocabulary=Vocabulary(2, 97, 97),
        parameters=419_200,
    ),
    # progress-measures-paper, transformers.py: 226,816 parameters. It also has a logit for "=", which we leave out.
    "nanda": Preset(
        Model(
            architecture="transformer",
            inputs="tokens",
            n_layers=1,
            d_model=128,
            n_heads=4,
            d_mlp=512,
            activation="relu",
            normalisation="none",
            biases="mlp",
            positions="learned",
            initialisation="normal",
            outputs="classes",
        ),
        loss="cross_entropy",
        source="Nanda et al. 2023",
        vocabulary=Vocabulary(2, 113, 113),
        parameters=226_688,
    ),
    # ironjr/grokfast, main.py: 396,800 parameters without embeddings and head. There a layer norm overwrites the
    # residual stream before each attention. We leave that out, which changes no parameter.
    "pre_norm": Preset(
        Model(
            architecture="transformer",
            inputs="tokens",
            n_layers=2,
            d_model=128,
            n_heads=4,
            d_mlp=512,
            activation="gelu",
            normalisation="pre",
            biases="blocks",
            positions="learned",
            initialisation="multihead",
            outputs="classes",
        ),
        loss="cross_entropy",
        source="Lee et al. 2024 (Grokfast), with a clean residual stream",
        vocabulary=Vocabulary(2, 97, 97),
        parameters=422_144,
    ),
    # d-doshi/Grokking, utils/models.py.
    "quadratic_mlp": Preset(
        Model(
            architecture="mlp",
            inputs="one_hot",
            n_layers=1,
            d_model=0,
            n_heads=0,
            d_mlp=500,
            activation="quadratic",
            normalisation="none",
            biases="none",
            positions="none",
            initialisation="mean_field",
            outputs="classes",
        ),
        loss="mean_squared_error",
        source="Gromov 2023, as scaled by Doshi et al. 2023",
        vocabulary=Vocabulary(2, 97, 97),
        parameters=145_500,
    ),
    # Tsili42/parity-nn, utils.py: FF1.
    "parity_mlp": Preset(
        Model(
            architecture="mlp",
            inputs="ordinal",
            n_layers=1,
            d_model=0,
            n_heads=0,
            d_mlp=1000,
            activation="relu",
            normalisation="none",
            biases="mlp",
            positions="none",
            initialisation="linear",
            outputs="sign",
        ),
        loss="hinge",
        source="Merrill et al. 2023",
        vocabulary=Vocabulary(40, 2, 2),
        parameters=42_000,
    ),
    # okitouni/simple-grokking, train.py, whose hidden layer is 128 wide.
    "mlp": Preset(
        Model(
            architecture="mlp",
            inputs="embedding",
            n_layers=1,
            d_model=128,
            n_heads=0,
            d_mlp=512,
            activation="relu",
            normalisation="none",
            biases="all",
            positions="none",
            initialisation="linear",
            outputs="classes",
        ),
        loss="cross_entropy",
        source="as Liu et al. 2022's demonstration, wider",
        vocabulary=Vocabulary(2, 97, 97),
        parameters=193_761,
    ),
}
