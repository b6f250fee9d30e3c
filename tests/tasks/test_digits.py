"""Handwritten digits against what is known of the data set."""

from __future__ import annotations

import numpy as np

from general_circuits.tasks import digits
from general_circuits.tasks.digits import Digits
from general_circuits.tasks.table import NO_WRAP


def test_digits_are_1797_images_of_every_class() -> None:
    table = digits.generate(Digits())
    assert table.inputs.shape == (1797, 64)
    assert np.bincount(table.target).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (table.inputs.min(), table.inputs.max()) == (0, 16)
    assert table.inputs[0, :8].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]  # the first image, a zero


def test_images_have_no_mirror_images_and_no_bands() -> None:
    table = digits.generate(Digits())
    assert table.is_commutative is None
    assert len(set(table.pair.tolist())) == len(table)
    assert (table.wrap == NO_WRAP).all()
