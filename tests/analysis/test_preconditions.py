"""Preconditions: four fifths of the replicas, and the first check that fails in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from general_circuits.analysis import preconditions

NAN = float("nan")


@pytest.mark.parametrize(
    ("passed", "replicas", "is_met"), [(4, 5, True), (3, 5, False), (6, 8, False), (7, 8, True), (8, 10, True)]
)
def test_four_fifths_of_the_replicas_are_enough(passed: int, replicas: int, is_met: bool) -> None:
    reason = preconditions.unmet({"they slept": np.arange(replicas) < passed})
    assert reason == ("" if is_met else f"they slept in {passed} of {replicas} replicas; four fifths must")


def test_the_first_check_that_fails_is_named() -> None:
    assert preconditions.unmet({"a": [True], "b": [False], "c": [False]}).startswith("b in 0 of 1")
    assert preconditions.unmet({"a": []}) == "a in 0 of 0 replicas; four fifths must"


def test_grokking_is_memorising_and_generalising_after_a_delay() -> None:
    steps = pd.DataFrame({"memorised": [70.0] * 5, "onset": [140.0] * 5, "generalised": [900.0] * 5})
    assert preconditions.unmet(preconditions.grokked(steps)) == ""
    for column, value, words in (
        ("memorised", NAN, "training examples were memorised"),
        ("onset", NAN, "validation accuracy left its plateau"),
        ("onset", 139.0, "there was a delay"),
        ("generalised", NAN, "validation examples were generalised to"),
    ):
        changed = steps.copy()
        changed.loc[:1, column] = value
        assert preconditions.unmet(preconditions.grokked(changed)).startswith(f"{words}")
