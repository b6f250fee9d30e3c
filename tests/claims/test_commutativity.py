"""Verdicts on mirror images in studies whose plateaus are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from variant_tables import study
from verdict_tables import by_contrast

from general_circuits.claims import commutativity
from general_circuits.claims.findings import BETWEEN, CONTRADICTED, NOT_TESTABLE, SUPPORTED, Finding

SYMBOLS = 12
CHANCE = 0.1
"""Plateau of the split by pair."""


def split(condition: str, by_pair: bool, symbols: int = SYMBOLS) -> pd.DataFrame:
    """Build the `split` table of all pairs of symbols. An example trains if a is even, or by pair if a + b is."""
    a, b = (part.ravel() for part in np.meshgrid(range(symbols), range(symbols), indexing="ij"))
    trains = (a + b) % 2 == 0 if by_pair else a % 2 == 0
    frame = pd.DataFrame({"a": a, "b": b, "split": np.where(trains, "train", "validation"), "condition": condition})
    return pd.concat([frame.assign(replica=replica) for replica in range(5)], ignore_index=True)


def tables(mirrored: float, unmirrored: float, symbols: int = SYMBOLS) -> dict[str, pd.DataFrame]:
    """Build the tables of a study with these plateaus. Half of the validation examples are mirrored."""
    variants = {"by_example": {"split.split_by": "example"}}
    built = study(
        variants,
        dict.fromkeys(["grokking", *variants], lambda replica: 2000.0),
        {
            "grokking": lambda since: (1.0, CHANCE),
            "by_example": lambda since: (1.0, (mirrored + unmirrored) / 2),
        },
    )
    metrics = built["metrics"]
    validation = metrics[(metrics["condition"] == "by_example") & (metrics["split"] == "validation")]
    parts = [
        validation.assign(split=f"validation_{name}", accuracy=accuracy)
        for name, accuracy in (("mirrored", mirrored), ("unmirrored", unmirrored))
    ]
    splits = [split("grokking", True, symbols), split("by_example", False, symbols)]
    return {**built, "metrics": pd.concat([metrics, *parts], ignore_index=True), "split": pd.concat(splits)}


def judged(mirrored: float, unmirrored: float = CHANCE) -> dict[str, Finding]:
    return by_contrast(commutativity.judge(tables(mirrored, unmirrored)))


@pytest.mark.parametrize(
    ("mirrored", "free", "verdict"), [(1.0, 0.9, SUPPORTED), (0.5, 0.4, BETWEEN), (CHANCE, 0.0, CONTRADICTED)]
)
def test_the_estimate_is_the_share_of_mirrored_examples_that_are_free(
    mirrored: float, free: float, verdict: str
) -> None:
    """A tenth of the others are right, so no more than 0.9 can be free."""
    finding = judged(mirrored)["registered"]
    assert finding.verdict == verdict
    assert finding.estimate.mean == pytest.approx(free, abs=1e-9)
    assert "Over all 5 replicas" in finding.sentence


def test_nothing_is_free_where_the_others_are_right_as_well() -> None:
    """The former estimates are 1.8 and 1: they compare with another network, which has other training examples."""
    findings = judged(1.0, unmirrored=1.0)
    assert findings["registered"].verdict == CONTRADICTED
    assert findings["registered"].estimate.mean == pytest.approx(0.0)
    assert findings["mirrored examples right beyond grokking's plateau"].estimate.mean == pytest.approx(1.0)
    former = findings["higher plateau over the share mirrored, all validation examples"]
    assert former.estimate.mean == pytest.approx((1 - CHANCE) / 0.5)


def test_the_parts_stand_beside_it() -> None:
    findings = judged(0.9, unmirrored=0.2)
    assert findings["share whose mirror image trains, by_example"].estimate.mean == 0.5
    assert findings["plateau of mirrored examples, by_example"].estimate.mean == pytest.approx(0.9)
    assert findings["plateau of unmirrored examples, by_example"].estimate.mean == pytest.approx(0.2)


@pytest.mark.parametrize("condition", ["grokking", "by_example"])
def test_networks_that_do_not_memorise_are_not_judged(condition: str) -> None:
    of = tables(1.0, CHANCE)
    events = of["events"]
    is_lost = (events["condition"] == condition) & (events["event"] == "memorised")
    for lost, verdict in ((1, SUPPORTED), (2, NOT_TESTABLE)):
        censored = events["censored"] | (is_lost & (events["replica"] < lost))
        finding = by_contrast(commutativity.judge({**of, "events": events.assign(censored=censored)}))["registered"]
        assert finding.verdict == verdict
    assert f"{condition} memorised in 3 of 5 replicas" in finding.sentence


def test_a_few_mirrored_examples_are_not_judged() -> None:
    """Eight symbols have 64 pairs. Half of these validate, and 16 of the 32 are mirrored."""
    finding = by_contrast(commutativity.judge(tables(1.0, CHANCE, symbols=8)))["registered"]
    assert finding.verdict == NOT_TESTABLE
    assert "a replica has 16 mirrored examples, fewer than 20" in finding.sentence


def test_no_mirror_image_trains_in_a_split_by_pair() -> None:
    assert commutativity._shares(commutativity._mirrored(split("grokking", True), "grokking")).tolist() == [0.0] * 5
