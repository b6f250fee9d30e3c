"""A claim's findings as a table: thresholds, tests and values of every replica."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from general_circuits.analysis.decisions import decide
from general_circuits.claims.findings import Finding, Rule, beside, lacking, not_testable, part, primary
from general_circuits.stages import judge_claim
from general_circuits.storage import tables
from general_circuits.storage.schemas import registry
from general_circuits.storage.schemas.claim import TABLE as CLAIM

pytestmark = pytest.mark.filterwarnings("error")

NAN = float("nan")
ELSEWHERE = "The large study has it."
Judge = Callable[..., pd.DataFrame]


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Judge:
    """Run the stage on a claim that returns these findings, and read its table by contrast."""

    def run(*findings: Finding, lacks: str = "") -> pd.DataFrame:
        claim = SimpleNamespace(judge=lambda frames: list(findings))
        monkeypatch.setattr(registry, "read", lambda results, names, axes: {})
        monkeypatch.setattr(importlib, "import_module", lambda name: claim)
        (tmp_path / "axes.json").write_text(json.dumps({}))
        output = tmp_path / "mine.parquet"
        judge_claim.main("mine", tmp_path, "events", lacks, ELSEWHERE, tmp_path / "axes.json", output)
        return tables.read(output, CLAIM).set_index("contrast")

    return run


def test_a_primary_contrast_keeps_its_thresholds_tests_and_replicas(judge: Judge) -> None:
    decision = decide([0.4, NAN, 0.6, 0.8], Rule(0.5, 0.25))
    row = judge(primary(part("sgd"), "share", decision, "It may rise.")).loc["registered, sgd"]
    assert (row["supported_beyond"], row["contradicted_beyond"]) == (0.5, 0.25)
    assert (row["p_supported"], row["p_contradicted"]) == (decision.p_supported, decision.p_contradicted)
    assert np.isnan(row["p_value"]), "it would belong to another number"
    assert (row["estimate"], row["low"], row["high"]) == (0.6, decision.estimate.low, decision.estimate.high)
    assert (row["replicas"], row["replicas_needed"], row["verdict"]) == (3, decision.needed, "undecided")
    assert decision.needed > 4
    np.testing.assert_array_equal(row["values"], [0.4, NAN, 0.6, 0.8])


def test_a_contrast_beside_has_its_own_p_value_and_every_replica_but_no_thresholds(judge: Judge) -> None:
    finding = beside("random labels", "share", [0.1, NAN, 0.3])
    row = judge(finding).loc["random labels"]
    assert row["p_value"] == finding.estimate.p_value
    assert row[["supported_beyond", "contradicted_beyond", "p_supported", "p_contradicted"]].isna().all()
    assert (row["verdict"], row["reason"], row["replicas_needed"]) == ("", "", 0)
    np.testing.assert_array_equal(row["values"], [0.1, NAN, 0.3])


def test_a_failed_precondition_keeps_its_reason_and_is_not_lacking(judge: Judge) -> None:
    row = judge(not_testable("no replica memorised")).loc["registered"]
    assert (row["verdict"], row["reason"], row["is_lacking"]) == ("not testable", "no replica memorised", False)
    assert row["sentence"] == "Not testable: no replica memorised."
    assert len(row["values"]) == 0


def test_a_part_that_the_study_lacks_runs_for_says_where_it_can_be_tested(judge: Judge) -> None:
    rows = judge(not_testable("no replica memorised", part("one")), lacking("no toy duels", part("other")))
    assert rows["is_lacking"].tolist() == [False, True]
    assert rows["sentence"].tolist() == [
        "Not testable: no replica memorised.",
        f"Not testable: this study has no toy duels. {ELSEWHERE}",
    ]


def test_a_claim_that_the_study_lacks_runs_for_is_not_judged(judge: Judge) -> None:
    never = beside("random labels", "share", [0.1, 0.3])
    (row,) = judge(never, lacks="no condition random_labels").reset_index().to_dict("records")
    assert (row["contrast"], row["verdict"], row["is_lacking"]) == ("registered", "not testable", True)
    assert row["sentence"] == f"Not testable: this study has no condition random_labels. {ELSEWHERE}"
