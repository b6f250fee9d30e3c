"""Splits: exact sizes, pairs on one side, nested fractions, and label noise on training examples alone."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pandas as pd
import pytest
from builders import split_settings
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from general_circuits.seeds import stream_seed
from general_circuits.tasks import splits
from general_circuits.tasks.latin_square import draw_latin_square
from general_circuits.tasks.modular import Modular, generate

SEEDS = st.integers(0, 10_000)
FRACTIONS = st.floats(0.02, 0.98)
TASKS = st.sampled_from([Modular(("x+y",), 11), Modular(("x/y",), 11), Modular(("x*y",), 12)])
BY = st.sampled_from(["pair", "example"])


@settings(deadline=None, max_examples=60)
@given(TASKS, FRACTIONS, BY, SEEDS)
def test_training_size_is_the_same_for_every_seed(task: Modular, fraction: float, by: str, seed: int) -> None:
    pair = generate(task).pair
    split = split_settings(fraction, by)
    assert splits.draw_training(pair, split, seed).sum() == splits.training_size(pair, split)


@pytest.mark.parametrize(
    ("task", "by", "fraction", "size"),
    [
        (Modular(("x+y",), 10), "example", 0.25, 25),
        (Modular(("x+y",), 10), "example", 0.125, 13),  # 12.5: halves up
        (Modular(("x+y",), 10), "pair", 0.5, 5 + 2 * 23),  # 10 diagonal examples, 45 pairs of two: 22.5 up
        (Modular(("x/y",), 5), "pair", 0.5, 4 + 2 * 3),  # 4 of the 8 with a = b or a = 0; 3 of the 6 pairs of two
    ],
)
def test_training_sizes_by_hand(task: Modular, by: str, fraction: float, size: int) -> None:
    assert splits.training_size(generate(task).pair, split_settings(fraction, by)) == size


@settings(deadline=None, max_examples=40)
@given(TASKS, FRACTIONS, SEEDS)
def test_both_orders_of_a_pair_are_on_one_side(task: Modular, fraction: float, seed: int) -> None:
    pair = generate(task).pair
    trains = splits.draw_training(pair, split_settings(fraction, "pair"), seed)
    assert not set(pair[trains]) & set(pair[~trains])


def test_by_example_mirror_images_are_on_different_sides_as_often_as_chance_says() -> None:
    table = generate(Modular(("x+y",), 53))
    trains = splits.draw_training(table.pair, split_settings(0.5, "example"), 0)
    square = trains.reshape(53, 53)
    upper = np.triu_indices(53, 1)
    divided = int((square[upper] != square.T[upper]).sum())
    low, high = stats.binom.interval(0.999, len(upper[0]), 0.5)
    assert low <= divided <= high


@settings(deadline=None, max_examples=60)
@given(TASKS, FRACTIONS, FRACTIONS, BY, SEEDS)
def test_a_smaller_fraction_is_a_subset(task: Modular, one: float, other: float, by: str, seed: int) -> None:
    pair = generate(task).pair
    small, large = (splits.draw_training(pair, split_settings(f, by), seed) for f in sorted((one, other)))
    assert (small <= large).all()


def test_equal_seeds_are_equal_splits_and_others_differ() -> None:
    pair = generate(Modular(("x+y",), 23)).pair
    split = split_settings(0.5, "pair")
    drawn = [splits.draw_training(pair, split, seed).tobytes() for seed in range(30)]
    assert drawn == [splits.draw_training(pair, split, seed).tobytes() for seed in range(30)]
    assert len(set(drawn)) == 30


def test_every_example_trains_about_as_often_as_any_other() -> None:
    pair = generate(Modular(("x+y",), 7)).pair
    split = split_settings(0.5, "pair")
    rate = np.mean([splits.draw_training(pair, split, seed) for seed in range(2000)], axis=0)
    diagonal = np.diag(rate.reshape(7, 7))
    apart = rate.reshape(7, 7)[np.triu_indices(7, 1)]
    for rates, exact in ((diagonal, 4 / 7), (apart, 11 / 21)):  # 3.5 of 7 and 10.5 of 21: halves up
        assert np.abs(rates - exact).max() < 4.5 * np.sqrt(0.25 / 2000)


def drawn_labels(noise: float, seed: int, fraction: float = 0.6, p: int = 23) -> tuple[np.ndarray, ...]:
    table = generate(Modular(("x+y",), p))
    split = split_settings(fraction, "pair", label_noise=noise)
    trains = splits.draw_training(table.pair, split, seed)
    return table.target, trains, splits.draw_labels(table.pair, table.target, trains, p, split, seed)


def labels_of(target: np.ndarray, trains: np.ndarray, n_classes: int, noise: float, seed: int) -> np.ndarray:
    """Draw labels of examples without partners."""
    pair = np.arange(len(target), dtype=np.int32)
    return splits.draw_labels(pair, target, trains, n_classes, split_settings(label_noise=noise), seed)


@settings(deadline=None, max_examples=40)
@given(st.floats(0, 1), SEEDS)
def test_validation_keeps_its_targets_and_no_more_labels_change_than_the_noise_says(noise: float, seed: int) -> None:
    target, trains, labels = drawn_labels(noise, seed)
    assert (labels[~trains] == target[~trains]).all()
    assert (labels != target).sum() <= np.floor(noise * trains.sum() + 0.5)
    assert labels.min() >= 0
    assert labels.max() < 23


def test_the_number_of_replaced_labels_is_exact() -> None:
    """Among 10⁶ classes a random one is almost never the right one, so every replacement shows."""
    target = np.zeros(1000, dtype=np.int32)
    trains = np.arange(1000) < 801
    for noise, replaced in ((0.0, 0), (0.25, 200), (0.5, 401), (1.0, 801)):  # 400.5: halves up
        assert (labels_of(target, trains, 10**6, noise, 3) != target).sum() == replaced


@settings(deadline=None, max_examples=40)
@given(st.floats(0, 1), st.floats(0, 1), SEEDS)
def test_more_noise_adds_to_less(one: float, other: float, seed: int) -> None:
    less, more = sorted((one, other))
    target, _, few = drawn_labels(less, seed)
    many = drawn_labels(more, seed)[2]
    changed = few != target
    assert (many[changed] == few[changed]).all()


def test_labels_of_pure_noise_agree_with_the_targets_at_chance() -> None:
    p, agreeing, drawn = 23, 0, 0
    for seed in range(40):
        target, trains, labels = drawn_labels(1.0, seed, p=p)
        agreeing, drawn = agreeing + int((labels == target)[trains].sum()), drawn + int(trains.sum())
    low, high = stats.binom.interval(0.999, drawn, 1 / p)
    assert low <= agreeing <= high


def test_mirror_images_draw_their_own_noise() -> None:
    p = 53
    table = generate(Modular(("x+y",), p))
    labels = labels_of(table.target, np.ones(p * p, dtype=bool), p, 1.0, 0).reshape(p, p)
    upper = np.triu_indices(p, 1)
    low, high = stats.binom.interval(0.999, len(upper[0]), 1 / p)
    assert low <= (labels[upper] == labels.T[upper]).sum() <= high


def test_noise_takes_every_class_equally() -> None:
    labels = np.concatenate([drawn_labels(1.0, seed)[2][drawn_labels(1.0, seed)[1]] for seed in range(30)])
    assert stats.chisquare(np.bincount(labels, minlength=23)).pvalue > 1e-3


def test_targets_are_not_written_to() -> None:
    target = np.arange(50, dtype=np.int32) % 5
    before = target.copy()
    labels_of(target, np.ones(50, dtype=bool), 5, 1.0, 0)
    assert (target == before).all()


def test_noise_is_the_same_under_two_fractions_of_one_seed() -> None:
    _, small, labels_small = drawn_labels(1.0, 5, fraction=0.3)
    _, large, labels_large = drawn_labels(1.0, 5, fraction=0.7)
    both = small & large
    assert both.sum() == small.sum()
    assert (labels_small[both] == labels_large[both]).all()


def test_noise_and_split_are_separate_streams() -> None:
    """Labels are replaced without regard to the examples that a smaller split would keep."""
    pair = generate(Modular(("x+y",), 53)).pair
    small, large = (splits.draw_training(pair, split_settings(f, "example", label_noise=0.5), 0) for f in (0.3, 0.6))
    labels = labels_of(np.zeros(len(pair), dtype=np.int32), large, 10**6, 0.5, 0)
    low, high = stats.binom.interval(0.999, int(small.sum()), 0.5)
    assert low <= (labels[small] != 0).sum() <= high


def test_labels_by_example_are_pinned() -> None:
    """Published results depend on these labels, which were drawn before there was another way to draw them."""
    digest = hashlib.sha256(drawn_labels(0.5, 7)[2].tobytes()).hexdigest()
    assert digest == "1e29a119fde9e7e71a0dfa6d456c007a3dd4b6dd3fc4e7469bb20441f89a44b9"


def drawn_by(
    by: str, noise: float, seed: int = 0, split_by: str = "pair", p: int = 23, n_classes: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of addition, its targets and whether each example trains, as squares (p, p)."""
    table = generate(Modular(("x+y",), p))
    split = split_settings(0.6, split_by, label_noise=noise, label_noise_by=by)
    trains = splits.draw_training(table.pair, split, seed)
    labels = splits.draw_labels(table.pair, table.target, trains, n_classes or p, split, seed)
    return labels.reshape(p, p), table.target.reshape(p, p), trains.reshape(p, p)


