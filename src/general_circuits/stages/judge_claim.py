"""The tables a claim reads → its findings."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pandas as pd

from general_circuits.claims.findings import Finding, lacking
from general_circuits.stages.command import run
from general_circuits.storage import tables
from general_circuits.storage.schemas import registry
from general_circuits.storage.schemas.claim import TABLE as CLAIM


def main(claim: str, results: Path, reads: str, lacks: str, elsewhere: str, axes: Path, output: Path) -> None:
    """Judge CLAIM from the tables it READS along AXES (a JSON file), unless the study LACKS something (in words).

    Where this study lacks something for a finding, its sentence ends with ELSEWHERE: where it can be tested.
    """
    if lacks:
        findings = [lacking(lacks)]
    else:
        along = json.loads(axes.read_text(encoding="utf-8"))
        frames = registry.read(results, reads.split(","), along)
        findings = importlib.import_module(f"general_circuits.claims.{claim}").judge(frames)
    tables.write(output, CLAIM, pd.DataFrame([_row(claim, finding, elsewhere) for finding in findings]))


def _row(claim: str, finding: Finding, elsewhere: str) -> dict[str, object]:
    decision, missing = finding.decision, float("nan")
    return {
        "claim": claim,
        "contrast": finding.contrast,
        "unit": finding.unit,
        "estimate": finding.estimate.mean,
        "low": finding.estimate.low,
        "high": finding.estimate.high,
        "supported_beyond": decision.rule.supported if decision else missing,
        "contradicted_beyond": decision.rule.contradicted if decision else missing,
        "p_supported": decision.p_supported if decision else missing,
        "p_contradicted": decision.p_contradicted if decision else missing,
        "p_value": finding.estimate.p_value,
        "replicas": finding.estimate.n,
        "replicas_needed": decision.needed if decision else 0,
        "values": list(finding.values),
        "verdict": finding.verdict,
        "reason": finding.reason,
        "is_lacking": finding.is_lacking,
        "sentence": finding.sentence + (f" {elsewhere}" if finding.is_lacking else ""),
    }


if __name__ == "__main__":
    run(main)
