"""Bands, patches and latecomers in answers that are known."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from general_circuits.analysis.example_order import (
    Record,
    band_order,
    dispersion,
    lateness,
    neighbours,
    patches,
    records,
)

P = 13
STEPS = (0, 100, 200, 300, 400)


def table(operation: str = "x*y", trains: str = "a + b", condition: str = "product", replica: int = 0) -> pd.DataFrame:
    """Build the `split` table of all pairs; a third of them trains, mirror images together."""
    a, b = (part.ravel() for part in np.meshgrid(range(P), range(P), indexing="ij"))
    value = a * b if operation == "x*y" else a + b
    frame = pd.DataFrame({"example": range(P * P), "a": a, "b": b, "wrap": value // P, "target": value % P})
    split = np.where(eval(trains, {"a": a, "b": b, "np": np}) % 3 == 0, "train", "validation")
    return frame.assign(split=split, condition=condition, replica=replica)


def answered(split: pd.DataFrame, learnt: np.ndarray) -> pd.DataFrame:
    """Build the `answers` table in which each example is right from its own step on."""
    rows = [
        (example, step, 1.0 if step >= when else -1.0)
        for (example, when), step in itertools.product(zip(split["example"], learnt, strict=True), STEPS)
    ]
    frame = pd.DataFrame(rows, columns=["example", "step", "margin"])
    return frame.assign(condition=split["condition"].iloc[0], replica=split["replica"].iloc[0])


def record(learnt: np.ndarray, **how: str) -> Record:
    split = table(**how)
    return Record.of(answered(split, learnt), split)


def test_an_example_is_learnt_when_it_is_right_for_good() -> None:
    split = table().iloc[:3]
    answers = answered(split, np.array([100, 0, 999]))
    answers.loc[(answers["example"] == 1) & (answers["step"] == 200), "margin"] = 0.0
    assert Record.of(answers, split).learnt.tolist() == [100, 300, np.inf]


def test_a_network_has_learnt_by_its_last_training_and_its_best_validation_accuracy() -> None:
    side = table()["split"].to_numpy()
    some = np.flatnonzero(side == "validation")[::4]  # a quarter of them
    learnt = np.where(side == "train", 100.0, np.inf)
    learnt[some] = 300
    of = record(learnt)
    assert of.accuracy("train").tolist() == [0, 1, 1, 1, 1]
    assert of.accuracy("validation").iloc[-1] == pytest.approx(0.25, abs=0.01)
    assert of.has_memorised
    assert of.is_ordered
    learnt[some[::2]] = np.inf  # an eighth is left
    learnt[np.flatnonzero(side == "train")[0]] = np.inf  # one of 57
    assert not record(learnt).has_memorised
    assert not record(learnt).is_ordered


def test_records_are_one_per_replica_whatever_the_order_of_rows() -> None:
    parts = [(table(replica=replica), np.full(P * P, 100 * replica)) for replica in (2, 1)]
    split = pd.concat([split for split, _ in parts]).sample(frac=1, random_state=0)
    answers = pd.concat([answered(*part) for part in parts]).sample(frac=1, random_state=0)
    found = list(records(answers, split, "product"))
    assert [of.learnt[0] for of in found] == [100, 200]
    assert list(records(answers, split, "another")) == []


@pytest.mark.parametrize("operation", ["x*y", "x+y"])
def test_bands_that_come_one_after_the_other_are_in_order_and_others_are_not(operation: str) -> None:
    bands = table(operation)["wrap"].to_numpy()
    rising = 100 * (1 + np.clip(bands, 0, 3))
    assert band_order(record(rising, operation=operation)) > 0.6
    assert band_order(record(500 - rising, operation=operation)) < -0.6
    generator = np.random.default_rng(0)
    shuffled = [band_order(record(generator.permutation(rising), operation=operation)) for _ in range(20)]
    assert abs(np.mean(shuffled)) < 0.05


def test_orders_by_relabelled_bands_cancel_over_all_units() -> None:
    """Examples are learnt in the order of the bands of (ua, ub), for each unit u in turn.

    Each order is a correlation minus the mean of its null, and over all u both have the same mean. So their mean is 0.
    """
    grid = table()["wrap"].to_numpy().reshape(P, P)
    a, b = (part.ravel() for part in np.meshgrid(range(P), range(P), indexing="ij"))
    orders = []
    for u in range(1, P):
        bands = grid[u * a % P, u * b % P]
        orders.append(band_order(record(100 * (1 + np.clip(bands, 0, 3)), trains="0 * a + 1")))
    assert orders[0] > 0.6
    assert abs(np.mean(orders)) < 1e-9


def test_without_bands_or_without_learning_there_is_no_order() -> None:
    split = table().assign(wrap=pd.NA)
    assert np.isnan(band_order(Record.of(answered(split, np.full(P * P, 100)), split)))
    assert np.isnan(band_order(record(np.full(P * P, 999))))


def test_dispersion_has_mean_1_over_all_random_choices() -> None:
    """All choices of three right ones among seven units are tried; each unit is in one or two of three groups."""
    members = [(0, "p"), (0, "q"), (1, "p"), (2, "q"), (3, "q"), (3, "r"), (4, "r"), (5, "p"), (6, "r")]
    found = []
    for chosen in itertools.combinations(range(7), 3):
        units = pd.Series([float(i in chosen) for i in range(7)])
        values = pd.Series([units[i] for i, _ in members], index=[group for _, group in members])
        found.append(dispersion(values, units))
    assert np.mean(found) == pytest.approx(1.0)


def test_patches_are_found_by_the_operand_or_answer_that_they_share() -> None:
    split = table()
    low = np.minimum(split["a"], split["b"])
    by_operand = patches(record(np.where(low < 4, 200, 999)))
    assert by_operand.operands > 3
    assert by_operand.operands > by_operand.answers
    by_answer = patches(record(np.where(split["target"] % 2 == 0, 200, 999)))
    assert by_answer.answers > 4
    assert by_answer.answers > by_answer.operands
    generator = np.random.default_rng(1)
    chance = []
    for _ in range(40):
        of_pair = generator.permutation(np.repeat([200, 999], P * P // 2 + 1)[: P * P]).reshape(P, P)
        chance.append(patches(record((np.triu(of_pair) + np.triu(of_pair, 1).T).ravel())))
    assert np.mean([found.operands for found in chance]) == pytest.approx(1.0, abs=0.15)
    assert np.mean([found.answers for found in chance]) == pytest.approx(1.0, abs=0.15)


def test_mid_way_is_where_half_of_the_validation_examples_are_right() -> None:
    learnt = np.tile([100, 200, 300, 400], P * P)[: P * P]
    assert record(learnt).midway == 200
    assert record(np.full(P * P, 100)).midway is None
    assert np.isnan(patches(record(np.full(P * P, 100))).mean)


@pytest.mark.parametrize("trains", ["a * b + a + b", "a + 2 * b"])
def test_neighbours_are_counted_of_all_but_an_example_and_its_mirror_image(trains: str) -> None:
    """Compared with a count over all examples, for a split by pair and for one by example."""
    split = table(trains=trains)
    trained = split[split["split"] == "train"]

    def counted(row: pd.Series) -> tuple[int, int, bool]:
        others = trained[~trained["example"].isin([row["example"], row["b"] * P + row["a"]])]
        shares = others["a"].isin([row["a"], row["b"]]) | others["b"].isin([row["a"], row["b"]])
        return int(shares.sum()), int((others["target"] == row["target"]).sum()), row["a"] == row["b"]

    found = neighbours(record(np.full(P * P, 100), trains=trains))
    assert [tuple(row) for row in found.to_numpy()] == [counted(row) for _, row in split.iterrows()]


def test_lateness_correlates_with_the_number_of_neighbours() -> None:
    placed = neighbours(record(np.full(P * P, 100)))
    for feature in ("operands", "answer", "diagonal"):
        levels = placed[feature].rank(pct=True) * 4
        learnt = 100 * (levels.round().to_numpy() if feature != "diagonal" else placed[feature].to_numpy(int))
        assert lateness(record(learnt), "validation")[feature] > 0.9
        assert lateness(record(400 - learnt), "train")[feature] < -0.5
    assert lateness(record(np.full(P * P, 100)), "train") == {}
