"""Parts that every kind of network shares. Weights carry TransformerLens' names."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "quadratic": torch.square,
}


class Embed(nn.Module):
    """Look up a vector for each token: tokens (…) → (…, d_model)."""

    def __init__(self, d_vocab: int, d_model: int) -> None:
        super().__init__()
        self.W_E = nn.Parameter(torch.empty(d_vocab, d_model))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.W_E[tokens]


class Unembed(nn.Module):
    """Last linear map, from the final activations to the logits: (…, width) → (…, d_vocab_out)."""

    def __init__(self, width: int, d_vocab_out: int, has_bias: bool) -> None:
        super().__init__()
        self.W_U = nn.Parameter(torch.empty(width, d_vocab_out))
        self.b_U = bias(d_vocab_out, exists=has_bias)

    def forward(self, x: Tensor) -> Tensor:
        out = x @ self.W_U
        return out if self.b_U is None else out + self.b_U


def bias(*shape: int, exists: bool) -> nn.Parameter | None:
    """Return a bias of zeros in this shape, or None for a map without a bias."""
    return nn.Parameter(torch.zeros(shape)) if exists else None
