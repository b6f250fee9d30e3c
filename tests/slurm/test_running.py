"""The tiny study on a cluster where nothing goes wrong: what runs where, what it asks for, and what comes out."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pytest
from checkouts import checkout
from cluster import ACCOUNT, Cluster
from conftest import OnCluster, on

TWO_BLOCKS = {"replicas": 2}


@pytest.fixture(scope="module")
def finished(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> OnCluster:
    """Two conditions with two blocks each, run to the end; not to be changed."""
    here = on(cluster, tmp_path_factory.mktemp("finished"), **TWO_BLOCKS)
    account = ["--default-resources", f"slurm_account={ACCOUNT}", "slurm_partition=main", "runtime=30"]
    here.makes(here.snakemake(*account), [here.results / "report/front.html"])
    return here


def test_its_tables_and_figures_are_the_same_bytes_as_those_of_one_machine(finished: OnCluster, tmp_path: Path) -> None:
    local = checkout(tmp_path / "local")
    local.configure(**TWO_BLOCKS)
    run = local.snakemake("--cores", "2")
    assert run.returncode == 0, run.stderr
    expected, found = _digests(local.results), _digests(finished.results)
    assert len(expected) > 60
    assert found == expected


def _digests(results: Path) -> dict[str, str]:
    """Of all that a study leaves, but for what it took and said: logs, times, states."""
    folders = ("tasks", "runs", "saliency", "distribution", "ablation", "claims", "figures", "report")
    files = [path for folder in folders for path in (results / folder).rglob("*") if path.is_file()]
    took = results / "report/run_times.html"
    return {str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path != took}


def test_only_what_is_long_gets_an_allocation_and_many_of_a_kind_are_an_array(finished: OnCluster) -> None:
    jobs = finished.account("JobID", "Comment", "State", "Timelimit", "Account", "Partition")
    assert {state for _, _, state, *_ in jobs} == {"COMPLETED"}
    rules = sorted({comment.split("_wildcards_")[0] for _, comment, *_ in jobs})
    assert rules == ["rule_ablate_neurons", "rule_extract_saliency", "rule_splits_split_examples", "rule_train_block"]
    trained = [job for job, comment, *_ in jobs if comment.startswith("rule_train_block")]
    assert len(trained) == 4
    assert {job.split("_")[0] for job in trained} == {trained[0].split("_")[0]}, "one array"
    assert {job.split("_")[1] for job in trained} == {"1", "2", "3", "4"}
    assert {limit for _, comment, _, limit, *_ in jobs if comment.startswith("rule_train_block")} == {"01:00:00"}
    assert {tuple(job[4:]) for job in jobs} == {(ACCOUNT, "main")}


def test_it_leaves_slurms_logs_and_what_each_job_used(finished: OnCluster) -> None:
    logs = list((finished.project.root / ".snakemake/slurm_logs").rglob("*.log"))
    assert len(logs) == len(finished.account("JobID"))
    (report,) = (finished.project.root / ".snakemake/slurm_efficiency").glob("*.csv")
    with report.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"RuleName", "CPU Efficiency (%)", "Memory Usage (%)"} <= set(rows[0])


def test_a_second_run_has_nothing_to_do(finished: OnCluster) -> None:
    before = len(finished.account("JobID"))
    finished.makes(finished.snakemake(), [])
    assert "Nothing to be done" in finished.said
    assert len(finished.account("JobID")) == before


def test_more_jobs_than_may_be_submitted_at_once_all_run(cluster: Cluster, tmp_path: Path) -> None:
    """The executor's own arrays wait for ever here, for jobs that the limit keeps from it."""
    here = on(cluster, tmp_path, replicas=3)
    targets = [here.results / f"runs/grokking/{block}/metrics.parquet" for block in range(3)]
    here.makes(here.snakemake("--jobs", "1", "--", *here.relative(targets)), targets)


def test_a_gpu_is_asked_for_where_the_profile_says_so(cluster: Cluster, tmp_path: Path) -> None:
    here = on(cluster, tmp_path)
    targets = [here.results / "runs/grokking/0/metrics.parquet"]
    here.makes(here.snakemake("--set-resources", "train_block:gpu=1", "--", *here.relative(targets)), targets)
    (asked,) = [
        resources
        for comment, resources in here.account("Comment", "ReqTRES")
        if comment.startswith("rule_train_block")
    ]
    assert "gres/gpu=1" in asked
    assert "cpu=1" in asked
