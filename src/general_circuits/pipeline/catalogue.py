"""The pages of what can be trained: every task, and every network that has a name."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from general_circuits import formatting
from general_circuits.config.condition import TaskSettings
from general_circuits.models.compatibility import CHOICES
from general_circuits.models.presets import PRESETS
from general_circuits.models.settings import Model
from general_circuits.tasks import registry
from general_circuits.tasks.table import NO_WRAP
from general_circuits.tasks.vocabulary import Vocabulary

TASKS_INTRODUCTION = """\
# Tasks

<!-- Generated from src/general_circuits/tasks/registry.py by `make reference`. -->

What a condition can learn, as its config says it. `general_circuits` generates every example of a task; which of them
train is the [split](../config/README.md#split). *Commutative* says whether x ∘ y = y ∘ x for every pair that has both
orders, as found in the table. *Band* says whether examples have one: m where the value before reduction lies in
[m·p, (m + 1)·p), the column `wrap` of [the task's table](../results/README.md#task).
"""

TASKS_NOTES = """\
**Modulo p.** p can be from 2 to 1,024, and must be prime where something is divided; examples in which a divisor is 0
are left out. An `expression` is a formula in x and y of whole numbers, +, −, \\*, /, ^ (or \\*\\*) with a whole
exponent and parentheses, or two of them, `x*y if x is odd else x+y`. It is parsed, and never run as code: names,
calls, attributes, exponents over 100, numbers over 10⁹, over 25 levels of nesting or 200 letters are refused, saying
why. An `operation` of the list and an equal `expression` are one task.

**Several operations.** Of a list of q, example (x, y) has the one numbered x mod q. q = 1, 2, 4, 8, 16 of x+y,
x+2\\*y, x+3\\*y … is a dial of complexity with all else fixed.

**In a group.** S5 are the permutations of five things in lexicographic order, and x·y is x first, then y, as in the
code of "Grokking". D7 are the symmetries of a heptagon: seven rotations, then seven reflections. C12 is addition
modulo 12. A group of at most 1,024 elements can be named, and one of at most 128 given as its multiplication table,
row x and column y being x·y; it is checked, and the axiom that fails is named.

**Bits.** `sparse_parity` is the parity of the first `relevant_bits` of `bits`, on `examples` different random inputs
that every replica shares (all inputs, where there are no more). `boolean` is any function of up to 16 bits, on all
inputs: and, or, parity, majority, or its values for 0…00, 0…01, 0…10 and so on, in quotes.

**Label noise** (ξ = `label_noise`) gives that share of the training examples a class drawn uniformly, the right one
included, with `label_seed`. Training examples whose label is wrong and those whose label is right are scored apart,
as `train_corrupted` and `train_true` in [the metrics](../results/README.md#metrics).
"""

NETWORKS_INTRODUCTION = """\
# Networks

<!-- Generated from src/general_circuits/models/presets.py by `make reference`. -->

Networks of the field by name, `preset:` in a config, equal to the published ones in structure, initialisation and
number of parameters, but for what a source says here and for vocabularies, which are ours: an input per position, then
"=". Each is tested against a plain model of torch's own layers, logits and gradients. Any key of
[the section](../config/README.md#model) can be changed in a condition, but for the architecture.
"""

NETWORKS_NOTES = """\
**Arithmetic.** Transformers over two operands train with reduced arithmetic: `power`, `nanda`, `pre_norm`. Perceptrons,
and transformers over other inputs, are computed plainly, and a config that asks for more is refused.

**Sources.** "Grokking" spells a ∘ b = with an operator and end-of-sequence tokens, the same in every example, which are
left out here; it drew its loss from the answer and the end of the sequence, here from the answer. Nanda et al. have a
logit for "=" too. The code of Grokfast overwrites the residual stream by its first norm; here it is the usual pre-norm.
Merrill et al. have one output whose sign is the answer, and so has `outputs: sign`.

**Seen on tuning seeds** 1000 and 1001, in the settings of their sources, which are conditions of `config/full.yaml`:
`parity_mlp` has learned 98 % or more of its 1,000 examples of (40, 3)-sparse parity by step 1,200, at a validation
accuracy near 0.5, and generalises completely by step 4,800; `quadratic_mlp` answers every pair of x + y mod 97 by
step 250. `power` on S5, seed 1000 alone, has learned 99 % of its training examples by step 1,000 and all of them by
6,750, with spikes since; at step 9,000, where it was stopped, its validation accuracy was 0.02.

**Built by hand.** `initialisation: fourier` is x + y modulo an odd number by Fourier features, a general circuit, and
`initialisation: lookup_table` knows its training examples and nothing else; with `steps: 0` they are measured as they
are. Both are transformers of one layer without normalisation; a config says how wide they must be. On both every
measurement is tested: all neurons of the lookup table are salient on one example each, and any of them lost costs that
example; each of the general network's is salient on a quarter of all examples, and any seventh of them can be done
without.
"""


def pages() -> dict[Path, str]:
    """Both, by their path."""
    return {Path("docs/tasks.md"): tasks_page(), Path("docs/networks.md"): networks_page()}


def tasks_page() -> str:
    """Every task: its classes, examples, whether it commutes, and its source."""
    rows = []
    for given, source in registry.CATALOGUE:
        table = registry.generate(registry.resolve(TaskSettings(**given)))
        spelled = ", ".join(f"{key}: {json.dumps(value).strip(chr(34))}" for key, value in given.items())
        commutes = {True: "yes", False: "no", None: "–"}[table.is_commutative]
        has_band = "yes" if (table.wrap != NO_WRAP).any() else "–"
        counts = (f"{table.vocabulary.n_classes:,}", f"{len(table):,}")
        rows.append((f"`{spelled}`", *counts, commutes, has_band, source))
    header = ("task", "classes", "examples", "commutative", "band", "source")
    return "\n".join([TASKS_INTRODUCTION, formatting.markdown_table(header, rows), TASKS_NOTES])


def networks_page() -> str:
    """Every preset: its parameters and its source; and what it fills in, a dash where it has no such key."""
    header = ("preset", "parameters", "of a task with", "published loss", "source")
    rows = [
        (
            f"`{name}`",
            f"{preset.parameters:,}",
            _inputs(preset.vocabulary),
            preset.loss.replace("_", " "),
            preset.source,
        )
        for name, preset in PRESETS.items()
    ]
    keys = [field.name for field in dataclasses.fields(Model)]
    settings = [(f"`{key}`", *(_choice(preset.model, key) for preset in PRESETS.values())) for key in keys]
    tables = (
        formatting.markdown_table(header, rows),
        formatting.markdown_table(("key", *(f"`{name}`" for name in PRESETS)), settings),
    )
    return "\n".join([NETWORKS_INTRODUCTION, *tables, NETWORKS_NOTES])


def _choice(model: Model, key: str) -> str:
    value, is_lacking = getattr(model, key), CHOICES[model.architecture].get(key) == ()
    return "–" if is_lacking or not value else f"`{value}`"


def _inputs(vocabulary: Vocabulary) -> str:
    return f"{vocabulary.n_inputs} inputs of {vocabulary.n_symbols} symbols"
