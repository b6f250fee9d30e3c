"""Functions on a finite group, split into the parts that belong to its irreducible representations.

Of addition modulo p these are the frequencies of the Fourier transform; a group that does not commute has parts of more
dimensions in their place (Chughtai et al. 2023). A representation and its complex conjugate make one real part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from general_circuits.tasks.groups import Multiplication, inverses, neutral

Floats = NDArray[np.float64]

SAME = 1e-8
"""Eigenvalues closer than this belong to one part; they lie between −2 and 2 times their number."""


@dataclass(frozen=True)
class Part:
    """Functions that a group maps into themselves, however it shifts them, and no fewer of them.

    Attributes:
        frequency: its number; 0 are the constant functions. Of a cyclic group the k of cos(2πkj / n), of any other its
            place in ascending order of dimensions.
        basis: orthonormal, (element, dimension).
    """

    frequency: int
    basis: Floats

    @property
    def projector(self) -> Floats:
        """Onto these functions, (element, element): a multiple of the character of x⁻¹·y, real."""
        return self.basis @ self.basis.T


def parts(times: Multiplication) -> list[Part]:
    """All parts of a group's functions, by frequency: orthogonal, and together the whole space."""
    powers = _powers_of_a_generator(times)
    if powers is not None:
        places = np.empty(len(times), dtype=np.int64)
        places[powers] = np.arange(len(times))
        return [Part(k, basis[places]) for k, basis in enumerate(_waves(len(times)))]
    return [Part(k, basis) for k, basis in enumerate(_common_eigenspaces(times))]


def _powers_of_a_generator(times: Multiplication) -> NDArray[np.int64] | None:
    """Elements g⁰, g¹ … of the first g that generates the whole group, or None if none does."""
    n = len(times)
    powers = np.empty((n, n), dtype=np.int64)  # [j, g] = gʲ
    powers[0] = neutral(times)
    for j in range(1, n):
        powers[j] = times[powers[j - 1], np.arange(n)]
    generators = np.flatnonzero((powers[1:] != powers[0]).all(axis=0))
    return powers[:, generators[0]] if len(generators) else None


def _waves(n: int) -> Iterator[Floats]:
    """Orthonormal cosines and sines of each frequency on 0 … n − 1, (n, 1 or 2)."""
    angle = 2 * np.pi * np.arange(n) / n
    for k in range(n // 2 + 1):
        is_alone = k in (0, n / 2)  # its sine is 0
        waves = [np.cos(k * angle)] if is_alone else [np.cos(k * angle), np.sin(k * angle)]
        yield np.stack(waves, axis=1) * np.sqrt((1 if is_alone else 2) / n)


def _common_eigenspaces(times: Multiplication) -> list[Floats]:
    """Of all sums over classes of conjugate elements, with their inverses: one for each part.

    These sums commute with every shift, so by Schur's lemma each is a number on each part, and numbers drawn for the
    classes tell the parts apart.
    """
    n = len(times)
    elements = np.arange(n)
    inverse = inverses(times)
    conjugates = times[times, inverse[:, None]]  # [x, y] = x·y·x⁻¹
    representative = np.minimum(conjugates.min(axis=0), conjugates.min(axis=0)[inverse])
    drawn = np.random.default_rng(0).uniform(-1, 1, n)[representative] / np.bincount(representative)[representative]
    # f ↦ Σ_h drawn(h)·f(h⁻¹·y), symmetric since h and its inverse have one number.
    summed = np.zeros((n, n))
    for h in range(n):
        summed[elements, times[inverse[h]]] += drawn[h]
    values, vectors = np.linalg.eigh((summed + summed.T) / 2)
    ends = np.flatnonzero(np.diff(values) > SAME) + 1
    spaces = np.split(vectors, ends, axis=1)
    return sorted(spaces, key=lambda space: (not _is_constant(space), space.shape[1]))


def _is_constant(space: Floats) -> bool:
    return space.shape[1] == 1 and bool(np.ptp(space) < SAME)
