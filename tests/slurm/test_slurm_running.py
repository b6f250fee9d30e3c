"""The tiny study on a cluster without faults: the place of each job, its requests and its results."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from checkouts import BRIEF, TINY, checkout
from cluster import ACCOUNT, Cluster
from on_cluster import OnCluster, on

TARGETS = (
    "results/tiny/report/front.html",
    *(f"results/tiny/example_saliency/{name}/0/step=20/saliency.parquet" for name in TINY["conditions"]),
)
"""Targets that need every job that is sent to a cluster. Most figures are left out, since they are not sent."""


@pytest.fixture(scope="module")
def finished(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> OnCluster:
    """Return the study after a full run, with a profile filled in as for a site. Tests must not change it."""
    here = on(cluster, tmp_path_factory.mktemp("finished"))
    for line in ("slurm_partition: main", f"slurm_account: {ACCOUNT}", "gpu: 1"):
        here.project.edit("profiles/slurm/config.yaml", f"# {line}", line)
    here.makes(here.snakemake("--", *TARGETS), [here.project.root / target for target in TARGETS])
    return here


def test_tables_and_a_figure_have_the_same_bytes_as_on_one_machine(finished: OnCluster, tmp_path: Path) -> None:
    local = checkout(tmp_path / "local")
    local.configure(**BRIEF)
    tables = [file.relative_to(finished.results) for file in finished.results.rglob("*.parquet")]
    files = [file for file in tables if file.parts[0] != ".state"]
    files.append(Path("figures/learning_curves-accuracy.svg"))
    run = local.snakemake("--cores", "2", *[f"results/tiny/{file}" for file in files])
    assert run.returncode == 0, run.stderr
    assert len(files) > 20
    for file in (*files, *(file.relative_to(local.results) for file in local.results.glob("runs/*/*/weights-*"))):
        assert (finished.results / file).read_bytes() == (local.results / file).read_bytes(), file


def test_only_long_jobs_are_submitted_and_jobs_of_one_rule_form_an_array(finished: OnCluster) -> None:
    jobs = finished.account("JobID", "Comment%99", "State")
    assert {state for *_, state in jobs} == {"COMPLETED"}
    rules = sorted({comment.split("_wildcards_")[0] for _, comment, _ in jobs})
    assert rules == [
        "rule_ablate_neurons",
        "rule_extract_example_saliency",
        "rule_extract_saliency",
        "rule_replay_moments",
        "rule_splits_split_examples",
        "rule_train_block",
    ]
    trained = [job for job, comment, _ in jobs if comment.startswith("rule_train_block")]
    assert len({job.split("_")[0] for job in trained}) == 1, "training jobs are more than one array"
    assert sorted(job.split("_")[1] for job in trained) == ["1", "2"]


def test_every_job_requests_what_the_profile_sets(finished: OnCluster) -> None:
    jobs = finished.account("Comment%99", "Timelimit", "Account", "Partition", "ReqTRES%99")
    assert {(account, partition) for _, _, account, partition, _ in jobs} == {(ACCOUNT, "main")}
    assert {limit for comment, limit, *_ in jobs if "train_block" in comment} == {"01:00:00"}
    assert {limit for comment, limit, *_ in jobs if "ablate_neurons" in comment} == {"00:30:00"}
    assert all(("gres/gpu=1" in request) == ("train_block" in comment) for comment, *_, request in jobs)
    assert all("cpu=1," in request for *_, request in jobs)


def test_slurms_logs_and_a_report_of_the_resources_used_are_kept(finished: OnCluster) -> None:
    logs = list((finished.project.root / ".snakemake/slurm_logs").rglob("*.log"))
    assert len(logs) == len(finished.account("JobID"))
    (report,) = (finished.project.root / ".snakemake/slurm_efficiency").glob("*.csv")
    with report.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"RuleName", "CPU Efficiency (%)", "Memory Usage (%)"} <= set(rows[0])


def test_a_second_run_has_nothing_to_do(finished: OnCluster) -> None:
    before = len(finished.account("JobID"))
    finished.makes(finished.snakemake("--", *TARGETS), [])
    assert "Nothing to be done" in finished.output
    assert len(finished.account("JobID")) == before
