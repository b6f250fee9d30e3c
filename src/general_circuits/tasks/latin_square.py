"""Random commutative Latin squares: tables of answers as balanced as those of addition, without its structure."""

from __future__ import annotations

import numpy as np

from general_circuits.tasks.table import IntArray

NONE = -1
"""Colour of an edge that has none, and the other end of an edge that a vertex lacks."""


def draw_latin_square(n: int, generator: np.random.Generator) -> IntArray:
    """Draw L (n, n) with L[a, b] = L[b, a] and each symbol, from 0 to n − 1, once in every row and column.

    L[a, b] is the colour of the edge {a, b} in a random one-factorisation. For odd n the graph has one more vertex,
    infinity, and L[a, a] is the colour of {a, infinity}. So the diagonal has every symbol once, as in addition. For
    even n the diagonal is constant.
    """
    if n % 2:
        edges = one_factorisation(n + 1, generator)
        square = edges[:n, :n].copy()
        np.fill_diagonal(square, edges[:n, n])
    else:
        square = one_factorisation(n, generator)
        np.fill_diagonal(square, n - 1)  # the symbol that is no colour
    # Any symbol may be the one on a constant diagonal.
    return generator.permutation(n).astype(np.int32)[square]


def one_factorisation(n: int, generator: np.random.Generator) -> IntArray:
    """Draw colours of the edges of a complete graph, so that every vertex has one edge of each colour.

    Hill climbing finds them (Dinitz and Stinson 1987, "A hill-climbing algorithm for the construction of
    one-factorizations and Room squares"). Every step colours one edge, and takes at most one colour away. So the number
    of coloured edges never falls. No proof says that it reaches all edges, but it has done so for every n and seed
    tried.

    Args:
        n: number of vertices, which is even.
        generator: random stream.

    Returns:
        Colours from 0 to n − 2, (vertex, vertex). The diagonal is `NONE`.
    """
    colours = np.full((n, n), NONE, dtype=np.int32)
    others = np.full((n, n - 1), NONE, dtype=np.int32)  # (vertex, colour): the other end of the vertex's edge

    def pick(places: np.ndarray) -> int:
        return int(places[generator.integers(len(places))])

    def clear(x: int, y: int) -> None:
        others[[x, y], colours[x, y]] = NONE
        colours[x, y] = colours[y, x] = NONE

    while len(lacking := np.flatnonzero(others == NONE)):
        x, colour = divmod(pick(lacking), n - 1)
        # Either way the new edge takes the place of at most one old one. Each way alone can end in a cycle.
        if generator.random() < 0.5:
            y = pick(_without(x, np.flatnonzero(colours[x] == NONE)))
            if others[y, colour] != NONE:
                clear(y, others[y, colour])
        else:
            # n is even, so an even number of vertices lack a colour: there is another one beside x.
            y = pick(_without(x, np.flatnonzero(others[:, colour] == NONE)))
            if colours[x, y] != NONE:
                clear(x, y)
        colours[x, y] = colours[y, x] = colour
        others[x, colour], others[y, colour] = y, x
    return colours


def _without(vertex: int, vertices: np.ndarray) -> np.ndarray:
    return vertices[vertices != vertex]
