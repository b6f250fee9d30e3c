"""All claims in one table: a row per primary contrast, a row per unmeasured claim, and p-values adjusted over them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from verdict_tables import CONTRADICTED_BEYOND, MARKUP, SUPPORTED_BEYOND, claim, in_parts, two_claims, untestable

from general_circuits.claims import verdicts
from general_circuits.claims.findings import (
    BETWEEN,
    CONTRADICTED,
    NOT_MEASURED,
    NOT_TESTABLE,
    REGISTERED,
    SUPPORTED,
    UNDECIDED,
)
from general_circuits.claims.registry import CLAIMS
from general_circuits.storage import tables
from general_circuits.storage.schemas.verdicts import TABLE as VERDICTS

pytestmark = pytest.mark.filterwarnings("error")


def merged(*claims: pd.DataFrame) -> pd.DataFrame:
    return verdicts.merge(claims).set_index("claim")


def test_every_claim_of_the_source_has_a_row() -> None:
    found = verdicts.merge(two_claims())
    assert len(found) == 20
    assert set(found["claim"]) == set(CLAIMS)


def test_every_primary_contrast_has_a_row() -> None:
    found = verdicts.merge([in_parts("takeover"), *two_claims()])
    assert len(found) == 20 + 3
    parts = found[found["claim"] == "takeover"]
    assert parts["contrast"].tolist() == [f"{REGISTERED}, {name}" for name in ("sgd", "adamw", "momentum", "toy")]
    assert parts["verdict"].tolist() == [BETWEEN, UNDECIDED, NOT_TESTABLE, NOT_TESTABLE]
    assert parts["replicas_needed"].tolist() == [0, 12, 0, 0]
    assert parts["is_lacking"].tolist() == [False, False, False, True]


def test_the_primary_contrast_is_the_claims_row() -> None:
    row = merged(*two_claims()).loc["saliency_skew"]
    numbers = row[["estimate", "low", "high", "supported_beyond", "contradicted_beyond", "replicas"]]
    assert numbers.tolist() == pytest.approx([0.25, 0.15, 0.35, SUPPORTED_BEYOND, CONTRADICTED_BEYOND, 5])
    assert (row["verdict"], row["sentence"]) == (SUPPORTED, f"saliency_skew was {MARKUP} judged.")


def test_p_is_adjusted_over_twice_the_smaller_of_both_one_sided_values() -> None:
    """Twice 0.001, 0.011 and 0.012, times 3/1, 3/2 and 3/3: 0.006, 0.033, 0.024, and none is above a later one."""
    found = merged(
        claim("saliency_skew", SUPPORTED, 0.25, 0.001),
        claim("topk_damage", CONTRADICTED, -0.75, 0.011),
        claim("gradual", UNDECIDED, 0.15, 0.012),
    )
    adjusted = found["p_adjusted"]
    assert adjusted[["saliency_skew", "topk_damage", "gradual"]].tolist() == pytest.approx([0.006, 0.024, 0.024])
    assert adjusted.drop(["saliency_skew", "topk_damage", "gradual"]).isna().all()


def test_contrasts_beside_and_parts_without_data_do_not_count_in_the_adjustment() -> None:
    """The contrasts beside have two-sided p-values of their own. One claim's p-value is only doubled."""
    found = merged(claim("saliency_skew", SUPPORTED, 0.25, 0.02), untestable("topk_damage"))
    assert found["p_adjusted"]["saliency_skew"] == pytest.approx(0.04)
    assert np.isnan(found["p_adjusted"]["topk_damage"])


def test_an_adjusted_p_is_at_most_1() -> None:
    """Between both thresholds, both one-sided p-values may be above a half."""
    both = claim("saliency_skew", BETWEEN, -0.2, 0.9).assign(p_supported=0.9, p_contradicted=0.8)
    assert merged(both)["p_adjusted"]["saliency_skew"] == 1.0


@pytest.mark.parametrize("verdict", [SUPPORTED, CONTRADICTED, BETWEEN, UNDECIDED])
def test_a_verdict_stands_whatever_the_adjusted_p(verdict: str) -> None:
    many = [claim(name, UNDECIDED, 0.15, 0.4) for name in ("gradual", "forgetting", "takeover")]
    found = merged(claim("saliency_skew", verdict, 0.25, 0.4), *many)
    assert found["p_adjusted"]["saliency_skew"] > 0.05
    assert found["verdict"]["saliency_skew"] == verdict


def test_a_claim_without_a_table_is_not_measured() -> None:
    others = merged(*two_claims()).drop(["saliency_skew", "topk_damage"])
    assert len(others) == 18
    assert set(others["verdict"]) == {NOT_MEASURED} == {"not measured"}
    assert set(others["sentence"]) == {"Not measured yet."}
    assert set(others["contrast"]) == {REGISTERED}
    assert (others[["replicas", "replicas_needed"]] == 0).all(axis=None)
    assert not others["is_lacking"].any()
    assert others[["estimate", "low", "high", "supported_beyond", "p_adjusted"]].isna().all(axis=None)


def test_a_claim_whose_conditions_are_missing_keeps_its_own_reason() -> None:
    found = merged(untestable("saliency_skew"), two_claims()[1])
    assert found["verdict"]["saliency_skew"] == NOT_TESTABLE
    assert found["reason"]["saliency_skew"] == "this study has no condition mine"
    assert found["sentence"]["saliency_skew"] == "A condition is missing."
    assert found["is_lacking"]["saliency_skew"]


def test_a_study_without_data_has_no_p_values() -> None:
    found = merged(untestable("saliency_skew"), untestable("topk_damage"))
    assert found["p_adjusted"].isna().all()


def test_every_claim_measured_leaves_none_to_add() -> None:
    found = verdicts.merge([claim(name, UNDECIDED, 0.15, 0.4) for name in CLAIMS])
    assert found["claim"].tolist() == list(CLAIMS)
    assert set(found["verdict"]) == {UNDECIDED}


def test_the_merged_table_is_a_verdicts_table(tmp_path: Path) -> None:
    tables.write(tmp_path / "verdicts.parquet", VERDICTS, verdicts.merge([in_parts("takeover"), *two_claims()]))
    read = tables.read(tmp_path / "verdicts.parquet", VERDICTS)
    assert read["claim"].drop_duplicates().tolist() == sorted(CLAIMS)
    assert not read.duplicated(["claim", "contrast"]).any()
