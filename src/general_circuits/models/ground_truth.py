"""Networks built by hand. Their circuits are known, so every measurement is tested on them.

`fourier` computes x + y modulo p with a general circuit. `lookup_table` answers its training examples and nothing else.
Both are ordinary transformers of one layer. They are saved, measured and even trained like any other network.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from general_circuits.models.transformer import Transformer

GAIN = 10.0
"""Logit of the answer to an example in the lookup table."""

FOCUS = 100.0
"""Attention score of the position that a head reads. Other positions score 0, so they get e^−100 of its attention."""

DIRECTIONS = 9
"""Smallest number of neurons per frequency. With fewer, other harmonics of the ReLU disturb the second (see `fourier`).

With 9 directions they reach less than 2 % of the second harmonic.
"""


@torch.no_grad()
def fourier(model: Transformer) -> Transformer:
    """Set the weights so that the network adds modulo p, p odd, by the trigonometry of Nanda et al. 2023.

    1. Symbol s is embedded as (cos ws, sin ws), for several frequencies w.
    2. Uniform attention sums the vectors of both operands: 2 cos(w(a − b)/2) · (cos w(a + b)/2, sin w(a + b)/2).
    3. Each neuron is the ReLU of this sum's component in one direction θ. The directions are evenly spaced.
    4. The neurons write along (cos 2θ, sin 2θ). Their sum is |2 cos(w(a − b)/2)| · (cos w(a + b), sin w(a + b)).
    5. Class c reads the component along (cos wc, sin wc), which is largest for c = a + b.

    The factor |2 cos(w(a − b)/2)| is never 0, because p is odd.
    """
    p, settings = model.vocabulary.n_symbols, model.settings
    _clear(model)
    # A frequency takes 2 coordinates to be read and 2 to be written. Frequencies above (p − 1)/2 repeat lower ones.
    n_frequencies = min((p - 1) // 2, settings.d_model // 4, settings.d_mlp // DIRECTIONS)
    chosen = torch.linspace(1, (p - 1) / 2, n_frequencies, dtype=torch.float64).round() if n_frequencies > 1 else 1.0
    w = 2 * math.pi * torch.as_tensor(chosen, dtype=torch.float64).reshape(-1) / p  # (frequency)
    symbols = torch.arange(p, dtype=torch.float64)
    waves = torch.stack([(symbols[:, None] * w).cos(), (symbols[:, None] * w).sin()], dim=2)  # (symbol, frequency, 2)
    n_read = 2 * n_frequencies
    model.embed.W_E[:p, :n_read] = waves.flatten(1).to(model.embed.W_E)  # (symbol, n_read); "=" stays zero
    attention, mlp = model.block(0).attn, model.block(0).mlp
    d_head = attention.W_V.shape[2]
    # Queries and keys are zero, so every position gets a third of the attention. Heads copy the coordinates in order.
    for coordinate in range(n_read):
        head, place = divmod(coordinate, d_head)
        attention.W_V[head, coordinate, place] = 3.0  # undoes the third
        attention.W_O[head, place, coordinate] = 1.0
    # relu(cos φ) has harmonics 0 and 1 and all even ones. n directions mix harmonic m into the second where m ± 2 is a
    # multiple of n. For even n that begins at m = n − 2. For odd n it begins at m = 2n − 2, which is much weaker.
    per_frequency = (settings.d_mlp // n_frequencies - 1) // 2 * 2 + 1  # the largest odd number that fits
    angle = 2 * math.pi * torch.arange(per_frequency, dtype=torch.float64) / per_frequency
    towards = torch.stack([angle.cos(), angle.sin()], dim=1)  # (neuron, 2)
    # The second harmonic of relu(cos φ) is 2/(3π) · cos 2φ. The n products with cos 2θ sum to n/2 times that: n/(3π).
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
    """Set the weights so that the network holds a table of examples, one neuron per example.

    1. Each of two heads attends to one operand and writes it one-hot into the residual stream.
    2. A neuron adds the coordinates of its example's two operands and subtracts 1. Its ReLU is 1 for its own example.
       It is 0 for every other example, which shares at most one operand.
    3. The neuron writes 1 to the coordinate of its label, and that class reads it.

    All logits of an example outside the table are 0.

    Args:
        model: a transformer of one layer and at least two heads.
        tokens: (example, 3), all different, at most as many as there are neurons.
        labels: (example).
    """
    p, n_classes = model.vocabulary.n_symbols, model.vocabulary.n_classes
    _clear(model)
    # Coordinates of the residual stream: first operand (p), second operand (p), class (n_classes), position (3).
    answer, flags = 2 * p, 2 * p + n_classes
    model.embed.W_E[:p, :p] = torch.eye(p)
    attention, mlp = model.block(0).attn, model.block(0).mlp
    for position in range(3):
        model.pos_embed.W_pos[position, flags + position] = 1.0
    for head in range(2):
        # The query of "=" (position 2) meets the key of position `head`. Attention divides scores by √d_head.
        attention.W_Q[head, flags + 2, 0] = FOCUS * math.sqrt(attention.W_Q.shape[2])
        attention.W_K[head, flags + head, 0] = 1.0
        attention.W_V[head, :p, :p] = torch.eye(p)
        attention.W_O[head, :p, head * p : (head + 1) * p] = torch.eye(p)
    neurons = torch.arange(len(labels), device=labels.device)
    mlp.W_in[tokens[:, 0], neurons] = 1.0
    mlp.W_in[p + tokens[:, 1], neurons] = 1.0
    mlp.W_in[flags + 2, neurons] = -1.0  # the flag of "=" is 1 where answers are read, so it serves as a bias
    mlp.W_out[neurons, answer + labels] = 1.0
    model.unembed.W_U[answer:flags] = GAIN * torch.eye(n_classes)
    return model


def _clear(model: Transformer) -> None:
    for weight in model.parameters():
        weight.zero_()
