"""What is generated from the config's models: its JSON schema and the page that documents its keys."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from general_circuits import config

SCHEMA = Path("workflow/schemas/study.schema.json")
PAGE = Path("config/README.md")

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
    return "\n".join(parts)


def files() -> dict[Path, str]:
    """Every generated file, relative to the checkout, with the text it should have."""
    return {SCHEMA: schema(), PAGE: page()}


def _title(section: type[BaseModel]) -> str:
    return section.__name__.removesuffix("Settings")


def _table(model: type[BaseModel]) -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        meaning = field.description or (field.annotation.__doc__ if field.annotation else "") or ""
        cells = (f"`{name}`", _type(field.annotation) + _bounds(field), _default(name, field), meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


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
        preset = config.PRESETS["nanda"].get(name)
        return "by optimiser" if preset is None else f"preset (`{preset}`)"
    return f"`{value}`".replace("'", "")
