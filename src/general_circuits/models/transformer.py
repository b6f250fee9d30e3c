"""Transformers in plain torch. Weights and activations carry TransformerLens' names.

Every position of every example is computed. Faster arithmetic (`training.reduced`) is tested against this reference.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from general_circuits.models.network import Network, Place, Site
from general_circuits.models.parts import ACTIVATIONS, Embed, Unembed, bias
from general_circuits.models.settings import Model
from general_circuits.tasks.vocabulary import Vocabulary


class PosEmbed(nn.Module):
    """One vector for each position, learned or fixed: (position, d_model)."""

    def __init__(self, n_ctx: int, d_model: int, kind: str) -> None:
        super().__init__()
        if kind == "learned":
            self.W_pos = nn.Parameter(torch.empty(n_ctx, d_model))
        else:
            self.register_buffer("W_pos", sinusoids(n_ctx, d_model), persistent=False)

    def forward(self) -> Tensor:
        return self.W_pos


class LayerNorm(nn.Module):
    """Layer norm over the last axis. While frozen, its gradient treats the scale as a constant."""

    eps = 1e-5

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(d_model))
        self.b = nn.Parameter(torch.zeros(d_model))
        self.is_frozen = False

    def forward(self, x: Tensor) -> Tensor:
        if self.is_frozen:
            # With the scale detached, the gradient is the gradient of an affine map (direct logit attribution).
            scale = (x.var(dim=-1, correction=0, keepdim=True) + self.eps).sqrt().detach()  # `hook_scale`
            return (x - x.mean(dim=-1, keepdim=True)) / scale * self.w + self.b
        return functional.layer_norm(x, self.w.shape, self.w, self.b, self.eps)


class Attention(nn.Module):
    """Causal multi-head attention."""

    def __init__(self, settings: Model) -> None:
        super().__init__()
        n_heads, d_model = settings.n_heads, settings.d_model
        d_head = d_model // n_heads
        self.W_Q = nn.Parameter(torch.empty(n_heads, d_model, d_head))
        self.W_K = nn.Parameter(torch.empty(n_heads, d_model, d_head))
        self.W_V = nn.Parameter(torch.empty(n_heads, d_model, d_head))
        self.W_O = nn.Parameter(torch.empty(n_heads, d_head, d_model))
        has_biases = settings.biases in ("blocks", "all")
        self.b_Q, self.b_K, self.b_V = (bias(n_heads, d_head, exists=has_biases) for _ in range(3))
        self.b_O = bias(d_model, exists=has_biases)

    def forward(self, x: Tensor) -> Tensor:
        return self.write(self.outputs(x))

    def outputs(self, x: Tensor) -> Tensor:
        """Return `hook_z`, the heads' outputs side by side: (example, position, d_model) → (…, head · d_head)."""
        q = _project(x, self.W_Q, self.b_Q)  # (example, head, position, d_head)
        k = _project(x, self.W_K, self.b_K)
        v = _project(x, self.W_V, self.b_V)
        attn_scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (example, head, query, key)
        future = torch.ones(attn_scores.shape[-2:], dtype=torch.bool, device=x.device).triu(diagonal=1)
        pattern = attn_scores.masked_fill(future, float("-inf")).softmax(dim=-1)
        # (example, head, query, d_head) → (example, query, head, d_head) → (example, query, head · d_head)
        return (pattern @ v).transpose(1, 2).flatten(2)

    def write(self, z: Tensor) -> Tensor:
        """Return `hook_attn_out`, which the heads add to the residual stream: (…, head · d_head) → (…, d_model)."""
        out = z @ self.W_O.flatten(0, 1)  # W_O as (head · d_head, d_model) sums over heads too
        return out if self.b_O is None else out + self.b_O


class MLP(nn.Module):
    """One layer of neurons that reads from the residual stream and writes to it."""

    def __init__(self, settings: Model) -> None:
        super().__init__()
        self.W_in = nn.Parameter(torch.empty(settings.d_model, settings.d_mlp))
        self.b_in = bias(settings.d_mlp, exists=settings.biases != "none")
        self.W_out = nn.Parameter(torch.empty(settings.d_mlp, settings.d_model))
        self.b_out = bias(settings.d_model, exists=settings.biases != "none")
        self.activation = ACTIVATIONS[settings.activation]

    def post(self, x: Tensor) -> Tensor:
        """Return `hook_post`, the neurons after the activation: (…, d_model) → (…, d_mlp)."""
        pre = x @ self.W_in
        return self.activation(pre if self.b_in is None else pre + self.b_in)

    def write(self, post: Tensor) -> Tensor:
        """Return `hook_mlp_out`, which the neurons add to the residual stream: (…, d_mlp) → (…, d_model)."""
        out = post @ self.W_out
        return out if self.b_out is None else out + self.b_out


