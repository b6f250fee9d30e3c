"""Small settings, networks and examples that several tests share."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from general_circuits.models.perceptron import Perceptron
from general_circuits.models.presets import PRESETS
from general_circuits.models.settings import Model
from general_circuits.models.transformer import Transformer
from general_circuits.tasks.examples import Examples
from general_circuits.tasks.modular import Modular
from general_circuits.tasks.settings import Split
from general_circuits.tasks.vocabulary import Vocabulary
from general_circuits.training.schedule import Schedule, Spacing
from general_circuits.training.settings import Branch, Condition, Intervention, Optimiser

NANDA = PRESETS["nanda"].model

MODULUS = 5
"""Modulus of `addition` and `condition`. They have 25 examples, and 15 of them train."""

VOCABULARY = Vocabulary(2, MODULUS, MODULUS)
"""Vocabulary of `addition` and `condition`."""


def model_settings(**changes: Any) -> Model:
    """Settings of a transformer of one layer and 12 neurons, without normalisation, with biases in its MLP."""
    tiny: dict[str, Any] = {
        "architecture": "transformer",
        "inputs": "tokens",
        "n_layers": 1,
        "d_model": 8,
        "n_heads": 2,
        "d_mlp": 12,
        "activation": "relu",
        "normalisation": "none",
        "biases": "mlp",
        "positions": "learned",
        "initialisation": "normal",
        "outputs": "classes",
    }
    return Model(**(tiny | changes))


def split_settings(
    train_size: float | int = 0.6, split_by: Literal["pair", "example"] = "example", **changes: Any
) -> Split:
    """A split with this share or number of training examples, the replica's seeds, and right labels only."""
    usual: dict[str, Any] = {
        "split_seed": "replica",
        "label_noise": 0.0,
        "label_noise_by": "example",
        "label_seed": "replica",
    }
    return Split(train_size=train_size, split_by=split_by, **(usual | changes))


def mlp_settings(**changes: Any) -> Model:
    """Settings of a perceptron of one layer and 12 neurons with biases, which reads one-hot vectors."""
    tiny: dict[str, Any] = {
        "architecture": "mlp",
        "inputs": "one_hot",
        "d_model": 3 if changes.get("inputs") == "embedding" else 0,
        "n_heads": 0,
        "biases": "all",
        "positions": "none",
        "initialisation": "linear",
    }
    return model_settings(**(tiny | changes))


def optimiser_settings(**changes: Any) -> Optimiser:
    """Settings of AdamW with batches of 4 and a warm-up of 3 steps."""
    tiny: dict[str, Any] = {
        "optimiser": "adamw",
        "learning_rate": 1e-2,
        "warm_up": 3,
        "weight_decay": 0.5,
        "decay": "decoupled",
        "decay_on": "all",
        "beta1": 0.9,
        "beta2": 0.98,
        "epsilon": 1e-8,
        "momentum": 0.0,
        "gradient_noise": 0.0,
        "grokfast_alpha": 0.98,
        "grokfast_lambda": 0.0,
        "batch_size": 4,
        "loss": "cross_entropy",
        "loss_precision": "float32",
        "arithmetic": "reduced",
    }
    return Optimiser(**(tiny | changes))


def branch_of(parent: Condition, at: str = "step 6", **changes: Any) -> Branch:
    """A branch that lasts to the end and changes nothing, except for `lasts`, `then` or its intervention."""
    of_branch = {key: changes.pop(key) for key in ("lasts", "then") if key in changes}
    nothing = {"kick": 0.0, "mask": 0.0, "temperature": 1.0}
    nothing |= dict.fromkeys(("ignore_above", "noise_instead", "noise_examples", "batch_noise"))
    return Branch(
        parent, at, of_branch.get("lasts"), of_branch.get("then", "back"), Intervention(**(nothing | changes))
    )


def condition(
    steps: int = 12,
    checkpoints: Spacing | None = None,
    metrics: Spacing | None = None,
    model: Model | None = None,
    perturbation: float = 0.0,
    **optimiser: Any,
) -> Condition:
    """Condition of addition modulo 5 with the tiny network. Other keywords change its optimiser."""
    schedule = Schedule(steps, checkpoints or Spacing(log=2, every=5), metrics or Spacing(log=3, every=4))
    return Condition(
        task=Modular(("x+y",), MODULUS),
        split=split_settings(),
        model=model or model_settings(),
        perturbation=perturbation,
        optimiser=optimiser_settings(**optimiser),
        schedule=schedule,
    )


def addition(modulus: int = MODULUS, n_classes: int = MODULUS) -> dict[str, Examples]:
    """All examples of (a + b) mod n_classes. Two in every `modulus` of them validate."""
    a, b = torch.meshgrid(torch.arange(modulus), torch.arange(modulus), indexing="ij")
    a, b = a.flatten(), b.flatten()
    tokens = torch.stack([a, b, torch.full_like(a, modulus)], dim=1)
    labels = (a + b) % n_classes
    validates = (a + 2 * b) % modulus < 2
    return {
        "train": Examples(tokens[~validates], labels[~validates]),
        "validation": Examples(tokens[validates], labels[validates]),
    }


def random_transformer(
    d_vocab: int = 6, d_vocab_out: int = 5, seed: int = 0, dtype: torch.dtype = torch.float64, **settings: Any
) -> Transformer:
    """A tiny network with random numbers in every parameter, biases and layer norms included."""
    model = Transformer(model_settings(**settings), Vocabulary(2, d_vocab - 1, d_vocab_out)).to(dtype)
    _randomise(model, seed)
    return model


