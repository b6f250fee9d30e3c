"""Measures of a network's structure: concentration on few frequencies, tuned neurons, symmetry, effective rank."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from general_circuits.analysis import distribution_shape
from general_circuits.measurements.progress.components import ExamplesByAnswer, centred
from general_circuits.measurements.progress.harmonics import Part
from general_circuits.measurements.progress.solution import NONE
from general_circuits.models.layer import Layer
from general_circuits.models.network import Network, Place

Floats = NDArray[np.float64]

TUNED = 0.85
"""Share of a neuron's variance that one frequency explains if the neuron is tuned to it (Nanda et al. 2023)."""


def concentration(energy: Floats) -> dict[str, float]:
    """Return the Gini coefficient and the inverse participation ratio of energies (frequency).

    The Gini coefficient is 0 if all n energies are equal, and 1 − 1/n if one frequency has everything. The inverse
    participation ratio is 1/n and 1. Both are NaN if all energies are 0.
    """
    total = energy.sum()
    ratio = float(np.square(energy / total).sum()) if total > 0 else float("nan")
    return {"gini": float(distribution_shape.gini(energy)), "inverse_participation": ratio}


def embedding_energies(model: Network, examples: ExamplesByAnswer) -> Floats | None:
    """Return the energy of each frequency from 1 in the first operand's embedding, (frequency − 1).

    The embedding is a function of the element that the operand stands for. Without an embedding, the first layer's
    input weights take its place. None if operands stand for no elements, or are read as numbers.
    """
    solution = examples.solution
    if solution is None or solution.operands is None or model.settings.inputs == "ordinal":
        return None
    weights = dict(model.named_parameters())
    # A perceptron on one-hot vectors has a row of input weights per symbol, the first operand's symbols first.
    rows = weights["embed.W_E"] if "embed.W_E" in weights else weights["blocks.0.mlp.W_in"]
    vectors = _by_element(rows.detach().double().cpu().numpy(), solution.operands[0])
    return np.array([np.square(part.basis.T @ vectors).sum() for part in solution.parts[1:]])


def tuned_share(model: Network, examples: ExamplesByAnswer) -> float:
    """Return the share of the last layer's varying MLP units that are tuned to one frequency of both operands.

    A frequency explains what functions of either operand in it explain, and products of two such functions. NaN if
    operands stand for no elements, or if no unit varies.
    """
    solution = examples.solution
    if solution is None or solution.operands is None:
        return float("nan")
    place = Place(model.settings.n_layers - 1)
    units = Layer.at(model, examples.tokens, examples.labels, place).units[:, -1].double().cpu().numpy()
    # (example): the elements that both operands stand for.
    a, b = (element[examples.tokens[:, i].cpu().numpy()] for i, element in enumerate(solution.operands))
    explained, variance = explained_by_frequency(units, a, b, solution.parts)
    varies = variance > 0
    if not varies.any():
        return float("nan")
    return float((explained[:, varies].max(axis=0) >= TUNED * variance[varies]).mean())


def explained_by_frequency(
    units: Floats, a: NDArray[np.int64], b: NDArray[np.int64], parts: list[Part]
) -> tuple[Floats, Floats]:
    """Return the sums of squares of activations that each frequency explains.

    Args:
        units: activations, (example, neuron).
        a, b: the operands' elements, each (example). Every pair of elements is one example.
        parts: the parts of functions on the group, by frequency.

    Returns:
        Sums of squares explained by each frequency from 1, (frequency − 1, neuron), and those of everything but the
        constant, (neuron).
    """
    basis = np.concatenate([part.basis for part in parts], axis=1)  # (element, function)
    frequency = np.repeat(np.arange(len(parts)), [part.basis.shape[1] for part in parts])
    n = len(basis)
    grid = np.empty((n, n, units.shape[1]))  # (element of a, element of b, neuron)
    grid[a, b] = units
    # Products of the basis of a and the basis of b are an orthonormal basis of the functions of (a, b). Squared
    # coefficients, (function of a, function of b, neuron), therefore add up to the sum of squares.
    squares = np.square(np.einsum("xi,xyu,yj->iju", basis, grid, basis, optimize=True))
    squares[0, 0] = 0  # the constant
    explained = np.zeros((len(parts) - 1, units.shape[1]))
    for k in range(1, len(parts)):
        # With the constant among both factors: functions of a alone, of b alone, and products of both.
        here = np.flatnonzero((frequency == k) | (frequency == 0))
        explained[k - 1] = squares[np.ix_(here, here)].sum(axis=(0, 1))
    return explained, squares.sum(axis=(0, 1))


def symmetry_violation(logits: Tensor, tokens: Tensor) -> float:
    """Return how far answers to (a, b) are from answers to (b, a): Σ‖f(a, b) − f(b, a)‖² / 2Σ‖f‖².

    The sums are over examples a ≠ b with a mirror image, and f are logits less their mean over classes. The result is 0
    if both answers are equal, 1 if they have nothing to do with each other, and 2 if they are opposite. NaN if there
    are not two operands.

    Args:
        logits: (example, class).
        tokens: (example, n_inputs + 1).
    """
    if tokens.shape[1] != 3:
        return float("nan")
    n = int(tokens.max()) + 1
    a, b = tokens[:, 0], tokens[:, 1]
    # [a, b] = the example's number, or `NONE`.
    place = torch.full((n, n), NONE, device=tokens.device)
    place[a, b] = torch.arange(len(tokens), device=tokens.device)
    mirror = place[b, a]
    has_one = (mirror != NONE) & (a != b)
    f, g = centred(logits.double())[has_one], centred(logits.double())[mirror[has_one]]
    size = float(2 * f.square().sum())
    return float((f - g).square().sum()) / size if size > 0 else float("nan")


def effective_rank(weight: Tensor) -> float:
    """Return a matrix's effective rank (Roy & Vetterli 2007), from 1 to its smaller side.

    It is the exponential of the entropy of the singular values, taken as shares of their sum. A stack of matrices has
    the mean of their effective ranks. NaN for a matrix of zeros, or if a weight is not finite.
    """
    if not weight.isfinite().all():
        return float("nan")
    values = torch.linalg.svdvals(weight.detach().double())  # (…, singular value)
    shares = values / values.sum(dim=-1, keepdim=True)
    entropy = -torch.special.xlogy(shares, shares).sum(dim=-1)
    return float(entropy.exp().mean())


def _by_element(rows: Floats, operand: NDArray[np.int64]) -> Floats:
    """Sort rows (symbol, width) by the elements that the symbols stand for, (element, width)."""
    symbols = np.flatnonzero(operand != NONE)
    return rows[symbols[operand[symbols].argsort()]]
