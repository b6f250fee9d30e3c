"""Generated files: the config's JSON schema and page, the page of results, and the pages of `catalogue`.

The first two come from the models of a config, and the page of results from the tables' schemas.
"""

from __future__ import annotations

import inspect
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
from general_circuits.documentation import catalogue
from general_circuits.storage.schemas import registry
from general_circuits.storage.tables import Table

SCHEMA = Path("workflow/schemas/study.schema.json")
PAGE = Path("config/README.md")
RESULTS = Path("results/README.md")

INTRODUCTION = """\
# Configuring a study

<!-- Generated from src/general_circuits/config/ by `make reference`. -->

A config describes one study. Its `defaults` are settings that all conditions share. Its `conditions` have names and
override the defaults. The number of `replicas` is the same for each condition. Four studies are here: `config.yaml` is
the study `workstation`, which runs by default; `smoke.yaml` is a tiny study that runs every rule; `comments.yaml` has
two claims that need longer runs; `full.yaml` is a large study. To change an experiment, change a line. To add an
experiment, add a condition:

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

Save this as `config/mine.yaml`. Then `make figures STUDY=mine` runs the study and writes its results to
`results/mine/`. The command `snakemake --cores 8 --configfile config/mine.yaml` does the same. A config that cannot
run is refused before any job starts. The message lists every fault.

Claims find their conditions in two ways. Some claims need conditions by name: they compare `grokking` with
`random_labels`, and show `too_little_data`, `no_weight_decay` and `no_delay` beside them. Other claims use variants of
grokking, whatever their names: conditions that differ from `grokking` in certain settings only.
[docs/claims_of_the_comments.md](../docs/claims_of_the_comments.md#variants) lists these settings.
"""

BRANCH = """\
A branch continues another condition, its parent. Each replica is replayed from its nearest training state to the step
where the branch begins. It keeps the memory of its optimiser and of its batches, and goes on from there. The parent is
trained only once. A branch that changes nothing has its parent's bytes at every later step. If the event never
happened in a replica, the branch has no rows for this replica and its events are censored. A branch is evaluated at
its parent's steps, unless it changes `metrics` and `checkpoints` too.

```yaml
conditions:
  grokking: {}
  fast: {branch: {from: grokking, at: memorised, change: {learning_rate: x10}, for: 500, then: anneal}}
  decay_alone: {branch: {from: grokking, at: onset, change: {noise_instead: 0, optimiser: sgd, decay: decoupled}}}
  relabelled: {branch: {from: grokking, at: step 1000, change: {label_noise: 1.0}}, measurements: [saliency]}
```"""

RESULTS_INTRODUCTION = """\
# Results

<!-- Generated from src/general_circuits/storage/schemas/ by `make reference`. -->

The repository keeps no results. `make figures` makes them again, and `make clean STUDY=…` removes them. After a run,
`results/{study}/` holds these files:
"""

UNSET = {
    "expression": "none",
    "group": "none",
    "function": "none",
    "train_count": "none",
    "decay": "by optimiser",
    "arithmetic": "by network",
    "branch": "none",
    "measurements": "by kind",
    "for": "to the end",
    "ignore_above": "none",
    "noise_instead": "none",
    "noise_examples": "Gaussian",
    "batch_noise": "none",
}
"""Words for the default of a key that may be left out. All other such keys get their values from the preset."""

OTHER_FILES = (
    ("`report.html`", "", "the report, which opens without a network connection"),
    (
        "`index/{table}.sha256`",
        "file",
        "the files that make up a table of the whole study, in the format of `sha256sum --check`",
    ),
    ("`figures/*.svg`, `*.png`, `*.txt`", "", "the figures, and a description of each in words"),
    ("`report/*.html`", "", "the single pages of the report"),
    (
        "`runs/{condition}/{block}/weights-*.safetensors`",
        "",
        "all checkpoints of a replica; the first axis of each tensor is the step",
    ),
    (
        "`replays/{condition}/{block}/{replay}/`",
        "as under `runs/`",
        "metrics and weights of a stretch that was trained again, on request",
    ),
    ("`.state/`", "", "training states, from which killed jobs and replays continue"),
    ("`logs/`, `benchmarks/`", "", "the log of each job, its costs, and the time of each launch"),
)
"""Files of a study that are no tables: their path, what one row stands for, and their meaning."""

RESULTS_NOTES = """\
The sections below explain each table's columns, its key first. In the code, each table has one file under
[`src/general_circuits/storage/schemas/`](../src/general_circuits/storage/schemas). Rows are sorted by the key. A
missing number reads as NaN. The schema of every file holds the package version. It also holds the settings that made
the file, except in the tables of claims. It holds no date, so equal work gives equal bytes on the same kind of
processor.

Each file also says what it is. The metadata of a table have a key `file` with its place in the study's folder, the
condition and block in it, and its number of rows; `replicas` are the block's seeds. A file of weights has the same in
its header, and its replica. All files, pictures and pages too, hold a seal: the word `general-circuits-sha256:` and the
SHA-256 of the file, computed with 64 zeros in place of the digest. A file that is damaged, or lies in another's place,
is refused when it is read. [docs/reliability.md](../docs/reliability.md) says more.
"""


