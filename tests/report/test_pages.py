"""Contents of the report's pages, written from small tables."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from report_pages import ABOUT, FRAMES, NASTY, PICTURE, Reader, page
from verdict_tables import MARKUP, REASON

from general_circuits import __version__
from general_circuits.claims.registry import CLAIMS
from general_circuits.report import pages
from general_circuits.storage.schemas import registry as schemas

pytestmark = pytest.mark.filterwarnings("error")


def test_verdicts_has_every_primary_contrast_and_every_claim_of_the_source() -> None:
    head, *rows = Reader(page("verdicts")).rows
    assert head == ["claim", "statement", "said by", "verdict", "found"]
    assert {row[0].split(" (")[0] for row in rows} == set(CLAIMS)
    assert len(rows) == len(CLAIMS) + 3
    assert [(row[0], row[3]) for row in rows[:7]] == [
        ("saliency_skew", "supported"),
        ("topk_damage", "contradicted"),
        ("takeover (sgd)", "between"),
        ("takeover (adamw)", "undecided (about 12 replicas would decide)"),
        ("takeover (momentum)", f"not testable ({REASON})"),
        ("takeover (toy)", "not testable (this study has no condition mine)"),
        ("update_share", "not measured"),
    ]


def test_contrasts_has_every_contrast_with_its_thresholds_and_p_values() -> None:
    """P-values are adjusted over the four primary contrasts that have data."""
    head, *rows = Reader(page("contrasts")).rows
    assert head == [
        *("claim", "contrast", "unit", "estimate", "low", "high", "supported beyond", "contradicted beyond"),
        *("p, supported", "p, contradicted", "adjusted", "p, not 0", "replicas"),
    ]
    by_name = {(row[0], row[1]): row[2:] for row in rows}
    assert len(by_name) == len(rows) == 12
    assert by_name["topk_damage", "registered"] == [
        *("L-skewness", "−0.75", "−0.85", "−0.65", "+0.10", "−0.50", "1", "0.004", "0.016", "–", "5"),
    ]
    assert by_name["topk_damage", f"beside {MARKUP}"] == [
        *("L-skewness", "+0.50", "+0.40", "+0.60", "–", "–", "–", "–", "–", "0.5", "5"),
    ]
    assert by_name["topk_damage", "elsewhere"] == ["logits", *["–"] * 9, "0"]
    assert by_name["takeover", "registered, momentum"] == ["", *["–"] * 9, "0"]


def test_primary_contrasts_stand_above_those_beside() -> None:
    _, *rows = Reader(page("contrasts")).rows
    for name in ("saliency_skew", "topk_damage", "takeover"):
        is_primary = [row[1].startswith("registered") for row in rows if row[0] == name]
        assert is_primary == sorted(is_primary, reverse=True)


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
    about = pages.About({}, {"one": {"a": 1}, "two": {"b": 2}}, ABOUT.costs)
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
    costs: dict[str, list[Path]] = {"train_block": [], "ablate_neurons": []}
    for place, (rule, seconds, memory) in enumerate([*jobs, ("ablate_neurons", 3.0, 80.0)]):
        file = tmp_path / f"{place}.tsv"
        file.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:00\t{memory}\n")
        costs[rule].append(file)
    head, *rows = Reader(pages.run_times({}, dataclasses.replace(ABOUT, costs=costs))).rows
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
    text = pages.front(FRAMES["verdicts"], [PICTURE, PICTURE])
    read = Reader(text)
    assert ("table", {"id": "verdicts"}) in read.elements
    parts = [f"takeover ({name})" for name in ("sgd", "adamw", "momentum")]
    assert [row[0].split(":")[0] for row in read.rows[1:]] == ["saliency_skew", "topk_damage", *parts]
    assert [attrs for tag, attrs in read.elements if tag == "img"] == [
        {"src": "data:image/png;base64,iVBORw==", "alt": f"A title {MARKUP}. What was {MARKUP} shown."}
    ] * 2
    cells = [attrs for tag, attrs in read.elements if tag == "td"]
    classes = [attrs["class"] for attrs in cells if attrs.get("class")]
    kinds = ("supported", "contradicted", "between", "undecided", "not-testable")
    assert classes == [f"verdict {kind}" for kind in kinds]
    assert {"title": f"saliency_skew was {MARKUP} judged."} in cells
    assert MARKUP not in text
    assert f"{len(CLAIMS) - 3} are not measured yet" in text
