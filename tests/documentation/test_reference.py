"""Generated files: they are up to date, document every key and column, and agree with the models."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from general_circuits.config.condition import SECTIONS, SpacingSettings
from general_circuits.config.errors import ConfigError
from general_circuits.config.load import load
from general_circuits.config.measurements import AblationSettings, SaliencySettings
from general_circuits.config.study import Study
from general_circuits.documentation import reference
from general_circuits.storage.schemas import registry

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", reference.files())
def test_generated_files_are_up_to_date(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == reference.files()[path], "run `make reference`"


def test_the_page_documents_every_key() -> None:
    for section in (
        Study,
        *SECTIONS,
        SaliencySettings,
        AblationSettings,
        SpacingSettings,
    ):
        for key in section.model_fields:
            assert f"| `{key}` |" in reference.page()


@pytest.mark.parametrize("name", registry.names())
def test_the_page_of_results_explains_every_column_in_the_section_of_its_table(name: str) -> None:
    table = registry.table(name)
    assert f"| `{table.path}` | {table.row} | [{name}](#{name}) |" in reference.results_page()
    section = reference.results_page().split(f"\n## {name}\n")[1].split("\n## ")[0]
    listed = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
    assert listed == table.schema.names


def test_a_default_of_several_settings_is_shown_as_in_yaml() -> None:
    page = reference.page()
    assert "`{sgd: {learning_rate: 2.0, weight_decays: [0.001]}, momentum: {learning_rate: 0.2" in page
    assert "Settings(" not in page


def test_a_stroke_in_a_meaning_does_not_end_its_cell() -> None:
    (line,) = (line for line in reference.results_page().splitlines() if line.startswith("| `mean_magnitude` |"))
    assert line.replace("\\|", "").count("|") == 4
    assert "\\|saliency\\|" in line


@pytest.mark.parametrize("path", sorted(ROOT.glob("config/*.yaml")), ids=lambda path: path.stem)
def test_the_projects_own_configs_satisfy_the_schema(path: Path) -> None:
    jsonschema.validate(yaml.safe_load(path.read_text()), json.loads(reference.schema()))


def test_the_schema_refuses_what_the_models_refuse() -> None:
    study = {"study": "s", "conditions": {"a": {"modulos": 7}}}
    with pytest.raises(jsonschema.ValidationError, match="modulos"):
        jsonschema.validate(study, json.loads(reference.schema()))
    with pytest.raises(ConfigError, match="modulos"):
        load(study)
