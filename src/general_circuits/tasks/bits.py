"""Functions of n bits: sparse parity on random inputs, and any boolean function on all inputs."""

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
"""Most bits that a boolean function may have: 65,536 inputs."""

NAMED = ("and", "or", "parity", "majority")
"""Boolean functions that a config may name; any other is given by its truth table."""


@dataclass(frozen=True)
class Parity(Task):
    """Parity of the first `relevant_bits` of `bits`, on `examples` random inputs."""

    bits: int
    relevant_bits: int
    examples: int
    family: Literal["bits"] = "bits"


@dataclass(frozen=True)
class Boolean(Task):
    """A function of `bits`, given by its name or by its values for all inputs in ascending order, "0110"."""

    bits: int
    function: str
    family: Literal["bits"] = "bits"


RECORD = Parity | Boolean


def generate(task: Parity | Boolean) -> TaskTable:
    """Return a task's examples, sorted by their inputs as binary numbers, the first bit the highest."""
    if isinstance(task, Parity):
        inputs = drawn(task.bits, task.examples)
        return unrelated(inputs, inputs[:, : task.relevant_bits].sum(axis=1) % 2, Vocabulary(task.bits, 2, 2))
    inputs = all_inputs(task.bits)
    return unrelated(inputs, truth(task.function, inputs), Vocabulary(task.bits, 2, 2))


def drawn(bits: int, examples: int) -> IntArray:
    """Draw so many different inputs uniformly, (example, bit), sorted. At 2^bits or more, return all there are.

    The seed is fixed, so that all replicas have the same inputs and differ in which of them train. The (40, 3) parity
    of "A Tale of Two Circuits" (Merrill et al. 2023) trains on 1,000.
    """
    if bits <= 20 and 2**bits <= examples:
        return all_inputs(bits)
    generator = np.random.default_rng(stream_seed(0, "inputs"))
    inputs = np.empty((0, bits), dtype=np.int32)
    while len(inputs) < examples:
        more = generator.integers(2, size=(examples, bits), dtype=np.int32)
        together = np.concatenate([inputs, more])
        # `np.unique` sorts. Cutting its result would favour small numbers, so the order of drawing is restored first.
        _, first = np.unique(together, axis=0, return_index=True)
        inputs = together[np.sort(first)][:examples]
    return inputs[np.lexsort(inputs.T[::-1])]  # lexsort takes its last key first


def all_inputs(bits: int) -> IntArray:
    """Return all 2^bits inputs in ascending order, (example, bit)."""
    numbers = np.arange(2**bits)
    return (numbers[:, None] >> np.arange(bits)[::-1] & 1).astype(np.int32)


def truth(function: str, inputs: IntArray) -> NDArray[np.int64]:
    """Return a boolean function's value for every input, (example).

    Args:
        function: one of `NAMED`, or one digit 0 or 1 per input.
        inputs: all inputs in ascending order, (example, bit).
    """
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
