"""Multilayer perceptrons in plain torch. Weights carry TransformerLens' names."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from general_circuits.models.network import Network, Place, Site
from general_circuits.models.parts import ACTIVATIONS, Embed, Unembed, bias
from general_circuits.models.settings import Model
from general_circuits.tasks.vocabulary import Vocabulary


class Neurons(nn.Module):
    """Hidden layer: (example, width) → (example, d_mlp)."""

    def __init__(self, width: int, settings: Model) -> None:
        super().__init__()
        self.W_in = nn.Parameter(torch.empty(width, settings.d_mlp))
        self.b_in = bias(settings.d_mlp, exists=settings.biases != "none")
        self.activation = ACTIVATIONS[settings.activation]

    def pre(self, x: Tensor) -> Tensor:
        """Return the neurons before the activation, TransformerLens' `hook_pre`: (…, width) → (…, d_mlp)."""
        pre = x @ self.W_in
        return pre if self.b_in is None else pre + self.b_in

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.pre(x))


class Block(nn.Module):
    """Holder of one hidden layer, so that its weights are named as a transformer's: `blocks.0.mlp.W_in`."""

    def __init__(self, width: int, settings: Model) -> None:
        super().__init__()
        self.mlp = Neurons(width, settings)


class Perceptron(Network):
    """Multilayer perceptron that reads all inputs at once. It ignores "=", which is the same in every example.

    Measurements see one position. No path bypasses the neurons, so `past` is empty: (example, 1, 0).

    Each input becomes a vector, and the vectors are concatenated. `inputs` chooses the vector:
        `one_hot`: one coordinate per symbol;
        `embedding`: a learned vector per symbol, the same for all inputs;
        `ordinal`: one number from −1 (first symbol) to 1 (last symbol), so that a bit is ±1.

    With `outputs: sign` there is one output f for two classes. Their logits are −f/2 and f/2. So f is the log-odds of
    the second class, and the sign of f is the answer.
    """

    sites: tuple[Site, ...] = ("mlp",)

    def __init__(self, settings: Model, vocabulary: Vocabulary) -> None:
        super().__init__(settings, vocabulary)
        if settings.inputs == "embedding":
            self.embed = Embed(vocabulary.n_symbols, settings.d_model)
        widths = [settings.input_width(vocabulary)] + [settings.d_mlp] * (settings.n_layers - 1)
        self.blocks = nn.ModuleList(Block(width, settings) for width in widths)
        n_outputs = 1 if settings.outputs == "sign" else vocabulary.n_classes
        self.unembed = Unembed(settings.d_mlp, n_outputs, settings.biases == "all")

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (example, n_inputs + 1) → logits (example, n_classes)."""
        return self._read_out(self._run(self.read(tokens), range(self.settings.n_layers)))

    def answer(self, tokens: Tensor) -> Tensor:
        return self(tokens)

    def read(self, tokens: Tensor) -> Tensor:
        """Return the concatenated vectors of the inputs: tokens (example, n_inputs + 1) → (example, input width)."""
        symbols, n, dtype = tokens[:, :-1], self.vocabulary.n_symbols, self.unembed.W_U.dtype  # (example, n_inputs)
        if self.settings.inputs == "embedding":
            return self.embed(symbols).flatten(1)  # (example, n_inputs · d_model)
        if self.settings.inputs == "one_hot":
            return functional.one_hot(symbols, n).flatten(1).to(dtype)  # (example, n_inputs · n_symbols)
        return 2 * symbols.to(dtype) / (n - 1) - 1  # (example, n_inputs)

    def blank(self, tokens: Tensor) -> Tensor:
        return torch.zeros_like(self.read(tokens))

    def run_to(self, x: Tensor, place: Place) -> tuple[Tensor, Tensor]:
        post = self._run(x, range(place.layer + 1)).unsqueeze(1)  # (example, 1, d_mlp)
        return post.new_empty(len(post), 1, 0), post

    def answer_from(self, past: Tensor, units: Tensor, place: Place) -> Tensor:
        return self.answer_from_written(past, self.write(units, place), place)

    def neuron_inputs(self, x: Tensor, place: Place) -> Tensor:
        return self._run(x, range(place.layer)).unsqueeze(1)

    def neuron_weights(self, place: Place) -> dict[str, int]:
        mlp = f"blocks.{place.layer}.mlp"
        biases = {} if self.settings.biases == "none" else {f"{mlp}.b_in": 0}
        # There is no W_out: a layer's neurons are read by the next layer's W_in, or by the unembedding.
        outward = "unembed.W_U" if self.is_last(place) else f"blocks.{place.layer + 1}.mlp.W_in"
        return {f"{mlp}.W_in": 1, **biases, outward: 0}

    def write(self, units: Tensor, place: Place) -> Tensor:
        post = units.squeeze(1)
        return (self.unembed(post) if self.is_last(place) else self._mlp(place.layer + 1).pre(post)).unsqueeze(1)

    def answer_from_written(self, past: Tensor, written: Tensor, place: Place) -> Tensor:
        if self.is_last(place):
            return self._logits(written.squeeze(1))
        # `written` is the next layer before its activation, so that layer is not run again.
        post = self.activation(written.squeeze(1))
        return self._read_out(self._run(post, range(place.layer + 2, self.settings.n_layers)))

    def weight_norms(self, place: Place) -> Tensor:
        outward = self.unembed.W_U if self.is_last(place) else self._mlp(place.layer + 1).W_in
        return self._mlp(place.layer).W_in.norm(dim=0) * outward.norm(dim=1)

    def _mlp(self, layer: int) -> Neurons:
        return cast(Block, self.blocks[layer]).mlp

    def _run(self, x: Tensor, layers: range) -> Tensor:
        """Run `x` through these layers, (example, width) → (example, d_mlp)."""
        for layer in layers:
            x = self._mlp(layer)(x)
        return x

    def _read_out(self, post: Tensor) -> Tensor:
        """Return the logits (example, n_classes) of the last layer's neurons (example, d_mlp)."""
        return self._logits(self.unembed(post))

    def _logit_weights(self) -> Tensor:
        return self._logits(self.unembed.W_U)

    def _logits(self, out: Tensor) -> Tensor:
        """Map the outputs (…, output) to logits (…, n_classes). The map is linear, so it also maps W_U's rows."""
        return out * out.new_tensor([-0.5, 0.5]) if self.settings.outputs == "sign" else out
