"""Parts of functions on a group: orthogonal, complete, and with the dimensions of representation theory."""

from __future__ import annotations

import numpy as np
import pytest

from general_circuits.measurements.progress.harmonics import parts
from general_circuits.tasks.groups import cyclic, multiplication

SQUARES = {
    "C7": [1, 2, 2, 2],
    "C8": [1, 2, 2, 2, 1],
    "S3": [1, 1, 4],
    "S4": [1, 1, 4, 9, 9],
    "S5": [1, 1, 16, 16, 25, 25, 36],
    "D5": [1, 1, 4, 4],
    "D6": [1, 1, 1, 1, 4, 4],
}
"""Squares d² of every irreducible representation's dimension d; in cyclic groups k and −k make one part."""


@pytest.mark.parametrize(("group", "dimensions"), SQUARES.items())
def test_dimensions_are_those_of_the_irreducible_representations(group: str, dimensions: list[int]) -> None:
    assert [part.basis.shape[1] for part in parts(multiplication(group))] == dimensions


@pytest.mark.parametrize("group", SQUARES)
def test_parts_are_orthogonal_complete_and_kept_by_every_shift(group: str) -> None:
    times = multiplication(group)
    found = parts(times)
    basis = np.concatenate([part.basis for part in found], axis=1)
    assert np.allclose(basis.T @ basis, np.eye(len(times)))
    for part in found:
        for shifted in (part.basis[times[1]], part.basis[times[:, 1]]):  # f(1·x) and f(x·1)
            assert np.allclose(part.projector @ shifted, shifted)


def test_the_first_part_is_the_constant() -> None:
    for group in SQUARES:
        assert np.allclose(parts(multiplication(group))[0].projector, 1 / len(multiplication(group)))


def test_frequencies_of_a_cyclic_group_are_those_of_the_fourier_transform() -> None:
    waves = parts(cyclic(11))
    wave = np.cos(2 * np.pi * 3 * np.arange(11) / 11)
    assert np.allclose(waves[3].projector @ wave, wave)


def test_frequencies_follow_the_powers_of_a_generator() -> None:
    """Multiplication modulo 7 without 0 is cyclic, with the generator 3: 1, 3, 2, 6, 4, 5."""
    units = np.arange(1, 7)
    times = np.outer(units, units) % 7 - 1
    logarithm = np.array([0, 2, 1, 4, 5, 3])  # of 1 to 6
    wave = np.cos(2 * np.pi * logarithm / 6)
    assert np.allclose(parts(times)[1].projector @ wave, wave)


def test_a_projector_is_a_multiple_of_the_character() -> None:
    """Characters of S3's representation of dimension 2 are 2 at the neutral element, 0 at swaps and −1 at turns.

    The projector is the character times 2/6: the dimension over the number of elements.
    """
    times = multiplication("S3")
    swaps = np.flatnonzero((times[np.arange(6), np.arange(6)] == 0) & (np.arange(6) > 0))
    row = parts(times)[2].projector[0]
    expected = np.full(6, -1 / 3)
    expected[0], expected[swaps] = 2 / 3, 0
    assert np.allclose(row, expected)


def test_kleins_group_has_four_parts_of_one_dimension() -> None:
    two = np.arange(4)
    assert [part.basis.shape[1] for part in parts(two[:, None] ^ two)] == [1, 1, 1, 1]
