"""How weights begin, as the networks of the field do. Layer norms begin as the identity everywhere."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from general_circuits.models.settings import Model
from general_circuits.tasks.vocabulary import Vocabulary

Draw = Callable[[nn.Module, str, Tensor, torch.Generator], object]
"""Fills the weight of this module and name, or leaves it at zero."""


@torch.no_grad()
def initialise(network: nn.Module, settings: Model, vocabulary: Vocabulary, generator: torch.Generator) -> None:
    """Draw every weight from `generator`, in the order of `named_parameters`.

    Args:
        network: whose weights are named W_…, with a bias b_… in the same module.
        settings: `initialisation` says which:
            `normal`, standard deviation 1/√d_model, of the unembedding 1/√d_vocab, "=" counted; biases zero (Nanda et
            al. 2023);
            `linear`, as torch's own `nn.Linear`, uniform up to ±1/√fan-in, biases too, and `nn.Embedding`, normal with
            standard deviation 1;
            `multihead`, the same, but queries, keys and values as in `nn.MultiheadAttention`, uniform up to
            ±√(6/(4 d_model)), and biases of attention zero;
            `mean_field`, normal with standard deviation (16 d_mlp)^(−1/3); biases zero (Doshi et al. 2023).
        vocabulary: what the network reads and answers.
        generator: on the CPU.
    """
    draw = _draw(settings, vocabulary)
    for module in network.modules():
        for name, weight in module.named_parameters(recurse=False):
            if "_" in name:  # but w and b of a layer norm
                draw(module, name, weight, generator)


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
    """As `nn.Linear` and `nn.Embedding` begin."""
    if name in ("W_E", "W_pos"):
        weight.normal_(generator=generator)
    else:
        bound = fan_in(module, name) ** -0.5
        weight.uniform_(-bound, bound, generator=generator)


def multihead(module: nn.Module, name: str, weight: Tensor, generator: torch.Generator) -> None:
    """As `nn.MultiheadAttention` begins, whose queries, keys and values are one map of d_model to 3 d_model numbers."""
    if name in ("W_Q", "W_K", "W_V"):
        bound = (6 / (4 * fan_in(module, name))) ** 0.5
        weight.uniform_(-bound, bound, generator=generator)
    elif name not in ("b_Q", "b_K", "b_V", "b_O"):
        linear(module, name, weight, generator)


def fan_in(module: nn.Module, name: str) -> int:
    """How many numbers a linear map adds up for each that it gives; of a bias, the map that it belongs to."""
    weight = getattr(module, f"W_{name[2:]}")
    of_all_heads = name[2:] == "O"  # (head, d_head, d_model), the other maps of a head (head, d_model, d_head)
    return int(weight[..., 0].numel() if of_all_heads else weight.shape[-2])
