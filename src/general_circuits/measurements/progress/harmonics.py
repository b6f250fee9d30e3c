"""Functions on a finite group, split into the parts that belong to its irreducible representations.

For addition modulo p the parts are the frequencies of the Fourier transform. A group that does not commute has parts of
more dimensions instead (Chughtai et al. 2023). A representation and its complex conjugate make one real part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from general_circuits.tasks.groups import Multiplication, inverses, neutral

Floats = NDArray[np.float64]

SAME = 1e-8
"""Largest gap between eigenvalues of one part. In size they are at most the number of conjugacy classes."""


@dataclass(frozen=True)
class Part:
    """Smallest space of real functions that every shift of the group, from left or right, maps into itself.

    Attributes:
        frequency: the part's number; part 0 has the constant functions. In a cyclic group it is the k of cos(2πkj / n),
            in any other group the part's place in ascending order of dimensions.
        basis: orthonormal functions, (element, dimension).
    """

    frequency: int
    basis: Floats

    @property
    def projector(self) -> Floats:
        """Return the projector onto these functions, (element, element): a real multiple of the character of x⁻¹·y."""
        return self.basis @ self.basis.T


def parts(times: Multiplication) -> list[Part]:
    """Return all parts of a group's functions, by frequency: orthogonal spaces that together hold every function."""
    powers = _powers_of_a_generator(times)
    if powers is not None:
        # Element gʲ is j in Z_n, so its row is row j of the waves: `places` turns elements into such exponents.
        places = np.empty(len(times), dtype=np.int64)
        places[powers] = np.arange(len(times))
        return [Part(k, basis[places]) for k, basis in enumerate(_waves(len(times)))]
    return [Part(k, basis) for k, basis in enumerate(_common_eigenspaces(times))]


def _powers_of_a_generator(times: Multiplication) -> NDArray[np.int64] | None:
    """Return the elements g⁰, g¹ … of the first generator g, or None if the group is not cyclic."""
    n = len(times)
    powers = np.empty((n, n), dtype=np.int64)  # [j, g] = gʲ
    powers[0] = neutral(times)
    for j in range(1, n):
        powers[j] = times[powers[j - 1], np.arange(n)]
    # g generates the group if none of g¹ … gⁿ⁻¹ is neutral.
    generators = np.flatnonzero((powers[1:] != powers[0]).all(axis=0))
    return powers[:, generators[0]] if len(generators) else None


def _waves(n: int) -> Iterator[Floats]:
    """Yield orthonormal cosines and sines of each frequency on 0 … n − 1, (n, 1 or 2)."""
    angle = 2 * np.pi * np.arange(n) / n
    for k in range(n // 2 + 1):
        is_alone = k in (0, n / 2)  # its sine is 0 everywhere
        waves = [np.cos(k * angle)] if is_alone else [np.cos(k * angle), np.sin(k * angle)]
        yield np.stack(waves, axis=1) * np.sqrt((1 if is_alone else 2) / n)


def _common_eigenspaces(times: Multiplication) -> list[Floats]:
    """Return orthonormal bases of all parts, (element, dimension), the constant first and then by dimension.

    Consider the map that averages a function over shifts by the elements of one conjugacy class. It commutes with every
    shift. So by Schur's lemma it multiplies each part by a single number. A random combination of all these maps has a
    different number on each part, and its eigenspaces are the parts. A class and its inverses get one coefficient. This
    makes the map symmetric and its eigenvectors real.
    """
    n = len(times)
    elements = np.arange(n)
    inverse = inverses(times)
    conjugates = times[times, inverse[:, None]]  # [x, y] = x·y·x⁻¹
    # (element): the smallest number among an element's conjugates and their inverses names its class.
    representative = np.minimum(conjugates.min(axis=0), conjugates.min(axis=0)[inverse])
    # One coefficient per class, divided by the size of the class; the seed is fixed, so bases are always the same.
    drawn = np.random.default_rng(0).uniform(-1, 1, n)[representative] / np.bincount(representative)[representative]
    # The map f ↦ Σ_h drawn(h)·f(h⁻¹·y) as a matrix, symmetric but for rounding since h and h⁻¹ have one coefficient.
    summed = np.zeros((n, n))
    for h in range(n):
        summed[elements, times[inverse[h]]] += drawn[h]
    values, vectors = np.linalg.eigh((summed + summed.T) / 2)
    # `eigh` sorts, so a part's equal eigenvalues are neighbours: cut where they jump.
    ends = np.flatnonzero(np.diff(values) > SAME) + 1
    spaces = np.split(vectors, ends, axis=1)
    return sorted(spaces, key=lambda space: (not _is_constant(space), space.shape[1]))


def _is_constant(space: Floats) -> bool:
    return space.shape[1] == 1 and bool(np.ptp(space) < SAME)
