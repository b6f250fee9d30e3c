"""Damaged and foreign files between stages: each is refused in one sentence, which says how to go on.

`DAMAGE=1` damages every input of every rule; `make faults` does so.
"""

from __future__ import annotations

import collections
import itertools
import os
import shlex
import subprocess
import sys
from pathlib import Path

from checkouts import TINY, Project
from damage import Study, commands, faults

from general_circuits.config.load import load
from general_circuits.pipeline.dag import Dag
from general_circuits.stages.command import OF_OTHER_CONDITIONS, of_another_run
from general_circuits.storage.files import UnusableFileError


def outcomes(study: Study) -> dict[str, collections.Counter[str]]:
    """Give one file of each kind every fault, and count by fault what its reader does."""
    kinds, found = study.files(), {}
    for seed, kind in enumerate(kinds):
        path = max(kinds[kind], key=lambda file: file.stat().st_size)
        before, counts = path.read_bytes(), collections.Counter[str]()
        study.read(path)  # the reader accepts the file as it is
        for fault, make in faults(path, kinds, kind, seed):
            make()
            assert path.read_bytes() != before, (path, fault)
            try:
                study.read(path)
            except UnusableFileError as refusal:
                # An index that lacks a file is refused by its own name, and so is a file that it does not know.
                counts["refused"] += str(path.name) in str(
                    refusal
                ) and "snakemake --cores 1 --configfile config/tiny.yaml --force " in str(refusal)
            counts["tried"] += 1
            path.write_bytes(before)
        found[kind] = counts
    return found


def test_every_fault_in_every_kind_of_file_is_refused(project: Project) -> None:
    study = Study(project.results, Dag(load(TINY)).axes)
    found = outcomes(study)
    assert {kind: counts["tried"] - counts["refused"] for kind, counts in found.items()} == dict.fromkeys(found, 0)
    assert len(found) >= 25
    assert min(counts["tried"] for counts in found.values()) >= 20


SAMPLE = ("replay_moments", "plot_figure", "write_front_page")
"""Rules whose jobs get damaged inputs in every run of the suite."""


def test_a_job_ends_with_one_sentence_whichever_of_its_inputs_is_damaged(project: Project) -> None:
    """A bit is flipped in each input in turn. No output may change, whether or not the job reads that input."""
    found = commands(project.snakemake("--detailed-summary").stdout)
    rules = found if os.environ.get("DAMAGE") else SAMPLE
    tried = collections.Counter[str]()
    for rule in rules:
        job = found[rule]
        before = {output: (project.root / output).read_bytes() for output in job.outputs}
        for damaged in job.inputs if os.environ.get("DAMAGE") else job.inputs[-2:]:
            path = project.root / damaged
            content = path.read_bytes()
            path.write_bytes(content[:-40] + bytes([content[-40] ^ 4]) + content[-39:])
            run = subprocess.run(
                ["bash", "-c", job.shell], cwd=project.root, env=project.with_python(), capture_output=True, check=False
            )
            message = (project.root / job.log).read_text().splitlines()[-1]
            assert run.returncode != 0, (rule, damaged)
            assert message.startswith((f"{damaged}: is damaged: ", f"{damaged}: has no seal, ")), (rule, message)
            assert f"make it anew: snakemake --cores 1 --configfile config/tiny.yaml --force {damaged}" in message
            assert "Traceback" not in (project.root / job.log).read_text()
            assert {output: (project.root / output).read_bytes() for output in job.outputs} == before
            path.write_bytes(content)
            tried[rule] += 1
    print(dict(tried))
    assert set(tried) >= set(SAMPLE)


def test_no_job_takes_a_file_of_another_condition_or_block(finished: Project) -> None:
    tried = 0
    for rule, job in commands(finished.snakemake("--detailed-summary").stdout).items():
        words = shlex.split(job.shell.replace("<(", "").replace(")", ""))
        options = {word[2:]: value for word, value in itertools.pairwise(words) if word.startswith("--")}
        paths = {name: Path(text) if text else "" for name, text in options.items() if "/" in text and "{" not in text}
        given = {**paths, **{name: options[name] for name in ("condition",) if name in options}}
        assert of_another_run(given) == "", rule
        for name, text in ((name, str(path)) for name, path in paths.items() if str(path) in job.inputs):
            for here, there in (("grokking/", "random_labels/"), ("random_labels/", "grokking/"), ("/0", "/1")):
                if here in text and (here == "/0" or name not in OF_OTHER_CONDITIONS):
                    other = Path(text.replace(here, there))
                    assert of_another_run({**given, name: other}).startswith(f"{other}: is of "), (rule, name)
                    tried += 1
    assert tried > 20


def test_the_command_in_the_sentence_mends_the_study(project: Project) -> None:
    before = {file: file.read_bytes() for file in project.results.rglob("*.[ps]a*") if file.is_file()}
    job = commands(project.snakemake("--detailed-summary").stdout)["track_updates"]
    path = project.root / next(file for file in job.inputs if "/runs/" in file and file.endswith(".safetensors"))
    path.write_bytes(b"")
    subprocess.run(["bash", "-c", job.shell], cwd=project.root, env=project.with_python(), check=False)
    last_line = (project.root / job.log).read_text().splitlines()[-1]
    sentence, _, command = last_line.partition("; make it anew: snakemake ")
    assert sentence == f"{path.relative_to(project.root)}: is empty"
    made = subprocess.run(
        [sys.executable, "-m", "snakemake", *command.split()], cwd=project.root, env=project.environment
    )
    assert made.returncode == 0
    assert {file: file.read_bytes() for file in before} == before
    assert project.planned() == {}