def random_perceptron(
    vocabulary: Vocabulary = VOCABULARY, seed: int = 0, dtype: torch.dtype = torch.float64, **settings: Any
) -> Perceptron:
    """A tiny perceptron with random numbers in every parameter."""
    model = Perceptron(mlp_settings(**settings), vocabulary).to(dtype)
    _randomise(model, seed)
    return model


def _randomise(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0.0, 0.5, generator=generator)


def random_examples(n: int = 10, d_vocab: int = 6, d_vocab_out: int = 5, seed: int = 0) -> Examples:
    """Random tokens (n, 3) and labels (n)."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(d_vocab, (n, 3), generator=generator)
    return Examples(tokens, torch.randint(d_vocab_out, (n,), generator=generator))


def random_questions(n: int = 10, n_symbols: int = 5, n_classes: int = 5, seed: int = 0) -> Examples:
    """Random pairs of symbols as tokens a b = (n, 3), and random labels (n)."""
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.randint(n_symbols, (n, 2), generator=generator)
    tokens = torch.cat([pairs, torch.full((n, 1), n_symbols)], dim=1)
    return Examples(tokens, torch.randint(n_classes, (n,), generator=generator))


def saliency_rows(layer: int = 0, site: str = "mlp", alive: Any = True, **statistics: Any) -> pd.DataFrame:
    """Rows of a saliency table: one place, training examples, the registered method.

    Args:
        layer, site: the place.
        alive: whether neurons fire on any training example, for all neurons or for each.
        statistics: statistics by name, one number per neuron. `mean_magnitude` is required. Others equal it unless
            they are given.
    """
    names = ("median", "median_magnitude", "q95_magnitude", "breadth")
    values = dict.fromkeys(names, statistics["mean_magnitude"]) | statistics
    frame = pd.DataFrame({name: np.asarray(column, dtype=float) for name, column in values.items()})
    key = {"split": "train", "layer": layer, "site": site, "neuron": range(len(frame)), "alive": alive}
    return frame.assign(**key, method="activation_gradient", target="right_minus_mean", normalisation="raw")


def two_units() -> tuple[Transformer, Examples]:
    """A network that can be worked out by hand, and three examples.

    Attention adds the embeddings (1, 0) of token 0, (0, 1) of token 1 and (0, 0) of "=". Their sum at the last position
    is x. Unit 0 is relu(x₀), and unit 1 is relu(x₁ − x₀). Each writes to its own coordinate, which W_U reads.

        example   label   x        neurons   residual   logits        right − mean
        0 0 =     0       (2, 0)   (2, 0)    (4, 0)     12,  0,  0    12 − 4 =  8
        0 1 =     1       (1, 1)   (1, 0)    (2, 1)      6,  0,  6     0 − 4 = −4
        1 1 =     2       (0, 2)   (0, 2)    (0, 4)      0,  0, 24    24 − 8 = 16
    """
    model = _summing_transformer(torch.eye(3, 2), d_vocab_out=3, d_mlp=2, biases="none")
    mlp = model.blocks[0].mlp
    _set(mlp.W_in, [[1.0, -1.0], [0.0, 1.0]])
    _set(mlp.W_out, [[1.0, 0.0], [0.0, 1.0]])
    _set(model.unembed.W_U, [[3.0, 0.0, 0.0], [0.0, 0.0, 6.0]])
    return model, Examples(torch.tensor([[0, 0, 2], [0, 1, 2], [1, 1, 2]]), torch.tensor([0, 1, 2]))


def lookup_table() -> tuple[Transformer, Examples]:
    """A network that memorises six examples with one unit each, and these examples in the order of the units.

    The examples are the pairs a < b of four symbols. Attention adds the embeddings, so unit {a, b} reads 2 on its own
    pair and at most 1 on another pair. Its value is relu(input − 1). It writes 1 to the logit of its label alone.
    """
    pairs = torch.combinations(torch.arange(4))
    labels = torch.tensor([2, 0, 1, 1, 2, 0])
    embedding = torch.zeros(5, 7)  # coordinates 0–3 are the symbols, 4–6 the classes
    embedding[:4, :4] = torch.eye(4)
    model = _summing_transformer(embedding, d_vocab_out=3, d_mlp=6, biases="mlp")
    mlp, units = model.blocks[0].mlp, torch.arange(6)
    with torch.no_grad():
        mlp.W_in[pairs[:, 0], units] = 1.0
        mlp.W_in[pairs[:, 1], units] = 1.0
        mlp.b_in.fill_(-1.0)
        mlp.W_out[units, 4 + labels] = 1.0
        model.unembed.W_U[4:] = torch.eye(3)
    return model, Examples(torch.cat([pairs, torch.full((6, 1), 4)], dim=1), labels)


def _summing_transformer(embedding: Tensor, d_vocab_out: int, d_mlp: int, biases: str) -> Transformer:
    """A float64 network of zeros, except that attention adds the three tokens' embeddings at the last position."""
    d_vocab, d_model = embedding.shape
    settings = model_settings(d_model=d_model, n_heads=1, d_mlp=d_mlp, biases=biases)
    model = Transformer(settings, Vocabulary(2, d_vocab - 1, d_vocab_out)).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.embed.W_E.copy_(embedding)
        attention = model.blocks[0].attn  # queries and keys are 0, so every position has weight 1/3
        attention.W_V.copy_(3.0 * torch.eye(d_model)[None])
        attention.W_O.copy_(torch.eye(d_model)[None])
    return model


def _set(weight: Tensor, values: list[list[float]]) -> None:
    with torch.no_grad():
        weight.copy_(torch.tensor(values))
