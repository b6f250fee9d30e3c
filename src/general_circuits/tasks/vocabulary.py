"""How many inputs, symbols and classes a task has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Vocabulary:
    """What a network reads and answers: so many inputs, each one of so many symbols, and one of so many classes."""

    n_inputs: int
    n_symbols: int
    n_classes: int
