"""Trained toys: facts that follow from symmetry, from counting and from the settings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from duel_builders import grid, toy_table

from general_circuits.analysis import duel_outcomes
from general_circuits.duels import toy_training
from general_circuits.duels.toy_grid import Grid, RuleSettings, Toy
from general_circuits.storage.schemas.toy import TABLE

ADAMW = RuleSettings("adamw", 0.003, (0.0, 1.0))


def shares(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the general circuit's shares at the last step."""
    of_steps = duel_outcomes.toy_shares(rows).reset_index()
    return of_steps[of_steps["step"] == of_steps["step"].max()]


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_circuits_that_share_no_query_stay_equal(optimiser: str) -> None:
    """Each pair has two equal circuits, whatever else varies. With softmax this needs a coverage of all pairs."""
    rows = toy_table()
    is_even = (rows["attention"] == "linear") | (rows["coverage"] == 4)
    apart = shares(rows[(rows["optimiser"] == optimiser) & (rows["sharing"] == "apart") & is_even])
    assert np.allclose(apart.loc[apart["initial_share"] == 0.5, "share"], 0.5, atol=1e-5)


def test_a_general_circuit_for_one_pair_stays_equal_to_a_shallow_one() -> None:
    rows = toy_table()
    of_one_pair = shares(
        rows[(rows["coverage"] == 1) & (rows["initial_share"] == 0.5) & (rows["attention"] == "linear")]
    )
    assert np.allclose(of_one_pair["share"], 0.5, atol=1e-5)


def test_a_shared_query_outgrows_without_decay_and_replaces_with_it() -> None:
    rows = toy_training.train(grid(decays=(0.0, 0.02), steps=600), "sgd")
    end = shares(rows[(rows["sharing"] == "shared") & (rows["coverage"] == 4)]).set_index("weight_decay")
    start = 4.0 * (1 - 1 / 4) / 2
    assert end["share"][0.0] > 0.6
    assert end["shallow"][0.0] > start
    assert end["share"][0.02] > 0.99
    assert end["shallow"][0.02] < 0.01 * start


def test_contributions_start_at_the_given_share_and_margin() -> None:
    rows = duel_outcomes.toy_shares(toy_table()).reset_index()
    start = rows[rows["step"] == 0]
    assert np.allclose(start["share"], start["initial_share"], atol=2e-3)
    assert np.allclose(start["general"] + start["shallow"], 4.0 * (1 - 1 / 4), rtol=0.02)


def test_a_circuit_is_reinforced_by_the_pairs_that_it_knows() -> None:
    rows = duel_outcomes.toys(toy_training.train(grid(), "sgd"))
    start = rows[(rows["step"] == 0) & (rows["sharing"] == "shared")]
    for row in start.itertuples():
        assert row.reinforced == (row.coverage if row.circuit == "general" else 1)


def test_an_sgd_update_is_the_rate_times_the_gradient_beside_its_decay() -> None:
    rows = toy_training.train(grid(rate=0.25, decays=(0.1,)), "sgd")
    assert np.allclose(rows["update_norm"], 0.25 * rows["gradient_norm"], rtol=1e-4)
    assert (rows["decay_norm"] > 0).all()


def test_equal_settings_give_equal_rows() -> None:
    settings = grid(batch_sizes=(1,), attentions=("softmax",))
    pd.testing.assert_frame_equal(toy_training.train(settings, "sgd"), toy_training.train(settings, "sgd"))


def schedule(settings: Grid, **changes: object) -> np.ndarray:
    """Return the weights of pairs in each step, (step, pair)."""
    toy = Toy("linear", "shared", 1, 0.0, **changes)  # type: ignore[arg-type]
    return toy_training._schedule(settings, toy).numpy()


def test_every_step_shows_pairs_whose_weights_add_up_to_one() -> None:
    settings = grid()
    for changes in (
        {},
        {"frequency": 3},
        {"batch": 1},
        {"batch": 3, "frequency": 2},
        {"order": "blocked"},
        {"order": "sequential", "batch": 1},
    ):
        assert np.allclose(schedule(settings, **changes).sum(axis=1), 1.0)


def test_each_order_shows_pairs_as_its_name_says() -> None:
    settings = grid(steps=20, block_steps=5)
    assert (schedule(settings, frequency=3)[0] == np.array([3, 1, 1, 1], dtype=np.float32) / 6).all()
    in_turn = schedule(settings, order="sequential", batch=1)
    assert in_turn.argmax(axis=1)[:6].tolist() == [0, 1, 2, 3, 0, 1]
    blocked = schedule(settings, order="blocked")
    assert (blocked[:5, 0] == 0).all()
    assert (blocked[5:10, 0] == 0.25).all()
    shuffled = schedule(settings, batch=1)
    assert (shuffled[:20].reshape(5, 4, 4).sum(axis=1) == 1).all()  # every pair once per epoch


def test_rows_have_the_columns_and_the_key_of_the_table() -> None:
    settings = grid(orders=("blocked",), rules=(RuleSettings("sgd", 0.5, (0.0,)), ADAMW))
    rows = toy_training.train(settings, "adamw").assign(optimiser="adamw")
    assert set(rows.columns) == set(TABLE.schema.names)
    assert not rows.duplicated(list(TABLE.key)).any()
    assert rows["gradient_flow"].isna().all()
