"""Events in hand-made metrics: memorised, onset, generalised, the peak of the validation loss, and censoring."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from general_circuits.training import events

pytestmark = pytest.mark.filterwarnings("error")


def metrics(
    train: Sequence[float],
    validation: Sequence[float],
    loss: Sequence[float] | None = None,
    diverged_from: int | None = None,
    replica: int = 0,
) -> pd.DataFrame:
    """Return the metrics of a run that is evaluated every 10 steps; `loss` is the validation loss."""
    n = len(train)
    steps = np.arange(n) * 10
    rows = {
        "condition": "grokking",
        "replica": replica,
        "step": steps,
        "diverged": np.arange(n) >= (n if diverged_from is None else diverged_from),
    }
    falling = np.linspace(4.0, 0.1, n)
    return pd.concat(
        [
            pd.DataFrame({**rows, "split": "train", "loss": falling, "accuracy": train}),
            pd.DataFrame({**rows, "split": "validation", "loss": falling if loss is None else loss}).assign(
                accuracy=np.asarray(validation, dtype=float)
            ),
        ],
        ignore_index=True,
    )


def steps_of(frame: pd.DataFrame) -> dict[str, int | None]:
    """Return the step of each event, or None if it is censored."""
    rows = events.find(frame).set_index("event")
    return {event: None if rows["censored"][event] else int(rows["step"][event]) for event in rows.index}


def evaluated_before(frame: pd.DataFrame) -> dict[str, int]:
    """Return the evaluation before each event."""
    rows = events.find(frame).set_index("event")
    return {str(event): int(after) for event, after in rows["after"].items()}


def branch_events(branch: pd.DataFrame, parent: pd.DataFrame) -> dict[str, int | None]:
    """Return the same for a branch, from its metrics and its parent's."""
    rows = events.find_of_branch(branch, parent, "branch").set_index("event")
    assert set(rows["condition"]) == {"branch"}
    return {event: None if rows["censored"][event] else int(rows["step"][event]) for event in rows.index}


def test_a_branch_has_its_parents_history_until_it_leaves() -> None:
    """The branch leaves at 40, after its parent memorised. Its accuracy falls and returns by 70.

    It keeps the parent's `memorised`. The parent's plateau is (0.1 + 0.1 + 0.1) / 3, so 5 % of the way is 0.145,
    and 99 % is 0.991.
    """
    parent = metrics([0.2, 0.5, 0.99, 1, 1, 1, 1, 1, 1, 1], [0.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 1.0])
    validation = [0, 0, 0, 0, 0.1, 0.14, 0.15, 0.7, 0.99, 0.992]
    branch = metrics([0, 0, 0, 0, 1, 0.3, 0.4, 0.7, 1, 1], validation, [9] * 9 + [8])
    branch = branch[branch["step"] >= 40]
    assert steps_of(parent) == {"memorised": 20, "validation_loss_peak": 0, "onset": 80, "generalised": 90}
    assert branch_events(branch, parent) == {
        "branched": 40,
        "memorised": 20,
        "validation_loss_peak": 40,
        "onset": 60,
        "generalised": 90,
    }


def test_a_branch_from_before_its_parent_memorised_memorises_by_itself() -> None:
    parent = metrics([0.2, 0.5, 0.9, 1, 1, 1], [0.0] * 6)
    branch = metrics([0, 0.5, 0.9, 0.9, 0.9, 0.9], [0.0] * 6)
    assert branch_events(branch[branch["step"] >= 10], parent)["memorised"] is None


def test_events_of_the_parent_before_the_branch_leaves_stay() -> None:
    parent = metrics([1] * 6, [0, 0, 0, 1, 1, 1])
    branch = metrics([0.1] * 6, [0.1] * 6)
    steps = branch_events(branch[branch["step"] >= 40], parent)
    assert (steps["onset"], steps["generalised"]) == (30, 30)