class Block(nn.Module):
    """Attention, then MLP. The steps are separate methods, so that a measurement can step in at either set of neurons.

    `normalisation: pre` normalises what each part reads. `post` normalises the residual stream after each part.
    """

    def __init__(self, settings: Model) -> None:
        super().__init__()
        self.attn = Attention(settings)
        self.mlp = MLP(settings)
        self.normalisation = settings.normalisation
        if self.normalisation != "none":
            self.ln1 = LayerNorm(settings.d_model)
            self.ln2 = LayerNorm(settings.d_model)

    def head_outputs(self, resid_pre: Tensor) -> Tensor:
        """Return the heads' outputs `z`, (example, position, head · d_head)."""
        return self.attn.outputs(self.ln1(resid_pre) if self.normalisation == "pre" else resid_pre)

    def attend(self, resid_pre: Tensor, z: Tensor) -> Tensor:
        """Add the heads' outputs `z` to `resid_pre`. Return `resid_mid`, (example, position, d_model)."""
        resid_mid = resid_pre + self.attn.write(z)
        return self.ln1(resid_mid) if self.normalisation == "post" else resid_mid

    def mlp_in(self, resid_mid: Tensor) -> Tensor:
        """Return the input of W_in, (example, position, d_model). With a norm it is `ln2.hook_normalized`."""
        return self.ln2(resid_mid) if self.normalisation == "pre" else resid_mid

    def neurons(self, resid_mid: Tensor) -> Tensor:
        """Return the neurons after the activation, (example, position, d_mlp)."""
        return self.mlp.post(self.mlp_in(resid_mid))

    def join(self, resid_mid: Tensor, mlp_out: Tensor) -> Tensor:
        """Add `mlp_out` to `resid_mid`. Return `resid_post`, (example, position, d_model)."""
        resid_post = resid_mid + mlp_out
        return self.ln2(resid_post) if self.normalisation == "post" else resid_post

    def forward(self, resid_pre: Tensor) -> Tensor:
        resid_mid = self.attend(resid_pre, self.head_outputs(resid_pre))
        return self.join(resid_mid, self.mlp.write(self.neurons(resid_mid)))


