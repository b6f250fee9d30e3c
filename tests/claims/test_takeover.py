"""Verdicts on planted duels and toys whose outcome is known."""

from __future__ import annotations

import numpy as np
import pytest
from duel_verdict_tables import by_name, judged, parts_of, planted

from general_circuits.claims import takeover
from general_circuits.claims.findings import BETWEEN, CONTRADICTED, NOT_TESTABLE, SUPPORTED


@pytest.mark.parametrize(
    ("ends", "outgrows", "replaces"),
    [
        ((3.0, 0.5), SUPPORTED, SUPPORTED),
        ((6.0, 3.0), SUPPORTED, CONTRADICTED),
        ((2.0, 1.9), CONTRADICTED, BETWEEN),
        ((2.8, 2.1), BETWEEN, CONTRADICTED),
        ((1.2, 0.9), BETWEEN, NOT_TESTABLE),  # both sides shrink
    ],
)
def test_outgrowing_and_replacing_have_verdicts_of_their_own(
    ends: tuple[float, float], outgrows: str, replaces: str
) -> None:
    """Parts start at 2."""
    found = parts_of(judged(takeover, planted(ends=ends)))
    assert list(found) == [
        f"{what}, {optimiser}{decay}"
        for optimiser in ("sgd", "adamw")
        for decay in ("", ", decay")
        for what in ("outgrows", "replaces")
    ]
    for name, finding in found.items():
        assert finding.verdict == (outgrows if name.startswith("outgrows") else replaces)
    assert found["outgrows, sgd"].estimate.mean == pytest.approx(ends[0] / sum(ends), abs=1e-3)
    if replaces != NOT_TESTABLE:
        assert found["replaces, sgd"].estimate.mean == pytest.approx(ends[1] / 2, abs=1e-3)


def test_both_sides_that_shrink_are_no_replacement() -> None:
    reason = parts_of(judged(takeover, planted(ends=(1.2, 0.9))))["replaces, sgd"].reason
    assert "the shallow side keeps 0.450 " in reason
    assert "(share 0.571 " in reason


def test_duels_with_decay_are_judged_apart() -> None:
    found = parts_of(judged(takeover, planted(ends=(2.2, 2.0), with_decay=(3.0, 0.3))))
    assert (found["outgrows, sgd"].verdict, found["outgrows, sgd, decay"].verdict) == (CONTRADICTED, SUPPORTED)
    assert found["replaces, sgd, decay"].verdict == SUPPORTED
    assert "decay 0.1" in found["replaces, sgd, decay"].sentence
    assert "theory expects" not in found["replaces, sgd, decay"].sentence


def test_the_sentence_says_that_theory_expects_no_replacement_without_decay() -> None:
    finding = parts_of(judged(takeover, planted(ends=(6.0, 3.0))))["replaces, sgd"]
    assert "theory expects a contradiction" in finding.sentence


@pytest.mark.parametrize(("drift", "is_testable"), [(0.0019, True), (-0.0019, True), (0.0021, False), (-0.0021, False)])
def test_a_share_that_still_moves_is_not_judged(drift: float, is_testable: bool) -> None:
    """A share has settled if it changes by less than 0.002 per 100 steps."""
    found = parts_of(judged(takeover, planted(drift=drift, noise=0.0)))
    assert all((finding.verdict != NOT_TESTABLE) == is_testable for finding in found.values())
    if not is_testable:
        assert "the share had settled by step 100 in 0 of 5 replicas" in found["outgrows, sgd"].reason
        assert "up to 0.0021 per 100 steps" in found["outgrows, sgd"].reason


def test_one_of_five_shares_may_move_and_is_flagged() -> None:
    frame, moved = planted(noise=0.0), planted(drift=0.01, noise=0.0)
    frame.loc[frame["replica"] == 3] = moved.loc[moved["replica"] == 3]
    finding = parts_of(judged(takeover, frame))["outgrows, sgd"]
    assert finding.verdict == SUPPORTED
    assert "The share still moves in 1 of 5 replicas." in finding.sentence


def test_coverage_stands_beside_each() -> None:
    """The share is 3/4 at four parts, 3/5 at one part, and the same with decay where nothing else is said."""
    found = by_name(judged(takeover, planted(noise=0.0)))
    for name in ("sgd", "sgd, decay", "adamw", "adamw, decay"):
        assert found[f"coverage, {name}"].estimate.mean == pytest.approx(3 / 4 - 3 / 5)
        assert found[f"1 part, {name}"].estimate.mean == pytest.approx(3 / 5)
        assert found[f"2 parts, {name}"].estimate.mean == pytest.approx(3 / 4)


def test_coverage_of_equal_sides_is_exactly_0() -> None:
    found = by_name(judged(takeover, planted(ends=(3.0, 2.0), ends_at_one=(3.0, 2.0), noise=0.0)))
    assert found["coverage, sgd"].values == (0.0,) * 5


def test_shorter_duels_are_compared_with_the_judged_one_at_their_end() -> None:
    """Four fifths of the way are done at step 80, so at step 40 half of the way."""
    frame = planted(noise=0.0)
    is_judged = (frame["duel_kind"] == "duel") & (frame["general_decay"] == frame["shallow_decay"])
    is_judged &= (frame["scaling"] == "outside") & (frame["order"] == "shuffled")
    found = by_name(judged(takeover, frame[is_judged | (frame["step"] <= 40)]))
    assert found["the judged duel at step 40, sgd"].estimate.mean == pytest.approx(2.5 / 4)
    assert found["decay of the shallow side alone, sgd"].estimate.mean == pytest.approx(2.5 / 4)


def test_controls_and_toys_stand_beside() -> None:
    found = by_name(judged(takeover, planted()))
    beside = {"decay of the shallow side alone, adamw", "null control copy, sgd", "drift at the end, sgd, decay"}
    assert beside <= set(found)
    assert found["toy: sgd, linear attention, apart, decay 0"].estimate.mean == pytest.approx(0.5, abs=1e-5)
    assert found["toy: sgd, linear attention, shared, decay 0"].estimate.mean > 0.55


def test_it_is_not_testable_where_duels_diverge() -> None:
    frame = planted()
    frame.loc[frame["replica"] < 2, ["loss", "margin", "share"]] = np.nan
    found = parts_of(judged(takeover, frame))
    assert {finding.reason for finding in found.values()} == {
        "a duel stayed finite in 3 of 5 replicas; four fifths must"
    }