@pytest.mark.parametrize("split_by", ["pair", "example"])
@settings(deadline=None, max_examples=20)
@given(noise=st.floats(0, 1), seed=SEEDS)
def test_noise_by_pair_is_the_same_in_both_orders(split_by: str, noise: float, seed: int) -> None:
    labels, target, trains = drawn_by("pair", noise, seed, split_by)
    both = trains & trains.T
    assert (labels == labels.T)[both].all()
    assert (labels == target)[~trains].all()


def test_noise_by_pair_replaces_an_exact_share_of_the_pairs() -> None:
    """Among 10⁶ classes a random one is almost never the right one, so every replacement shows."""
    for noise in (0.0, 0.25, 0.5, 1.0):
        labels, target, trains = drawn_by("pair", noise, n_classes=10**6)
        wrong, training = np.triu(labels != target).sum(), np.triu(trains).sum()
        assert wrong == np.floor(noise * training + 0.5)


def test_pairs_draw_different_noise() -> None:
    labels, target, trains = drawn_by("pair", 1.0, p=53)
    upper = np.triu(trains)
    low, high = stats.binom.interval(0.999, int(upper.sum()), 1 / 53)
    assert low <= (labels == target)[upper].sum() <= high
    assert stats.chisquare(np.bincount(labels[upper], minlength=53)).pvalue > 1e-3


