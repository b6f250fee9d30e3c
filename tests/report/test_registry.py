"""The list of pages: each has a function, tables that exist, and words that a reader understands."""

from __future__ import annotations

import inspect
import re
from collections import Counter

import pytest
from report_pages import page

from general_circuits.report import pages
from general_circuits.report.registry import PAGES
from general_circuits.storage.schemas import registry as schemas

pytestmark = pytest.mark.filterwarnings("error")


def test_every_page_listed_is_a_function_and_every_function_is_listed() -> None:
    functions = {
        name
        for name, function in inspect.getmembers(pages, inspect.isfunction)
        if function.__module__ == pages.__name__ and not name.startswith("_")
    }
    assert functions - {"front"} == set(PAGES)
    for name in PAGES:
        assert list(inspect.signature(getattr(pages, name)).parameters) == ["frames", "about"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_its_title_and_tables_that_exist(name: str) -> None:
    assert f"<h1>{PAGES[name].title}</h1>" in page(name)
    assert set(PAGES[name].tables) <= set(schemas.names())
    assert set(PAGES[name].after) <= set(schemas.names())
    assert PAGES[name].caption.endswith(".")


@pytest.mark.parametrize("name", PAGES)
def test_a_caption_has_short_sentences(name: str) -> None:
    sentences = re.split(r"(?<=[.;:])\s+", PAGES[name].caption)
    assert max(len(sentence.split()) for sentence in sentences) <= 25


def test_a_title_stands_once_in_its_category() -> None:
    """The report's menu lists pages by title under their category."""
    counts = Counter((listed.category, listed.title) for listed in PAGES.values())
    assert set(counts.values()) == {1}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_waits_only_for_tables_that_it_does_not_read(name: str) -> None:
    """Tables that a page reads are inputs in any case."""
    assert not set(PAGES[name].after) & set(PAGES[name].tables)


def test_run_times_wait_for_the_tables_of_the_three_long_stages() -> None:
    """Training ends with `events`, saliency with `distribution`; costs are complete when all three exist."""
    assert PAGES["run_times"].after == ("events", "distribution", "ablation")
    assert not any(listed.after for name, listed in PAGES.items() if name != "run_times")
