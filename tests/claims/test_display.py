"""Verdicts as text: in a terminal, in Markdown, in JSON."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from verdict_tables import MARKUP, REASON, all_verdicts, claim, in_parts, two_claims, untestable

from general_circuits.claims import display, verdicts
from general_circuits.claims.findings import UNDECIDED
from general_circuits.claims.registry import CLAIMS

pytestmark = pytest.mark.filterwarnings("error")


def with_parts() -> pd.DataFrame:
    """Return verdicts on four parts of one claim, one of which the study lacks runs for, and on two other claims."""
    return verdicts.merge([*two_claims(), in_parts("takeover")])


def test_claims_with_data_are_shown_as_text() -> None:
    shown = display.shown(all_verdicts())
    assert shown.drop(columns="predicted").to_dict("records") == [
        {
            "claim": "saliency_skew",
            "found": "+0.25 L-skewness",
            "interval": "+0.15 to +0.35",
            "replicas": "5",
            "verdict": "supported",
        },
        {
            "claim": "topk_damage",
            "found": "−0.75 L-skewness",
            "interval": "−0.85 to −0.65",
            "replicas": "5",
            "verdict": "contradicted",
        },
    ]
    assert shown["predicted"].tolist() == [CLAIMS[name].predicts for name in shown["claim"]]


def test_each_part_of_a_claim_has_a_verdict_with_its_explanation() -> None:
    shown = display.shown(with_parts()).set_index("claim")
    assert shown["verdict"].to_dict() == {
        "saliency_skew": "supported",
        "topk_damage": "contradicted",
        "takeover (sgd)": "between",
        "takeover (adamw)": "undecided (about 12 replicas would decide)",
        "takeover (momentum)": f"not testable ({REASON})",
    }
    assert shown.loc["takeover (momentum)", ["found", "interval", "replicas"]].tolist() == ["no data", "–", "0"]


def test_an_undecided_verdict_without_a_known_number_of_replicas_has_no_explanation() -> None:
    (row,) = verdicts.merge([claim("gradual", UNDECIDED, 0.1, 0.5)])[:1].itertuples()
    assert display.explained(row) == "undecided"


def test_an_interval_that_is_not_known_is_a_dash() -> None:
    one_replica = all_verdicts()[:1].assign(low=np.nan, high=np.nan, p_adjusted=np.nan, replicas=1)
    (row,) = display.shown(one_replica).to_dict("records")
    assert (row["found"], row["interval"]) == ("+0.25 L-skewness", "–")


def test_a_claim_that_could_be_tested_is_shown_whatever_came_out() -> None:
    nothing = claim("topk_damage", UNDECIDED, np.nan, np.nan, 0)
    found = verdicts.merge([two_claims()[0], nothing])
    (_, row) = display.shown(found).drop(columns="predicted").to_numpy().tolist()
    assert row == ["topk_damage", "no data", "–", "0", UNDECIDED]
    assert display.rest(found) == display.rest(all_verdicts())


def test_claims_without_a_verdict_are_counted() -> None:
    counted = f"Of the source's {len(CLAIMS)} claims, {len(CLAIMS) - 2} are not measured yet."
    assert display.rest(all_verdicts()) == counted
    assert display.rest(all_verdicts()[:2]) == ""


def test_claims_that_the_study_lacks_runs_for_are_hidden_and_counted() -> None:
    found = verdicts.merge([*two_claims(), untestable("spikes")])
    assert display.shown(found)["claim"].tolist() == ["saliency_skew", "topk_damage"]
    assert display.rest(found) == (
        f"Of the source's {len(CLAIMS)} claims, {len(CLAIMS) - 3} are not measured yet and 1 is not testable with this"
        " study's conditions."
    )


def test_a_claim_with_a_verdict_on_one_part_is_not_counted() -> None:
    assert "not testable" not in display.rest(with_parts())


def test_markdown_has_a_row_of_as_many_cells_per_claim_and_then_the_rest() -> None:
    head, line, *rows, empty, rest = display.markdown(with_parts()).splitlines()
    assert head == "| claim | predicted | found | interval | replicas | verdict |"
    assert {text.replace("\\|", "").count("|") for text in (head, line, *rows)} == {7}
    parts = [f"| `takeover` ({name})" for name in ("sgd", "adamw", "momentum")]
    assert [row.split(" | ")[0] for row in rows] == ["| `saliency_skew`", "| `topk_damage`", *parts]
    assert (empty, rest) == ("", display.rest(with_parts()))


def test_markdown_of_claims_that_all_have_data_ends_with_its_table() -> None:
    text = display.markdown(all_verdicts()[:2])
    assert text.endswith(" | contradicted |\n")


def test_json_has_every_claim_with_its_statement_and_null_for_what_is_not_known() -> None:
    records = json.loads(display.as_json(all_verdicts()))
    assert {record["claim"] for record in records} == set(CLAIMS)
    assert all(record["statement"] == CLAIMS[record["claim"]].statement for record in records)
    first, last = records[0], records[-1]
    assert (first["estimate"], first["supported_beyond"], first["contradicted_beyond"]) == (0.25, 0.1, -0.5)
    assert (first["replicas"], first["is_lacking"], last["is_lacking"]) == (5, False, False)
    assert first["sentence"] == f"saliency_skew was {MARKUP} judged."
    assert [last[key] for key in ("estimate", "low", "high", "supported_beyond", "p_adjusted")] == [None] * 5


def test_json_read_back_is_shown_as_it_was() -> None:
    again = pd.DataFrame(json.loads(display.as_json(with_parts())))
    assert display.markdown(again) == display.markdown(with_parts())


def test_a_study_without_data_has_a_table_without_rows() -> None:
    none = verdicts.merge([untestable("saliency_skew"), untestable("topk_damage")])
    assert display.shown(none).empty
    assert len(display.shown(none).columns) == 6
    assert display.rest(none).endswith(" and 2 are not testable with this study's conditions.")
