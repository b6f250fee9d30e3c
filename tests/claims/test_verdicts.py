"""All claims in one table: Holm over those with data, and a reason for every other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from general_circuits.claims import verdicts
from general_circuits.claims.findings import CONTRADICTED, NOT_TESTABLE, REGISTERED, SUPPORTED, UNDECIDED
from general_circuits.claims.registry import CLAIMS
from general_circuits.storage import tables
from general_circuits.storage.schemas.verdicts import TABLE as VERDICTS

pytestmark = pytest.mark.filterwarnings("error")


def claim(name: str, verdict: str, p_value: float, replicas: int = 5) -> pd.DataFrame:
    """A claim's table: the registered finding and one beside it with a p that must not count."""
    return pd.DataFrame(
        {
            "claim": name,
            "contrast": [REGISTERED, "beside"],
            "unit": "L-skewness",
            "estimate": [0.2, 0.3],
            "low": [0.1, 0.2],
            "high": [0.3, 0.4],
            "p_value": [p_value, 1e-12],
            "replicas": replicas,
            "verdict": [verdict, ""],
            "sentence": [f"{name} was judged.", "Beside."],
        }
    ).astype({"claim": "category", "verdict": "category"})


def merged(*claims: pd.DataFrame) -> pd.DataFrame:
    return verdicts.merge(claims).set_index("claim")


TWO = (claim("saliency_skew", SUPPORTED, 0.03), claim("topk_damage", CONTRADICTED, 0.01))


def test_every_claim_of_the_source_has_one_row() -> None:
    found = verdicts.merge(TWO)
    assert len(found) == 20
    assert set(found["claim"]) == set(CLAIMS)


def test_holm_runs_over_the_claims_that_have_data() -> None:
    """0.01 · 2 and 0.03 · 1; the findings beside and the claims without data do not count."""
    found = merged(*TWO)
    assert found["p_adjusted"]["topk_damage"] == pytest.approx(0.02)
    assert found["p_adjusted"]["saliency_skew"] == pytest.approx(0.03)
    assert found["p_adjusted"].drop(["saliency_skew", "topk_damage"]).isna().all()


def test_the_registered_finding_is_the_claims_row() -> None:
    row = merged(*TWO).loc["saliency_skew"]
    assert (row["estimate"], row["low"], row["high"], row["p_value"], row["replicas"]) == (0.2, 0.1, 0.3, 0.03, 5)
    assert (row["verdict"], row["sentence"]) == (SUPPORTED, "saliency_skew was judged.")


@pytest.mark.parametrize(
    ("verdict", "p_value", "is_confirmed"),
    [
        (SUPPORTED, 0.02, True),  # adjusted 0.04
        (CONTRADICTED, 0.02, True),
        (SUPPORTED, 0.026, False),  # adjusted 0.052
        (UNDECIDED, 0.001, False),
        (UNDECIDED, np.nan, False),
        (NOT_TESTABLE, np.nan, False),
    ],
)
def test_confirmed_is_a_decision_that_survives_holm(verdict: str, p_value: float, is_confirmed: bool) -> None:
    found = merged(claim("saliency_skew", verdict, p_value), claim("topk_damage", UNDECIDED, 0.9))
    assert bool(found["confirmed"]["saliency_skew"]) == is_confirmed
    assert found["verdict"]["saliency_skew"] == verdict


def test_a_verdict_stands_where_it_is_not_confirmed() -> None:
    found = merged(claim("saliency_skew", SUPPORTED, 0.04), claim("topk_damage", SUPPORTED, 0.04))
    assert found["verdict"][["saliency_skew", "topk_damage"]].tolist() == [SUPPORTED] * 2
    assert not found["confirmed"].any()


def test_what_is_not_measured_says_so() -> None:
    others = merged(*TWO).drop(["saliency_skew", "topk_damage"])
    assert len(others) == 18
    assert set(others["verdict"]) == {NOT_TESTABLE} == {"not testable in this study"}
    assert others["sentence"].str.contains("not measured yet").all()
    assert not others["confirmed"].any()
    assert (others["replicas"] == 0).all()
    assert others[["estimate", "low", "high", "p_value"]].isna().all(axis=None)


def test_a_claim_whose_conditions_are_missing_keeps_its_own_reason() -> None:
    found = merged(claim("saliency_skew", NOT_TESTABLE, np.nan, 0), claim("topk_damage", SUPPORTED, 0.04))
    assert found["sentence"]["saliency_skew"] == "saliency_skew was judged."
    assert found["p_adjusted"]["topk_damage"] == pytest.approx(0.04)


def test_nothing_with_data_is_nothing_confirmed() -> None:
    found = merged(*(claim(name, NOT_TESTABLE, np.nan, 0) for name in ("saliency_skew", "topk_damage")))
    assert found["p_adjusted"].isna().all()
    assert not found["confirmed"].any()


def test_the_merged_table_is_a_verdicts_table(tmp_path: Path) -> None:
    tables.write(tmp_path / "verdicts.parquet", VERDICTS, verdicts.merge(TWO))
    read = tables.read(tmp_path / "verdicts.parquet", VERDICTS)
    assert read["claim"].tolist() == sorted(CLAIMS)
