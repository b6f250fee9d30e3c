"""A layer's neurons: which of them fire, how units are grouped, and gradients in them."""

from __future__ import annotations

import pytest
import torch
from builders import random_examples, two_units
from saliency_builders import EFFORT, a_layer, at

from general_circuits.measurements.saliency.gradients import activation_gradient
from general_circuits.measurements.saliency.targets import TARGETS
from general_circuits.models.layer import Layer
from general_circuits.models.network import Place


@pytest.mark.parametrize("normalisation", ["none", "pre", "post"])
def test_in_the_last_layer_only_what_fires_at_the_last_position_is_alive(normalisation: str) -> None:
    layer = a_layer(n=50, normalisation=normalisation)
    read, block = layer.model.read(random_examples(50).tokens), layer.model.blocks[0]
    units = block.neurons(block.attend(read, block.head_outputs(read)))
    assert torch.equal(layer.fires, units[:, -1] != 0)
    assert (units != 0).any(dim=1).sum() > layer.fires.sum()


def test_values_are_summed_over_positions_and_over_the_units_of_a_head() -> None:
    """Two positions of two heads with four units each: 0 to 7 at the first position, 8 to 15 at the second."""
    values = torch.arange(16.0).reshape(1, 2, 8)
    assert a_layer(Place(0, "heads")).by_neuron(values).tolist() == [[6 + 38, 22 + 54]]
    assert a_layer(Place(0, "head_outputs")).by_neuron(values).tolist() == [[8 + 2 * i for i in range(8)]]


def test_a_head_is_made_of_consecutive_units_in_the_order_of_the_heads() -> None:
    heads, units = a_layer(Place(0, "heads")), a_layer(Place(0, "head_outputs"))
    assert (heads.n_neurons, units.n_neurons) == (2, 8)
    assert heads.units_of(torch.tensor([1, 0])).tolist() == [4, 5, 6, 7, 0, 1, 2, 3]
    assert units.units_of(torch.tensor([3, 1])).tolist() == [3, 1]


def test_without_changes_only_the_given_neurons_and_copies_the_rest() -> None:
    layer = a_layer(Place(0, "heads"), n_layers=2)  # (10, 3, 8)
    before, values = layer.units.clone(), torch.arange(24.0).double().reshape(3, 8)
    changed = layer.without(torch.tensor([1]), values)
    assert torch.equal(changed[:, :, :4], before[:, :, :4])
    assert torch.equal(changed[:, :, 4:], values[:, 4:].expand(10, 3, 4))
    assert torch.equal(layer.units, before)
    by_example = torch.randn(10, 3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(layer.without(torch.tensor([0]), by_example)[:, :, :4], by_example[:, :, :4])


def test_logits_and_weights_at_worked_values() -> None:
    """Unit 0 writes 3 to class 0, and unit 1 writes 6 to class 2."""
    layer = at(*two_units())
    assert layer.logits.tolist() == [[12, 0, 0], [6, 0, 6], [0, 0, 24]]
    assert layer.weights.tolist() == [[3, 0, 0], [0, 0, 6]]
    assert layer.answer(torch.zeros_like(layer.units)).tolist() == [[6, 0, 0], [3, 0, 6], [0, 0, 12]]


def test_some_examples_have_the_answers_that_they_have_among_all() -> None:
    layer, rows = a_layer(n_layers=2), torch.tensor([7, 2])
    torch.testing.assert_close(layer.some(rows).logits, layer.logits[rows])
    torch.testing.assert_close(layer.some(slice(3, 5)).logits, layer.logits[3:5])


def test_the_gradient_of_a_sum_is_each_examples_own_gradient() -> None:
    layer, target = a_layer(n_layers=2, normalisation="pre"), TARGETS["log_probability"]
    (together,) = layer.unit_gradients([target])
    assert together.shape == layer.units.shape
    for example in range(3):
        (alone,) = layer.some(slice(example, example + 1)).unit_gradients([target])
        torch.testing.assert_close(together[example : example + 1], alone)


def test_a_unit_of_the_last_layer_that_is_silent_at_the_last_position_does_not_fire():
    model, _ = two_units()
    tokens = torch.tensor([[1, 0, 2]])
    layer = Layer.at(model, tokens, torch.tensor([2]), Place(0))
    # Unit 1 sees x = (0, 4) at the first position, (1, 1) at the last.
    block = model.blocks[0]
    read = model.read(tokens)
    assert block.neurons(block.attend(read, block.head_outputs(read)))[0, :, 1].tolist() == [4, 0, 0]
    (found,) = activation_gradient(layer, [TARGETS["right_minus_mean"]], EFFORT)
    assert layer.fires.tolist() == [[True, False]]
    assert found.saliency.tolist() == [[-1, 0]]
