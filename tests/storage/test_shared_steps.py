"""Steps at which the replicas of a block are measured: shared where replicas begin together, else each one's own."""

from __future__ import annotations

from functools import partial

from general_circuits.storage.shared_steps import shared
from general_circuits.training.schedule import evenly_chosen


def test_runs_that_end_at_different_steps_share_the_chosen_ones_and_keep_their_last() -> None:
    steps = {0: list(range(0, 1001, 100)), 1: [*range(0, 401, 100), 450], 2: []}
    assert shared(steps, partial(evenly_chosen, how_many=6)) == {
        0: [0, 200, 400, 600, 800, 1000],
        1: [0, 200, 400, 450],
        2: [],
    }
    assert shared(steps, partial(evenly_chosen, how_many=None)) == steps


def test_runs_that_begin_at_different_steps_are_chosen_from_one_by_one() -> None:
    steps = {0: [70, 100, 120], 1: [74, 100, 124]}
    assert shared(steps, partial(evenly_chosen, how_many=2)) == {0: [70, 120], 1: [74, 124]}


def test_a_block_without_checkpoints_has_no_steps() -> None:
    assert shared({}, partial(evenly_chosen, how_many=2)) == {}
