"""Numbers of a task's inputs, symbols and classes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Vocabulary:
    """Numbers of inputs that a network reads, of symbols that an input can be, and of classes to answer with."""

    n_inputs: int
    n_symbols: int
    n_classes: int
