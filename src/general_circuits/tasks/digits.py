"""Handwritten digits, an example of ordinary learning: networks generalise on them while they fit.

The 1,797 images have 8 × 8 pixels, each from 0 to 16. They are scikit-learn's copy of the test part of "Optical
Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from general_circuits.tasks.settings import Task
from general_circuits.tasks.table import TaskTable, unrelated
from general_circuits.tasks.vocabulary import Vocabulary


@dataclass(frozen=True)
class Digits(Task):
    """Images of handwritten digits."""

    family: Literal["digits"] = "digits"


RECORD = Digits


def generate(task: Digits) -> TaskTable:
    """Return all images in scikit-learn's order, with their pixels row by row."""
    from sklearn.datasets import load_digits  # takes a second, which jobs that only read settings need not wait

    images = load_digits()
    return unrelated(images.data, images.target, Vocabulary(64, 17, 10))
