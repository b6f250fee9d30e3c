"""Random commutative Latin squares: balance, symmetry, and no structure of a group."""

from __future__ import annotations

import time

import numpy as np
import pytest

from general_circuits.tasks.latin_square import NONE, draw_latin_square, one_factorisation


def drawn(n: int, seed: int = 0) -> np.ndarray:
    return draw_latin_square(n, np.random.default_rng(seed))


def associative(square: np.ndarray) -> float:
    """Return the share of all (a, b, c) with a (b c) = (a b) c."""
    every = np.arange(len(square))
    right = square[every[:, None, None], square[None]]
    left = square[square[:, :, None], every[None, None]]
    return float((left == right).mean())


@pytest.mark.parametrize("n", [*range(1, 13), 23, 59])
def test_each_symbol_is_once_in_every_row_and_both_orders_have_the_same(n: int) -> None:
    for seed in range(20 if n < 13 else 2):
        square = drawn(n, seed)
        assert (np.sort(square, axis=1) == np.arange(n)).all()
        assert (square == square.T).all()
        assert square.dtype == np.int32


def test_the_diagonal_has_every_symbol_once_if_their_number_is_odd_and_is_constant_if_it_is_even() -> None:
    assert sorted(np.diag(drawn(23))) == list(range(23))
    assert len(set(np.diag(drawn(24)))) == 1
    assert len({drawn(4, seed)[0, 0] for seed in range(60)}) == 4


def test_equal_seeds_are_equal_squares_and_others_differ() -> None:
    squares = [drawn(23, seed).tobytes() for seed in range(10)]
    assert squares == [drawn(23, seed).tobytes() for seed in range(10)]
    assert len(set(squares)) == 10


def test_a_random_square_is_associative_at_chance_and_addition_always() -> None:
    """a (b a) = (a b) a holds in every commutative square: 1/p of all. Of the others, about 1/p hold by chance."""
    p = 59
    addition = np.add.outer(np.arange(p), np.arange(p)) % p
    assert associative(addition) == 1
    chance = 1 / p + (1 - 1 / p) / p
    for seed in range(3):
        assert associative(drawn(p, seed)) == pytest.approx(chance, rel=0.1)


def test_every_cell_has_every_symbol_equally_often() -> None:
    """Cells of a square over 5 symbols, in 1,000 squares: no symbol is rarer or more frequent than by chance."""
    squares = np.stack([drawn(5, seed) for seed in range(1000)])
    shares = (squares[..., None] == np.arange(5)).mean(axis=0)  # (a, b, symbol)
    assert np.abs(shares - 0.2).max() < 4.5 * np.sqrt(0.2 * 0.8 / 1000)


@pytest.mark.parametrize("n", [2, 4, 6, 12, 60])
def test_a_vertex_has_one_edge_of_each_colour(n: int) -> None:
    colours = one_factorisation(n, np.random.default_rng(1))
    assert (np.diag(colours) == NONE).all()
    assert (np.sort(colours, axis=1)[:, 1:] == np.arange(n - 1)).all()


@pytest.mark.parametrize("n", [59, 113])
def test_a_square_of_a_study_takes_less_than_a_second(n: int) -> None:
    start = time.process_time()
    drawn(n)
    assert time.process_time() - start < 1
