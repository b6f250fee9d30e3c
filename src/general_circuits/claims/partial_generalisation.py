"""Is a network that begins to generalise a patchwork, right first where x·y < p, and then band by band?

Registered before any result of a study was seen, three verdicts:

- bands: of x·y with a token for each symbol. A band is how many moduli x·y has before reduction; an example is learnt
  at the first checkpoint from which on it is right. Spearman's ρ of both over validation examples, less its mean where
  bands are those of (ux, uy) for other units u. Supported where the interval is above 0.1, contradicted where it is
  below: an effect of that size is called small (Cohen 1988). To exchangeable tokens x·y and ux·uy are one task, so
  that by symmetry nothing can be expected here.
- bands, ordinal: the same where operands are read as numbers, and bands can matter.
- patchwork: of grokking, at the checkpoint where validation accuracy is nearest a half (and from 0.2 to 0.8): the
  variance of accuracy between examples that share an operand, and between those that share an answer, over what it is
  if right ones are drawn at random; the mean of both. Mirror images count as one. Supported where the interval is above
  1.5, contradicted where it is below 1.25.
- Examples with a zero for an operand, whose product is nothing but zero, are left out.
- Beside: the same of the other variants; and with what lateness goes: few training examples with the same operand or
  answer, or equal operands.
- A replica without bands or without such a checkpoint has no value, and is counted.
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
    seen = set(tables["answers"]["condition"].astype(str))
    recorded = {
        name: list(example_order.records(tables["answers"], tables["split"], name))
        for name in conditions
        if name in seen
    }
    order = {name: [example_order.band_order(record) for record in found] for name, found in recorded.items()}
    patches = {name: [example_order.patches(record) for record in found] for name, found in recorded.items()}
    products = [name for name in recorded if conditions[name].get("task.formulas") == PRODUCT]
    by_number = [name for name in products if conditions[name]["model.inputs"] == ORDINAL]
    by_token = [name for name in products if name not in by_number]
    findings = [
        _bands(order, by_token, f"{REGISTERED}, bands", "x·y with tokens"),
        _bands(order, by_number, f"{REGISTERED}, bands, ordinal", "x·y of numbers"),
        _patchwork([found.mean for found in patches[BASE]]),
    ]
    for name in recorded:
        findings.append(beside(f"bands, {name}", CORRELATION, estimate(order[name])))
        for what in ("operands", "answers"):
            values = [getattr(found, what) for found in patches[name]]
            findings.append(beside(f"patches by {what}, {name}", RATIO, estimate(values), is_change=False))
    for side in ("train", "validation"):
        late = pd.DataFrame([example_order.lateness(record, side) for record in recorded[BASE]])
        for feature in late:
            contrast = f"lateness and {WORDS[str(feature)]}, {side}"
            findings.append(beside(contrast, CORRELATION, estimate(late[feature])))
    return findings


WORDS = {"operands": "neighbours by operand", "answer": "neighbours by answer", "diagonal": "equal operands"}


def _bands(order: Mapping[str, list[float]], names: list[str], contrast: str, task: str) -> Finding:
    if not names:
        return not_testable(f"no recorded answers of {task}", contrast)
    values = order[names[0]]
    found, verdict = decided(values, SMALL, SMALL)
    words = {
        SUPPORTED: "lower bands come first",
        CONTRADICTED: "lower bands do not come first",
        UNDECIDED: "not shown to come in order, nor not to",
    }
    sentence = (
        f"Of {task}, how late an example is learnt goes with its band by {written(found)} more than with bands of other"
        f" units: {outcome(found, verdict, words)}. Over {counted(found.n, len(values))}."
    )
    return Finding(contrast, CORRELATION, found, sentence, verdict)


def _patchwork(values: list[float]) -> Finding:
    found, verdict = decided(values, PATCHY, EVEN)
    words = {SUPPORTED: "a patchwork", CONTRADICTED: "no patchwork", UNDECIDED: "neither shown nor excluded"}
    sentence = (
        "Mid-way, the accuracies of validation examples that share an operand or an answer vary"
        f" {written(found, is_change=False)} times as much as by chance: {outcome(found, verdict, words)}. Over"
        f" {counted(found.n, len(values))}."
    )
    return Finding(f"{REGISTERED}, patchwork", RATIO, found, sentence, verdict)
