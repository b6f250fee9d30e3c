"""Verdicts on the order in which examples are learnt, in answers that are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from variant_tables import conditions
from verdict_tables import by_contrast

from general_circuits.claims import partial_generalisation
from general_circuits.claims.findings import CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED

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


def recorded(variants: dict[str, tuple[str, str, Learnt]], replicas: int = 5) -> dict[str, pd.DataFrame]:
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


def test_bands_of_tokens_and_of_numbers_have_a_verdict_each() -> None:
    variants = {
        "grokking": ("x+y", "tokens", at_random),
        "product": ("x*y", "tokens", at_random),
        "numbers": ("x*y", "ordinal", in_order),
    }
    findings = by_contrast(partial_generalisation.judge(recorded(variants)))
    assert findings["registered, bands"].verdict in (CONTRADICTED, UNDECIDED)
    assert abs(findings["registered, bands"].estimate.mean) < 0.1
    assert findings["registered, bands, ordinal"].verdict == SUPPORTED
    assert findings["registered, patchwork"].verdict in (CONTRADICTED, UNDECIDED)
    assert findings["patches by answers, grokking"].estimate.mean == pytest.approx(1.0, abs=0.35)


def test_grokking_can_be_a_patchwork_and_bands_need_a_product() -> None:
    findings = by_contrast(partial_generalisation.judge(recorded({"grokking": ("x+y", "tokens", by_answer)})))
    assert findings["registered, patchwork"].verdict == SUPPORTED
    assert (
        findings["patches by answers, grokking"].estimate.mean > findings["patches by operands, grokking"].estimate.mean
    )
    assert findings["registered, bands"].verdict == findings["registered, bands, ordinal"].verdict == NOT_TESTABLE
    assert "lateness and neighbours by answer, validation" in findings
