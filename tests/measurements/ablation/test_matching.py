"""Neurons with similar activation norms, at worked values and for random norms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from general_circuits.measurements.ablation.matching import CALIPER, matched

NORMS = np.array([1.0, 1.1, 5.0, 5.2, 0.8, 9.0])
"""Standard deviation 3.0, so the caliper is 0.75."""


def test_matched_at_worked_values() -> None:
    order = np.array([0, 2, 1, 5, 3, 4])
    assert NORMS.std() * CALIPER == pytest.approx(0.75, abs=0.02)
    assert matched(order, 0, NORMS).tolist() == []
    assert matched(order, 1, NORMS).tolist() == [1]
    assert matched(order, 2, NORMS).tolist() == [1, 3]
    assert matched(order, 3, NORMS) is None  # 1 is deleted, so 0 takes 4, 2 takes 3, and 1 finds only 5


def test_matched_refuses_a_partner_beyond_the_caliper() -> None:
    assert matched(np.array([5, 0, 1, 2, 3, 4]), 1, NORMS) is None


def test_matched_takes_the_nearest_free_neuron() -> None:
    norm = np.array([1.0, 1.01, 1.02, 1.05, 4.0, 4.0])
    assert matched(np.array([0, 1, 2, 3, 4, 5]), 2, norm).tolist() == [2, 3]


def test_unranked_neurons_are_not_matched_and_do_not_widen_the_caliper() -> None:
    order = np.array([0, 2, 3])
    assert matched(order, 1, NORMS) is None  # 1 is nearest and not ranked; 2 is 4 away
    assert matched(np.array([0, 1]), 1, np.array([1.0, 1.2, 50.0])) is None  # the spread of the two is 0.1


def test_an_empty_ranking_has_an_empty_match() -> None:
    assert matched(np.array([], dtype=int), 0, NORMS).tolist() == []


@given(
    st.lists(st.floats(0, 100), min_size=2, max_size=40).flatmap(
        lambda norms: st.tuples(st.just(norms), st.permutations(range(len(norms))), st.integers(1, len(norms)))
    )
)
def test_matched_neurons_are_others_each_used_once_and_within_the_caliper(drawn) -> None:
    norm, order, k = np.array(drawn[0]), np.array(drawn[1]), drawn[2]
    found = matched(order, k, norm)
    if 2 * k > len(norm):
        assert found is None
    if found is not None:
        assert len(set(found.tolist())) == k
        assert not set(found.tolist()) & set(order[:k].tolist())
        assert (np.abs(norm[found] - norm[order[:k]]) <= 0.25 * norm.std()).all()


def test_neurons_of_equal_norm_match_until_fewer_than_half_are_left() -> None:
    order = np.arange(6)
    assert matched(order, 3, np.ones(6)).tolist() == [3, 4, 5]
    assert matched(order, 4, np.ones(6)) is None
