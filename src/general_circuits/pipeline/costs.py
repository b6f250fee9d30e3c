"""Costs of a study's jobs: the conditions and blocks of every rule whose jobs Snakemake times in a `benchmark`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from general_circuits.pipeline.dag import Dag
from general_circuits.storage import tables
from general_circuits.storage.schemas import registry as schemas


def timed_jobs(dag: Dag, rules: Iterable[Any]) -> str:
    """Return the conditions and the blocks of each timed rule as JSON.

    Files of jobs that the study no longer has are not among them.

    Args:
        dag: the study's DAG.
        rules: Snakemake's rules.
    """
    needed, timed = _needed(dag), {}
    for rule in rules:
        if rule.benchmark:
            paths = [_unconstrained(str(path)).removeprefix(f"{dag.results}/") for path in rule.output]
            timed[rule.name] = [name for name in dag.conditions if _is_in(needed, paths, name)]
    return json.dumps({name: [conditions, dag.axes["block"]] for name, conditions in timed.items()})


def _needed(dag: Dag) -> set[str]:
    """Return the tables of blocks that anything in the study reads, below the study's folder."""
    files = dag.files_of(dag.tables_of_blocks, dag.axes)
    files += [file for claim in dag.measured_claims for file in dag.claim_tables(claim)]
    files += [file for drawing in dag.drawings for file in dag.figure_tables(drawing)]
    every_way = [file for claim in dag.specified_claims for file in dag.specified_tables(claim)]
    # Distributions are made from saliency. Measurements also read the moments of conditions that are no branches.
    files += every_way + [file.replace("/distribution/", "/saliency/") for file in every_way]
    measured = {
        name for table in ("saliency", "progress", "updates") for name in dag.axes_of(table, dag.axes)["condition"]
    }
    moments = {"condition": sorted(measured - set(dag.branches)), "block": dag.axes["block"]}
    needed = {file.removeprefix("<results>/") for file in files}
    return needed | set(tables.files(schemas.table("moments"), moments))


def _unconstrained(path: str) -> str:
    """Return a path without the constraints that Snakemake writes into wildcards: {condition,[a-z]+}."""
    return re.sub(r"\{(\w+),[^}]*\}", r"{\1}", path)


def _is_in(needed: set[str], paths: Iterable[str], condition: str) -> bool:
    """Tell whether any output of a condition's first block is needed."""
    return any(path.format(condition=condition, block=0) in needed for path in paths)
