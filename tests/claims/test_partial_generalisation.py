"""Verdicts on the order in which examples are learnt, in answers that are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from variant_tables import conditions
from verdict_tables import by_contrast

from general_circuits.claims import partial_generalisation
from general_circuits.claims.findings import CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED, Finding
from general_circuits.claims.registry import CLAIMS
from general_circuits.config.load import load
from general_circuits.records import flat

STEPS = (0, 100, 200, 300, 400)
P = 11

Learnt = Callable[[pd.DataFrame, int], Any]
"""Function: examples, replica → step from which each example stays right."""


def table(operation: str) -> pd.DataFrame:
    """Build all examples of an operation modulo 11; those with a + b divisible by 3 train."""
    a, b = (part.ravel() for part in np.meshgrid(range(P), range(P), indexing="ij"))
    value = a * b if operation == "x*y" else a + b
    split = np.where((a + b) % 3 == 0, "train", "validation")
    return pd.DataFrame({"example": range(P * P), "a": a, "b": b, "wrap": value // P, "target": value % P}).assign(
        split=split
    )


def recorded(variants: Mapping[str, tuple[str, str, Learnt]], replicas: int = 5) -> dict[str, pd.DataFrame]:
    """Build the tables of variants, each given by its operation, its inputs and when its examples are learnt."""
    splits, answers = [], []
    for name, (operation, _, learnt) in variants.items():
        for replica in range(replicas):
            examples = table(operation).assign(condition=name, replica=replica)
            splits.append(examples)
            when = np.broadcast_to(learnt(examples, replica), len(examples))
            for step in STEPS:
                margin = np.where(step >= when, 1.0, -1.0)
                rows = pd.DataFrame({"example": examples["example"], "margin": margin})
                answers.append(rows.assign(condition=name, replica=replica, step=step))
    of_variants = {
        name: {"task.formulas": [operation], "model.inputs": inputs}
        for name, (operation, inputs, _) in variants.items()
    }
    listed = conditions({name: changes for name, changes in of_variants.items() if name != "grokking"})
    # `conditions` gives grokking its usual settings; the rows before them replace its task and inputs.
    grokking = conditions({"grokking": of_variants["grokking"]})
    listed = pd.concat([grokking[grokking["setting"].isin(of_variants["grokking"])], listed]).drop_duplicates(
        ["condition", "setting"]
    )
    return {"conditions": listed, "split": pd.concat(splits), "answers": pd.concat(answers)}


def in_order(examples: pd.DataFrame, replica: int) -> Any:
    """Learn examples of lower bands first."""
    return 100 * (1 + np.clip(examples["wrap"].to_numpy() // 2, 0, 3))


def at_random(examples: pd.DataFrame, replica: int) -> Any:
    """Learn each pair of mirror images at a random step."""
    of_pair = np.random.default_rng(replica).integers(1, 5, size=(P, P))
    return 100 * (np.triu(of_pair) + np.triu(of_pair, 1).T)[examples["a"], examples["b"]]


def by_answer(examples: pd.DataFrame, replica: int) -> Any:
    """Learn examples with the same answer at the same step."""
    return 100 * (1 + (examples["target"].to_numpy() + replica) % 4)


def half_learnt(examples: pd.DataFrame, replica: int) -> Any:
    """Learn in order, but never the examples with an operand above 5, whatever their side."""
    return np.where(examples[["a", "b"]].max(axis=1) > 5, np.inf, in_order(examples, replica))


def memorised_alone(examples: pd.DataFrame, replica: int) -> Any:
    """Learn all training examples at once, and no validation example but those with an operand 0 or 1.

    These are a third of the validation examples. Without zeros, 13 of 67 are learnt.
    """
    is_learnt = (examples["split"] == "train") | (examples[["a", "b"]].min(axis=1) < 2)
    return np.where(is_learnt, 100, np.inf)


def in_two_replicas(bad: Learnt, good: Learnt = in_order, number: int = 2) -> Learnt:
    """Return a way to learn that is `bad` in the first replicas and `good` in the others."""
    return lambda examples, replica: (bad if replica < number else good)(examples, replica)


def numbers(learnt: Learnt) -> dict[str, Finding]:
    """Judge grokking and a product of numbers that is learnt like this."""
    variants = {"grokking": ("x+y", "tokens", at_random), "numbers": ("x*y", "ordinal", learnt)}
    return by_contrast(partial_generalisation.judge(recorded(variants)))


def test_bands_of_numbers_have_a_verdict_and_bands_of_tokens_are_a_null() -> None:
    variants = {
        "grokking": ("x+y", "tokens", at_random),
        "product": ("x*y", "tokens", at_random),
        "numbers": ("x*y", "ordinal", in_order),
    }
    findings = by_contrast(partial_generalisation.judge(recorded(variants)))
    assert findings["registered, bands"].verdict == SUPPORTED
    assert findings["bands, numbers"].estimate.mean == findings["registered, bands"].estimate.mean
    null = findings["bands, product: null by symmetry"]
    assert not null.verdict
    assert abs(null.estimate.mean) < 0.1
    assert [name for name in findings if name.startswith("registered")] == [
        "registered, bands",
        "registered, patchwork",
    ]
    assert findings["registered, patchwork"].verdict in (CONTRADICTED, UNDECIDED)
    assert findings["patches by answers, grokking"].estimate.mean == pytest.approx(1.0, abs=0.35)


def test_bands_in_no_order_contradict() -> None:
    assert numbers(lambda examples, replica: 500 - in_order(examples, replica))["registered, bands"].verdict == (
        CONTRADICTED
    )


def test_networks_that_have_not_memorised_do_not_judge() -> None:
    """Both operands of 12 of the 40 training examples are below 6. These are learnt, and come in perfect order."""
    finding = numbers(half_learnt)["registered, bands"]
    assert finding.verdict == NOT_TESTABLE
    assert finding.reason == "training accuracy 0.30 at the end: the networks have not learnt"
    assert np.isnan(numbers(half_learnt)["bands, numbers"].values).all()
    finding = numbers(in_two_replicas(half_learnt))["registered, bands"]
    assert finding.reason == "training accuracy 0.30 to 1.00 at the end: the networks have not learnt"


def test_networks_that_only_memorise_have_no_order_to_judge() -> None:
    finding = numbers(memorised_alone)["registered, bands"]
    assert finding.verdict == NOT_TESTABLE
    assert finding.reason.startswith("largest validation accuracy 0.19 without zeros: too few examples are learnt")


def test_one_replica_in_five_may_not_have_learnt_and_has_no_value() -> None:
    for bad in (half_learnt, memorised_alone):
        finding = numbers(in_two_replicas(bad, number=1))["registered, bands"]
        assert finding.verdict == SUPPORTED
        assert np.isnan(finding.values).tolist() == [True, False, False, False, False]


def test_grokking_can_be_a_patchwork_and_bands_need_a_product_of_numbers() -> None:
    findings = by_contrast(partial_generalisation.judge(recorded({"grokking": ("x+y", "tokens", by_answer)})))
    assert findings["registered, patchwork"].verdict == SUPPORTED
    assert (
        findings["patches by answers, grokking"].estimate.mean > findings["patches by operands, grokking"].estimate.mean
    )
    assert findings["registered, bands"].verdict == NOT_TESTABLE
    assert findings["registered, bands"].is_lacking
    assert "lateness and neighbours by answer, validation" in findings


def test_a_patchwork_needs_a_checkpoint_that_is_midway() -> None:
    """All examples are learnt at once, so validation accuracy leaps from 0 to 1."""

    def at_once(examples: pd.DataFrame, replica: int) -> Any:
        return np.full(len(examples), 200)

    one, two = (
        by_contrast(
            partial_generalisation.judge(
                recorded({"grokking": ("x+y", "tokens", in_two_replicas(at_once, by_answer, number))})
            )
        )["registered, patchwork"]
        for number in (1, 2)
    )
    assert one.verdict == SUPPORTED
    assert two.verdict == NOT_TESTABLE
    assert two.reason.startswith("validation accuracy is from 0.2 to 0.8 at a checkpoint in 3 of 5 replicas")


def test_a_smaller_table_of_numbers_is_found() -> None:
    of_numbers = {"preset": "mlp", "inputs": "ordinal", "modulus": 23, "batch_size": 256, "measurements": ["answers"]}
    conditions = load(
        {
            "study": "tiny",
            "conditions": {
                "grokking": {},
                "product": {**of_numbers, "operation": "x*y"},
                "sum": of_numbers,
                "smaller": {"modulus": 31},
            },
        }
    ).resolved()["conditions"]
    found = CLAIMS["partial_generalisation"].among({name: flat(own) for name, own in conditions.items()})
    assert found == ["grokking", "product", "sum"]
