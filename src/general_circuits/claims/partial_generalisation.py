"""Claim: a network that begins to generalise is a patchwork: right first where x·y < p, and then band by band.

Registered before any result of a study was seen, three verdicts:

- bands, for x·y with a token for each symbol. A band is the number of times that p fits into x·y before reduction. An
  example is learnt at the first checkpoint from which on it stays right. The estimate is Spearman's ρ of both over
  validation examples, minus its mean where the bands are those of (ux, uy) for other units u. Supported where the
  interval is above 0.1, contradicted where it is below: an effect of that size is called small (Cohen 1988). To a
  network with exchangeable tokens, x·y and ux·uy are one task. So by symmetry no effect is expected here.
- bands, ordinal: the same where operands are read as numbers, so that bands can matter.
- patchwork, for grokking, at the checkpoint whose validation accuracy is nearest 0.5 and lies from 0.2 to 0.8. The
  estimate compares the variance of accuracy between groups of examples with its value if the right examples were drawn
  at random. Groups share an operand, or share an answer; the two ratios are averaged. Mirror images count as one.
  Supported where the interval is above 1.5, contradicted where it is below 1.25.
- Examples with an operand 0, whose product is always 0, are left out.
- Beside it: the same for other variants; and the correlation of late learning with few training examples of the same
  operand or answer, and with equal operands.
- A replica without bands, or without such a checkpoint, has no value; the sentence counts such replicas.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from general_circuits.analysis import example_order, variant_outcomes
from general_circuits.analysis.estimates import estimate
from general_circuits.analysis.variants import BASE
from general_circuits.claims.findings import (
    CONTRADICTED,
    REGISTERED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    beside,
    counted,
    decided,
    not_testable,
    outcome,
    written,
)

SMALL = 0.1
PATCHY, EVEN = 1.5, 1.25
PRODUCT = ["x*y"]
ORDINAL = "ordinal"
CORRELATION, RATIO = "rank correlation", "ratio of variances"


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `conditions`, `split` and `answers` tables of grokking and its variants."""
    conditions = variant_outcomes.settings(tables["conditions"])
    with_answers = set(tables["answers"]["condition"].astype(str))
    recorded = {
        name: list(example_order.records(tables["answers"], tables["split"], name))
        for name in conditions
        if name in with_answers
    }
    order = {name: [example_order.band_order(record) for record in records] for name, records in recorded.items()}
    patches = {name: [example_order.patches(record) for record in records] for name, records in recorded.items()}
    products = [name for name in recorded if conditions[name].get("task.formulas") == PRODUCT]
    by_number = [name for name in products if conditions[name]["model.inputs"] == ORDINAL]
    by_token = [name for name in products if name not in by_number]
    findings = [
        _bands(order, by_token, f"{REGISTERED}, bands", "x·y with tokens"),
        _bands(order, by_number, f"{REGISTERED}, bands, ordinal", "x·y of numbers"),
        _patchwork([patch.mean for patch in patches[BASE]]),
    ]
    for name in recorded:
        findings.append(beside(f"bands, {name}", CORRELATION, estimate(order[name])))
        for what in ("operands", "answers"):
            values = [getattr(patch, what) for patch in patches[name]]
            findings.append(beside(f"patches by {what}, {name}", RATIO, estimate(values), is_change=False))
    for side in ("train", "validation"):
        late = pd.DataFrame([example_order.lateness(record, side) for record in recorded[BASE]])
        for feature in late:
            contrast = f"lateness and {WORDS[str(feature)]}, {side}"
            findings.append(beside(contrast, CORRELATION, estimate(late[feature])))
    return findings


WORDS = {"operands": "neighbours by operand", "answer": "neighbours by answer", "diagonal": "equal operands"}
"""Words for the columns of `example_order.neighbours`."""


def _bands(order: Mapping[str, list[float]], names: list[str], contrast: str, task: str) -> Finding:
    if not names:
        return not_testable(f"no recorded answers of {task}", contrast)
    values = order[names[0]]
    result, verdict = decided(values, SMALL, SMALL)
    words = {
        SUPPORTED: "lower bands come first",
        CONTRADICTED: "lower bands do not come first",
        UNDECIDED: "it is not shown whether lower bands come first",
    }
    sentence = (
        f"For {task}, the rank correlation of an example's band and learning step exceeds that of relabelled bands by"
        f" {written(result)}: {outcome(result, verdict, words)}. Over {counted(result.n, len(values))}."
    )
    return Finding(contrast, CORRELATION, result, sentence, verdict)


def _patchwork(values: list[float]) -> Finding:
    result, verdict = decided(values, PATCHY, EVEN)
    words = {
        SUPPORTED: "the network is a patchwork",
        CONTRADICTED: "the network is no patchwork",
        UNDECIDED: "a patchwork is neither shown nor excluded",
    }
    sentence = (
        "Mid-way, accuracies vary"
        f" {written(result, is_change=False)} times as much as by chance between groups of validation examples that"
        f" share an operand or an answer: {outcome(result, verdict, words)}. Over {counted(result.n, len(values))}."
    )
    return Finding(f"{REGISTERED}, patchwork", RATIO, result, sentence, verdict)
