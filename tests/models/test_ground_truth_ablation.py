"""Deletions of neurons and heads in the networks built by hand, where the remaining accuracy is known."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from by_hand import N_TRAIN, addition, fourier, lookup_table
from saliency_builders import questions

from general_circuits.analysis import damage
from general_circuits.measurements.ablation.deletion import donors
from general_circuits.measurements.ablation.measure import DeletionSettings, measure
from general_circuits.measurements.ablation.rankings import random_orders
from general_circuits.measurements.saliency import measure as saliency
from general_circuits.models.transformer import Transformer

REGISTERED = {
    "methods": ("activation_gradient",),
    "targets": ("right_minus_mean",),
    "normalisations": ("raw",),
    "sites": ("mlp", "heads"),
}
STATISTICS = ("mean_magnitude", "median_magnitude", "q95_magnitude", "median", "breadth")
QUARTER = (1 + N_TRAIN // 4) / 2
"""Mean of 1, 2, … 25."""
Frames = tuple[pd.DataFrame, pd.DataFrame]


def ablated(
    model: Transformer, n_train: int = N_TRAIN, attributions: dict[str, Any] = REGISTERED, **changes: Any
) -> Frames:
    """Return the `ablation` and the `damage` table of one checkpoint, with units ranked by the registered saliency."""
    splits = addition(n_train=n_train)
    usual: dict[str, Any] = {
        "sites": ("mlp",),
        "deletions": ("zero",),
        "rankings": ("mean_magnitude",),
        "dead_units": ("included",),
        "k_points": "all",
        "random_draws": 20,
    }
    salience, _ = saliency.measure(model, {"train": splits["train"]}, questions(**attributions), seed=0)
    scale = model.logit_scale(splits["train"].tokens)
    found = measure(model, splits, salience, DeletionSettings(**(usual | changes)), scale, seed=0)
    curves, areas = (
        frame.assign(condition=pd.Categorical(["by_hand"] * len(frame)), replica=0, step=0) for frame in found
    )
    return curves, areas


@cache
def of_table() -> Frames:
    return ablated(lookup_table())


@cache
def of_fourier() -> Frames:
    return ablated(fourier())


def left(curves: pd.DataFrame, split: str) -> pd.DataFrame:
    """Return mean accuracy and margin over draws, with k as rows and rankings as columns."""
    return curves[curves["split"] == split].groupby(["ranking", "k"])[["accuracy", "margin"]].mean().unstack("ranking")


def test_each_deleted_neuron_of_a_lookup_table_costs_one_example_in_any_order() -> None:
    accuracy = left(of_table()[0], "train")["accuracy"]
    for ranking in ("top", "bottom", "random"):
        np.testing.assert_allclose(accuracy[ranking], 1 - accuracy.index / N_TRAIN, atol=1e-12)
    assert accuracy["matched"][7] == pytest.approx(0.93)
    assert (left(of_table()[0], "validation")["accuracy"].fillna(0) == 0).all(axis=None)


def test_every_statistic_and_norm_ranks_a_lookup_table_with_the_same_damage() -> None:
    """Rankings use every statistic of all methods and targets, and both norms."""
    everything = {"normalisations": ("raw",), "sites": ("mlp",)}
    curves, areas = ablated(
        lookup_table(), attributions=everything, rankings=(*STATISTICS, "activation_norm", "weight_norm")
    )
    assert len(areas[(areas["split"] == "train") & (areas["ranking"] == "top")]) == 6 * 4 * len(STATISTICS) + 2
    train = curves[(curves["split"] == "train") & (curves["ranking"] != "matched")]
    np.testing.assert_allclose(train["accuracy"], 1 - train["k"] / N_TRAIN, atol=1e-12)
    found = areas[(areas["split"] == "train") & (areas["ranking"] != "matched")]
    np.testing.assert_allclose(found["area"], QUARTER / N_TRAIN, atol=1e-12)
    np.testing.assert_allclose(found["half_k"], N_TRAIN / 2)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_the_general_network_still_answers_without_a_seventh_of_its_neurons(split: str) -> None:
    """Nearly every answer survives the loss of a random quarter of them. No answer survives the loss of all."""
    found = left(of_fourier()[0], split)
    accuracy = found["accuracy"]
    assert (accuracy.loc[:14, ["top", "bottom"]] == 1).all(axis=None)
    assert accuracy["random"].loc[:25].min() > 0.98
    assert found["margin"]["top"][0] > 10
    assert (found.drop(columns="matched", level="ranking").loc[N_TRAIN] == 0).all()


def test_damage_is_large_in_the_lookup_table_and_small_in_the_general_network() -> None:
    """No neuron of a lookup table matters more than another, so its damage does not exceed random deletion."""
    (shallow,) = damage.areas(of_table()[1]).itertuples()
    (general,) = damage.areas(of_fourier()[1]).itertuples()
    assert shallow.top == pytest.approx(QUARTER / N_TRAIN)
    assert shallow.excess == pytest.approx(0, abs=1e-12)
    assert shallow.over_bottom == pytest.approx(0, abs=1e-12)
    assert general.random < 0.005
    assert general.top < shallow.top / 3


def test_half_of_the_accuracy_is_lost_with_half_of_a_lookup_table() -> None:
    _, areas = ablated(lookup_table(), k_points=5)
    found = areas[(areas["split"] == "train") & (areas["ranking"] != "matched")]
    np.testing.assert_allclose(found["half_k"], N_TRAIN / 2)
    assert areas[areas["split"] == "validation"]["half_k"].isna().all()


def test_deleting_dead_neurons_costs_nothing_unless_they_are_excluded() -> None:
    """The lookup table has 28 dead neurons and 100 others. `top` deletes the dead ones last, `bottom` first."""
    _, areas = ablated(lookup_table(n_dead=28), dead_units=("included", "excluded"))
    rows = areas[areas["split"] == "train"].set_index(["dead_units", "ranking"]).sort_index()
    assert rows.loc["included", "neurons"].eq(128).all()
    assert rows.loc["excluded", "neurons"].eq(N_TRAIN).all()
    np.testing.assert_allclose(rows.loc["excluded"].drop("matched")["area"], QUARTER / N_TRAIN)
    np.testing.assert_allclose(rows.loc["excluded"].drop("matched")["half_k"], N_TRAIN / 2)
    top, bottom = (rows.loc[("included", ranking)] for ranking in ("top", "bottom"))
    assert (top["half_k"], bottom["half_k"]) == (50, 78)
    assert top["area"] == pytest.approx((1 + 32) / 2 / N_TRAIN)
    assert bottom["area"] == pytest.approx((1 + 2 + 3 + 4) / 32 / N_TRAIN)


# Other values of deleted units. With 128 examples a mean of 1/128 is exact, so that equal sums are equal.


@cache
def of_128() -> pd.DataFrame:
    curves, _ = ablated(lookup_table(128), 128, deletions=("mean", "resample"))
    return curves[curves["split"] == "train"].set_index(["deletion", "ranking", "draw", "k"])["accuracy"].sort_index()


def deleted_128(draw: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels, and a mask of the neurons that a random draw deletes for each k, (k, neuron)."""
    order = random_orders(128, 20, seed=0)[draw]
    place = np.argsort(order)
    return addition(n_train=128)["train"].labels.numpy(), place < np.arange(129)[:, None]


