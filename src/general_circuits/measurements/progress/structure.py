"""One number each for how concentrated a network's solution is, and how alike its answers to mirror images are."""

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
"""A neuron is tuned to one frequency if that explains so much of its variance (Nanda et al. 2023)."""


def concentration(energy: Floats) -> dict[str, float]:
    """Gini coefficient and inverse participation ratio of energies (frequency): 1/n where all are alike, 1 where one
    has everything. NaN without any."""
    total = energy.sum()
    ratio = float(np.square(energy / total).sum()) if total > 0 else float("nan")
    return {"gini": float(distribution_shape.gini(energy)), "inverse_participation": ratio}


def embedding_energies(model: Network, examples: ExamplesByAnswer) -> Floats | None:
    """Of the first operand's vectors as functions of the element it stands for, by frequency from 1, (frequency − 1).

    None where operands stand for no elements, or are read as numbers.
    """
    solution = examples.solution
    if solution is None or solution.operands is None or model.settings.inputs == "ordinal":
        return None
    weights = dict(model.named_parameters())
    rows = weights["embed.W_E"] if "embed.W_E" in weights else weights["blocks.0.mlp.W_in"]
    vectors = _by_element(rows.detach().double().cpu().numpy(), solution.operands[0])
    return np.array([np.square(part.basis.T @ vectors).sum() for part in solution.parts[1:]])


def tuned_share(model: Network, examples: ExamplesByAnswer) -> float:
    """Share of the last layer's MLP units, of those that vary, tuned to one frequency of both operands.

    What one frequency explains are functions of either operand in it, and their products. NaN where operands stand for
    no elements.
    """
    solution = examples.solution
    if solution is None or solution.operands is None:
        return float("nan")
    place = Place(model.settings.n_layers - 1)
    units = Layer.at(model, examples.tokens, examples.labels, place).units[:, -1].double().cpu().numpy()
    a, b = (of[examples.tokens[:, i].cpu().numpy()] for i, of in enumerate(solution.operands))
    explained, variance = explained_by_frequency(units, a, b, solution.parts)
    varies = variance > 0
    if not varies.any():
        return float("nan")
    return float((explained[:, varies].max(axis=0) >= TUNED * variance[varies]).mean())


def explained_by_frequency(
    units: Floats, a: NDArray[np.int64], b: NDArray[np.int64], parts: list[Part]
) -> tuple[Floats, Floats]:
    """Of activations (example, neuron), where every pair of elements a, b (example) is one example.

    Returns:
        The sums of squares in each frequency from 1, (frequency − 1, neuron), and all but the constant's, (neuron).
    """
    basis = np.concatenate([part.basis for part in parts], axis=1)  # (element, function)
    frequency = np.repeat(np.arange(len(parts)), [part.basis.shape[1] for part in parts])
    n = len(basis)
    grid = np.empty((n, n, units.shape[1]))
    grid[a, b] = units
    squares = np.square(np.einsum("xi,xyu,yj->iju", basis, grid, basis, optimize=True))
    squares[0, 0] = 0  # the constant
    explained = np.zeros((len(parts) - 1, units.shape[1]))
    for k in range(1, len(parts)):
        here = np.flatnonzero((frequency == k) | (frequency == 0))
        explained[k - 1] = squares[np.ix_(here, here)].sum(axis=(0, 1))
    return explained, squares.sum(axis=(0, 1))


def symmetry_violation(logits: Tensor, tokens: Tensor) -> float:
    """How far f(a, b) is from f(b, a): Σ‖f(a, b) − f(b, a)‖² / 2Σ‖f‖² over pairs with a mirror image.

    0 where they are equal, 1 where they have nothing to do with each other. NaN where there are not two operands.

    Args:
        logits: (example, class).
        tokens: (example, n_inputs + 1).
    """
    if tokens.shape[1] != 3:
        return float("nan")
    n = int(tokens.max()) + 1
    a, b = tokens[:, 0], tokens[:, 1]
    place = torch.full((n, n), NONE, device=tokens.device)
    place[a, b] = torch.arange(len(tokens), device=tokens.device)
    mirror = place[b, a]
    has_one = (mirror != NONE) & (a != b)
    f, g = centred(logits.double())[has_one], centred(logits.double())[mirror[has_one]]
    size = float(2 * f.square().sum())
    return float((f - g).square().sum()) / size if size > 0 else float("nan")


def effective_rank(weight: Tensor) -> float:
    """Exponential of the entropy of a matrix' singular values (Roy & Vetterli 2007): from 1 to its smaller side.

    Of a stack of matrices, the mean. NaN of a matrix of zeros, or of what is not finite.
    """
    if not weight.isfinite().all():
        return float("nan")
    values = torch.linalg.svdvals(weight.detach().double())  # (…, singular value)
    shares = values / values.sum(dim=-1, keepdim=True)
    entropy = -torch.special.xlogy(shares, shares).sum(dim=-1)
    return float(entropy.exp().mean())


def _by_element(rows: Floats, operand: NDArray[np.int64]) -> Floats:
    """Rows (symbol, width) in the order of the elements that symbols stand for, (element, width)."""
    symbols = np.flatnonzero(operand != NONE)
    return rows[symbols[operand[symbols].argsort()]]
