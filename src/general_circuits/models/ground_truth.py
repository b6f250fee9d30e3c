"""Networks built by hand, whose circuits are known: what every measurement is tested on.

`fourier` computes x + y modulo p by a general circuit, and `lookup_table` knows its training examples and nothing else.
Both are transformers of one layer like any other, so that they are kept, measured and even trained like any other.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from general_circuits.models.transformer import Transformer

GAIN = 10.0
"""Logit of an answer that is known for sure."""

FOCUS = 100.0
"""Score of the position that a head attends to; the others have 0, and next to none of its attention."""


DIRECTIONS = 9
"""Least number of neurons per frequency. Harmonics that an odd number of directions, so many or more, cannot tell from
the second are below 2 % of it."""


@torch.no_grad()
def fourier(model: Transformer) -> Transformer:
    """Set the weights to those of x + y modulo p, p odd, by the trigonometry of Nanda et al. 2023.

    A symbol s is embedded as (cos ws, sin ws) for some frequencies w. Uniform attention adds both operands' vectors to
    2·cos(w(a − b)/2) · (cos w(a + b)/2, sin w(a + b)/2). Neurons are relu of its component in directions θ evenly
    around the circle; weighted with (cos 2θ, sin 2θ) they make a positive multiple of (cos w(a + b), sin w(a + b)), of
    which class c reads its component along (cos wc, sin wc). The largest is that of c = a + b.
    """
    p, settings = model.vocabulary.n_symbols, model.settings
    _clear(model)
    n_frequencies = min((p - 1) // 2, settings.d_model // 4, settings.d_mlp // DIRECTIONS)
    chosen = torch.linspace(1, (p - 1) / 2, n_frequencies, dtype=torch.float64).round() if n_frequencies > 1 else 1.0
    w = 2 * math.pi * torch.as_tensor(chosen, dtype=torch.float64).reshape(-1) / p  # (frequency)
    symbols = torch.arange(p, dtype=torch.float64)
    waves = torch.stack([(symbols[:, None] * w).cos(), (symbols[:, None] * w).sin()], dim=2)  # (symbol, frequency, 2)
    n_read = 2 * n_frequencies
    model.embed.W_E[:p, :n_read] = waves.flatten(1).to(model.embed.W_E)
    attention, mlp = model.block(0).attn, model.block(0).mlp
    d_head = attention.W_V.shape[2]
    for coordinate in range(n_read):
        head, place = divmod(coordinate, d_head)
        attention.W_V[head, coordinate, place] = 3.0  # a third of the attention is on each operand
        attention.W_O[head, place, coordinate] = 1.0
    per_frequency = (settings.d_mlp // n_frequencies - 1) // 2 * 2 + 1
    angle = 2 * math.pi * torch.arange(per_frequency, dtype=torch.float64) / per_frequency
    towards = torch.stack([angle.cos(), angle.sin()], dim=1)  # (neuron, 2)
    # relu(cos φ) has the second harmonic 2/3π · cos 2φ, and the sum over evenly spaced directions half their number.
    written = torch.stack([(2 * angle).cos(), (2 * angle).sin()], dim=1) * 3 * math.pi / per_frequency
    for frequency in range(n_frequencies):
        neurons = slice(frequency * per_frequency, (frequency + 1) * per_frequency)
        read = slice(2 * frequency, 2 * frequency + 2)
        write = slice(n_read + 2 * frequency, n_read + 2 * frequency + 2)
        mlp.W_in[read, neurons] = towards.T.to(mlp.W_in)
        mlp.W_out[neurons, write] = written.to(mlp.W_out)
        model.unembed.W_U[write] = (GAIN * waves[:, frequency].T).to(model.unembed.W_U)
    return model


@torch.no_grad()
def lookup_table(model: Transformer, tokens: Tensor, labels: Tensor) -> Transformer:
    """Set the weights to those of a table of examples, one neuron for each.

    Args:
        model: a transformer of one layer and two heads or more.
        tokens: (example, 3), all different, at most as many as there are neurons.
        labels: (example).

    Two heads attend to one operand each and write it down. A neuron sums what it sees of its own two operands, less 1:
    it is 1 for its example and 0 for every other. It writes 1 to its label, which that class reads. Other examples
    give all logits 0.
    """
    p, n_classes = model.vocabulary.n_symbols, model.vocabulary.n_classes
    _clear(model)
    answer, flags = 2 * p, 2 * p + n_classes  # coordinates: first operand, second, class, and which position it is
    model.embed.W_E[:p, :p] = torch.eye(p)
    attention, mlp = model.block(0).attn, model.block(0).mlp
    for position in range(3):
        model.pos_embed.W_pos[position, flags + position] = 1.0
    for head in range(2):
        attention.W_Q[head, flags + 2, 0] = FOCUS * math.sqrt(attention.W_Q.shape[2])
        attention.W_K[head, flags + head, 0] = 1.0
        attention.W_V[head, :p, :p] = torch.eye(p)
        attention.W_O[head, :p, head * p : (head + 1) * p] = torch.eye(p)
    neurons = torch.arange(len(labels), device=labels.device)
    mlp.W_in[tokens[:, 0], neurons] = 1.0
    mlp.W_in[p + tokens[:, 1], neurons] = 1.0
    mlp.W_in[flags + 2, neurons] = -1.0
    mlp.W_out[neurons, answer + labels] = 1.0
    model.unembed.W_U[answer:flags] = GAIN * torch.eye(n_classes)
    return model


def _clear(model: Transformer) -> None:
    for weight in model.parameters():
        weight.zero_()
