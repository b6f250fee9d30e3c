"""The list of figures: each reads the tables that it lists, and stands in a category of the report."""

from __future__ import annotations

import importlib
import inspect
import re
from collections import Counter
from pathlib import Path

import pytest

from general_circuits import figures
from general_circuits.claims.registry import CLAIMS
from general_circuits.figures.registry import DRAWINGS, FIGURES, FRONT_PAGE
from general_circuits.report.registry import PAGES
from general_circuits.storage.schemas import registry as schemas

CATEGORIES = sorted({figure.category for figure in FIGURES.values()})


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_a_file_with_a_drawing_and_a_description(name: str) -> None:
    module = importlib.import_module(f"general_circuits.figures.{name}")
    for function in (module.draw, module.describe):
        tables, view = inspect.signature(function).parameters.values()
        assert (tables.name, view.annotation) == ("tables", "str")


@pytest.mark.parametrize("name", FIGURES)
def test_a_figures_tables_have_axes_that_a_figure_can_read(name: str) -> None:
    assert FIGURES[name].tables
    for table in FIGURES[name].tables:
        assert schemas.table(table).axes in (["condition", "block"], ["claim"], ["block"], ["optimiser"], [])


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_lists_the_tables_that_its_code_reads(name: str) -> None:
    code = inspect.getsource(importlib.import_module(f"general_circuits.figures.{name}"))
    assert {table for table in schemas.names() if f'tables["{table}"]' in code} == set(FIGURES[name].tables)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_belongs_to_a_claim_to_all_or_to_training_and_has_a_caption(name: str) -> None:
    figure = FIGURES[name]
    kind, claim = figure.category.split()[0], figure.category.split()[-1]
    shared = {"All claims", "Choices not registered", "Training", "Toy duels"}
    shared |= {f"In the wild, {what}" for what in ("components", "examples", "neurons")}
    assert figure.category in shared or (kind.rstrip(":") == "Claim" and claim in CLAIMS)
    assert figure.title
    assert "|" not in figure.title  # titles are handed on joined by it
    assert figure.caption.endswith(".")


def test_every_file_of_a_figure_is_listed() -> None:
    (folder,) = figures.__path__
    files = {file.stem for file in Path(folder).glob("*.py")} - {
        "__init__",
        "registry",
        "style",
        "captions",
        "steps_left",
    }
    assert files == set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_two_views_with_a_toggle_and_one_without(name: str) -> None:
    figure = FIGURES[name]
    assert len(set(figure.views)) == len(figure.views) == (2 if figure.toggle else 1)


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_value_of_a_toggle_is_in_half_of_its_category(category: str) -> None:
    """Otherwise the report shows a column instead of a toggle."""
    here = [figure for figure in FIGURES.values() if figure.category == category]
    pages = sum(page.category == category for page in PAGES.values())
    assert len({(figure.toggle, figure.views) for figure in here}) == 1
    if here[0].toggle:
        counts = Counter(view for figure in here for view in figure.views)
        assert [2 * count for count in counts.values()] == [pages + 2 * len(here)] * 2


def test_a_drawing_is_named_after_its_figure_and_its_view() -> None:
    assert len(DRAWINGS) == sum(len(figure.views) for figure in FIGURES.values())
    for drawing, (name, view) in DRAWINGS.items():
        assert drawing == f"{name}-{view}"
        assert view in FIGURES[name].views


def test_the_front_page_shows_each_figure_at_most_once_in_its_registered_view() -> None:
    shown = [DRAWINGS[drawing] for drawing in FRONT_PAGE]
    assert len({name for name, _ in shown}) == len(shown)
    assert all(view == FIGURES[name].views[0] for name, view in shown)


@pytest.mark.parametrize("name", FIGURES)
def test_a_caption_has_short_sentences(name: str) -> None:
    """A reader in a hurry follows up to 25 words a sentence; a semicolon ends one."""
    sentences = re.split(r"(?<=[.;:?])\s+", FIGURES[name].caption)
    assert max(len(sentence.split()) for sentence in sentences) <= 25
