"""Initial weights, drawn as the published networks draw them. Every layer norm begins as the identity."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from general_circuits.models.settings import Model
from general_circuits.tasks.vocabulary import Vocabulary

Draw = Callable[[nn.Module, str, Tensor, torch.Generator], object]
"""Function that fills the weight of this module and name in place, or leaves it at zero."""


@torch.no_grad()
def initialise(network: nn.Module, settings: Model, vocabulary: Vocabulary, generator: torch.Generator) -> None:
    """Draw every weight from `generator`, in the order of `named_parameters`.

    Args:
        network: a network whose weights are named W_…, each with its bias b_… in the same module.
        settings: the key `initialisation` chooses the distribution:
            `normal`: normal. The standard deviation is 1/√d_vocab for the unembedding ("=" counts) and 1/√d_model for
            other weights. Biases are zero (Nanda et al. 2023).
            `linear`: linear maps and their biases as in `nn.Linear`, uniform within ±1/√fan-in. Embeddings as in
            `nn.Embedding`, normal with standard deviation 1.
            `multihead`: the same, except in attention. Queries, keys and values are as in `nn.MultiheadAttention`,
            uniform within ±√(6/(4 d_model)), and attention's biases are zero.
            `mean_field`: normal with standard deviation (16 d_mlp)^(−1/3). Biases are zero (Doshi et al. 2023).
        vocabulary: the symbols and classes of the task.
        generator: random stream on the CPU.
    """
    draw = _draw(settings, vocabulary)
    # Every weight takes its numbers from one stream, so this order is part of a replica's seed.
    for module in network.modules():
        for name, weight in module.named_parameters(recurse=False):
            if "_" in name:  # a layer norm's w and b have no underscore: they stay at 1 and 0
                draw(module, name, weight, generator)


@torch.no_grad()
def perturb(network: nn.Module, size: float, generator: torch.Generator) -> None:
    """Multiply every weight by 1 + size × z, where z is normal and drawn for each weight. Weights of 0 stay at 0.

    The product is computed in float64 and rounded once. In float32 the next number is 6e-8 to 1.2e-7 of a number's size
    away. A size of 1e-7 leaves one weight in three as it is, and moves nearly all others by one to three such steps.
    """
    for weight in network.parameters():
        z = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        weight.copy_(weight.double() * (1 + size * z))


def _draw(settings: Model, vocabulary: Vocabulary) -> Draw:
    if settings.initialisation == "normal":
        return _normal(settings.d_model**-0.5, unembedding=(vocabulary.n_symbols + 1) ** -0.5)
    if settings.initialisation == "mean_field":
        deviation = (16 * settings.d_mlp) ** (-1 / 3)
        return _normal(deviation, unembedding=deviation)
    return {"linear": linear, "multihead": multihead}[settings.initialisation]


def _normal(deviation: float, unembedding: float) -> Draw:
    def draw(module: nn.Module, name: str, weight: Tensor, generator: torch.Generator) -> None:
        if name.startswith("W_"):
            weight.normal_(0.0, unembedding if name == "W_U" else deviation, generator=generator)

    return draw


def linear(module: nn.Module, name: str, weight: Tensor, generator: torch.Generator) -> None:
    """Draw a weight as `nn.Linear` and `nn.Embedding` do."""
    if name in ("W_E", "W_pos"):
        weight.normal_(generator=generator)
    else:
        # nn.Linear calls kaiming_uniform_ with a = √5, and its bound √(6 / ((1 + 5) fan-in)) is 1/√fan-in.
        bound = fan_in(module, name) ** -0.5
        weight.uniform_(-bound, bound, generator=generator)


def multihead(module: nn.Module, name: str, weight: Tensor, generator: torch.Generator) -> None:
    """Draw a weight as `nn.MultiheadAttention` does in attention, and as `nn.Linear` elsewhere."""
    if name in ("W_Q", "W_K", "W_V"):
        # torch draws all three as one Xavier-uniform map from d_model to 3 d_model numbers, 4 d_model together.
        bound = (6 / (4 * fan_in(module, name))) ** 0.5
        weight.uniform_(-bound, bound, generator=generator)
    elif name not in ("b_Q", "b_K", "b_V", "b_O"):
        linear(module, name, weight, generator)


def fan_in(module: nn.Module, name: str) -> int:
    """Return how many inputs a linear map sums for each output. A bias has the fan-in of its map."""
    weight = getattr(module, f"W_{name[2:]}")
    # W_O (head, d_head, d_model) sums over all heads. W_Q, W_K and W_V (head, d_model, d_head) sum within one head.
    sums_over_heads = name[2:] == "O"
    return int(weight[..., 0].numel() if sums_over_heads else weight.shape[-2])
