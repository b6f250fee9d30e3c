"""Verdicts on the updates of planted duels whose transfer is known."""

from __future__ import annotations

import numpy as np
import pytest
from duel_verdict_tables import first, judged, modules, planted

from general_circuits.claims import update_share
from general_circuits.claims.findings import CONTRADICTED, SUPPORTED, UNDECIDED


def test_it_is_supported_where_the_general_side_gains_more_in_every_scaling() -> None:
    finding = first(judged(update_share, planted((1e-3, -1e-3))))
    assert finding.verdict == SUPPORTED
    assert finding.estimate.mean == pytest.approx(2.0, abs=0.1)  # per 1,000 steps
    assert "Over all 5 replicas" in finding.sentence


def test_it_is_contradicted_where_the_general_side_gains_less_in_every_scaling() -> None:
    assert first(judged(update_share, planted((-1e-3, 1e-3)))).verdict == CONTRADICTED


def test_it_is_undecided_where_the_scalings_disagree() -> None:
    """Raw gradients disagree: they gave ratios of 2.9, 1.0 and 0.9 for the same pair."""
    scalings = {"outside": (3e-3, 1e-3), "halfway": (1e-3, 1e-3), "inside": (0.9e-3, 1e-3)}
    finding = first(judged(update_share, planted(scalings)))
    assert finding.verdict == UNDECIDED
    assert abs(finding.estimate.mean) < 0.05  # the least sure of the three


def test_each_side_and_the_null_controls_stand_beside() -> None:
    findings = {finding.contrast: finding for finding in judged(update_share, planted())}
    assert findings["change of the generaliser's part, sgd"].estimate.mean == pytest.approx(1.0, abs=0.05)
    assert findings["change of the memorisers' part, sgd"].estimate.mean == pytest.approx(-1.0, abs=0.05)
    assert findings["steps forward, sgd"].estimate.mean == pytest.approx(0.2)
    assert {f"null control {name}, adamw" for name in ("generalisers", "memorisers", "copy")} <= set(findings)


def test_only_differences_of_the_sides_are_called_so() -> None:
    findings = {finding.contrast: finding for finding in judged(update_share, planted())}
    assert findings["within the batch, sgd"].sentence.startswith("General minus shallow, within the batch, sgd: ")
    of_one_side = findings["change of the generaliser's part, sgd"].sentence
    assert of_one_side.startswith("Change of the generaliser's part, sgd: +1.0")


@pytest.mark.parametrize("known", [{"known": 0.9}, {"solved": 0.99}])
def test_replicas_with_a_module_that_does_not_know_its_examples_are_left_out_and_counted(
    known: dict[str, float],
) -> None:
    finding = first(judged(update_share, planted(), modules(**known)))
    assert finding.estimate.n == 4
    assert "4 of 5 replicas" in finding.sentence


def test_two_replicas_decide_nothing() -> None:
    finding = first(judged(update_share, planted(replicas=range(2))))
    assert finding.verdict == UNDECIDED
    assert "too few replicas" in finding.sentence


def test_a_duel_that_diverged_gives_its_replica_no_value() -> None:
    frame = planted()
    has_diverged = (frame["replica"] == 2) & (frame["step"] == 100) & (frame["scaling"] == "inside")
    frame.loc[has_diverged, ["loss", "margin", "transfer"]] = np.nan
    findings = {finding.contrast: finding for finding in judged(update_share, frame)}
    assert findings["scale put inside"].estimate.n == 4
    assert findings["scale put outside"].estimate.n == 5
