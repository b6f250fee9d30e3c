"""Batches: whole, without repetition within an epoch, in an order that the seed decides and a state restores."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from general_circuits.seeds import stream_seed
from general_circuits.training.batches import Batches


def batches_of(n_examples: int, batch_size: int | str, seed: int) -> Batches:
    return Batches(n_examples, batch_size, seed, torch.device("cpu"))


def all_batches(n_examples: int, batch_size: int | str, seed: int) -> Iterator[Tensor]:
    """Yield batches without end."""
    batches = batches_of(n_examples, batch_size, seed)
    while True:
        yield batches.next()


@pytest.mark.parametrize(("n_examples", "batch_size"), [(15, 4), (15, 5), (16, 4), (7, 7), (3, 1), (9, 5)])
def test_an_epoch_repeats_no_example_and_has_whole_batches_only(n_examples: int, batch_size: int) -> None:
    batches = all_batches(n_examples, batch_size, seed=0)
    epochs = []
    for _ in range(4):
        epoch = list(itertools.islice(batches, n_examples // batch_size))
        assert [len(batch) for batch in epoch] == [batch_size] * (n_examples // batch_size)
        drawn = torch.cat(epoch).tolist()
        assert len(set(drawn)) == len(drawn)
        assert set(drawn) <= set(range(n_examples))
        epochs.append(drawn)
    assert len({tuple(epoch) for epoch in epochs}) > 1 or n_examples == 1


def test_examples_that_one_epoch_leaves_out_appear_in_another() -> None:
    drawn = torch.cat(list(itertools.islice(all_batches(15, 4, seed=0), 30)))
    assert set(drawn.tolist()) == set(range(15))


def test_a_full_batch_is_every_example_in_order_every_time() -> None:
    for batch in itertools.islice(all_batches(15, "full", seed=0), 3):
        assert torch.equal(batch, torch.arange(15))


def test_equal_seeds_give_equal_orders_and_other_seeds_other_ones() -> None:
    first, second = (list(itertools.islice(all_batches(15, 4, seed=3), 12)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    orders = [batches_of(15, 15, seed).next() for seed in (0, 1)]
    assert not torch.equal(*orders)


def test_the_order_is_the_seeds_own_stream_for_batches() -> None:
    expected = torch.randperm(15, generator=torch.Generator().manual_seed(stream_seed(3, "batches")))
    assert torch.equal(torch.cat(list(itertools.islice(all_batches(15, 5, seed=3), 3))), expected)
    start = torch.Generator().manual_seed(stream_seed(3, "initialisation"))
    assert not torch.equal(torch.randperm(15, generator=start), expected)


@pytest.mark.parametrize("batch_size", [4, 5, 15, "full"])
@pytest.mark.parametrize("taken", [0, 1, 3, 7, 11])
def test_batches_go_on_from_a_state_as_they_would_have(taken: int, batch_size: int | str) -> None:
    first, second = batches_of(15, batch_size, seed=0), batches_of(15, batch_size, seed=1)
    for _ in range(taken):
        first.next()
    epoch_start, values = first.epoch_start.clone(), first.values()
    expected = [first.next() for _ in range(9)]
    second.restore(epoch_start, values)
    assert all(torch.equal(second.next(), batch) for batch in expected)


@pytest.mark.parametrize("batch_size", [0, -1, 16])
def test_an_empty_batch_and_one_larger_than_the_training_set_are_refused(batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"batch_size = {batch_size}: should be from 1 to the 15 training examples"):
        batches_of(15, batch_size, seed=0)


# Inheriting


@pytest.mark.parametrize("batch_size", [4, 5, "full"])
@pytest.mark.parametrize("taken", [0, 2, 3, 7])
def test_batches_of_equal_size_go_on_in_the_middle_of_the_parents_epoch(taken: int, batch_size: int | str) -> None:
    parent, child = batches_of(15, batch_size, seed=0), batches_of(15, batch_size, seed=1)
    for _ in range(taken):
        parent.next()
    child.inherit(parent)
    assert all(torch.equal(child.next(), parent.next()) for _ in range(9))


@pytest.mark.parametrize("batch_size", [5, 15])
def test_batches_of_another_size_begin_an_epoch_with_the_parents_generator(batch_size: int) -> None:
    parent, child = batches_of(15, 4, seed=0), batches_of(15, batch_size, seed=1)
    parent.next()
    generator = torch.Generator()
    generator.set_state(parent.generator.get_state())
    child.inherit(parent)
    epoch = torch.cat([child.next() for _ in range(15 // batch_size)])
    assert torch.equal(epoch, torch.randperm(15, generator=generator))


def test_inheriting_leaves_the_parents_batches_as_they_were() -> None:
    parent, undisturbed, child = batches_of(15, 4, 0), batches_of(15, 4, 0), batches_of(15, 5, 1)
    child.inherit(parent)
    child.next()
    assert all(torch.equal(parent.next(), undisturbed.next()) for _ in range(9))
