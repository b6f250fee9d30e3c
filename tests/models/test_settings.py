"""Widths that follow from a network's settings."""

from __future__ import annotations

import pytest
from builders import mlp_settings

from general_circuits.tasks.vocabulary import Vocabulary


@pytest.mark.parametrize(("inputs", "width"), [("one_hot", 4 * 7), ("embedding", 4 * 3), ("ordinal", 4)])
def test_a_perceptron_reads_one_vector_for_each_of_its_inputs(inputs: str, width: int) -> None:
    """Four inputs of seven symbols. The embedding has three coordinates."""
    assert mlp_settings(inputs=inputs).input_width(Vocabulary(n_inputs=4, n_symbols=7, n_classes=2)) == width
