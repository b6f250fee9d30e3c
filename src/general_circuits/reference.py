"""What is generated: the config's JSON schema and page from its models, the results' page from the tables."""

from __future__ import annotations

import dataclasses
import json
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from general_circuits import config, markdown
from general_circuits.conditions import Model, Vocabulary
from general_circuits.misfits import CHOICES
from general_circuits.presets import PRESETS
from general_circuits.schemas import registry
from general_circuits.tables import Table
from general_circuits.tasks import registry as tasks
from general_circuits.tasks.table import NO_WRAP

SCHEMA = Path("workflow/schemas/study.schema.json")
PAGE = Path("config/README.md")
TASKS = Path("docs/tasks.md")
RESULTS = Path("results/README.md")

INTRODUCTION = """\
# Configuring a study

<!-- Generated from src/general_circuits/config.py by `make reference`. -->

A config is one study: settings that all conditions share (`defaults`), named `conditions` that override them, and how
many `replicas` of each. `config.yaml` is the study `workstation`, which runs by default; `smoke.yaml` is a tiny one
through every rule; `full.yaml` a large one. To change an experiment, change a line; to add one, add a condition:

```yaml
study: mine
replicas: 3
defaults:
  operation: x+y
  modulus: 59
conditions:
  grokking: {}
  stronger_decay: {weight_decay: 2.0}
```

Saved as `config/mine.yaml`, `make figures STUDY=mine` runs it into `results/mine/`, and so does
`snakemake --cores 8 --configfile config/mine.yaml`. A config that cannot run is refused before any job starts, with
every fault listed. Claims are judged from conditions by their names: `grokking` against `random_labels`, with
`too_little_data`, `no_weight_decay` and `no_delay` beside it.
"""

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

PRESETS_INTRODUCTION = """\
### Presets

Networks of the field, equal to the published ones in structure, initialisation and number of parameters, but for what
the last row says, and for vocabularies, which are ours: an input per position, then "=". The architecture is fixed by
the preset. A dash stands for what a network lacks.

"""

RESULTS_INTRODUCTION = """\
# Results

<!-- Generated from src/general_circuits/schemas/ by `make reference`. -->

Nothing here is kept in the repository: `make figures` makes it again, and `make clean STUDY=…` removes it. After a run,
`results/{study}/` holds
"""

OTHER_FILES = (
    ("`report.html`", "", "the report; opens without a network"),
    (
        "`index/{table}.sha256`",
        "file",
        "which files a table of the whole study consists of, as `sha256sum --check` reads them",
    ),
    ("`figures/*.svg`, `*.png`, `*.txt`", "", "the figures, and what each shows in words"),
    ("`report/*.html`", "", "the report's pages, each by itself"),
    (
        "`runs/{condition}/{block}/weights-*.safetensors`",
        "",
        "all checkpoints of a replica, on a leading step axis",
    ),
    (
        "`replays/{condition}/{block}/{replay}/`",
        "as under `runs/`",
        "metrics and weights of a stretch trained again; only where asked for",
    ),
    ("`.state/`", "", "training states, from which killed jobs and replays go on"),
    ("`logs/`, `benchmarks/`", "", "what each job said, what it cost, and what each launch took"),
)
"""What is no table: path, one row per, what."""

RESULTS_NOTES = """\
Each table's columns are below, its key first; code has them in
[`src/general_circuits/schemas/`](../src/general_circuits/schemas), one file per table. Rows are sorted by the key. A
number that is missing reads as NaN. Every file carries the package version in its schema and, but for the claims', the
settings that made it, and no date: equal work gives equal bytes, on the same kind of processor.
"""


