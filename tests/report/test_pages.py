"""Contents of the report's pages, written from small tables."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from report_pages import ABOUT, NASTY, PICTURE, Reader, page
from verdict_tables import MARKUP, all_verdicts

from general_circuits import __version__
from general_circuits.claims.registry import CLAIMS
from general_circuits.report import pages
from general_circuits.storage.schemas import registry as schemas

pytestmark = pytest.mark.filterwarnings("error")


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


def test_events_has_a_row_per_replica_and_the_last_step_of_one_that_did_not_generalise() -> None:
    assert Reader(page("events")).rows == [
        ["condition", "replica", "memorised", "generalised"],
        ["grokking", "0", "350", "5,000"],
        [NASTY, "0", "1,350", "not by 7,000"],
    ]


def test_settings_marks_values_that_differ_from_the_first_condition() -> None:
    read = Reader(page("settings"))
    assert ["schedule.steps", "7000", "300"] in read.rows
    assert ["task.operation", "x+y", "x+y"] in read.rows
    assert ["measurements.saliency.methods", "one, two"] in read.rows
    assert page("settings").count('class="differs"') == 1
    assert '<td class="differs">300</td>' in page("settings")


def test_settings_marks_a_setting_that_one_condition_lacks() -> None:
    about = pages.About({}, {"one": {"a": 1}, "two": {"b": 2}}, ABOUT.benchmarks)
    assert pages.settings({}, about).count('class="differs"') == 2


def test_versions_lists_the_requirements_and_no_test_tools() -> None:
    rows = dict(Reader(page("versions")).rows[1:])
    assert {"python", "torch", "snakemake", "pandas", "platform"} <= set(rows)
    assert rows["general-circuits"] == __version__
    assert "pytest" not in rows
    assert all(rows.values())


def test_run_times_sums_the_jobs_of_a_rule(tmp_path: Path) -> None:
    """Files are like Snakemake's; a job too short to be measured has no memory in them."""
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
        {"src": "data:image/png;base64,iVBORw==", "alt": f"A title {MARKUP}. What was {MARKUP} shown."}
    ] * 2
    cells = [attrs for tag, attrs in read.elements if tag == "td"]
    assert {"class": "verdict supported"} in cells
    assert {"class": "verdict contradicted"} in cells
    assert {"title": f"saliency_skew was {MARKUP} judged."} in cells
    assert MARKUP not in text
    assert f"{len(CLAIMS) - 2} of the source" in text
