"""Claim: a network that begins to generalise is a patchwork: right first where x·y < p, and then band by band.

Registered before this rule was applied to any result, two verdicts:

- bands, for x·y in a network that reads its operands as numbers. A band is the number of times that p fits into x·y
  before reduction. An example is learnt at the first checkpoint from which on it stays right. The estimate is
  Spearman's ρ of both over validation examples, minus its mean where the bands are those of (ux, uy) for other units
  u. Supported above 0.1, contradicted below: an effect of that size is called small (Cohen 1988).
- Examples with an operand 0 are left out. Their product is always 0, which a network learns before any band.
- Precondition of bands: at least four fifths of the replicas have learnt. Training accuracy is then 0.99 or more at the
  last checkpoint, and validation accuracy without zeros is over 0.2 at some checkpoint. The first version had no
  precondition, and networks that had not learnt their training examples gave a verdict. And if next to no validation
  example is learnt, there is no order in which they are. A replica that has not learnt has no value.
- patchwork, for grokking, at the checkpoint whose validation accuracy is nearest 0.5 and lies from 0.2 to 0.8. The
  estimate compares the variance of accuracy between groups of examples with its value if the right examples were drawn
  at random. Groups share an operand, or share an answer; the two ratios are averaged. Mirror images count as one.
  Supported above 1.5, contradicted below 1.25. Precondition: at least four fifths of the replicas have such a
  checkpoint.
- Beside it: bands of networks that read tokens. To such a network, x·y and ux·uy are one task, so by symmetry bands
  cannot matter. The first version gave them a verdict; now they are the null that they are.
- Also beside it: bands and patches of other variants; and the correlation of late learning with few training examples
  of the same operand or answer, and with equal operands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from general_circuits.analysis import example_order, variant_outcomes
from general_circuits.analysis.decisions import decide
from general_circuits.analysis.example_order import Record
from general_circuits.analysis.preconditions import ENOUGH, unmet
from general_circuits.analysis.variants import BASE
from general_circuits.claims.findings import (
    BETWEEN,
    CONTRADICTED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    Rule,
    beside,
    lacking,
    not_testable,
    outcome,
    part,
    primary,
    written,
)

IN_ORDER = Rule(supported=0.1, contradicted=0.1)
PATCHY = Rule(supported=1.5, contradicted=1.25)
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
    reads_numbers = {name: conditions[name]["model.inputs"] == ORDINAL for name in recorded}
    products = [name for name in recorded if reads_numbers[name] and conditions[name].get("task.formulas") == PRODUCT]
    patches = {name: [example_order.patches(record) for record in records] for name, records in recorded.items()}
    findings = [
        _bands(recorded[products[0]]) if products else lacking("no recorded answers of x·y of numbers", part("bands")),
        _patchwork([patch.mean for patch in patches[BASE]]),
    ]
    for name, records in recorded.items():
        null = "" if reads_numbers[name] else ": null by symmetry"
        findings.append(beside(f"bands, {name}{null}", CORRELATION, [_order(record) for record in records]))
        for what in ("operands", "answers"):
            values = [getattr(patch, what) for patch in patches[name]]
            findings.append(beside(f"patches by {what}, {name}", RATIO, values, is_change=False))
    for side in ("train", "validation"):
        late = pd.DataFrame([example_order.lateness(record, side) for record in recorded[BASE]])
        for feature in late:
            contrast = f"lateness and {WORDS[str(feature)]}, {side}"
            findings.append(beside(contrast, CORRELATION, late[feature]))
    return findings


WORDS = {"operands": "neighbours by operand", "answer": "neighbours by answer", "diagonal": "equal operands"}
"""Words for the columns of `example_order.neighbours`."""


def _order(record: Record) -> float:
    """Return `example_order.band_order` of a network that has learnt, else NaN."""
    return example_order.band_order(record) if record.has_memorised and record.is_ordered else np.nan


def _bands(records: list[Record]) -> Finding:
    if sum(record.has_memorised for record in records) < ENOUGH * len(records):
        accuracy = _range(records, lambda record: record.accuracy("train").iloc[-1])
        return not_testable(f"training accuracy {accuracy} at the end: the networks have not learnt", part("bands"))
    if sum(record.has_memorised and record.is_ordered for record in records) < ENOUGH * len(records):
        accuracy = _range(records, lambda record: record.asked_accuracy)
        reason = f"largest validation accuracy {accuracy} without zeros: too few examples are learnt to have an order"
        return not_testable(reason, part("bands"))
    decision = decide([_order(record) for record in records], IN_ORDER)
    words = {
        SUPPORTED: "lower bands come first",
        CONTRADICTED: "lower bands do not come first",
        UNDECIDED: "it is not shown whether lower bands come first",
    }
    sentence = (
        "For x·y of numbers, the rank correlation of an example's band and learning step exceeds that of relabelled"
        f" bands by {written(decision.estimate)}: {outcome(decision, words)}."
    )
    return primary(part("bands"), CORRELATION, decision, sentence)


def _range(records: list[Record], value: Callable[[Record], float]) -> str:
    """Write the range of a value over replicas, such as "0.35 to 0.55"."""
    values = [value(record) for record in records]
    return " to ".join(dict.fromkeys(f"{end:.2f}" for end in (min(values), max(values))))


def _patchwork(values: list[float]) -> Finding:
    if reason := unmet({"validation accuracy is from 0.2 to 0.8 at a checkpoint": np.isfinite(values)}):
        return not_testable(reason, part("patchwork"))
    decision = decide(values, PATCHY)
    words = {
        SUPPORTED: "the network is a patchwork",
        CONTRADICTED: "the network is no patchwork",
        BETWEEN: "the network is a little patchy",
        UNDECIDED: "a patchwork is neither shown nor excluded",
    }
    sentence = (
        "Mid-way, accuracies vary"
        f" {written(decision.estimate, is_change=False)} times as much as by chance between groups of validation"
        f" examples that share an operand or an answer: {outcome(decision, words)}."
    )
    return primary(part("patchwork"), RATIO, decision, sentence)
