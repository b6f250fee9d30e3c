"""The words that every claim shares: parts, sentences of findings, and estimates in text."""

from __future__ import annotations

import numpy as np
import pytest

from general_circuits.analysis.decisions import decide
from general_circuits.analysis.estimates import Estimate, estimate
from general_circuits.claims import findings
from general_circuits.claims.findings import (
    BETWEEN,
    CONTRADICTED,
    NOT_MEASURED,
    NOT_TESTABLE,
    SUPPORTED,
    UNDECIDED,
    VERDICTS,
    Rule,
)

pytestmark = pytest.mark.filterwarnings("error")
NAN = float("nan")
RULE = Rule(0.5, 0.25)
WORDS = {SUPPORTED: "above", CONTRADICTED: "below", BETWEEN: "in the middle", UNDECIDED: "somewhere"}


def test_there_are_six_verdicts() -> None:
    assert VERDICTS == (SUPPORTED, CONTRADICTED, BETWEEN, UNDECIDED, NOT_TESTABLE, NOT_MEASURED)
    assert VERDICTS == ("supported", "contradicted", "between", "undecided", "not testable", "not measured")


@pytest.mark.parametrize(("name", "contrast"), [("", "registered"), ("sgd", "registered, sgd"), ("a, b", None)])
def test_a_part_is_named_after_the_word_registered(name: str, contrast: str | None) -> None:
    assert contrast in (None, findings.part(name))
    assert findings.is_registered(findings.part(name))
    assert findings.judged_for(findings.part(name)) == name


def test_a_contrast_beside_is_not_registered() -> None:
    assert not findings.is_registered("random labels")
    assert not findings.is_registered("registered value of another claim")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.7, 0.71, 0.72], "above"),
        ([0.1, 0.11, 0.12], "below"),
        ([0.375, 0.376, 0.377], "in the middle"),
        ([0.2, 0.4, 0.6], "somewhere"),
        ([0.7, 0.71], "too few replicas to say"),
        ([0.7, 0.71, NAN, NAN, NAN], "too few replicas to say"),
        ([], "too few replicas to say"),
    ],
)
def test_each_verdict_has_its_words(values: list[float], words: str) -> None:
    assert findings.outcome(decide(values, RULE), WORDS) == words


def test_a_primary_contrast_carries_its_decision_and_every_replica() -> None:
    decision = decide([0.7, 0.71, NAN, 0.72], RULE)
    found = findings.primary(findings.part("sgd"), "share", decision, "It rose.")
    assert (found.contrast, found.unit, found.verdict) == ("registered, sgd", "share", SUPPORTED)
    assert found.decision is decision
    assert found.estimate == decision.estimate
    np.testing.assert_array_equal(found.values, [0.7, 0.71, NAN, 0.72])
    assert found.sentence.startswith("It rose. Over 3 of 4 replicas (")


def test_the_sentence_of_an_undecided_contrast_ends_with_the_replicas_that_would_decide() -> None:
    decision = decide([0.4, 0.6, 0.8], RULE)
    assert decision.verdict == UNDECIDED
    assert decision.needed > 3
    sentence = findings.primary("registered", "share", decision, "It may rise.").sentence
    assert sentence == f"It may rise. Over all 3 replicas. About {decision.needed} replicas would decide."


def test_a_contrast_beside_keeps_every_replica_and_has_no_verdict() -> None:
    found = findings.beside("random labels", "share", [0.1, NAN, 0.3])
    assert (found.estimate, found.verdict, found.decision) == (estimate([0.1, 0.3]), "", None)
    np.testing.assert_array_equal(found.values, [0.1, NAN, 0.3])
    assert found.sentence == f"Random labels: {findings.written(found.estimate)}."
    assert "+0.200" in found.sentence
    assert "Random labels: 0.200 (" in findings.beside("random labels", "share", [0.1, 0.3], is_change=False).sentence


def test_a_failed_precondition_is_not_testable_with_its_reason() -> None:
    found = findings.not_testable("training accuracy is 0.55", findings.part("ordinal"))
    assert (found.contrast, found.verdict, found.reason) == (
        "registered, ordinal",
        NOT_TESTABLE,
        "training accuracy is 0.55",
    )
    assert found.sentence == "Not testable: training accuracy is 0.55."
    assert (found.estimate.n, found.decision, found.is_lacking) == (0, None, False)


def test_a_study_that_lacks_runs_says_what_it_lacks() -> None:
    found = findings.lacking("no toy duels")
    assert (found.contrast, found.verdict, found.is_lacking) == ("registered", NOT_TESTABLE, True)
    assert found.sentence == "Not testable: this study has no toy duels."


def test_estimates_are_written_with_their_interval() -> None:
    assert findings.written(Estimate(0.1, 0.05, 0.15, 0.01, 5)) == "+0.100 (+0.050 to +0.150)"
    assert findings.written(Estimate(0.1, 0.05, 0.15, 0.01, 5), is_change=False) == "0.100 (0.050 to 0.150)"
    assert findings.written(Estimate(0.1, NAN, NAN, NAN, 1)) == "+0.100 (no interval)"
    assert findings.written(Estimate(NAN, NAN, NAN, NAN, 0)) == "an unknown amount"


def test_replicas_without_a_value_are_counted() -> None:
    assert findings.counted(5, 5) == "all 5 replicas"
    assert findings.counted(3, 5).startswith("3 of 5 replicas")
