"""The networks of the field by name, equal to the published ones in structure, size and initialisation.

Vocabularies are ours: an input per position, then "=". A preset fills in what a config leaves open, but for its
architecture, which it fixes.
"""

from __future__ import annotations

from dataclasses import dataclass

from general_circuits.models.settings import Model
from general_circuits.tasks.vocabulary import Vocabulary


@dataclass(frozen=True)
class Preset:
    """One network.

    Attributes:
        model: its settings.
        loss: what it is trained on in its source.
        source: where it was published, and what is different here.
        vocabulary: of a task in that source, to count parameters by.
        parameters: with this vocabulary.
    """

    model: Model
    loss: str
    source: str
    vocabulary: Vocabulary
    parameters: int


PRESETS = {
    # openai/grok, grok/transformer.py: 394,240 parameters beside embedding and head, whose vocabulary was 239 there.
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
    # progress-measures-paper, transformers.py: 226,816 parameters with a logit for "=" too, which we leave out.
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
    # ironjr/grokfast, main.py: 396,800 parameters beside embeddings and head. There a layer norm overwrites the
    # residual stream before each attention, which this leaves out; the parameters are the same.
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
