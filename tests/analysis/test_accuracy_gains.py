"""Gains of validation accuracy, read at a horizon of each replica."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from general_circuits.analysis.accuracy_gains import gains

NAN = float("nan")


def run(diverged_from: int = 10_000) -> pd.DataFrame:
    """Build metrics of one replica: validation accuracy is a ten-thousandth of the step, up to step 1,000."""
    steps = np.array([0, 10, 20, 40, 100, 300, 1000])
    both = [
        pd.DataFrame({"step": steps, "split": split, "accuracy": steps / 10_000}) for split in ("train", "validation")
    ]
    return pd.concat(both).assign(condition="bare", replica=7, diverged=lambda rows: rows["step"] >= diverged_from)


def read(horizon: float, memorised: float = 20.0, diverged_from: int = 10_000) -> pd.Series:
    """Return the row of `gains` of that replica."""
    events = pd.DataFrame(
        [("bare", 7, "memorised", 1000 if np.isnan(memorised) else memorised, bool(np.isnan(memorised)))],
        columns=["condition", "replica", "event", "step", "censored"],
    )
    return gains(run(diverged_from), events, "bare", pd.Series({7: horizon})).loc[7]


PLATEAU = (20 + 40 + 100) / 3 / 10_000
"""Mean accuracy of the three evaluations from t_m = 20 on."""


@pytest.mark.parametrize(
    ("horizon", "step"),
    [
        (100, 100),  # exactly there
        (101, 300),  # the first evaluation from the horizon on
        (1000, 1000),
        (1001, 1000),  # training ended before
    ],
)
def test_the_gain_is_read_at_the_first_evaluation_from_the_horizon_on(horizon: float, step: int) -> None:
    assert read(horizon)["gain"] == pytest.approx(step / 10_000 - PLATEAU)
    assert read(horizon)["last"] == 1000


def test_a_replica_that_had_not_memorised_by_then_has_no_gain() -> None:
    for late in (read(100, memorised=300), read(100, memorised=NAN)):
        assert not late["memorised"]
        assert np.isnan(late["gain"])
    assert read(300, memorised=300)["memorised"]


def test_a_replica_that_diverged_by_then_has_no_gain() -> None:
    assert not read(300, diverged_from=300)["alive"]
    assert np.isnan(read(300, diverged_from=300)["gain"])
    assert read(100, diverged_from=300)["gain"] == pytest.approx(100 / 10_000 - PLATEAU)


def test_without_a_horizon_there_is_no_gain() -> None:
    row = read(NAN)
    assert np.isnan(row["gain"])
    assert (row["last"], row["memorised"], row["alive"]) == (1000, True, True)
