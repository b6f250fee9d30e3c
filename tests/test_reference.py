"""The generated schema and documentation are those of the models, and say what the models check."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from general_circuits import config, reference

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("path", reference.files())
def test_generated_files_are_up_to_date(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == reference.files()[path], "run `make reference`"


def test_the_page_documents_every_key() -> None:
    for section in (config.Study, *config.SECTIONS, config.SaliencySettings, config.AblationSettings, config.Spacing):
        for key in section.model_fields:
            assert f"| `{key}` |" in reference.page()


@pytest.mark.parametrize("path", sorted(ROOT.glob("config/*.yaml")), ids=lambda path: path.stem)
def test_the_projects_own_configs_satisfy_the_schema(path: Path) -> None:
    jsonschema.validate(yaml.safe_load(path.read_text()), json.loads(reference.schema()))


def test_the_schema_refuses_what_the_models_refuse() -> None:
    study = {"study": "s", "conditions": {"a": {"modulos": 7}}}
    with pytest.raises(jsonschema.ValidationError, match="modulos"):
        jsonschema.validate(study, json.loads(reference.schema()))
    with pytest.raises(config.ConfigError, match="modulos"):
        config.load(study)
