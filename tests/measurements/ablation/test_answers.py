"""Answers after deletions, against networks without these neurons."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from builders import random_examples, random_transformer, two_units
from deleting import DELETIONS, SCALE, a_layer, a_place, assert_alike

from general_circuits.measurements.ablation.answers import recomputed, scored, subtracted
from general_circuits.measurements.ablation.deletion import replacement
from general_circuits.models import predictions

ELSEWHERE = (
    ("none", 0, "mlp"),
    ("pre", 1, "mlp"),
    ("post", 1, "mlp"),
    ("none", 1, "head_outputs"),
    ("pre", 0, "heads"),
)
"""Normalisation, layer (of two) and site of the places where the logits are not linear."""


@pytest.mark.parametrize("deletion", DELETIONS)
@pytest.mark.parametrize(("normalisation", "index", "site"), [("none", 1, "mlp"), *ELSEWHERE])
def test_deleting_no_neuron_changes_no_answer(normalisation: str, index: int, site: str, deletion: str) -> None:
    layer = a_layer(index, site=site, n_layers=2, normalisation=normalisation)
    found = recomputed(layer, [np.array([], dtype=int)], replacement(layer, layer, deletion, 0), SCALE)
    logits = layer.model.answer(random_examples(n=20).tokens).detach()
    torch.testing.assert_close(found.margins[0], predictions.margins(logits, layer.labels))
    torch.testing.assert_close(found.losses[0], predictions.surprise(logits, layer.labels))
    torch.testing.assert_close(found.matched_losses[0], predictions.surprise(logits / SCALE, layer.labels))


@pytest.mark.parametrize(("normalisation", "index", "site"), [("none", 1, "mlp"), *ELSEWHERE])
def test_zeroing_every_neuron_equals_zeroing_the_weights_out_of_them(normalisation: str, index: int, site: str) -> None:
    layer = a_layer(index, site=site, n_layers=2, normalisation=normalisation)
    found = recomputed(layer, [np.arange(layer.n_neurons)], torch.zeros_like(layer.units[0]), SCALE)
    without = copy.deepcopy(layer.model)
    with torch.no_grad():
        block = without.blocks[index]
        (block.mlp.W_out if site == "mlp" else block.attn.W_O).zero_()
        logits = without.answer(random_examples(n=20).tokens)
    torch.testing.assert_close(found.margins[0], predictions.margins(logits, layer.labels))


def test_deleting_a_head_equals_zeroing_its_output_weights() -> None:
    layer = a_layer(site="heads")
    assert layer.n_neurons == 2
    found = recomputed(layer, [np.array([1])], torch.zeros_like(layer.units[0]), SCALE)
    with torch.no_grad():
        layer.model.blocks[0].attn.W_O[1] = 0.0
        logits = layer.model.answer(random_examples(n=20).tokens)
    torch.testing.assert_close(found.margins[0], predictions.margins(logits, layer.labels))


@pytest.mark.parametrize(("normalisation", "index"), [("none", 0), ("none", 1), ("pre", 1)])
def test_only_zeroing_a_constant_unit_changes_the_losses(normalisation: str, index: int) -> None:
    model, examples = random_transformer(n_layers=2, normalisation=normalisation), random_examples(n=20)
    with torch.no_grad():
        model.blocks[index].mlp.W_in[:, 5] = 0.0
        model.blocks[index].mlp.b_in[5] = 1.5
    layer = a_place(model, examples, index)
    change = {}
    for deletion in DELETIONS:
        sets = [np.array([], dtype=int), np.array([5])]
        whole, without = recomputed(layer, sets, replacement(layer, layer, deletion, 0), SCALE).losses
        change[deletion] = (without - whole).abs().max().item()
    assert change["zero"] > 1e-4
    assert change["mean"] < 1e-10
    assert change["resample"] < 1e-10


@pytest.mark.parametrize("deletion", DELETIONS)
def test_subtracting_sets_equals_running_the_network_without_them(deletion: str) -> None:
    layer = a_layer()
    sets = [np.array([], dtype=int), np.array([3]), np.array([7, 2]), np.array([0, 11, 4])]
    values = replacement(layer, layer, deletion, 0)
    assert_alike(subtracted(layer, sets, values, SCALE), recomputed(layer, sets, values, SCALE), 1e-10)


def test_answers_at_worked_values() -> None:
    """Unit 1 writes twice 6 to class 2 on the last example. Without it the attention output leaves a logit of 12."""
    layer = a_place(*two_units())
    found = recomputed(layer, [np.array([], dtype=int), np.array([1])], torch.zeros_like(layer.units[0]), 2.0)
    assert found.ks.tolist() == found.kept.tolist() == [0, 1]
    torch.testing.assert_close(found.margins, torch.tensor([[12.0, -6, 24], [12, -6, 12]]).double())
    torch.testing.assert_close(found.losses[1, 2].exp(), torch.tensor(1 + 2 * math.exp(-12)).double())
    torch.testing.assert_close(found.matched_losses[1, 2].exp(), torch.tensor(1 + 2 * math.exp(-6)).double())


def test_scored_answers_have_one_row_per_k_in_the_given_order() -> None:
    layer = a_place(*two_units())
    found = scored(layer, [0, 3], [layer.logits, 2 * layer.logits], 1.0)
    assert found.ks.tolist() == [0, 3]
    assert torch.equal(found.margins[1], 2 * found.margins[0])
    assert torch.equal(found.losses, found.matched_losses)