def test_more_noise_by_pair_adds_to_less() -> None:
    few, target, _ = drawn_by("pair", 0.3)
    many = drawn_by("pair", 0.7)[0]
    assert (many[few != target] == few[few != target]).all()


@pytest.mark.parametrize("split_by", ["pair", "example"])
def test_labels_of_a_latin_square_are_its_cells(split_by: str) -> None:
    labels, target, trains = drawn_by("latin_square", 1.0, 4, split_by)
    square = draw_latin_square(23, np.random.default_rng(stream_seed(4, "labels")))
    assert (labels == np.where(trains, square, target)).all()
    assert (drawn_by("latin_square", 1.0, 5)[0] != labels).any()


def test_a_split_does_not_depend_on_its_label_noise() -> None:
    pair = generate(Modular(("x+y",), 13)).pair
    split = split_settings(0.6, "pair")
    noisy = dataclasses.replace(split, label_noise=1.0)
    assert (splits.draw_training(pair, split, 4) == splits.draw_training(pair, noisy, 4)).all()


@settings(deadline=None, max_examples=60)
@given(TASKS, BY, SEEDS, st.data())
def test_a_count_is_met_exactly_and_pairs_stay_whole(task: Modular, by: str, seed: int, data: st.DataObject) -> None:
    pair = generate(task).pair
    count = data.draw(st.integers(1, len(pair)))
    try:
        size = splits.training_size(pair, split_settings(count, by))
    except splits.SplitError:
        # Only if the rest is odd, and there are too few singles to make it even.
        assert by == "pair"
        return
    trains = splits.draw_training(pair, split_settings(count, by), seed)
    assert trains.sum() == size == count
    if by == "pair":
        assert not set(pair[trains]) & set(pair[~trains])


def test_counts_of_singles_and_pairs_by_hand() -> None:
    pair = generate(Modular(("x+y",), 10)).pair  # 10 single examples, 45 pairs
    _, sizes = np.unique(pair, return_counts=True)
    drawn = [splits.drawn_units(sizes, split_settings(count, "pair")) for count in (50, 51, 1, 99)]
    assert drawn == [{1: 4, 2: 23}, {1: 5, 2: 23}, {1: 1, 2: 0}, {1: 9, 2: 45}]
    assert splits.drawn_units(np.ones(100, dtype=int), split_settings(50)) == {1: 50}


def test_a_count_that_no_pairs_add_up_to_is_refused() -> None:
    only_pairs = np.repeat(np.arange(6), 2).astype(np.int32)
    with pytest.raises(splits.SplitError, match="6 pairs of two and 0 single examples"):
        splits.training_size(only_pairs, split_settings(5, "pair"))
    with pytest.raises(splits.SplitError, match="below the 12 examples"):
        splits.training_size(only_pairs, split_settings(13, "pair"))


def drawn(replica: int, operation: str = "x+y", **changes: object) -> pd.DataFrame:
    table = generate(Modular((operation,), 13))
    return splits.draw(table.pair, table.target, 13, split_settings(0.5, "pair", **changes), replica)


def test_conditions_with_one_split_seed_share_their_splits_in_every_replica() -> None:
    mine, other = drawn(3), drawn(3, "x*y")
    assert (mine["split"] == other["split"]).all()
    assert (drawn(3, split_seed=8)["split"] == drawn(4, "x*y", split_seed=8)["split"]).all()
    assert (drawn(3, split_seed=8)["split"] == drawn(8)["split"]).all()
    assert (drawn(3)["split"] != drawn(4)["split"]).any()


def test_corrupted_labels_have_a_seed_of_their_own() -> None:
    usual, same_labels = drawn(3, label_noise=0.5), drawn(3, label_noise=0.5, label_seed=9)
    assert (usual["split"] == same_labels["split"]).all()
    assert (usual["label"] != same_labels["label"]).any()
    assert (same_labels["label"] == drawn(3, label_noise=0.5, label_seed=9)["label"]).all()
    assert (usual["target"] == drawn(4)["target"]).all()
