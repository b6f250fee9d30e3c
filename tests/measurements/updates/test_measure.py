"""Neurons at each checkpoint: saliency as in the saliency table, generality by hand, movement between checkpoints."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from builders import (
    addition,
    lookup_table,
    optimiser_settings,
    random_examples,
    random_perceptron,
    random_questions,
    random_transformer,
    two_units,
)
from saliency_builders import questions

from general_circuits.measurements.saliency.measure import measure as measure_saliency
from general_circuits.measurements.updates import measure
from general_circuits.measurements.updates.measure import salient, track
from general_circuits.models.network import Network
from general_circuits.tasks.examples import Examples

DOUBLE = optimiser_settings(loss_precision="float64")


def tracked(*models: Network, train: Examples, seed: int = 0) -> list[pd.DataFrame]:
    """Track networks at steps 0, 10, 20 …"""
    return [frame for _, frame in track(zip(itertools.count(0, 10), models, strict=False), train, DOUBLE, seed)]


NETWORKS = [
    *((random_transformer(n_layers=2, normalisation=kind), random_examples()) for kind in ("none", "pre", "post")),
    (random_transformer(dtype=torch.float32), random_examples()),
    (random_perceptron(n_layers=2, inputs="embedding"), random_questions()),
    lookup_table(),
]


@pytest.mark.parametrize(("model", "train"), NETWORKS)
@pytest.mark.parametrize("at_once", [3, 2048])
def test_saliency_and_breadth_are_those_of_the_saliency_table(model, train, at_once, monkeypatch):
    monkeypatch.setattr(measure, "EXAMPLES_PER_PASS", at_once)
    (found,) = tracked(model, train=train)
    asked = questions(methods=("activation_gradient",), targets=("right_minus_mean",), normalisations=("raw",))
    expected, _ = measure_saliency(model, {"train": train}, asked, seed=0)
    assert found[["layer", "neuron", "alive"]].equals(expected[["layer", "neuron", "alive"]])
    for here, there in (("saliency", "mean_magnitude"), ("breadth", "breadth")):
        np.testing.assert_allclose(found[here], expected[there], rtol=1e-6, atol=1e-12)


def test_a_neuron_is_salient_if_it_has_more_than_an_equal_share():
    """Three neurons that are alike have a third of the saliency each, which is no more than an equal share."""
    saliency = torch.tensor(
        [[3.0, 1.0, 1.0], [-3.0, 1.0, -1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [2.0, 2.0, 0.0]], dtype=torch.float64
    )
    assert salient(saliency).tolist() == [
        [True, False, False],
        [True, False, False],
        [False, False, False],
        [False, False, False],
        [True, True, False],
    ]


def test_a_network_of_two_units_by_hand():
    """Among the examples (0, 0), (0, 1) and (1, 1) unit 1 fires on the last alone, and unit 0 on the others alone."""
    model, train = two_units()
    (found,) = tracked(model, train=train)
    assert found["generality"].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert found["alive"].tolist() == [True, True]
    # Right minus mean in unit 0: 2 · (3 − 1) = 4, 1 · (0 − 1) = −1; in unit 1: 2 · (6 − 2) = 8.
    assert found["saliency"].tolist() == pytest.approx([5 / 3, 8 / 3])
    assert found["breadth"].tolist() == pytest.approx([25 / (3 * 17), 1 / 3])
    # In (1, −1) with (0, 1), out (1, 0) with (0, 1).
    assert found["weight_norm"].tolist() == pytest.approx([1.0, 2**0.5])


def test_units_that_know_one_example_each_serve_one_of_six():
    model, train = lookup_table()
    (found,) = tracked(model, train=train)
    assert found["generality"].tolist() == pytest.approx([1 / 6] * 6)
    assert found["coherence"].tolist() == pytest.approx([1.0] * 6)


def test_labels_are_shuffled_once_for_a_replica_among_the_training_examples():
    model, train = random_transformer(), addition()["train"]
    first, again, other = (tracked(model, model, train=train, seed=seed) for seed in (0, 0, 1))
    names = ["shuffled_gsnr", "shuffled_coherence"]
    assert first[0][names].equals(first[1][names])
    assert first[0][names].equals(again[0][names])
    assert not first[0][names].equals(other[0][names])
    assert first[0].drop(columns=names).equals(other[0].drop(columns=names))
    alike = Examples(train.tokens, torch.full_like(train.labels, 2))
    (found,) = tracked(model, train=alike)
    assert found["shuffled_gsnr"].equals(found["gsnr"].rename("shuffled_gsnr"))


def test_each_checkpoint_but_the_last_has_the_movement_to_the_next():
    models = [random_transformer(n_layers=2, seed=seed) for seed in range(3)]
    train = addition()["train"]
    found = tracked(*models, train=train)
    ways = ["update_norm", "decay_norm"]
    assert found[-1][ways].isna().all(axis=None)
    assert not found[0][ways].isna().any(axis=None)
    pair = tracked(*models[:2], train=train)
    assert pair[0].equals(found[0])
    assert pair[1].drop(columns=ways).equals(found[1].drop(columns=ways))


def test_one_network_that_is_filled_anew_gives_the_same_rows_as_several():
    several = [random_transformer(n_layers=2, seed=seed) for seed in range(3)]

    def filled():
        model = random_transformer(n_layers=2)
        for other in several:
            model.load_state_dict(other.state_dict())
            yield model

    train = addition()["train"]
    anew = track(zip(itertools.count(0, 10), filled(), strict=False), train, DOUBLE, 0)
    for (_, one), other in zip(anew, tracked(*several, train=train), strict=True):
        assert one.equals(other)


def test_the_loss_is_taken_in_the_precision_of_training():
    """Float32 has no gradient left in the right logit at a probability of 1 − 4·10⁻⁹, so none reaches the unit."""
    model, train = lookup_table()
    with torch.no_grad():
        model.unembed.W_U *= 20
    norms = []
    for precision in ("float32", "float64"):
        ((_, found),) = track([(0, model)], train, optimiser_settings(loss_precision=precision), 0)
        norms.append(found["gradient_norm"])
    # The gradient in the weights out of a unit is 20 · (−2, 1, 1) · e⁻²⁰ / 6. Float32 has (0, 1, 1) in place of
    # (−2, 1, 1). The first number is also the gradient in the bias and in the weights of the two inputs of 1.
    unit = 20 * np.exp(-20) / 6
    assert norms[0].to_numpy() == pytest.approx(unit * 2**0.5, rel=1e-6)
    assert norms[1].to_numpy() == pytest.approx(unit * (6 + 4 * 3) ** 0.5, rel=1e-6)
