"""Networks made of torch's own layers. Ours are tested against them, and they share no code."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Square(nn.Module):
    """Quadratic activation."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x


ACTIVATIONS = {"relu": nn.ReLU(), "gelu": nn.GELU(), "quadratic": Square()}


class PlainBlock(nn.Module):
    """Attention and MLP with one of the three normalisations."""

    def __init__(self, settings) -> None:
        super().__init__()
        d_model, d_mlp = settings.d_model, settings.d_mlp
        self.normalisation = settings.normalisation
        self.attention = nn.MultiheadAttention(
            d_model, settings.n_heads, bias=settings.biases in ("blocks", "all"), batch_first=True
        )
        self.into = nn.Linear(d_model, d_mlp, bias=settings.biases != "none")
        self.activation = ACTIVATIONS[settings.activation]
        self.out = nn.Linear(d_mlp, d_model, bias=settings.biases != "none")
        if self.normalisation != "none":
            self.first, self.second = nn.LayerNorm(d_model), nn.LayerNorm(d_model)

    def attend(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, attn_mask=torch.ones(3, 3).triu(1).bool(), need_weights=False)[0]

    def mlp(self, x: Tensor) -> Tensor:
        return self.out(self.activation(self.into(x)))

    def forward(self, x: Tensor) -> Tensor:
        if self.normalisation == "pre":
            x = x + self.attend(self.first(x))
            return x + self.mlp(self.second(x))
        if self.normalisation == "post":
            x = self.first(x + self.attend(x))
            return self.second(x + self.mlp(x))
        x = x + self.attend(x)
        return x + self.mlp(x)


class PlainTransformer(nn.Module):
    """Transformer that computes the same function of the tokens as ours."""

    def __init__(self, settings, d_vocab: int, d_vocab_out: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(d_vocab, settings.d_model)
        self.positions = nn.Embedding(3, settings.d_model)
        self.blocks = nn.Sequential(*(PlainBlock(settings) for _ in range(settings.n_layers)))
        self.final = nn.LayerNorm(settings.d_model) if settings.normalisation == "pre" else nn.Identity()
        self.read = nn.Linear(settings.d_model, d_vocab_out, bias=settings.biases == "all")

    def forward(self, tokens: Tensor) -> Tensor:
        return self.read(self.final(self.blocks(self.tokens(tokens) + self.positions(torch.arange(3)))))


def in_plain_layout(ours: dict[str, Tensor], settings) -> dict[str, Tensor]:
    """Rename and reshape our weights, or their gradients, to those of `PlainTransformer`."""
    plain = {"tokens.weight": ours["embed.W_E"], "read.weight": ours["unembed.W_U"].T}
    if settings.positions == "learned":
        plain["positions.weight"] = ours["pos_embed.W_pos"]
    renamed = {"unembed.b_U": "read.bias", "ln_final.w": "final.weight", "ln_final.b": "final.bias"}
    for i in range(settings.n_layers):
        block = {name.removeprefix(f"blocks.{i}."): weight for name, weight in ours.items()}
        # (head, d_model, d_head) → (head · d_head, d_model), queries above keys above values
        projections = [block[f"attn.W_{x}"].transpose(1, 2).flatten(0, 1) for x in "QKV"]
        plain[f"blocks.{i}.attention.in_proj_weight"] = torch.cat(projections)
        plain[f"blocks.{i}.attention.out_proj.weight"] = block["attn.W_O"].flatten(0, 1).T
        if settings.biases in ("blocks", "all"):
            plain[f"blocks.{i}.attention.in_proj_bias"] = torch.cat([block[f"attn.b_{x}"].flatten() for x in "QKV"])
        plain[f"blocks.{i}.into.weight"] = block["mlp.W_in"].T
        plain[f"blocks.{i}.out.weight"] = block["mlp.W_out"].T
        renamed |= {
            f"blocks.{i}.attn.b_O": f"blocks.{i}.attention.out_proj.bias",
            f"blocks.{i}.mlp.b_in": f"blocks.{i}.into.bias",
            f"blocks.{i}.mlp.b_out": f"blocks.{i}.out.bias",
            f"blocks.{i}.ln1.w": f"blocks.{i}.first.weight",
            f"blocks.{i}.ln1.b": f"blocks.{i}.first.bias",
            f"blocks.{i}.ln2.w": f"blocks.{i}.second.weight",
            f"blocks.{i}.ln2.b": f"blocks.{i}.second.bias",
        }
    return plain | {theirs: ours[name] for name, theirs in renamed.items() if name in ours}


def waves(n_ctx: int, d_model: int) -> Tensor:
    """Compute sinusoidal positions entry by entry, as in Vaswani et al. 2017, section 3.5."""
    table = torch.empty(n_ctx, d_model, dtype=torch.float64)
    for position in range(n_ctx):
        for i in range(d_model):
            angle = position / 10_000 ** (2 * (i // 2) / d_model)
            table[position, i] = math.cos(angle) if i % 2 else math.sin(angle)
    return table


class PlainPerceptron(nn.Module):
    """Perceptron that computes the same function of the inputs as ours. It does not get "="."""

    def __init__(self, settings, vocabulary) -> None:
        super().__init__()
        self.settings, self.vocabulary = settings, vocabulary
        width = {"one_hot": vocabulary.n_symbols, "embedding": settings.d_model, "ordinal": 1}[settings.inputs]
        if settings.inputs == "embedding":
            self.symbols = nn.Embedding(vocabulary.n_symbols, width)
        layers, width = [], width * vocabulary.n_inputs
        for _ in range(settings.n_layers):
            layers += [
                nn.Linear(width, settings.d_mlp, bias=settings.biases != "none"),
                ACTIVATIONS[settings.activation],
            ]
            width = settings.d_mlp
        n_outputs = 1 if settings.outputs == "sign" else vocabulary.n_classes
        self.layers = nn.Sequential(*layers)
        self.read = nn.Linear(width, n_outputs, bias=settings.biases == "all")

    def forward(self, inputs: Tensor) -> Tensor:
        out = self.read(self.layers(self.vectors(inputs)))
        return torch.cat([-out / 2, out / 2], dim=1) if self.settings.outputs == "sign" else out

    def vectors(self, inputs: Tensor) -> Tensor:
        n, columns = self.vocabulary.n_symbols, inputs.unbind(dim=1)
        if self.settings.inputs == "embedding":
            return torch.cat([self.symbols(column) for column in columns], dim=1)
        dtype = self.read.weight.dtype
        if self.settings.inputs == "one_hot":
            return torch.cat([torch.eye(n, dtype=dtype)[column] for column in columns], dim=1)
        return torch.linspace(-1, 1, n, dtype=dtype)[inputs]


def in_plain_perceptron(ours: dict[str, Tensor], settings) -> dict[str, Tensor]:
    """Rename and reshape our weights, or their gradients, to those of `PlainPerceptron`."""
    renamed = {"embed.W_E": "symbols.weight", "unembed.W_U": "read.weight", "unembed.b_U": "read.bias"}
    for i in range(settings.n_layers):
        renamed[f"blocks.{i}.mlp.W_in"] = f"layers.{2 * i}.weight"
        renamed[f"blocks.{i}.mlp.b_in"] = f"layers.{2 * i}.bias"
    return {
        theirs: ours[name].T if name.endswith(("W_in", "W_U")) else ours[name]
        for name, theirs in renamed.items()
        if name in ours
    }