class Transformer(Network):
    """Decoder-only transformer over a short sequence of tokens. The answer is read at the last position."""

    sites: tuple[Site, ...] = ("mlp", "head_outputs", "heads")

    def __init__(self, settings: Model, vocabulary: Vocabulary) -> None:
        super().__init__(settings, vocabulary)
        d_vocab, n_ctx = vocabulary.n_symbols + 1, vocabulary.n_inputs + 1
        self.embed = Embed(d_vocab, settings.d_model)
        self.pos_embed = PosEmbed(n_ctx, settings.d_model, settings.positions)
        self.blocks = nn.ModuleList(Block(settings) for _ in range(settings.n_layers))
        if settings.normalisation == "pre":
            self.ln_final = LayerNorm(settings.d_model)
        self.unembed = Unembed(settings.d_model, vocabulary.n_classes, settings.biases == "all")

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits (example, position, d_vocab_out) of tokens (example, position)."""
        resid = self.read(tokens)
        for block in self.blocks:
            resid = block(resid)
        return self.read_out(resid)

    def read(self, tokens: Tensor) -> Tensor:
        return self.embed(tokens) + self.pos_embed()

    def blank(self, tokens: Tensor) -> Tensor:
        # Positions and "=" stay, because they are the same in every example.
        embedded = self.embed(tokens)
        return torch.cat([torch.zeros_like(embedded[:, :-1]), embedded[:, -1:]], dim=1) + self.pos_embed()

    def read_out(self, resid: Tensor) -> Tensor:
        """Return the logits at every position, from the residual stream after the last block."""
        return self.unembed(self.ln_final(resid) if self.settings.normalisation == "pre" else resid)

    def answer(self, tokens: Tensor) -> Tensor:
        return self(tokens)[:, -1]

    def run_to(self, x: Tensor, place: Place) -> tuple[Tensor, Tensor]:
        for block in self.blocks[: place.layer]:
            x = block(x)
        here = self.block(place.layer)
        z = here.head_outputs(x)
        # Attention is the only step that mixes positions. After the last one, the other positions cannot matter.
        if self.is_last(place):
            x, z = x[:, -1:], z[:, -1:]
        if place.site != "mlp":
            return x, z  # `resid_pre` bypasses the heads
        resid_mid = here.attend(x, z)
        return resid_mid, here.neurons(resid_mid)  # `resid_mid` bypasses the MLP

    def answer_from(self, past: Tensor, units: Tensor, place: Place) -> Tensor:
        here = self.block(place.layer)
        if place.site != "mlp":
            past = here.attend(past, units)
            units = here.neurons(past)
        return self.answer_from_written(past, self.write(units, place), place)

    def neuron_inputs(self, x: Tensor, place: Place) -> Tensor:
        resid_mid, _ = self.run_to(x, place)
        return self.block(place.layer).mlp_in(resid_mid)

    def neuron_weights(self, place: Place) -> dict[str, int]:
        mlp = f"blocks.{place.layer}.mlp"
        biases = {} if self.settings.biases == "none" else {f"{mlp}.b_in": 0}
        return {f"{mlp}.W_in": 1, **biases, f"{mlp}.W_out": 0}

    def write(self, units: Tensor, place: Place) -> Tensor:
        return self.block(place.layer).mlp.write(units)

    def answer_from_written(self, past: Tensor, written: Tensor, place: Place) -> Tensor:
        resid = self.block(place.layer).join(past, written)
        for block in self.blocks[place.layer + 1 :]:
            resid = block(resid)
        return self.read_out(resid)[:, -1]

    @contextmanager
    def frozen_norms(self) -> Iterator[None]:
        norms = [part for part in self.modules() if isinstance(part, LayerNorm)]
        for norm in norms:
            norm.is_frozen = True
        try:
            yield
        finally:
            for norm in norms:
                norm.is_frozen = False

    def weight_norms(self, place: Place) -> Tensor:
        here = self.block(place.layer)
        if place.site == "mlp":
            return here.mlp.W_in.norm(dim=0) * here.mlp.W_out.norm(dim=1)
        W_V, W_O = here.attn.W_V, here.attn.W_O  # (head, d_model, d_head), (head, d_head, d_model)
        if place.site == "heads":
            return W_V.flatten(1).norm(dim=1) * W_O.flatten(1).norm(dim=1)
        return (W_V.norm(dim=1) * W_O.norm(dim=2)).flatten()  # (head, d_head) → (head · d_head)

    def block(self, layer: int) -> Block:
        """Return one block, counted from the input."""
        return cast(Block, self.blocks[layer])

    def _logit_weights(self) -> Tensor:
        return self.block(self.settings.n_layers - 1).mlp.W_out @ self.unembed.W_U


def sinusoids(n_ctx: int, d_model: int) -> Tensor:
    """Return fixed position vectors (n_ctx, d_model): sines and cosines in turn (Vaswani et al. 2017, section 3.5)."""
    frequencies = 10_000.0 ** (-torch.arange(0, d_model, 2) / d_model)
    angles = torch.arange(n_ctx).unsqueeze(1) * frequencies  # (n_ctx, ⌈d_model / 2⌉)
    table = torch.empty(n_ctx, d_model)
    table[:, 0::2] = angles.sin()
    table[:, 1::2] = angles.cos()[:, : d_model // 2]
    return table


def _project(x: Tensor, weight: Tensor, shift: Tensor | None) -> Tensor:
    """Project every position for every head: (example, position, d_model) → (example, head, position, d_head)."""
    n_heads, d_model, d_head = weight.shape
    # One matrix product for all heads: (head, d_model, d_head) → (d_model, head · d_head).
    projected = x @ weight.transpose(0, 1).reshape(d_model, n_heads * d_head)
    projected = projected.unflatten(-1, (n_heads, d_head)).transpose(1, 2)
    return projected if shift is None else projected + shift.unsqueeze(1)
