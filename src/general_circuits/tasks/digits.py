"""Handwritten digits, as ordinary learning: a data set on which networks generalise while they fit.

scikit-learn's copy of the test part of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998): 1,797
images of 8 × 8 pixels, each from 0 to 16.
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
    """All images in scikit-learn's order, pixels row by row."""
    from sklearn.datasets import load_digits  # a second, which jobs that only read the settings need not wait

    images = load_digits()
    return unrelated(images.data, images.target, Vocabulary(64, 17, 10))
