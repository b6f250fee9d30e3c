"""Curves in one pass against running the network for every k, and the exact ends of a curve."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from builders import random_examples, random_perceptron, random_questions
from deleting import DELETIONS, SCALE, a_layer, a_place, assert_alike, of_lookup_table

from general_circuits.measurements.ablation import nested as module
from general_circuits.measurements.ablation.answers import Answers, recomputed, subtracted
from general_circuits.measurements.ablation.deletion import donors, replacement
from general_circuits.measurements.ablation.nested import Nested
from general_circuits.measurements.ablation.rankings import random_orders
from general_circuits.models import predictions
from general_circuits.models.layer import Layer
from general_circuits.tasks.vocabulary import Vocabulary


def first(order: np.ndarray, ks) -> list[np.ndarray]:
    """Return the first k neurons of an order, for every k."""
    return [order[:k] for k in ks]


@pytest.mark.parametrize("deletion", DELETIONS)
@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("ranked", [1, 2, 5, 12])
def test_one_pass_equals_running_the_network_for_every_k(
    deletion: str, n_layers: int, dtype: torch.dtype, tolerance: float, ranked: int
) -> None:
    layer = a_layer(n_layers - 1, dtype, n_layers=n_layers, biases="all")
    values, every = replacement(layer, layer, deletion, 0), np.arange(ranked + 1)
    nested = Nested(layer, values, SCALE)
    for order in random_orders(12, 3, seed=0)[:, :ranked]:
        assert_alike(nested.curve(order, every), recomputed(layer, first(order, every), values, SCALE), tolerance)


@pytest.mark.parametrize("deletion", DELETIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("kept", [[0], [4], [12], [5, 9], [0, 6, 7, 12], [0, 4, 8, 11]])
def test_subtracting_several_neurons_at_once_equals_one_by_one(
    kept: list[int], dtype: torch.dtype, tolerance: float, deletion: str
) -> None:
    layer = a_layer(dtype=dtype, biases="all")
    values, (order,) = replacement(layer, layer, deletion, 0), random_orders(12, 1, seed=0)
    found = Nested(layer, values, SCALE).curve(order, np.array(kept))
    assert found.ks.tolist() == sorted({0, 1, 2, 3, *kept})
    plain = recomputed(layer, first(order, found.ks), values, SCALE)
    at = np.isin(found.ks, kept)
    assert_alike(
        found,
        dataclasses.replace(
            plain, kept=np.array(kept), losses=plain.losses[at], matched_losses=plain.matched_losses[at]
        ),
        tolerance,
    )


@pytest.mark.parametrize("deletion", DELETIONS)
@pytest.mark.parametrize("at_once", [1, 7, 20])
def test_slices_of_examples_change_nothing(at_once: int, deletion: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = a_layer(biases="all")
    values, (order,), kept = replacement(layer, layer, deletion, 0), random_orders(12, 1, seed=0), np.array([0, 5, 12])
    together = Nested(layer, values, SCALE).curve(order, kept)
    monkeypatch.setattr(module, "EXAMPLES_PER_SLICE", at_once)
    nested = Nested(layer, values, SCALE)
    assert [len(part.examples) for part in nested.parts] == {1: [1] * 20, 7: [7, 7, 6], 20: [20]}[at_once]
    assert_alike(nested.curve(order, kept), together, 1e-10)


@pytest.mark.parametrize("deletion", DELETIONS)
@pytest.mark.parametrize("outputs", ["classes", "sign"])
def test_one_pass_equals_running_a_perceptron_for_every_k(outputs: str, deletion: str) -> None:
    model = random_perceptron(Vocabulary(2, 5, 2), n_layers=2, outputs=outputs)
    layer = a_place(model, random_questions(20, n_classes=2), index=1)
    values, every, (order,) = replacement(layer, layer, deletion, 0), np.arange(13), random_orders(12, 1, seed=0)
    plain = recomputed(layer, first(order, every), values, SCALE)
    assert_alike(Nested(layer, values, SCALE).curve(order, every), plain, 1e-10)


def test_losses_are_computed_at_kept_k_and_margins_at_every_k_of_an_area() -> None:
    layer = a_layer()
    values, (order,) = torch.zeros_like(layer.units[0]), random_orders(12, 1, seed=0)
    nested = Nested(layer, values, SCALE)
    few, every = nested.curve(order, np.array([0, 3, 12])), nested.curve(order, np.arange(13))
    assert few.kept.tolist() == [0, 3, 12]
    assert few.ks.tolist() == [0, 1, 2, 3, 12]  # up to a quarter, over which areas average, and the kept k
    complete = nested.curve(order, few.kept, at_every_k=True)
    assert complete.ks.tolist() == list(range(13))
    torch.testing.assert_close(complete.margins, every.margins)
    assert torch.equal(few.losses[:2], every.losses[[0, 3]])
    assert torch.equal(few.margins, every.margins[few.ks])
    assert len(every.margins) == 13


@pytest.mark.parametrize("deletion", DELETIONS)
def test_the_ends_of_a_curve_are_exactly_the_network_with_and_without_all_neurons(deletion: str) -> None:
    layer = a_layer(dtype=torch.float32)
    values, (order,) = replacement(layer, layer, deletion, 0), random_orders(12, 1, seed=0)
    curve = Nested(layer, values, SCALE).curve(order, np.array([0, 12]))
    assert torch.equal(curve.margins[0], predictions.margins(layer.logits, layer.labels))
    with torch.no_grad():
        bare = layer.answer(values.expand_as(layer.units))
    assert torch.equal(curve.margins[-1], predictions.margins(bare, layer.labels))


def test_an_empty_ranking_measures_the_unchanged_network() -> None:
    layer = a_layer()
    curve = Nested(layer, torch.zeros_like(layer.units[0]), SCALE).curve(np.array([], dtype=int), np.array([0]))
    assert torch.equal(curve.margins, predictions.margins(layer.logits, layer.labels)[None])
    assert curve.ks.tolist() == curve.kept.tolist() == [0]


def test_deleting_leaves_the_layer_as_it_was() -> None:
    layer = a_layer()
    before, logits = layer.units.clone(), layer.logits.clone()
    values, (order,) = torch.zeros_like(layer.units[0]), random_orders(12, 1, seed=0)
    Nested(layer, values, SCALE).curve(order, np.arange(13))
    recomputed(layer, [np.array([1, 2])], values, SCALE)
    subtracted(layer, [np.array([1, 2])], values, SCALE)
    assert torch.equal(layer.units, before)
    assert torch.equal(layer.logits, logits)


# A lookup table


def curves(layer: Layer) -> list[Answers]:
    """Delete the units of a lookup table in five random orders."""
    nested = Nested(layer, torch.zeros_like(layer.units[0]), 1.0)
    return [nested.curve(order, np.arange(7)) for order in random_orders(6, 5, seed=0)]


def test_deleting_a_unit_of_a_lookup_table_loses_exactly_its_example() -> None:
    layer = of_lookup_table()
    assert (layer.logits.argmax(dim=1) == layer.labels).all()
    for order, curve in zip(random_orders(6, 5, seed=0), curves(layer), strict=True):
        for k in range(7):
            wrong = (curve.margins[k] <= 0).nonzero().flatten()
            assert set(wrong.tolist()) == set(order[:k].tolist())


def test_each_example_of_a_lookup_table_is_either_known_or_lost() -> None:
    """A known example has logits 1, 0, 0, and a lost one 0, 0, 0."""
    known, lost = np.log(np.e + 2) - 1, np.log(3)
    for curve in curves(of_lookup_table()):
        is_known = curve.margins == 1
        assert (is_known.sum(dim=1) == 6 - torch.arange(7)).all()
        assert (curve.margins[~is_known] == 0).all()
        np.testing.assert_allclose(curve.losses, np.where(is_known, known, lost))


@pytest.mark.parametrize("deletion", ["mean", "resample"])
def test_an_entry_at_its_mean_or_another_examples_value_votes_for_its_label(deletion: str) -> None:
    """A deleted entry at its mean adds 1/6 to its label on every example.

    A deleted entry that takes the donor's value adds 1 to its label exactly where the donor is its example.
    """
    layer = of_lookup_table()
    examples, donor = torch.arange(6), donors(6, 6, np.arange(6), seed=2)
    nested = Nested(layer, replacement(layer, layer, deletion, 2, examples), 1.0)
    for order in random_orders(6, 5, seed=0):
        curve = nested.curve(order, np.arange(7))
        for k in range(7):
            deleted = torch.zeros(6, dtype=torch.bool)
            deleted[order[:k]] = True
            logits = torch.zeros(6, 3, dtype=torch.float64)
            logits[examples, layer.labels] += (~deleted).double()
            if deletion == "mean":
                logits += torch.bincount(layer.labels[deleted], minlength=3).double() / 6
            else:
                logits[examples, layer.labels[donor]] += deleted[donor].double()
            torch.testing.assert_close(curve.margins[k], predictions.margins(logits, layer.labels), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_answer_is_left_over_from_rounding(dtype: torch.dtype) -> None:
    """Nothing but the neurons writes to the logits here. Without any neuron every margin is exactly 0."""
    layer = a_layer(dtype=dtype, biases="none", n=200)
    with torch.no_grad():
        layer.model.blocks[0].attn.W_O.zero_()
        layer.model.pos_embed.W_pos.zero_()
        layer.model.embed.W_E[:, 4:] = 0.0
        layer.model.unembed.W_U[:4] = 0.0
    layer = a_place(layer.model, random_examples(n=200))
    values, (order,) = torch.zeros_like(layer.units[0]), random_orders(12, 1, seed=0)
    curve = Nested(layer, values, 1.0).curve(order, np.array([8, 11, 12]))
    assert curve.ks.tolist() == [0, 1, 2, 3, 8, 11, 12]
    assert (curve.margins[-1] == 0).all()
    few_left = recomputed(layer, [order[:8], order[:11]], values, 1.0).margins
    torch.testing.assert_close(curve.margins[-3:-1], few_left, rtol=1e-4, atol=1e-7)
