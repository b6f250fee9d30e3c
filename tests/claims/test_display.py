"""Verdicts as text: in a terminal, in Markdown, in JSON."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from verdict_tables import MARKUP, all_verdicts, claim, two_claims, untestable

from general_circuits.claims import display, verdicts
from general_circuits.claims.findings import UNDECIDED
from general_circuits.claims.registry import CLAIMS


def test_claims_with_data_are_shown_as_text() -> None:
    shown = display.shown(all_verdicts())
    assert shown.drop(columns="predicted").to_dict("records") == [
        {
            "claim": "saliency_skew",
            "found": "+0.25 L-skewness",
            "interval": "+0.15 to +0.35",
            "replicas": "5",
            "Holm p": "< 0.001",
            "verdict": "supported, confirmed",
        },
        {
            "claim": "topk_damage",
            "found": "−0.75 L-skewness",
            "interval": "−0.85 to −0.65",
            "replicas": "5",
            "Holm p": "0.062",
            "verdict": "contradicted, not confirmed",
        },
    ]
    assert shown["predicted"].tolist() == [CLAIMS[name].predicts for name in shown["claim"]]


def test_an_interval_that_is_not_known_is_a_dash() -> None:
    one_replica = all_verdicts()[:1].assign(low=np.nan, high=np.nan, p_adjusted=np.nan, replicas=1, confirmed=False)
    (row,) = display.shown(one_replica).to_dict("records")
    assert (row["found"], row["interval"], row["Holm p"]) == ("+0.25 L-skewness", "–", "–")


def test_a_claim_that_could_be_tested_is_shown_whatever_came_out() -> None:
    nothing = claim("topk_damage", UNDECIDED, np.nan, np.nan, 0)
    found = verdicts.merge([two_claims()[0], nothing])
    (_, row) = display.shown(found).drop(columns="predicted").to_numpy().tolist()
    assert row == ["topk_damage", "no data", "–", "0", "–", UNDECIDED]
    assert display.rest(found) == display.rest(all_verdicts())


def test_the_rest_is_counted() -> None:
    counted = f"{len(CLAIMS) - 2} of the source's {len(CLAIMS)} claims are not testable in this study."
    assert display.rest(all_verdicts()) == counted
    assert display.rest(all_verdicts()[:2]) == ""


def test_markdown_has_a_row_of_as_many_cells_per_claim_and_then_the_rest() -> None:
    head, line, *rows, empty, rest = display.markdown(all_verdicts()).splitlines()
    assert head.startswith("| claim | predicted | found |")
    assert {text.replace("\\|", "").count("|") for text in (head, line, *rows)} == {8}
    assert [row.split(" | ")[0] for row in rows] == ["| `saliency_skew`", "| `topk_damage`"]
    assert (empty, rest) == ("", display.rest(all_verdicts()))


def test_markdown_of_claims_that_all_have_data_ends_with_its_table() -> None:
    text = display.markdown(all_verdicts()[:2])
    assert text.endswith(" | contradicted, not confirmed |\n")


def test_json_has_every_claim_with_its_statement_and_null_for_what_is_not_known() -> None:
    records = json.loads(display.as_json(all_verdicts()))
    assert {record["claim"] for record in records} == set(CLAIMS)
    assert all(record["statement"] == CLAIMS[record["claim"]].statement for record in records)
    first, last = records[0], records[-1]
    assert (first["estimate"], first["confirmed"], first["replicas"]) == (0.25, True, 5)
    assert first["sentence"] == f"saliency_skew was {MARKUP} judged."
    assert [last[key] for key in ("estimate", "low", "high", "p_value", "p_adjusted")] == [None] * 5


def test_json_read_back_is_shown_as_it_was() -> None:
    again = pd.DataFrame(json.loads(display.as_json(all_verdicts())))
    assert display.markdown(again) == display.markdown(all_verdicts())


def test_a_study_without_data_has_a_table_without_rows() -> None:
    none = verdicts.merge([untestable("saliency_skew"), untestable("topk_damage")])
    assert display.shown(none).empty
    assert len(display.shown(none).columns) == 7
    assert display.rest(none).startswith(f"{len(CLAIMS)} of the source's {len(CLAIMS)} claims")
