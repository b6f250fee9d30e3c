"""Orders of deletion at worked values, and the rankings that a place has."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from builders import saliency_rows
from deleting import a_layer
from hypothesis import given
from hypothesis import strategies as st

from general_circuits.measurements.ablation import rankings
from general_circuits.measurements.ablation.matching import matched

ALL = np.ones(12, dtype=bool)
KEPT = np.array([0, 1, 3, 12])


@given(st.integers(1, 4096), st.integers(2, 40))
def test_sizes_ascend_from_one_to_all_through_a_quarter(n_neurons: int, points: int) -> None:
    found = rankings.sizes(n_neurons, points)
    assert found[0] == 1
    assert found[-1] == n_neurons
    assert max(1, n_neurons // 4) in found
    assert all(before < after for before, after in itertools.pairwise(found))
    assert len(found) <= points + 1


def test_sizes_at_worked_values() -> None:
    assert rankings.sizes(512, points=4) == [1, 8, 64, 128, 512]
    assert rankings.sizes(2, points=2) == [1, 2]
    assert rankings.sizes(5, points="all") == [1, 2, 3, 4, 5]
    assert rankings.sizes(0, points=20) == rankings.sizes(0, points="all") == []


def test_ranked_is_from_most_to_least_with_ties_by_number() -> None:
    all_six = np.ones(6, dtype=bool)
    values = np.array([0.5, 2.0, 0.5, 3.0, 0.0, 2.0])
    assert rankings.ranked(values, all_six).tolist() == [3, 1, 5, 0, 2, 4]
    assert rankings.ranked(values, values != 2.0).tolist() == [3, 0, 2, 4]
    assert rankings.ranked(np.zeros(40), np.ones(40, dtype=bool)).tolist() == list(range(40))


def test_random_orders_are_permutations_that_the_seed_decides() -> None:
    orders = rankings.random_orders(50, draws=20, seed=1)
    assert orders.shape == (20, 50)
    assert (np.sort(orders, axis=1) == np.arange(50)).all()
    assert len({tuple(order) for order in orders}) == 20
    assert (orders == rankings.random_orders(50, draws=20, seed=1)).all()
    assert (orders[:5] == rankings.random_orders(50, draws=5, seed=1)).all()
    assert (orders != rankings.random_orders(50, draws=20, seed=2)).any()


def test_activation_norm_counts_the_last_position_where_no_other_reaches_a_logit() -> None:
    linear, deep = a_layer(1, n_layers=2), a_layer(0, n_layers=2)
    np.testing.assert_allclose(rankings.activation_norm(linear), linear.units[:, 0].norm(dim=0))
    np.testing.assert_allclose(rankings.activation_norm(deep), deep.units.flatten(0, 1).norm(dim=0))


def test_the_activation_norm_of_a_head_is_that_of_all_its_units() -> None:
    heads, outputs = (rankings.activation_norm(a_layer(site=site)) for site in ("heads", "head_outputs"))
    np.testing.assert_allclose(heads, np.sqrt(np.square(outputs).reshape(2, 4).sum(axis=1)))


def found(
    salience: pd.DataFrame, is_ranked: np.ndarray = ALL, by: tuple[str, ...] = ("mean_magnitude",), draws: int = 2
):
    orders = rankings.random_orders(12, draws, seed=5)
    return list(rankings.rankings(a_layer(), salience, is_ranked, by, KEPT, orders))


def test_the_registered_ranking_goes_both_ways_and_is_matched() -> None:
    salience = np.arange(12.0)[::-1]
    top, bottom, partners, *random = found(saliency_rows(mean_magnitude=salience).sample(frac=1, random_state=0))
    registered = {"by": "mean_magnitude", "method": "activation_gradient", "target": "right_minus_mean"}
    registered |= {"normalisation": "raw", "draw": 0}
    assert top.names == {"ranking": "top", **registered}
    assert top.order.tolist() == list(range(12))
    assert bottom.names == {"ranking": "bottom", **registered}
    assert bottom.order.tolist() == list(range(11, -1, -1))
    assert partners.names == {"ranking": "matched", **registered}
    norm = rankings.activation_norm(a_layer())
    for k, neurons in partners.sets.items():
        expected = matched(np.arange(12), k, norm)
        assert (neurons is None) == (expected is None)
        assert neurons is None or (neurons == expected).all()
    assert list(partners.sets) == KEPT.tolist()
    nothing = {"by": "none", "method": "none", "target": "none", "normalisation": "none"}
    assert [ranking.names for ranking in random] == [{"ranking": "random", "draw": i, **nothing} for i in (0, 1)]
    assert ([ranking.order for ranking in random] == rankings.random_orders(12, 2, seed=5)).all()


def test_there_is_one_ranking_for_each_statistic_of_each_saliency_and_each_norm() -> None:
    one = saliency_rows(mean_magnitude=np.arange(12.0), median=-np.arange(12.0))
    both = pd.concat([one, one.assign(method="shapley"), one.assign(target="margin", normalisation="matched")])
    by = ("mean_magnitude", "median", "weight_norm", "activation_norm")
    names = pd.DataFrame([ranking.names for ranking in found(both, by=by)])
    assert names["ranking"].value_counts().to_dict() == {"top": 8, "random": 2, "bottom": 1, "matched": 1}
    assert not names.duplicated().any()
    top = names[names["ranking"] == "top"]
    assert set(top.groupby(["method", "target", "normalisation"])["by"].agg(tuple)) == {
        ("mean_magnitude", "median"),
        ("activation_norm", "weight_norm"),
    }


def test_signed_medians_are_ranked_by_their_size() -> None:
    medians = [-3.0, 2.0, -1.0, *np.zeros(9)]
    rows = saliency_rows(mean_magnitude=np.ones(12), median=medians)
    (by_median,) = (ranking for ranking in found(rows, by=("median",)) if ranking.names["by"] == "median")
    assert by_median.order[:3].tolist() == [0, 1, 2]


def test_neurons_are_ranked_by_norms_on_request() -> None:
    layer = a_layer()
    by = {
        ranking.names["by"]: ranking.order
        for ranking in found(saliency_rows(mean_magnitude=np.ones(12)), by=rankings.NORMS)
    }
    assert (np.diff(rankings.activation_norm(layer)[by["activation_norm"]]) <= 0).all()
    norms = layer.model.weight_norms(layer.place).detach().numpy()
    assert (np.diff(norms[by["weight_norm"]]) <= 0).all()


def test_without_saliency_there_are_norms_and_random_orders() -> None:
    nowhere = saliency_rows(mean_magnitude=np.ones(12)).iloc[:0]
    assert [r.names["ranking"] for r in found(nowhere, by=("mean_magnitude", "weight_norm"))] == [
        "top",
        "random",
        "random",
    ]


def test_unranked_neurons_are_removed_from_the_same_random_orders() -> None:
    is_ranked = np.arange(12) % 3 > 0
    rows = saliency_rows(mean_magnitude=np.arange(12.0))
    for whole, part in zip(found(rows), found(rows, is_ranked), strict=True):
        assert part.order.tolist() == [neuron for neuron in whole.order if neuron % 3]
    (partners,) = (ranking for ranking in found(rows, is_ranked) if ranking.sets is not None)
    assert all(is_ranked[neurons].all() for neurons in partners.sets.values() if neurons is not None)
