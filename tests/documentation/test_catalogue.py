"""Generated pages of tasks and networks: a row for each, with facts computed from the code."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from general_circuits.documentation import catalogue
from general_circuits.models.presets import PRESETS
from general_circuits.models.settings import Model
from general_circuits.tasks import registry


@pytest.fixture(scope="module")
def tasks() -> dict[str, list[str]]:
    """Cells of each row of the page of tasks, by the text in the config."""
    return rows(catalogue.tasks_page())


@pytest.fixture(scope="module")
def networks() -> dict[str, list[str]]:
    """Cells of each row of the first table of the page of networks, by preset."""
    page = catalogue.networks_page()
    return rows(page[: page.index("| key |")])


def rows(page: str) -> dict[str, list[str]]:
    """Return the cells of each row of a Markdown table, by its first cell."""
    lines = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    return {first.strip("`"): rest for first, *rest in lines}


def test_both_pages_lie_in_docs() -> None:
    assert list(catalogue.pages()) == [Path("docs/tasks.md"), Path("docs/networks.md")]


def test_every_task_of_the_catalogue_has_a_row(tasks: dict[str, list[str]]) -> None:
    assert len(tasks) == len(registry.CATALOGUE)
    assert [cells[-1] for cells in tasks.values()] == [source for _, source in registry.CATALOGUE]


@pytest.mark.parametrize(
    ("task", "classes", "examples", "commutative", "band"),
    [
        # Addition modulo 97 has 97² pairs; a sum is below 97 or wraps once.
        ("operation: x+y, modulus: 97", "97", "9,409", "yes", "yes"),
        # Division leaves out the 97 pairs with y = 0.
        ("operation: x/y, modulus: 97", "97", "9,312", "no", "–"),
        # S5 has 120 elements and is not commutative.
        ("operation: x*y, group: S5", "120", "14,400", "no", "–"),
        ("operation: x*y, group: C12", "12", "144", "yes", "–"),
        ("operation: boolean, bits: 7, function: majority", "2", "128", "–", "–"),
    ],
)
def test_a_tasks_row_says_its_classes_examples_symmetry_and_bands(
    tasks: dict[str, list[str]], task: str, classes: str, examples: str, commutative: str, band: str
) -> None:
    assert tasks[task][:4] == [classes, examples, commutative, band]


def test_every_preset_has_a_row_with_its_parameters(networks: dict[str, list[str]]) -> None:
    assert list(networks) == list(PRESETS)
    assert [cells[0] for cells in networks.values()] == [f"{preset.parameters:,}" for preset in PRESETS.values()]


def test_every_key_of_a_model_has_a_row_and_a_dash_where_a_network_has_no_such_key() -> None:
    page = catalogue.networks_page()
    keys = rows(page[page.index("| key |") :])
    assert list(keys) == [field.name for field in dataclasses.fields(Model)]
    by_preset = dict(zip(PRESETS, keys["n_heads"], strict=True))
    assert (by_preset["nanda"], by_preset["mlp"], by_preset["quadratic_mlp"]) == ("`4`", "–", "–")
