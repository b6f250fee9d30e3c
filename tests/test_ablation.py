"""Deletion: the fast way against the plain one, its two ends, the plan of what goes, and what a lookup table loses."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from builders import lookup_table, random_examples, random_perceptron, random_questions, random_transformer
from hypothesis import given
from hypothesis import strategies as st

from general_circuits import ablation, scores
from general_circuits.ablation import Layer, Plan
from general_circuits.conditions import Vocabulary

DELETIONS = ("zero", "mean")


def a_layer(index: int = 0, dtype: torch.dtype = torch.float64, **settings) -> Layer:
    examples = random_examples(n=20)
    model = random_transformer(dtype=dtype, **settings)
    return ablation.at_layer(model, examples.tokens, examples.labels, index)


def curve_of(logits: torch.Tensor, labels: torch.Tensor) -> tuple[float, float, float]:
    """Accuracy, loss and margin of plain logits (example, class)."""
    margins = scores.margins(logits, labels)
    return (margins > 0).double().mean().item(), scores.loss(logits, labels).item(), margins.mean().item()


def at(curve: ablation.Curve, order: int, k: int) -> tuple[float, float, float]:
    return curve.accuracy[order, k], curve.loss[order, k], curve.margin[order, k]


# Curves


@pytest.mark.parametrize("deletion", DELETIONS)
@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_subtracting_what_units_wrote_is_running_the_network_again(deletion, n_layers, dtype, tolerance):
    layer = a_layer(n_layers - 1, dtype, n_layers=n_layers, biases="all")
    orders = torch.as_tensor(ablation.random_orders(12, draws=4, seed=0))
    ks, values = [0, 1, 2, 5, 11, 12], ablation.replacement(layer, deletion)
    fast = [logits.clone() for logits in ablation._downdated(layer, orders, ks, values)]
    plain = list(ablation._recomputed(layer, orders, ks, values))
    assert len(fast) == len(plain) == len(ks)
    for ours, theirs in zip(fast, plain, strict=True):
        assert ours.shape == (4, 20, 5)
        scale = theirs.abs().max().item()
        torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance * max(1.0, scale))


@pytest.mark.parametrize("deletion", DELETIONS)
@pytest.mark.parametrize("outputs", ["classes", "sign"])
@pytest.mark.parametrize("index", [0, 1])
def test_deleting_units_of_a_perceptron_is_running_it_without_them(index, outputs, deletion):
    vocabulary = Vocabulary(2, 5, 2)
    model, examples = random_perceptron(vocabulary, n_layers=2, outputs=outputs), random_questions(20, n_classes=2)
    layer = ablation.at_layer(model, examples.tokens, examples.labels, index)
    assert layer.post.shape == (20, 1, 12)
    values, order = ablation.replacement(layer, deletion), ablation.random_orders(12, 1, seed=0)
    curve = ablation.damage_curve(layer, order, [0, 5, 12], values)
    for place, k in enumerate((0, 5, 12)):
        post = layer.post.clone()
        post[:, :, order[0, :k]] = values[:, order[0, :k]]
        logits = model.answer_from_neurons(layer.resid_mid, post, index).detach()
        np.testing.assert_allclose(at(curve, 0, place), curve_of(logits, layer.labels), rtol=1e-9)


@pytest.mark.parametrize("deletion", DELETIONS)
@pytest.mark.parametrize(("normalisation", "index"), [("none", 0), ("none", 1), ("pre", 0), ("pre", 1), ("post", 1)])
def test_deleting_nothing_is_the_whole_network(deletion, normalisation, index):
    layer = a_layer(index, n_layers=2, normalisation=normalisation)
    curve = ablation.damage_curve(
        layer, ablation.random_orders(12, 3, seed=0), [0, 4], ablation.replacement(layer, deletion)
    )
    logits = layer.model.answer(random_examples(n=20).tokens).detach()
    for order in range(3):
        np.testing.assert_allclose(at(curve, order, 0), curve_of(logits, layer.labels), rtol=1e-10)


@pytest.mark.parametrize(("normalisation", "index"), [("none", 0), ("none", 1), ("pre", 0), ("pre", 1), ("post", 1)])
def test_zeroing_every_unit_is_a_network_whose_neurons_write_nothing(normalisation, index):
    layer = a_layer(index, n_layers=2, normalisation=normalisation)
    curve = ablation.damage_curve(
        layer, ablation.random_orders(12, 2, seed=0), [12], ablation.replacement(layer, "zero")
    )
    without = copy.deepcopy(layer.model)
    with torch.no_grad():
        without.blocks[index].mlp.W_out.zero_()
        logits = without.answer(random_examples(n=20).tokens)
    for order in range(2):
        np.testing.assert_allclose(at(curve, order, 0), curve_of(logits, layer.labels), rtol=1e-10)


@pytest.mark.parametrize(("normalisation", "index"), [("none", 0), ("none", 1), ("pre", 1)])
def test_a_constant_unit_is_its_mean_so_mean_deletion_changes_nothing_and_zero_deletion_does(normalisation, index):
    model, examples = random_transformer(n_layers=2, normalisation=normalisation), random_examples(n=20)
    with torch.no_grad():
        model.blocks[index].mlp.W_in[:, 5] = 0.0
        model.blocks[index].mlp.b_in[5] = 1.5
    layer = ablation.at_layer(model, examples.tokens, examples.labels, index)
    variable = int(layer.post[:, -1].std(dim=0).argmax())
    order = np.array([[5, variable, *(unit for unit in range(12) if unit not in (5, variable))]])
    mean = ablation.damage_curve(layer, order, [0, 1, 2], ablation.replacement(layer, "mean"))
    zero = ablation.damage_curve(layer, order, [0, 1, 2], ablation.replacement(layer, "zero"))
    np.testing.assert_allclose(at(mean, 0, 1), at(mean, 0, 0), rtol=1e-10)
    assert abs(mean.loss[0, 2] - mean.loss[0, 0]) > 1e-4
    assert abs(zero.loss[0, 1] - zero.loss[0, 0]) > 1e-4


def test_replacements_are_zero_or_the_mean_over_examples_at_each_position():
    layer = a_layer()
    assert torch.equal(ablation.replacement(layer, "zero"), torch.zeros(3, 12, dtype=torch.float64))
    mean = ablation.replacement(layer, "mean")
    for position in range(3):
        torch.testing.assert_close(mean[position], sum(layer.post[:, position]) / 20)


@pytest.mark.parametrize("deletion", DELETIONS)
@pytest.mark.parametrize(("normalisation", "index"), [("none", 0), ("none", 1), ("pre", 1)])
def test_a_set_of_the_first_k_is_the_curve_at_k(deletion, normalisation, index):
    layer = a_layer(index, n_layers=2, normalisation=normalisation)
    order, values = ablation.random_orders(12, 1, seed=3), ablation.replacement(layer, deletion)
    ks = [1, 3, 7, 12]
    curve = ablation.damage_curve(layer, order, ks, values)
    sets = ablation.damage_of_sets(layer, [order[0, :k] for k in ks], values)
    for name in ("accuracy", "loss", "margin"):
        np.testing.assert_allclose(getattr(sets, name), getattr(curve, name), rtol=1e-9, err_msg=name)


def test_deleting_leaves_the_layer_as_it_was():
    layer = a_layer()
    before = layer.post.clone()
    values = ablation.replacement(layer, "zero")
    for _ in range(2):
        ablation.damage_curve(layer, ablation.random_orders(12, 2, seed=0), [0, 6, 12], values)
        ablation.damage_of_sets(layer, [np.array([1, 2])], values)
    assert torch.equal(layer.post, before)


# A lookup table


def test_each_unit_of_a_lookup_table_deleted_loses_exactly_its_own_example():
    model, examples = lookup_table()
    layer = ablation.at_layer(model, examples.tokens, examples.labels, 0)
    assert (model.answer(examples.tokens).argmax(dim=1) == examples.labels).all()
    for unit in range(6):
        with torch.no_grad():
            logits = ablation._without(layer, torch.tensor([unit]), ablation.replacement(layer, "zero"))
        wrong = scores.margins(logits, examples.labels) <= 0
        assert wrong.nonzero().flatten().tolist() == [unit]


def test_a_lookup_table_loses_as_many_examples_as_units_in_whatever_order():
    model, examples = lookup_table()
    layer = ablation.at_layer(model, examples.tokens, examples.labels, 0)
    ks = list(range(7))
    curve = ablation.damage_curve(layer, ablation.random_orders(6, 5, seed=0), ks, ablation.replacement(layer, "zero"))
    kept = 1 - np.array(ks) / 6
    np.testing.assert_allclose(curve.accuracy, np.tile(kept, (5, 1)))
    np.testing.assert_allclose(curve.margin, np.tile(kept, (5, 1)))
    # a known example has logits 1, 0, 0 and a lost one 0, 0, 0
    known, lost = np.log(np.e + 2) - 1, np.log(3)
    np.testing.assert_allclose(curve.loss, np.tile(kept * known + (1 - kept) * lost, (5, 1)))


# What is deleted


@given(st.integers(2, 4096), st.integers(2, 40))
def test_sizes_ascend_from_one_to_all_through_a_quarter(n_neurons, points):
    found = ablation.sizes(n_neurons, points)
    assert found[0] == 1
    assert found[-1] == n_neurons
    assert max(1, n_neurons // 4) in found
    assert all(before < after for before, after in itertools.pairwise(found))
    assert len(found) <= points + 1


def test_sizes_at_worked_values():
    assert ablation.sizes(512, points=4) == [1, 8, 64, 128, 512]
    assert ablation.sizes(2, points=2) == [1, 2]


def test_ranked_is_from_most_to_least_with_ties_by_number():
    assert ablation.ranked(np.array([0.5, 2.0, 0.5, 3.0, 0.0, 2.0])).tolist() == [3, 1, 5, 0, 2, 4]
    assert ablation.ranked(np.zeros(40)).tolist() == list(range(40))


def test_random_orders_are_permutations_that_the_seed_decides():
    orders = ablation.random_orders(50, draws=20, seed=1)
    assert orders.shape == (20, 50)
    assert (np.sort(orders, axis=1) == np.arange(50)).all()
    assert len({tuple(order) for order in orders}) == 20
    assert (orders == ablation.random_orders(50, draws=20, seed=1)).all()
    assert (orders[:5] == ablation.random_orders(50, draws=5, seed=1)).all()
    assert (orders != ablation.random_orders(50, draws=20, seed=2)).any()


def test_activation_norm_counts_the_last_position_where_no_other_reaches_a_logit():
    linear, deep = a_layer(1, n_layers=2), a_layer(0, n_layers=2)
    np.testing.assert_allclose(ablation.activation_norm(linear), linear.post[:, 2].norm(dim=0))
    np.testing.assert_allclose(ablation.activation_norm(deep), deep.post.flatten(0, 1).norm(dim=0))


# Matching

NORMS = np.array([1.0, 1.1, 5.0, 5.2, 0.8, 9.0])
"""Standard deviation 3.0, so the caliper is 0.75."""


def test_matched_at_worked_values():
    order = np.array([0, 2, 1, 5, 3, 4])
    assert NORMS.std() * ablation.CALIPER == pytest.approx(0.75, abs=0.02)
    assert ablation.matched(order, 1, NORMS).tolist() == [1]
    assert ablation.matched(order, 2, NORMS).tolist() == [1, 3]
    assert ablation.matched(order, 3, NORMS) is None  # 1 is deleted, so 0 takes 4, 2 takes 3, and 1 finds only 5


def test_matched_refuses_a_partner_beyond_the_caliper():
    assert ablation.matched(np.array([5, 0, 1, 2, 3, 4]), 1, NORMS) is None


def test_matched_takes_the_nearest_that_is_still_free():
    norm = np.array([1.0, 1.01, 1.02, 1.05, 4.0, 4.0])
    assert ablation.matched(np.array([0, 1, 2, 3, 4, 5]), 2, norm).tolist() == [2, 3]


@given(
    st.lists(st.floats(0, 100), min_size=2, max_size=40).flatmap(
        lambda norms: st.tuples(st.just(norms), st.permutations(range(len(norms))), st.integers(1, len(norms)))
    )
)
def test_matched_units_are_others_each_used_once_and_within_the_caliper(drawn):
    norm, order, k = np.array(drawn[0]), np.array(drawn[1]), drawn[2]
    found = ablation.matched(order, k, norm)
    if 2 * k > len(norm):
        assert found is None
    if found is not None:
        assert len(set(found.tolist())) == k
        assert not set(found.tolist()) & set(order[:k].tolist())
        assert (np.abs(norm[found] - norm[order[:k]]) <= 0.25 * norm.std()).all()


def test_units_of_equal_norm_match_until_fewer_than_half_are_left():
    order = np.arange(6)
    assert ablation.matched(order, 3, np.ones(6)).tolist() == [3, 4, 5]
    assert ablation.matched(order, 4, np.ones(6)) is None


# The plan


def test_a_plan_ranks_by_salience_both_ways_and_matches_the_top():
    layer = a_layer()
    salience = np.arange(12.0)[::-1].copy()
    plan = Plan.of(salience, layer, k_points=4, random_draws=3, seed=5)
    assert plan.ks == [0, 1, 2, 3, 5, 12]
    assert plan.orders["top"].tolist() == [list(range(12))]
    assert plan.orders["bottom"].tolist() == [list(range(11, -1, -1))]
    assert (plan.orders["random"] == ablation.random_orders(12, 3, seed=5)).all()
    assert list(plan.matched) == plan.ks[1:]
    norm = ablation.activation_norm(layer)
    for k, units in plan.matched.items():
        expected = ablation.matched(np.arange(12), k, norm)
        assert (units is None) == (expected is None)
        assert units is None or (units == expected).all()


def test_carrying_out_a_plan_gives_every_ranking_draw_and_k():
    """On a lookup table, whose units are equally active: matched sets exist up to half of the units."""
    model, examples = lookup_table()
    layer = ablation.at_layer(model, examples.tokens, examples.labels, 0)
    plan = Plan.of(np.array([3.0, 1.0, 6.0, 2.0, 5.0, 4.0]), layer, k_points=6, random_draws=2, seed=0)
    assert plan.ks == [0, 1, 2, 3, 4, 6]
    found = plan.carry_out(layer, ablation.replacement(layer, "zero"))
    assert list(found.columns) == ["ranking", "draw", "k", "accuracy", "loss", "margin"]
    rows = set(zip(found["ranking"], found["draw"], found["k"], strict=True))
    draws = [("top", 0), ("bottom", 0), ("random", 0), ("random", 1)]
    assert rows == {(*draw, k) for draw in draws for k in plan.ks} | {("matched", 0, k) for k in plan.ks[1:]}
    assert len(found) == len(rows)

    unmatched = (found["ranking"] == "matched") & (found["k"] > 3)
    assert found.loc[unmatched, ["accuracy", "loss", "margin"]].isna().all().all()
    np.testing.assert_allclose(found.loc[~unmatched, "accuracy"], 1 - found.loc[~unmatched, "k"] / 6)


def test_each_row_of_a_plan_is_the_deletion_it_names():
    layer = a_layer()
    plan = Plan.of(np.arange(12.0), layer, k_points=5, random_draws=3, seed=0)
    values = ablation.replacement(layer, "mean")
    found = plan.carry_out(layer, values)
    for row in found.dropna().itertuples():
        units = plan.matched[row.k] if row.ranking == "matched" else plan.orders[row.ranking][row.draw, : row.k]
        with torch.no_grad():
            logits = ablation._without(layer, torch.as_tensor(units), values)
        np.testing.assert_allclose((row.accuracy, row.loss, row.margin), curve_of(logits, layer.labels), rtol=1e-9)


def test_a_plan_without_any_match_says_nan_for_each_k():
    layer = a_layer()
    plan = Plan([0, 1, 12], {"top": np.arange(12)[None]}, {1: None, 12: None})
    found = plan.carry_out(layer, ablation.replacement(layer, "zero"))
    matched = found[found["ranking"] == "matched"]
    assert matched["k"].tolist() == [1, 12]
    assert matched["accuracy"].isna().all()
    assert found["accuracy"].dtype == np.float64
