"""Verdicts on forgetting in planted duels whose transfer is known."""

from __future__ import annotations

import pytest
from duel_verdict_tables import by_name, judged, modules, parts_of, planted

from general_circuits.claims import forgetting
from general_circuits.claims.findings import CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED


@pytest.mark.parametrize(
    ("transfers", "at_one", "decay", "coverage"),
    [
        ((1e-3, -1e-3), (1e-3, 0.0), SUPPORTED, SUPPORTED),
        ((-2e-3, -1e-3), (1e-3, 0.0), SUPPORTED, CONTRADICTED),  # the general side is forgotten more
        ((3e-3, 1e-3), (1e-3, 0.0), CONTRADICTED, SUPPORTED),  # nothing is forgotten
        ((1e-3, 0.0), (1e-3, 0.0), UNDECIDED, UNDECIDED),
        ((1e-3, -1e-3), (1e-3, -1e-3), SUPPORTED, UNDECIDED),  # the sides differ as much where both serve all
    ],
)
def test_memorisers_and_coverage_have_verdicts_of_their_own(
    transfers: tuple[float, float], at_one: tuple[float, float], decay: str, coverage: str
) -> None:
    found = parts_of(judged(forgetting, planted(transfers, at_one, noise=1e-4)))
    assert {name: finding.verdict for name, finding in found.items()} == {
        "memorisers decay, sgd": decay,
        "coverage, sgd": coverage,
        "memorisers decay, adamw": decay,
        "coverage, adamw": coverage,
    }


def test_sentences_have_changes_per_1000_steps() -> None:
    """T is +0.001 and −0.001 per step at four parts, and +0.001 and 0 at one part."""
    found = parts_of(judged(forgetting, planted((1e-3, -1e-3), (1e-3, 0.0), noise=0.0)))
    assert "change the part of one of 4 memorisers in a margin by −1.000 " in found["memorisers decay, sgd"].sentence
    assert "to 4 of a part each, it changes by +1.000 " in found["coverage, sgd"].sentence


def test_coverage_is_exactly_0_where_both_numbers_of_parts_are_alike() -> None:
    found = parts_of(judged(forgetting, planted((2e-3, -1e-3), (2e-3, -1e-3), noise=0.0)))
    assert found["coverage, sgd"].values == (0.0,) * 5


def test_whole_steps_of_momentum_stand_beside() -> None:
    found = by_name(judged(forgetting, planted(noise=0.0)))
    name = "memorisers' part by whole steps, which carry its own gradients, "
    assert found[f"{name}adamw"].estimate.mean == pytest.approx(-0.1)
    assert f"{name}sgd" not in found


def test_absent_examples_are_read_when_they_return() -> None:
    """The last evaluation of the first half is at step 40: the parts have gone from 2 to 2.5 and to 1.5."""
    found = by_name(judged(forgetting, planted(noise=0.0)))
    for side, share in (("general", 1.25), ("shallow", 0.75)):
        assert found[f"absent margins at return, {side}, sgd"].estimate.mean == pytest.approx(share)
        assert found[f"half of the loss regained, {side}, sgd"].estimate.n == 0  # nothing is regained here


@pytest.mark.parametrize("known", [{"known": 0.9}, {"solved": 0.99}])
def test_replicas_with_a_module_that_does_not_know_its_examples_are_left_out_and_counted(
    known: dict[str, float],
) -> None:
    for finding in parts_of(judged(forgetting, planted(), modules(**known))).values():
        assert finding.estimate.n == 4
        assert "4 of 5 replicas" in finding.sentence


def test_two_of_five_replicas_are_too_few_to_test() -> None:
    found = parts_of(judged(forgetting, planted(replicas=range(2))))
    assert {finding.verdict for finding in found.values()} == {NOT_TESTABLE}
