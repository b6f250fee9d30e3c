"""Branches in which no gradient moves the weights: how they are found, and what they lose in known tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
from variant_tables import AT, DECAY, INSTEAD, MOVED, NOISE_EXAMPLES, conditions, progress, structure

from general_circuits.analysis import moved_alone, variant_outcomes
from general_circuits.analysis.variants import Conditions


def settings(variants: Mapping[str, Mapping[str, Any]]) -> Conditions:
    return variant_outcomes.settings(conditions(variants))


def lost(frame: pd.DataFrame, component: str = moved_alone.BEFORE, **changes: Any) -> pd.DataFrame:
    flat = settings({name: {**own, **changes} for name, own in MOVED.items()})
    return moved_alone.lost(moved_alone.parts(frame, flat, "decaying", component))


def test_branches_are_told_apart_by_what_moves_the_weights() -> None:
    others = {"both": {AT: "onset", INSTEAD: 1.0}, "elsewhere": {AT: "memorised", INSTEAD: 0.0}}
    weak = {"weak": {**MOVED["decaying"], DECAY: 0.1}, "still": {AT: "onset", INSTEAD: 0.0, DECAY: 0.0}}
    found = moved_alone.branches(settings({**weak, **others, **MOVED, "more": {**MOVED["noisy"], INSTEAD: 2.0}}))
    assert found == {
        "decay": ["decaying", "weak"],  # grokking's own decay comes first
        "gaussian noise": ["noisy", "more"],
        "minibatch noise": ["of_batches"],
    }
    alone = settings({"noisy": {**MOVED["noisy"], NOISE_EXAMPLES: 8}})
    assert moved_alone.branches(alone) == {"minibatch noise": ["noisy"]}
    assert moved_alone.branches(settings({})) == {}


def test_a_branch_that_was_not_measured_has_no_losses() -> None:
    assert list(moved_alone.alone(progress(0.1, 0.3, "noisy"), settings(MOVED))) == ["gaussian noise"]


def test_shares_of_both_parts_are_lost_until_the_change_ends() -> None:
    """After 200 steps 0.1 and 0.3 are lost in replica 0, 2 % more in each further one; later everything is."""
    until_then = lost(progress(0.1, 0.3, replicas=2))
    assert until_then["general"].tolist() == pytest.approx([0.1, 0.102])
    assert until_then["shallow"].tolist() == pytest.approx([0.3, 0.306])
    to_the_end = lost(progress(0.1, 0.3, replicas=2), **{"branch.lasts": None})
    assert to_the_end.to_numpy().ravel().tolist() == [1.0] * 4


def test_frequencies_from_after_the_branch_give_other_parts() -> None:
    """Half of the general part, 2 logits, counts as shallow: 2 × 0.1 + 6 × 0.3 of 8 logits are lost."""
    later = lost(progress(0.1, 0.3, replicas=1), moved_alone.AFTER)
    assert later.loc[0].tolist() == pytest.approx([0.1, 0.25])


@pytest.mark.parametrize(("general", "is_known"), [(9.4, True), (9.6, False), (12.0, False), (0.4, False), (0.6, True)])
def test_a_part_of_under_half_a_logit_has_no_share_and_neither_has_the_other(general: float, is_known: bool) -> None:
    """The margin is 10 at first."""
    frame = progress(0.0, 0.0, replicas=1)
    frame.loc[frame["component"] == "unseen", "part_of_margin"] = general
    assert lost(frame).notna().to_numpy().ravel().tolist() == [is_known] * 2


def test_a_branch_with_a_single_checkpoint_has_no_share() -> None:
    frame = progress(0.1, 0.3, replicas=2)
    shares = lost(frame[(frame["replica"] == 1) | (frame["step"] == 1000)])
    assert shares.loc[0].isna().all()
    assert shares.loc[1].notna().all()


def test_displacement_is_read_where_the_change_ends_and_the_norm_where_it_begins() -> None:
    moved = moved_alone.displacement(structure(9.0, replicas=2), settings(MOVED), "decaying")
    assert moved["displacement"].tolist() == [9.0, 9.0]
    assert moved["norm"].tolist() == [50.0, 50.0]


def test_accuracy_is_read_where_the_change_ends() -> None:
    accuracy = moved_alone.accuracy_after(progress(0.1, 0.3, replicas=2, accuracy=0.7), settings(MOVED), "decaying")
    assert accuracy.tolist() == pytest.approx([0.7, 0.7])
