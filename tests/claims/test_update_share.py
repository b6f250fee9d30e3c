"""Verdicts on the updates of planted duels whose transfer is known."""

from __future__ import annotations

import numpy as np
import pytest
from duel_verdict_tables import by_name, judged, modules, parts_of, planted

from general_circuits.claims import update_share
from general_circuits.claims.findings import CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED


def test_every_update_rule_is_judged_by_what_coverage_adds() -> None:
    """The difference of the sides is 2 per 1,000 steps at four parts, and 1 at one part."""
    found = parts_of(judged(update_share, planted((1e-3, -1e-3), at_one=(1e-3, 0.0))))
    assert list(found) == ["sgd", "adamw"]
    for finding in found.values():
        assert finding.verdict == SUPPORTED
        assert finding.estimate.mean == pytest.approx(1.0, abs=0.1)
        assert "Over all 5 replicas" in finding.sentence


def test_coverage_of_nothing_is_exactly_0_however_much_the_general_side_gains() -> None:
    """The sides differ as much at one part, where both serve all examples."""
    found = judged(update_share, planted((2e-3, -1e-3), at_one=(2e-3, -1e-3), noise=0.0))
    for finding in parts_of(found).values():
        assert finding.values == (0.0,) * 5
        assert finding.verdict == UNDECIDED
    assert by_name(found)["general minus shallow at 1 part, scale outside, sgd"].estimate.mean == pytest.approx(3.0)


def test_it_is_contradicted_where_coverage_takes_from_the_general_side() -> None:
    found = parts_of(judged(update_share, planted((1e-3, 0.0), at_one=(1e-3, -1e-3))))
    assert {finding.verdict for finding in found.values()} == {CONTRADICTED}


def test_the_least_favourable_scaling_decides() -> None:
    """Raw gradients disagree: they gave ratios of 2.9, 1.0 and 0.9 for the same pair."""
    scalings = {"outside": (3e-3, 0.0), "halfway": (1e-3, 0.0), "inside": (2e-3, 0.0)}
    finding = parts_of(judged(update_share, planted(scalings, noise=1e-4)))["sgd"]
    assert finding.verdict == UNDECIDED
    assert finding.decision is not None
    assert finding.decision.contrast == "halfway"
    assert "The least favourable of three equivalent scalings is halfway: no sign is shown" in finding.sentence


def test_with_momentum_the_batch_alone_is_judged_and_whole_steps_stand_beside() -> None:
    found = by_name(judged(update_share, planted(noise=0.0)))
    name = "coverage by whole steps, which carry an example's own gradients, "
    assert found["registered, adamw"].estimate.mean == pytest.approx(1.0)
    assert found[f"{name}adamw"].estimate.mean == pytest.approx(0.1)
    assert f"{name}sgd" not in found


def test_both_ends_of_coverage_and_the_null_controls_stand_beside() -> None:
    found = by_name(judged(update_share, planted()))
    for scaling in ("outside", "halfway", "inside"):
        for parts, difference in (("4 parts", 2), ("1 part", 1)):
            finding = found[f"general minus shallow at {parts}, scale {scaling}, sgd"]
            assert finding.estimate.mean == pytest.approx(difference, abs=0.1)
    assert found["change of the generaliser's part, sgd"].estimate.mean == pytest.approx(1.0, abs=0.05)
    assert found["change of the memorisers' part, sgd"].estimate.mean == pytest.approx(-1.0, abs=0.05)
    assert found["general minus shallow in steps forward, sgd"].estimate.mean == pytest.approx(0.2)
    controls = {f"general minus shallow, null control {name}, adamw" for name in ("generalisers", "memorisers", "copy")}
    assert controls | {"general minus shallow, 2 parts, sgd", "general minus shallow, decay 0.1, sgd"} <= set(found)


@pytest.mark.parametrize("known", [{"known": 0.9}, {"solved": 0.99}])
def test_replicas_with_a_module_that_does_not_know_its_examples_are_left_out_and_counted(
    known: dict[str, float],
) -> None:
    finding = parts_of(judged(update_share, planted(), modules(**known)))["sgd"]
    assert finding.estimate.n == 4
    assert len(finding.values) == 5
    assert "4 of 5 replicas" in finding.sentence


def test_it_is_not_testable_where_modules_do_not_know_their_examples() -> None:
    table = modules()
    table.loc[table["replica"] < 2, "accuracy"] = 0.9
    for finding in parts_of(judged(update_share, planted(), table)).values():
        assert finding.verdict == NOT_TESTABLE
        assert finding.reason == "all modules know their examples in 3 of 5 replicas; four fifths must"


def test_it_is_not_testable_where_duels_diverge_or_a_scaling_is_lacking() -> None:
    frame = planted()
    has_diverged = (frame["replica"] < 2) & (frame["step"] == 100) & (frame["scaling"] == "inside")
    frame.loc[has_diverged, ["loss", "margin", "fresh_transfer"]] = np.nan
    found = parts_of(judged(update_share, frame))["sgd"]
    assert found.reason == "a duel stayed finite in 3 of 5 replicas; four fifths must"
    without = planted()
    found = parts_of(judged(update_share, without[without["scaling"] != "inside"]))["sgd"]
    assert found.reason == "the study lacks one of the duels"


def test_a_duel_that_diverged_gives_its_replica_no_value() -> None:
    frame = planted()
    has_diverged = (frame["replica"] == 2) & (frame["step"] == 100) & (frame["scaling"] == "inside")
    frame.loc[has_diverged, ["loss", "margin", "fresh_transfer"]] = np.nan
    found = by_name(judged(update_share, frame))
    assert found["coverage, scale inside, sgd"].estimate.n == 4
    assert found["coverage, scale outside, sgd"].estimate.n == 5
