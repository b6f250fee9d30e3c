"""Every figure listed can be drawn from what it says it reads."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from general_circuits import figures
from general_circuits.claims.registry import CLAIMS
from general_circuits.figures.registry import FIGURES
from general_circuits.schemas import registry as schemas


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_a_file_and_tables_of_every_block(name: str) -> None:
    module = importlib.import_module(f"general_circuits.figures.{name}")
    assert list(inspect.signature(module.draw).parameters) == ["tables"]
    assert FIGURES[name].tables
    for table in FIGURES[name].tables:
        assert "{condition}/{block}" in schemas.table(table).path


@pytest.mark.parametrize("name", FIGURES)
def test_a_figures_tables_are_the_ones_its_code_reads(name: str) -> None:
    code = inspect.getsource(importlib.import_module(f"general_circuits.figures.{name}"))
    assert {table for table in schemas.names() if f'tables["{table}"]' in code} == set(FIGURES[name].tables)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_belongs_to_a_claim_or_to_training_and_has_a_caption(name: str) -> None:
    figure = FIGURES[name]
    assert figure.category in {*CLAIMS, "Training"}
    assert figure.title
    assert figure.caption.endswith(".")


def test_every_figures_file_is_listed() -> None:
    (folder,) = figures.__path__
    files = {file.stem for file in Path(folder).glob("*.py")} - {"__init__", "registry", "style"}
    assert files == set(FIGURES)
