"""Rows and numbers read off small tables of duels, some worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from duel_builders import planted_table, toy_table

from general_circuits.analysis import duel_outcomes


def test_the_registered_duel_has_the_most_parts_no_decay_and_the_first_of_every_list() -> None:
    found = duel_outcomes.registered(planted_table())
    assert found == {
        "duel_kind": "duel",
        "parts": 4,
        "general_decay": 0.0,
        "shallow_decay": 0.0,
        "batch": 8,
        "initial_margin": 4.0,
        "initial_share": 0.5,
        "scaling": "outside",
        "label_noise": 0.0,
        "order": "shuffled",
    }


def test_a_duel_has_one_row_per_replica_evaluation_and_side() -> None:
    rows = duel_outcomes.duels(planted_table(), "sgd")
    assert len(rows) == 2 * 9 * 2  # four intervals up to the step to which effects are measured, and four after it
    assert not rows.duplicated(["replica", "step", "side"]).any()
    other = duel_outcomes.duels(planted_table(), "sgd", initial_share=0.2)
    assert np.allclose(duel_outcomes.at_start(other, "share")["general"], 0.2, atol=1e-3)


def test_optimisers_come_in_one_order() -> None:
    frame = pd.DataFrame({"optimiser": ["adamw", "momentum", "sgd"]})
    assert duel_outcomes.optimisers(frame) == ["sgd", "momentum", "adamw"]


def series(margins: list[float], side: str = "shallow") -> pd.DataFrame:
    return pd.DataFrame({"replica": 0, "side": side, "step": range(0, 10 * len(margins), 10), "margin": margins})


@pytest.mark.parametrize(
    ("margins", "steps"),
    [
        ([2.0, 1.5, 1.0, 1.4, 1.5], 20.0),  # half of 2 − 1 is back two evaluations later
        ([2.0, 1.5, 1.0, 1.9, 2.0], 10.0),
        ([2.0, 1.5, 1.0, 1.1, 1.2], np.nan),  # not regained
        ([2.0, 2.5, 3.0, 3.1, 3.2], np.nan),  # nothing was lost
    ],
)
def test_half_of_what_was_lost_is_regained_in_so_many_steps(margins: list[float], steps: float) -> None:
    found = duel_outcomes.halves_regained(series(margins))["shallow"][0]
    assert found == steps or (np.isnan(found) and np.isnan(steps))


def test_a_share_of_toys_counts_all_circuits_on_the_selected_pairs() -> None:
    rows = duel_outcomes.toys(toy_table(), optimiser="sgd", attention="linear", sharing="shared", coverage=4)
    rows = rows[(rows["weight_decay"] == 0) & (rows["step"] == rows["step"].max())]
    given = np.stack(rows["contributions"].to_list())
    is_general = (rows["circuit"] == "general").to_numpy()
    (of_all,) = duel_outcomes.toy_shares(rows)["share"]
    (second,) = duel_outcomes.toy_shares(rows, pairs=slice(1, 2))["share"]
    assert of_all == pytest.approx(given[is_general].sum() / given.sum(), rel=1e-5)
    assert second == pytest.approx(given[is_general][0, 1] / given[:, 1].sum(), rel=1e-5)


def shares(values: list[float]) -> pd.DataFrame:
    """Build a duel of one replica with these general shares, 20 steps apart."""
    frame = pd.DataFrame({"replica": 0, "side": "general", "step": range(0, 20 * len(values), 20), "share": values})
    return pd.concat([frame, frame.assign(side="shallow", share=1 - frame["share"])])


def test_a_drift_is_the_change_over_the_last_fifth_per_100_steps() -> None:
    """A duel of 100 steps has its last fifth from step 80 on."""
    rows = shares([0.5, 0.7, 0.6, 0.6, 0.6, 0.6003])
    assert duel_outcomes.drifts(rows)[0] == pytest.approx(0.0015)
    assert duel_outcomes.is_settled(rows)[0]
    assert not duel_outcomes.is_settled(shares([0.5, 0.7, 0.6, 0.6, 0.6, 0.6005]))[0]


def test_a_drift_starts_at_the_last_evaluation_before_the_last_fifth() -> None:
    """A duel of 60 steps has its last fifth from step 48 on. The evaluation before is at 40: 0.002 in 20 steps."""
    assert duel_outcomes.drifts(shares([0.5, 0.5, 0.5, 0.502]))[0] == pytest.approx(0.01)


def test_a_share_that_is_unknown_has_not_settled() -> None:
    assert not duel_outcomes.is_settled(shares([0.5, 0.5, 0.5, np.nan]))[0]


def test_coverage_is_the_outcome_at_the_most_parts_minus_that_at_one() -> None:
    table = planted_table()
    found = duel_outcomes.coverage(table, "sgd", lambda rows: duel_outcomes.at_end(rows, "share")["general"])
    for replica in range(2):
        most, one = (
            duel_outcomes.at_end(duel_outcomes.duels(table, "sgd", parts=parts), "share")["general"][replica]
            for parts in (4, 1)
        )
        assert found[replica] == pytest.approx(most - one)
    equal = duel_outcomes.coverage(table[table["parts"] == 1].assign(parts=1), "sgd", lambda rows: rows["loss"])
    assert (equal == 0).all()


def test_the_most_decay_is_that_of_both_sides() -> None:
    assert duel_outcomes.most_decay(planted_table(), "sgd") == {"general_decay": 1e-3, "shallow_decay": 1e-3}
    without = planted_table().assign(shallow_decay=0.0)
    assert duel_outcomes.most_decay(without, "sgd") == {}
