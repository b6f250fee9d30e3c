"""What is generated: the config's JSON schema and page from its models, the results' page from the tables, and
`catalogue`'s pages."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from general_circuits import formatting
from general_circuits.config.branch import BranchSettings, ChangeSettings, StudyCondition
from general_circuits.config.condition import SECTIONS, ConditionSettings, SpacingSettings
from general_circuits.config.duels import PlantedSettings, RuleSettings, ToySettings
from general_circuits.config.measurements import (
    AblationSettings,
    AnswerSettings,
    OnsetSettings,
    ProgressSettings,
    SaliencySettings,
    SpecificationSettings,
    SpikeSettings,
    UpdateSettings,
)
from general_circuits.config.study import KeepSettings, Study
from general_circuits.pipeline import catalogue
from general_circuits.storage.schemas import registry
from general_circuits.storage.tables import Table

SCHEMA = Path("workflow/schemas/study.schema.json")
PAGE = Path("config/README.md")
RESULTS = Path("results/README.md")

INTRODUCTION = """\
# Configuring a study

<!-- Generated from src/general_circuits/config/study.py by `make reference`. -->

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
`too_little_data`, `no_weight_decay` and `no_delay` beside it; or from what conditions change of `grokking`, whatever
their names: [docs/comments.md](../docs/comments.md).
"""

BRANCH = """\
Each replica is replayed to that step from its nearest training state, with what optimiser and batches remember. It goes
on from there; its parent is trained once. A branch that changes nothing has its parent's bytes at every later step.
Where the event never came, a replica has no rows, and its events are censored. A branch is scored at its parent's
steps, unless `metrics` and `checkpoints` are changed too.

```yaml
conditions:
  grokking: {}
  fast: {branch: {from: grokking, at: memorised, change: {learning_rate: x10}, for: 500, then: anneal}}
  decay_alone: {branch: {from: grokking, at: onset, change: {noise_instead: 0, optimiser: sgd, decay: decoupled}}}
  relabelled: {branch: {from: grokking, at: step 1000, change: {label_noise: 1.0}}, measurements: [saliency]}
```"""

RESULTS_INTRODUCTION = """\
# Results

<!-- Generated from src/general_circuits/schemas/ by `make reference`. -->

Nothing here is kept in the repository: `make figures` makes it again, and `make clean STUDY=…` removes it. After a run,
`results/{study}/` holds
"""

UNSET = {
    "decay": "by optimiser",
    "arithmetic": "by network",
    "branch": "none",
    "measurements": "by kind",
    "for": "to the end",
    "ignore_above": "none",
    "noise_instead": "none",
    "batch_noise": "none",
}
"""What a key is that is left out, if that does not depend on the preset."""

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
    return json.dumps(Study.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """The documentation of every key."""
    sections = [
        ("The study", Study, ""),
        *((_title(section), section, "In `defaults` or in a condition.") for section in SECTIONS),
        ("Spacing", SpacingSettings, "Of `checkpoints` and `metrics`."),
        ("In a condition", StudyCondition, "In a condition alone."),
        ("Branch", BranchSettings, f"Under `branch:` of a condition.\n\n{BRANCH}"),
        ("Branch: change", ChangeSettings, "Under `branch: change:`."),
        ("Measurements: saliency", SaliencySettings, "Under `measurements: saliency:`."),
        ("Measurements: ablation", AblationSettings, "Under `measurements: ablation:`."),
        (
            "Measurements: specifications",
            SpecificationSettings,
            "Under `measurements: specifications:`.",
        ),
        (
            "Measurements: progress",
            ProgressSettings,
            "Under `measurements: progress:`; a study without it has no progress measures.",
        ),
        (
            "Measurements: onset",
            OnsetSettings,
            "Under `measurements: onset:`; read by progress and updates.",
        ),
        (
            "Measurements: updates",
            UpdateSettings,
            "Under `measurements: updates:`; a study without it tracks none.",
        ),
        (
            "Measurements: answers",
            AnswerSettings,
            "Under `measurements: answers:`; a study without it records none.",
        ),
        (
            "Measurements: spikes",
            SpikeSettings,
            "Under `measurements: spikes:`; a study without it watches for none.",
        ),
        ("Duels: toy", ToySettings, "Under `duels: toy:`; a study without it has none."),
        ("Duels: planted", PlantedSettings, "Under `duels: planted:`; a study without it has none."),
        ("Rules of duels", RuleSettings, "Under `rules:` of either, by the rule's name."),
        ("Keep", KeepSettings, "Under `keep:`."),
    ]
    parts = [INTRODUCTION]
    for title, model, where in sections:
        parts.append(f"## {title}\n\n{model.__doc__} {where}".rstrip() + "\n\n" + _table(model))
    return "\n".join(parts)


def results_page() -> str:
    """What a study leaves, and what every column of its tables means."""
    tables = [registry.table(name) for name in registry.names()]
    of_tables = [(f"`{table.path}`", table.row, f"[{table.name}](#{table.name})") for table in tables]
    overview = formatting.markdown_table(("path", "one row per", "what"), [*of_tables, *OTHER_FILES])
    return "\n".join([RESULTS_INTRODUCTION, overview, RESULTS_NOTES, *map(_columns, tables)])


def files() -> dict[Path, str]:
    """Every generated file, relative to the checkout, with the text it should have."""
    return {SCHEMA: schema(), PAGE: page(), RESULTS: results_page(), **catalogue.pages()}


def _title(section: type[BaseModel]) -> str:
    return section.__name__.removesuffix("Settings")


def _table(model: type[BaseModel]) -> str:
    rows = []
    inherited = ConditionSettings.model_fields if model is StudyCondition else {}
    for name, field in ((field.alias or name, field) for name, field in model.model_fields.items()):
        if name in inherited:
            continue
        meaning = field.description or (field.annotation.__doc__ if field.annotation else "") or ""
        rows.append((f"`{name}`", _type(field.annotation) + _bounds(field), _default(name, field), meaning))
    return formatting.markdown_table(("key", "type", "default", "meaning"), rows)


def _columns(table: Table) -> str:
    """A table's section of the results' page."""
    key = ", ".join(f"`{column}`" for column in table.key)
    rows = [(f"`{column}`", *words) for column, words in table.described().items()]
    about = f"## {table.name}\n\n`{table.path}`: one row per {table.row}. Key: {key}.\n\n"
    return about + formatting.markdown_table(("column", "type", "meaning"), rows)


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
    plain = {bool: "`true` or `false`", int: "whole number", float: "number", str: "text"}
    return plain.get(annotation, str(annotation))


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
    if isinstance(value, SpacingSettings):
        return f"`{{log: {value.log}, every: {value.every}}}`"
    if isinstance(value, BaseModel):
        return "as below"
    if value is None:
        return UNSET.get(name, "by preset")
    return f"`{value}`".replace("'", "")