def test_a_replica_without_a_branch_has_no_event() -> None:
    parent = pd.concat([metrics([1] * 6, [1] * 6, replica=replica) for replica in (0, 1)], ignore_index=True)
    branch = parent[(parent["replica"] == 0) & (parent["step"] >= 20)]
    rows = events.find_of_branch(branch, parent, "branch")
    assert rows.loc[rows["replica"] == 1, "censored"].all()
    assert set(rows.loc[rows["replica"] == 1, "step"]) == {50}
    assert not rows.loc[(rows["replica"] == 0) & (rows["event"] == "branched"), "censored"].any()


def test_a_run_that_groks_by_hand() -> None:
    """The plateau is (0.1 + 0.2 + 0.3) / 3 = 0.2; 5 % of the way to 1 is 0.24, and 99 % is 0.992."""
    train = [0.2, 0.98, 0.99, 1, 1, 1, 1, 1, 1, 1]
    validation = [0.0, 0.1, 0.1, 0.2, 0.3, 0.23, 0.25, 0.9, 0.991, 0.992]
    loss = [4, 5, 6, 7, 9, 8, 5, 1, 0.5, 0.1]
    assert steps_of(metrics(train, validation, loss)) == {
        "memorised": 20,
        "validation_loss_peak": 40,
        "onset": 40,
        "generalised": 90,
    }


def test_an_event_came_after_the_evaluation_before_it() -> None:
    """An event at the first evaluation has none before it. A censored event has not come by the last evaluation."""
    groks = metrics([1] * 6, [0.1, 0.1, 0.1, 0.5, 1, 1])
    assert steps_of(groks) == {"memorised": 0, "validation_loss_peak": 0, "onset": 30, "generalised": 40}
    assert evaluated_before(groks) == {"memorised": -1, "validation_loss_peak": -1, "onset": 20, "generalised": 30}
    never = metrics([0.1] + [1] * 5, [0.1] * 6, diverged_from=5)
    assert steps_of(never)["generalised"] is None
    assert evaluated_before(never) == {"memorised": 0, "validation_loss_peak": -1, "onset": 40, "generalised": 40}


def test_a_branch_has_its_parents_evaluations_before_it_left() -> None:
    """The branch has its first evaluation at step 40. The parent's step 30 comes before it."""
    parent = metrics([1] * 6, [0.1] * 6)
    branch = metrics([1] * 6, [0.1] * 4 + [1, 1])
    rows = events.find_of_branch(branch[branch["step"] >= 40], parent, "branch").set_index("event")
    assert rows["step"][["branched", "memorised", "generalised"]].tolist() == [40, 0, 40]
    assert rows["after"][["branched", "memorised", "generalised"]].tolist() == [30, -1, 30]


def test_memorised_needs_three_evaluations_in_a_row() -> None:
    train = [1, 1, 0.98, 1, 0.98, 0.99, 1, 0.995, 0.5]
    assert steps_of(metrics(train, [0.1] * 9))["memorised"] == 50


@pytest.mark.parametrize("train", [[0.5, 1, 1], [1, 1, 0.98, 1, 1], [0.9899] * 6, [1, 1], [1]])
def test_less_than_three_in_a_row_leaves_memorised_onset_and_generalised_censored(train: list[float]) -> None:
    rows = events.find(metrics(train, np.linspace(0, 1, len(train)))).set_index("event")
    for event in ("memorised", "onset", "generalised"):
        assert rows["censored"][event]
        assert rows["step"][event] == 10 * (len(train) - 1)


def test_validation_accuracy_before_memorisation_does_not_count() -> None:
    train = [0.5, 0.5, 0.5, 1, 1, 1, 1, 1]
    validation = [0.9, 1.0, 0.9, 0.1, 0.1, 0.1, 0.1, 0.2]
    # Plateau 0.1: 5 % of the way is 0.145.
    assert steps_of(metrics(train, validation)) | {"validation_loss_peak": 0} == {
        "memorised": 30,
        "validation_loss_peak": 0,
        "onset": 70,
        "generalised": None,
    }


def test_thresholds_are_shares_of_the_rise_not_of_accuracy() -> None:
    """The plateau is 0.6, so onset is at 0.62 and generalised at 0.996."""
    train = [1] * 9
    validation = [0.6, 0.6, 0.6, 0.619, 0.621, 0.9, 0.995, 0.9965, 0.5]
    steps = steps_of(metrics(train, validation))
    assert (steps["onset"], steps["generalised"]) == (40, 70)


