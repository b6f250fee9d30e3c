"""Generated pages that list every task and every preset of a network."""

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

This table lists the tasks that a condition can learn. The first column is the text in the config. The package
`general_circuits` generates every example of a task. The [split](../config/README.md#split) decides which examples
train. The column *commutative* says whether x ∘ y = y ∘ x for every pair that has both orders in the table of examples.
The column *band* says whether the examples have a band. An example has band m if its value before reduction lies in
[m·p, (m + 1)·p). Bands are the column `wrap` of [the task's table](../results/README.md#task).
"""

TASKS_NOTES = """\
**Modulo p.** p can be from 2 to 1,024. It must be prime if the formula divides; examples with a divisor of 0 are left
out. An `expression` is a formula in x and y. It may contain whole numbers, +, −, \\*, /, parentheses, and ^ (or
\\*\\*) with a whole exponent. It may also be two such formulas with a condition: `x*y if x is odd else x+y`. The
formula is parsed and never run as code. Names, calls and attributes are refused. So are exponents over 100, numbers
over 10⁹, more than 25 levels of nesting, and more than 200 letters. The message says why. An `operation` from the list
and an equal `expression` are the same task.

**Several operations.** `operation` can be a list of q operations. Then example (x, y) has the operation numbered x mod
q. For example, take the list x+y, x+2\\*y, x+3\\*y … with q = 1, 2, 4, 8 or 16 operations. The choice of q changes the
complexity, and everything else stays fixed.

**In a group.** S5 are the permutations of five things in lexicographic order. x·y means x first, then y, as in the
code of "Grokking". D7 are the symmetries of a heptagon: seven rotations, then seven reflections. C12 is addition
modulo 12. A group of at most 1,024 elements can be named. A group of at most 128 elements can be given as its
multiplication table, where row x and column y hold x·y. The table is checked, and a message names the axiom that
fails.

**Bits.** `sparse_parity` is the parity of the first `relevant_bits` of `bits`. Its inputs are `examples` different
random inputs, which all replicas share. If there are no more inputs than that, it uses all of them. `boolean` is any
function of up to 16 bits, on all inputs: and, or, parity, majority, or its values for 0…00, 0…01, 0…10 and so on, in
quotes.

**Label noise** (ξ = `label_noise`) gives this share of the training examples a random class, drawn with `label_seed`.
All classes are equally likely, the right one too. With `label_noise_by: pair`, (a, b) and (b, a) get the same class.
With `label_noise_by: latin_square`, all training labels come from a random commutative Latin square, found by hill
climbing (Dinitz and Stinson 1987). Its answers are as balanced as those of addition: each one is once in every row and
column. But a ∘ (b ∘ c) = (a ∘ b) ∘ c holds only by chance, so there is no group to learn. Training examples with a
wrong label and training examples with the right label are scored separately: `train_corrupted` and `train_true` in
[the metrics](../results/README.md#metrics).
"""

NETWORKS_INTRODUCTION = """\
# Networks

<!-- Generated from src/general_circuits/models/presets.py by `make reference`. -->

These are networks of the field, by the name that `preset:` takes in a config. They equal the published networks in
structure, initialisation and number of parameters. There are two exceptions: differences that the column *source* or
the notes below mention, and the vocabulary. Our vocabulary has one input per position, then "=". Each network is
tested against a plain model of torch's own layers: logits and gradients agree. A condition can change any key of [the
section Model](../config/README.md#model), except the architecture.
"""

NETWORKS_NOTES = """\
**Arithmetic.** Transformers over two operands train with reduced arithmetic: `power`, `nanda`, `pre_norm`.
Perceptrons, and transformers over other inputs, use plain arithmetic. A config that asks for reduced arithmetic there
is refused.

**Sources.** "Grokking" writes a ∘ b = with an operator token and end-of-sequence tokens. These are the same in every
example, so they are left out here. Its loss came from the answer and the end of the sequence; here it comes from the
answer alone. Nanda et al. have a logit for "=" too. The code of Grokfast overwrites the residual stream by its first
norm; here the network is the usual pre-norm. Merrill et al. have one output whose sign is the answer, and `outputs:
sign` has the same.

**Seen on tuning seeds.** Seeds 1000 and 1001 were trained in the settings of their sources, which are conditions of
`config/full.yaml`. The network `parity_mlp` learned (40, 3)-sparse parity: 98 % or more of its 1,000 examples by step
1,200, with a validation accuracy near 0.5. By step 4,800 it generalised completely. The network `quadratic_mlp`
answered every pair of x + y mod 97 by step 250. The network `power` on S5 was trained with seed 1000 alone. It learned
99 % of its training examples by step 1,000 and all of them by step 6,750, with spikes after that. It was stopped at
step 9,000, with a validation accuracy of 0.02.

**Built by hand.** With `initialisation: fourier`, a network computes x + y modulo an odd number by Fourier features: a
general circuit. With `initialisation: lookup_table`, it knows its training examples and nothing else. With `steps: 0`,
they are measured as they are. Both are transformers of one layer without normalisation. A config that makes one too
narrow is refused, and the message says the least width. Every measurement is tested on both. In the lookup table every
neuron is salient on one example, and deleting it costs that example. In the general network every neuron is salient on
a quarter of all examples. That network can do without any seventh of its neurons.
"""


def pages() -> dict[Path, str]:
    """Return the text of both pages by path."""
    return {Path("docs/tasks.md"): tasks_page(), Path("docs/networks.md"): networks_page()}


def tasks_page() -> str:
    """Return the page of all tasks: classes, examples, whether they commute or have bands, and sources."""
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
    """Return the page of all presets: their sizes and sources, and the keys that they fill in."""
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
    """Return the cell of a network's key: its value, or a dash if the architecture has no such key."""
    value, is_lacking = getattr(model, key), CHOICES[model.architecture].get(key) == ()
    return "–" if is_lacking or not value else f"`{value}`"


def _inputs(vocabulary: Vocabulary) -> str:
    """Return the inputs of a task in words."""
    return f"{vocabulary.n_inputs} inputs of {vocabulary.n_symbols} symbols"
