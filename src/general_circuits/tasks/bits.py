"""Functions of n bits: sparse parity on random inputs, and any boolean function on all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from general_circuits.seeds import stream_seed
from general_circuits.tasks.settings import Task
from general_circuits.tasks.table import IntArray, TaskTable, unrelated
from general_circuits.tasks.vocabulary import Vocabulary

LARGEST_TRUTH_TABLE = 16
"""Bits of a boolean function: 65,536 inputs."""

NAMED = ("and", "or", "parity", "majority")


@dataclass(frozen=True)
class Parity(Task):
    """Parity of the first `relevant_bits` of `bits`, on so many random inputs."""

    bits: int
    relevant_bits: int
    examples: int
    family: Literal["bits"] = "bits"


@dataclass(frozen=True)
class Boolean(Task):
    """A function of `bits`, by name or by its values for all inputs in order."""

    bits: int
    function: str
    family: Literal["bits"] = "bits"


RECORD = Parity | Boolean


def generate(task: Parity | Boolean) -> TaskTable:
    """Inputs in ascending order as binary numbers, the first bit the highest."""
    if isinstance(task, Parity):
        inputs = drawn(task.bits, task.examples)
        return unrelated(inputs, inputs[:, : task.relevant_bits].sum(axis=1) % 2, Vocabulary(task.bits, 2, 2))
    inputs = all_inputs(task.bits)
    return unrelated(inputs, truth(task.function, inputs), Vocabulary(task.bits, 2, 2))


def drawn(bits: int, examples: int) -> IntArray:
    """So many different inputs, uniformly drawn, (example, bit); all 2^bits where there are no more.

    Drawn once and for all: replicas differ in which of them train. The (40, 3) parity of "A Tale of Two Circuits"
    (Merrill et al. 2023) has 1,000 that train.
    """
    if bits <= 20 and 2**bits <= examples:
        return all_inputs(bits)
    generator = np.random.default_rng(stream_seed(0, "inputs"))
    found = np.empty((0, bits), dtype=np.int32)
    while len(found) < examples:
        more = generator.integers(2, size=(examples, bits), dtype=np.int32)
        together = np.concatenate([found, more])
        _, first = np.unique(together, axis=0, return_index=True)
        found = together[np.sort(first)][:examples]
    return found[np.lexsort(found.T[::-1])]


def all_inputs(bits: int) -> IntArray:
    """(example, bit)."""
    numbers = np.arange(2**bits)
    return (numbers[:, None] >> np.arange(bits)[::-1] & 1).astype(np.int32)


def truth(function: str, inputs: IntArray) -> NDArray[np.int64]:
    """The function's value for each of all inputs: by name, or digit by digit in their order."""
    ones = inputs.sum(axis=1)
    match function:
        case "and":
            return (ones == inputs.shape[1]).astype(np.int64)
        case "or":
            return (ones > 0).astype(np.int64)
        case "parity":
            return ones % 2
        case "majority":
            return (2 * ones > inputs.shape[1]).astype(np.int64)
        case _:
            return np.array([int(digit) for digit in function])
