"""Pages of the report from small tables: what is on them, and that they stand by themselves."""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from verdict_tables import MARKUP, all_verdicts, two_claims

from general_circuits import __version__
from general_circuits.claims.registry import CLAIMS
from general_circuits.report import pages
from general_circuits.report.registry import PAGES
from general_circuits.storage.schemas import registry as schemas

pytestmark = pytest.mark.filterwarnings("error")

NASTY = f"mine {MARKUP}"
PICTURE = pages.Picture(f"A title {MARKUP}", f"What was {MARKUP} found.", b"\x89PNG")

ABOUT = pages.About(
    {"study": NASTY, "replicas": 2, "measurements": {"saliency": {"methods": ["one", "two"]}}},
    {
        "grokking": {"task": {"operation": "x+y"}, "schedule": {"steps": 7000}},
        NASTY: {"task": {"operation": "x+y"}, "schedule": {"steps": 300}},
    },
    Path("nowhere"),
)


def events() -> pd.DataFrame:
    """Two conditions, one of them not generalising; categories as they are read."""
    rows = [
        ("grokking", 0, "generalised", 5000, False),
        ("grokking", 0, "memorised", 350, False),
        (NASTY, 0, "generalised", 7000, True),
        (NASTY, 0, "memorised", 1350, False),
    ]
    frame = pd.DataFrame(rows, columns=["condition", "replica", "event", "step", "censored"])
    return frame.assign(
        condition=pd.Categorical(frame["condition"], categories=["grokking", NASTY]),
        event=frame["event"].astype("category"),
    )


FRAMES = {
    "verdicts": all_verdicts().astype({"claim": "category", "verdict": "category"}),
    "claim": pd.concat(two_claims(), ignore_index=True),
    "events": events(),
    "distribution": pd.DataFrame(),
    "ablation": pd.DataFrame(),
}


def page(name: str) -> str:
    """One page, given the tables it reads and no other."""
    written: str = getattr(pages, name)({table: FRAMES[table] for table in PAGES[name].tables}, ABOUT)
    return written


class Reader(HTMLParser):
    """The tables of a page as rows of texts, and its elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and self.elements[-1][0] in ("td", "th", "b", "br"):
            self.rows[-1][-1] += data.strip()


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
    assert PAGES[name].caption.endswith(".")


@pytest.mark.parametrize("text", [*map(page, PAGES), pages.front(all_verdicts(), [PICTURE])], ids=[*PAGES, "front"])
def test_a_page_needs_no_network(text: str) -> None:
    assert not re.search(r"(src|href)\s*=\s*[\"']?\s*(https?:)?//|url\(|@import|<script|<link", text)


@pytest.mark.parametrize("name", ["verdicts", "contrasts", "events", "settings"])
def test_what_a_user_wrote_is_text_on_a_page(name: str) -> None:
    assert MARKUP not in page(name)
    assert "&lt;b&gt;&amp;&#34;" in page(name)
    assert any(MARKUP in cell for row in Reader(page(name)).rows for cell in row)


def test_verdicts_has_every_claim_of_the_source() -> None:
    head, *rows = Reader(page("verdicts")).rows
    assert head == ["claim", "statement", "said by", "verdict", "confirmed", "Holm p", "found"]
    assert {row[0] for row in rows} == set(CLAIMS)
    assert [row[3:6] for row in rows[:3]] == [
        ["supported", "yes", "< 0.001"],
        ["contradicted", "", "0.062"],
        ["not testable in this study", "", "–"],
    ]


def test_contrasts_has_every_contrast_with_its_numbers() -> None:
    _, *rows = Reader(page("contrasts")).rows
    assert len(rows) == 6
    assert rows[0] == ["saliency_skew", "registered", "+0.25", "+0.15", "+0.35", "L-skewness", "< 0.001", "5"]
    assert rows[5] == ["topk_damage", "elsewhere", "–", "–", "–", "logits", "–", "0"]


def test_events_has_a_row_per_replica_and_says_by_when_it_did_not_happen() -> None:
    assert Reader(page("events")).rows == [
        ["condition", "replica", "memorised", "generalised"],
        ["grokking", "0", "350", "5,000"],
        [NASTY, "0", "1,350", "not by 7,000"],
    ]


def test_settings_marks_what_differs_from_the_first_condition() -> None:
    read = Reader(page("settings"))
    assert ["schedule.steps", "7000", "300"] in read.rows
    assert ["task.operation", "x+y", "x+y"] in read.rows
    assert ["measurements.saliency.methods", "one, two"] in read.rows
    assert page("settings").count('class="differs"') == 1
    assert '<td class="differs">300</td>' in page("settings")


def test_a_setting_that_one_condition_lacks_is_marked() -> None:
    about = pages.About({}, {"one": {"a": 1}, "two": {"b": 2}}, ABOUT.benchmarks)
    assert pages.settings({}, about).count('class="differs"') == 2


def test_versions_lists_what_is_required() -> None:
    rows = dict(Reader(page("versions")).rows[1:])
    assert {"python", "torch", "snakemake", "pandas", "platform"} <= set(rows)
    assert rows["general-circuits"] == __version__
    assert "pytest" not in rows
    assert all(rows.values())


def test_run_times_sums_the_jobs_of_a_rule(tmp_path: Path) -> None:
    """As Snakemake writes them; a job too short to be measured has no memory."""
    jobs = [("train_block", 60.0, 900.0), ("train_block", 120.0, 1234.4), ("ablate_neurons", 6.0, "-")]
    for place, (rule, seconds, memory) in enumerate([*jobs, ("ablate_neurons", 3.0, 80.0)]):
        file = tmp_path / rule / "grokking" / f"{place}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:00\t{memory}\n")
        os.utime(file, (place, place))
    head, *rows = Reader(pages.run_times({}, dataclasses.replace(ABOUT, benchmarks=tmp_path))).rows
    assert head == ["rule", "jobs", "minutes in all", "mean, s", "longest, s", "peak memory, MB"]
    assert rows == [
        ["train_block", "2", "3.0", "90.0", "120.0", "1,234"],
        ["ablate_neurons", "2", "0.1", "4.5", "6.0", "80"],
    ]


def test_the_dictionary_has_every_column_of_every_table() -> None:
    head, *rows = Reader(page("dictionary")).rows
    assert head == ["table", "path", "row", "column", "type", "meaning"]
    assert [(row[0], row[3]) for row in rows] == [(entry.table, entry.column) for entry in schemas.dictionary()]


def test_the_front_page_has_a_verdict_per_claim_with_data_and_every_picture_in_it() -> None:
    text = pages.front(all_verdicts(), [PICTURE, PICTURE])
    read = Reader(text)
    assert ("table", {"id": "verdicts"}) in read.elements
    assert [row[0].split(":")[0] for row in read.rows[1:]] == ["saliency_skew", "topk_damage"]
    assert [attrs for tag, attrs in read.elements if tag == "img"] == [
        {"src": "data:image/png;base64,iVBORw==", "alt": f"A title {MARKUP}. What was {MARKUP} found."}
    ] * 2
    cells = [attrs for tag, attrs in read.elements if tag == "td"]
    assert {"class": "verdict supported"} in cells
    assert {"class": "verdict contradicted"} in cells
    assert {"title": f"saliency_skew was {MARKUP} judged."} in cells
    assert MARKUP not in text
    assert f"{len(CLAIMS) - 2} of the source" in text