def test_a_run_that_memorises_and_never_generalises_is_censored_at_its_end() -> None:
    rows = events.find(metrics([0.1] + [1] * 7, [0.1] * 8)).set_index("event")
    assert rows["step"].to_dict() == {"memorised": 10, "validation_loss_peak": 0, "onset": 70, "generalised": 70}
    assert rows["censored"].to_dict() == {
        "memorised": False,
        "validation_loss_peak": False,
        "onset": True,
        "generalised": True,
    }


def test_validation_as_good_as_training_generalises_when_it_memorises() -> None:
    steps = steps_of(metrics([0.5, 1, 1, 1, 1], [0.5, 1, 1, 1, 1]))
    assert steps["memorised"] == steps["onset"] == steps["generalised"] == 10


def test_a_peak_at_the_last_evaluation_is_censored_since_the_loss_may_still_rise() -> None:
    rows = events.find(metrics([1] * 5, [0.1] * 5, loss=[1, 2, 3, 4, 5])).set_index("event")
    assert rows["censored"]["validation_loss_peak"]
    assert rows["step"]["validation_loss_peak"] == 40


def test_the_peak_is_the_largest_loss_even_before_memorisation() -> None:
    assert steps_of(metrics([0.5] * 5, [0.1] * 5, loss=[4, 7, 3, 6, 2]))["validation_loss_peak"] == 10


def test_no_event_comes_after_divergence() -> None:
    train, validation = [0.5, 1, 1, 1, 1, 1], [0.1, 0.1, 0.1, 0.1, 1.0, 1.0]
    assert steps_of(metrics(train, validation))["generalised"] == 40
    steps = steps_of(metrics(train, validation, diverged_from=4))
    assert (steps["memorised"], steps["onset"], steps["generalised"]) == (10, None, None)


def test_a_run_that_diverges_before_three_evaluations_has_memorised_nothing() -> None:
    assert steps_of(metrics([1] * 6, [1] * 6, diverged_from=2))["memorised"] is None


def test_numbers_after_divergence_are_not_read() -> None:
    frame = metrics([0.5, 1, 1, 1, 1, 1], [0.1] * 6, loss=[4, 5, 4, 3, 2, 1], diverged_from=4)
    lost = frame["diverged"].to_numpy()
    without = frame.assign(loss=frame["loss"].mask(lost), accuracy=frame["accuracy"].mask(lost))
    assert steps_of(frame) == steps_of(without)


def test_a_run_diverged_from_the_start_has_no_event() -> None:
    assert set(steps_of(metrics([1] * 5, [1] * 5, diverged_from=0)).values()) == {None}


def test_every_replica_has_every_event_once_whatever_the_order_of_rows() -> None:
    runs = [metrics([0.5] * r + [1] * 8, [0.1] * (r + 7) + [1], replica=r) for r in range(3)]
    shuffled = pd.concat(runs).sample(frac=1, random_state=0)
    rows = events.find(shuffled)
    assert not rows.duplicated(["condition", "replica", "event"]).any()
    assert len(rows) == 3 * len(events.EVENTS)
    memorised = rows[rows["event"] == "memorised"].set_index("replica")["step"]
    assert memorised.sort_index().to_dict() == {0: 0, 1: 10, 2: 20}


def test_a_loss_that_never_falls_after_its_peak_has_no_peak() -> None:
    assert steps_of(metrics([0.1] * 5, [0.1] * 5, loss=[1.0, 2.0, 2.0, 2.0, 2.0]))["validation_loss_peak"] is None
    assert steps_of(metrics([0.1] * 5, [0.1] * 5, loss=[2.0] * 5))["validation_loss_peak"] is None


def test_events_that_a_diverged_run_did_not_reach_are_censored_at_its_last_evaluation() -> None:
    frame = metrics([0.1] * 5, [0.1] * 5, diverged_from=2)
    steps = sorted(frame["step"].unique())
    rows = events.find(frame)
    late = rows[rows["event"] != "validation_loss_peak"]
    assert late["censored"].all()
    assert (late["step"] == steps[1]).all()