def schema() -> str:
    """The JSON schema of a config."""
    return json.dumps(config.Study.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """The documentation of every key."""
    sections = [
        ("The study", config.Study, ""),
        *((_title(section), section, "In `defaults` or in a condition.") for section in config.SECTIONS),
        ("Spacing", config.Spacing, "Of `checkpoints` and `metrics`."),
        ("Measurements: saliency", config.SaliencySettings, "Under `measurements: saliency:`."),
        ("Measurements: ablation", config.AblationSettings, "Under `measurements: ablation:`."),
        ("Keep", config.KeepSettings, "Under `keep:`."),
    ]
    parts = [INTRODUCTION]
    for title, model, where in sections:
        parts.append(f"## {title}\n\n{model.__doc__} {where}".rstrip() + "\n\n" + _table(model))
        if model is config.ModelSettings:
            parts.append(_presets())
    return "\n".join(parts)


def tasks_page() -> str:
    """Every task: its classes, examples, whether it commutes, and its source."""
    rows = []
    for given, source in tasks.CATALOGUE:
        table = tasks.generate(tasks.resolve(config.TaskSettings(**given)))
        spelled = ", ".join(f"{key}: {json.dumps(value).strip(chr(34))}" for key, value in given.items())
        commutes = {True: "yes", False: "no", None: "–"}[table.is_commutative]
        has_band = "yes" if (table.wrap != NO_WRAP).any() else "–"
        counts = (f"{table.vocabulary.n_classes:,}", f"{len(table):,}")
        rows.append((f"`{spelled}`", *counts, commutes, has_band, source))
    header = ("task", "classes", "examples", "commutative", "band", "source")
    return "\n".join([TASKS_INTRODUCTION, markdown.table(header, rows), TASKS_NOTES])


def _presets() -> str:
    """What every preset fills in, a column each; a dash where its architecture has no such key."""
    keys = [field.name for field in dataclasses.fields(Model)]
    rows = [(f"`{key}`", *(_choice(preset.model, key) for preset in PRESETS.values())) for key in keys]
    rows.append(("published loss", *(preset.loss.replace("_", " ") for preset in PRESETS.values())))
    rows.append(("parameters", *(f"{preset.parameters:,}" for preset in PRESETS.values())))
    rows.append(("of a task with", *(_inputs(preset.vocabulary) for preset in PRESETS.values())))
    rows.append(("source", *(preset.source for preset in PRESETS.values())))
    return PRESETS_INTRODUCTION + markdown.table(("key", *(f"`{name}`" for name in PRESETS)), rows)


def _choice(model: Model, key: str) -> str:
    value, is_lacking = getattr(model, key), CHOICES[model.architecture].get(key) == ()
    return "–" if is_lacking or not value else f"`{value}`"


def _inputs(vocabulary: Vocabulary) -> str:
    return f"{vocabulary.n_inputs} inputs of {vocabulary.n_symbols} symbols"


def results_page() -> str:
    """What a study leaves, and what every column of its tables means."""
    tables = [registry.table(name) for name in registry.names()]
    of_tables = [(f"`{table.path}`", table.row, f"[{table.name}](#{table.name})") for table in tables]
    overview = markdown.table(("path", "one row per", "what"), [*of_tables, *OTHER_FILES])
    return "\n".join([RESULTS_INTRODUCTION, overview, RESULTS_NOTES, *map(_columns, tables)])


def files() -> dict[Path, str]:
    """Every generated file, relative to the checkout, with the text it should have."""
    return {SCHEMA: schema(), PAGE: page(), TASKS: tasks_page(), RESULTS: results_page()}


def _title(section: type[BaseModel]) -> str:
    return section.__name__.removesuffix("Settings")


def _table(model: type[BaseModel]) -> str:
    rows = []
    for name, field in model.model_fields.items():
        meaning = field.description or (field.annotation.__doc__ if field.annotation else "") or ""
        rows.append((f"`{name}`", _type(field.annotation) + _bounds(field), _default(name, field), meaning))
    return markdown.table(("key", "type", "default", "meaning"), rows)


def _columns(table: Table) -> str:
    """A table's section of the results' page."""
    key = ", ".join(f"`{column}`" for column in table.key)
    rows = [(f"`{column}`", *words) for column, words in table.described().items()]
    about = f"## {table.name}\n\n`{table.path}`: one row per {table.row}. Key: {key}.\n\n"
    return about + markdown.table(("column", "type", "meaning"), rows)


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(_type(part) for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) is list:
        return f"list of {_type(get_args(annotation)[0])}"
    if get_origin(annotation) is dict:
        return "mapping"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    if hasattr(annotation, "__metadata__"):
        return _type(get_args(annotation)[0])
    return {int: "whole number", float: "number", str: "text"}.get(annotation, str(annotation))


def _bounds(field: FieldInfo) -> str:
    """The numbers a value must lie between."""
    words = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {getattr(part, key)}" for part in field.metadata for key, sign in words.items() if hasattr(part, key)
    ]
    return f" {', '.join(found)}" if found else ""


def _default(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, config.Spacing):
        return f"`{{log: {value.log}, every: {value.every}}}`"
    if isinstance(value, BaseModel):
        return "as below"
    if value is None:
        return {"decay": "by optimiser", "arithmetic": "by network", "loss": "by preset"}.get(name, "by preset")
    return f"`{value}`".replace("'", "")