@pytest.mark.parametrize("draw", range(3))
def test_neurons_at_their_means_answer_with_the_most_frequent_deleted_label(draw: int) -> None:
    """Each deleted neuron adds 1/n to its label on every example. It only matters where no other neuron fires."""
    labels, deleted = deleted_128(draw)
    found = of_128().loc["mean", "random", draw]
    for k, gone in enumerate(deleted):
        counts = np.bincount(labels[gone], minlength=13)
        most = np.flatnonzero(counts == counts.max())
        guessed = (gone & (labels == most[0])).sum() if k and len(most) == 1 else 0
        assert found[k] == pytest.approx((128 - k + guessed) / 128, abs=1e-12)


@pytest.mark.parametrize("draw", range(3))
def test_a_neuron_at_another_examples_value_votes_for_its_own_example(draw: int) -> None:
    """An example is right if its own neuron is intact and its donor's is too, or if the deleted donor has its label."""
    labels, deleted = deleted_128(draw)
    found, donor = of_128().loc["resample", "random", draw], donors(128, 128, np.arange(128), seed=0)
    agrees = labels[donor] == labels
    for k, gone in enumerate(deleted):
        is_right = np.where(gone[donor], agrees, ~gone)
        assert found[k] == pytest.approx(is_right.mean(), abs=1e-12)


def test_the_general_network_answers_almost_nothing_with_all_neurons_at_their_means() -> None:
    """The neurons write waves, whose mean over all examples is zero. Only the imbalance of the split is left."""
    curves, _ = ablated(fourier(), deletions=("mean",))
    train = left(curves, "train")
    assert train["accuracy"]["top"].loc[N_TRAIN] < 3 / 13
    assert (train["accuracy"].loc[:14, ["top", "bottom"]] == 1).all(axis=None)


# Attention


@pytest.mark.parametrize(("model", "lost"), [(lookup_table, (1.0, 1.0)), (fourier, (1.0, 0.0))])
def test_a_lookup_table_needs_both_heads_and_the_general_network_the_first(model, lost: tuple[float, float]) -> None:
    """`top` deletes the more salient head first, `bottom` the other head. Without both, no example is answered."""
    curves, areas = ablated(model(), sites=("heads",))
    train = curves[curves["split"] == "train"].set_index(["ranking", "k"])["accuracy"]
    for ranking, cost in zip(("top", "bottom"), lost, strict=True):
        assert train[ranking].tolist() == [1.0, 1.0 - cost, 0.0]
    found = areas[areas["split"] == "train"].set_index("ranking")
    assert found.loc[["top", "bottom"], "area"].tolist() == list(lost)
