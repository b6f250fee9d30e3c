"""Costs of a study's jobs: the conditions and blocks of every rule whose jobs Snakemake times in a `benchmark`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from general_circuits.claims.registry import CLAIMS
from general_circuits.pipeline.dag import Dag
from general_circuits.storage.schemas import registry as schemas


def timed_jobs(dag: Dag, rules: Iterable[Any]) -> str:
    """Return the conditions and the blocks of each timed rule as JSON.

    Files of jobs that the study no longer has are not among them.

    Args:
        dag: the study's DAG.
        rules: Snakemake's rules.
    """
    timed = {rule.name: _conditions(dag, map(str, rule.output)) for rule in rules if rule.benchmark}
    return json.dumps({name: [conditions, dag.axes["block"]] for name, conditions in timed.items()})


def _conditions(dag: Dag, outputs: Iterable[str]) -> list[str]:
    """Return the conditions that a rule has jobs for. Its outputs say which table it makes."""
    # Snakemake writes {condition,[a-z]+} where a wildcard has a constraint.
    paths = [re.sub(r"\{(\w+),[^}]*\}", r"{\1}", output).removeprefix(f"{dag.results}/") for output in outputs]
    if any(path.startswith("specifications/") for path in paths):
        needed = {name for claim in dag.specified_claims if dag.specified(claim) for name in CLAIMS[claim].needs}
        return [name for name in dag.conditions if name in needed]
    tables = [name for name in schemas.names() if schemas.table(name).path in paths]
    conditions: list[str] = dag.axes_of(tables[0], dag.axes)["condition"] if tables else []
    return conditions