def schema() -> str:
    """Return the JSON schema of a config."""
    return json.dumps(Study.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """Return the page that documents every key of a config."""
    sections = [
        ("The study", Study, ""),
        *((_title(section), section, "These keys stand in `defaults` or in a condition.") for section in SECTIONS),
        ("Spacing", SpacingSettings, "These keys stand under `checkpoints:` and `metrics:`."),
        ("In a condition", StudyCondition, "These keys stand in a condition, not in `defaults`."),
        ("Branch", BranchSettings, f"These keys stand under `branch:` of a condition.\n\n{BRANCH}"),
        ("Branch: change", ChangeSettings, "These keys stand under `branch: change:`."),
        ("Measurements: saliency", SaliencySettings, "These keys stand under `measurements: saliency:`."),
        ("Measurements: ablation", AblationSettings, "These keys stand under `measurements: ablation:`."),
        (
            "Measurements: specifications",
            SpecificationSettings,
            "These keys stand under `measurements: specifications:`.",
        ),
        (
            "Measurements: progress",
            ProgressSettings,
            "These keys stand under `measurements: progress:`. A study without this section has no progress measures.",
        ),
        (
            "Measurements: onset",
            OnsetSettings,
            "These keys stand under `measurements: onset:`.",
        ),
        (
            "Measurements: updates",
            UpdateSettings,
            "These keys stand under `measurements: updates:`. A study without this section tracks no updates.",
        ),
        (
            "Measurements: answers",
            AnswerSettings,
            "These keys stand under `measurements: answers:`. A study without this section records no answers.",
        ),
        (
            "Measurements: spikes",
            SpikeSettings,
            "These keys stand under `measurements: spikes:`. A study without this section watches for no spikes.",
        ),
        (
            "Duels: toy",
            ToySettings,
            "These keys stand under `duels: toy:`. A study without this section has no toy duels.",
        ),
        (
            "Duels: planted",
            PlantedSettings,
            "These keys stand under `duels: planted:`. A study without this section has no planted duels.",
        ),
        (
            "Rules of duels",
            RuleSettings,
            "These keys stand under `rules:` of either kind of duel, by the name of the rule.",
        ),
        ("Keep", KeepSettings, "These keys stand under `keep:`."),
    ]
    parts = [INTRODUCTION]
    for title, model, where in sections:
        # Before Python 3.13 a docstring keeps its indentation, which Markdown would show as code.
        about = inspect.cleandoc(model.__doc__ or "")
        parts.append(f"## {title}\n\n{about} {where}".rstrip() + "\n\n" + _table(model))
    return "\n".join(parts)


def results_page() -> str:
    """Return the page that lists a study's files and explains every column of its tables."""
    tables = [registry.table(name) for name in registry.names()]
    of_tables = [(f"`{table.path}`", table.row, f"[{table.name}](#{table.name})") for table in tables]
    overview = formatting.markdown_table(("path", "one row per", "what"), [*of_tables, *OTHER_FILES])
    return "\n".join([RESULTS_INTRODUCTION, overview, RESULTS_NOTES, *map(_columns, tables)])


def files() -> dict[Path, str]:
    """Return the text of every generated file, by its path in the checkout."""
    return {SCHEMA: schema(), PAGE: page(), RESULTS: results_page(), **catalogue.pages()}


def _title(section: type[BaseModel]) -> str:
    """Return the heading of a section: `TaskSettings` becomes Task."""
    return section.__name__.removesuffix("Settings")


def _table(model: type[BaseModel]) -> str:
    """Return a model's keys as a Markdown table, without keys that a condition shares with `defaults`."""
    rows = []
    inherited = ConditionSettings.model_fields if model is StudyCondition else {}
    for name, field in ((field.alias or name, field) for name, field in model.model_fields.items()):
        if name in inherited:
            continue
        meaning = field.description or (field.annotation.__doc__ if field.annotation else "") or ""
        rows.append((f"`{name}`", _type(field.annotation) + _bounds(field), _default(name, field), meaning))
    return formatting.markdown_table(("key", "type", "default", "meaning"), rows)


def _columns(table: Table) -> str:
    """Return a table's section of the page of results."""
    key = ", ".join(f"`{column}`" for column in table.key)
    rows = [(f"`{column}`", *words) for column, words in table.described().items()]
    about = f"## {table.name}\n\n`{table.path}`: one row per {table.row}. Key: {key}.\n\n"
    return about + formatting.markdown_table(("column", "type", "meaning"), rows)


def _type(annotation: Any) -> str:
    """Return a key's type in words that users of YAML know."""
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
    """Return the bounds of a key's value, after a space; empty if there are none."""
    words = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [
        f"{sign} {getattr(part, key)}" for part in field.metadata for key, sign in words.items() if hasattr(part, key)
    ]
    return f" {', '.join(bounds)}" if bounds else ""


def _default(name: str, field: FieldInfo) -> str:
    """Return a key's default as YAML has it, or in words."""
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, SpacingSettings):
        return f"`{{log: {value.log}, every: {value.every}}}`"
    if isinstance(value, BaseModel):
        return "as below"
    if value is None:
        return UNSET.get(name, "by preset")
    if isinstance(value, dict):
        value = {key: part.model_dump() if isinstance(part, BaseModel) else part for key, part in value.items()}
    return f"`{value}`".replace("'", "")
