"""The pages' HTML: complete without a network, with texts escaped and alternative text on every picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from report_pages import PICTURE, Reader, page
from verdict_tables import MARKUP, all_verdicts

from general_circuits import formatting
from general_circuits.claims.findings import BETWEEN, CONTRADICTED, SUPPORTED
from general_circuits.figures import style
from general_circuits.report import pages
from general_circuits.report.registry import PAGES

pytestmark = pytest.mark.filterwarnings("error")


def rendered(template: str, **values: Any) -> str:
    return pages.TEMPLATES.get_template(template).render(**values)


def front(**changes: str) -> str:
    """Render the front page with one row of verdicts."""
    row = {
        "claim": "one",
        "predicted": "a rise",
        "found": "+0.2",
        "interval": "+0.1 to +0.3",
        "replicas": "5",
        "verdict": "supported",
        **changes,
    }
    kinds = {"one": row["verdict"].split(" (")[0]}
    sentences = {"one": "It rose."}
    return rendered("front", rows=[row], sentences=sentences, kinds=kinds, rest="", unknown="–", pictures=[])


@pytest.mark.parametrize("text", [*map(page, PAGES), pages.front(all_verdicts(), [PICTURE])], ids=[*PAGES, "front"])
def test_a_page_needs_no_network(text: str) -> None:
    assert not re.search(r"(src|href)\s*=\s*[\"']?\s*(https?:)?//|url\(|@import|<script|<link", text)


@pytest.mark.parametrize("name", ["verdicts", "contrasts", "events", "settings"])
def test_text_of_a_user_stays_text_on_a_page(name: str) -> None:
    assert MARKUP not in page(name)
    assert "&lt;b&gt;&amp;&#34;" in page(name)
    assert any(MARKUP in cell for row in Reader(page(name)).rows for cell in row)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_a_whole_document_that_names_its_language_and_its_encoding(name: str) -> None:
    text = page(name)
    assert text.startswith('<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n')
    assert text.rstrip().endswith("</html>")
    assert f"<title>{PAGES[name].title}</title>" in text


def test_the_front_page_is_a_part_of_a_document() -> None:
    """Snakemake puts it into a page that has a title of its own."""
    assert not re.search(r"<(html|head|body|title|h1)\b", front())


def test_a_table_has_its_columns_above_a_row_of_cells_each() -> None:
    text = rendered("table", title="Numbers", columns=["a", "<b>"], rows=[["1", "2"], ["3", "4"]])
    assert Reader(text).rows == [["a", "<b>"], ["1", "2"], ["3", "4"]]
    assert Reader(rendered("table", title="Numbers", columns=["a"], rows=[])).rows == [["a"]]


def test_settings_mark_exactly_the_cells_that_differ() -> None:
    cells = {"first": [("1", False), ("x", False)], "second": [("2", True), ("x", False)]}
    text = rendered("settings", title="Settings", keys=["steps", "task"], cells=cells, study=[("replicas", "5")])
    assert re.findall(r'class="differs">([^<]*)<', text) == ["2"]
    assert Reader(text).rows == [
        ["setting", "first", "second"],
        ["steps", "1", "2"],
        ["task", "x", "x"],
        ["of the study", ""],
        ["replicas", "5"],
    ]


def test_an_unknown_interval_is_left_out_of_the_front_page() -> None:
    assert "(+0.1 to +0.3)" in front()
    assert f"({formatting.UNKNOWN})" not in front(interval=formatting.UNKNOWN)


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        ("between", "between"),
        ("undecided (about 12 replicas would decide)", "undecided"),
        ("not testable (no replica memorised)", "not-testable"),
    ],
)
def test_the_colour_of_a_verdict_does_not_depend_on_its_explanation(verdict: str, kind: str) -> None:
    (shown,) = re.findall(r'<td class="(verdict [^"]*)" title="([^"]*)">([^<]*)</td>', front(verdict=verdict))
    assert shown == (f"verdict {kind}", verdict, kind.replace("-", " "))


def test_verdicts_have_the_same_colours_on_the_front_page_and_in_figures() -> None:
    sheet = (Path(__file__).parents[2] / "workflow/report/style.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"\.front \.([\w-]+) \{ color: (#\w+); \}", sheet))
    for verdict in (SUPPORTED, CONTRADICTED, BETWEEN):
        assert colours[verdict] == style.VERDICT_COLOURS[verdict]


def test_a_picture_has_its_title_and_description_as_alternative_text() -> None:
    pictures = [pages.Picture("A title", "It rises. It falls.", b"\x89PNG")]
    text = rendered("front", rows=[], sentences={}, kinds={}, rest="", unknown="–", pictures=pictures)
    (attributes,) = [attributes for tag, attributes in Reader(text).elements if tag == "img"]
    assert attributes == {"src": "data:image/png;base64,iVBORw==", "alt": "A title. It rises. It falls."}
    assert "<figcaption>A title</figcaption>" in text
