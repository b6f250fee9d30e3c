"""Reruns by content: no date of any file decides what Snakemake runs.

Snakemake 9 compares an input's content with what its job read only if the input is dated later than an output. So a
change is hidden by an output with a date in the future, or by an old date on the changed input. Here, Snakemake
compares every input, whatever its date.

It compares outputs too. A file in place of an output, such as an older copy, is not what its job wrote, so the job
runs again. So does a job one of whose outputs is gone or has no record. Snakemake records digests of a job's inputs,
and has no place for those of its outputs. They stand beside the inputs here.

A job whose outputs are damaged before they are recorded has failed. Otherwise the record would vouch for the damage.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from snakemake.dag import DAG
from snakemake.exceptions import WorkflowError
from snakemake.io import _IOFile, is_flagged
from snakemake.persistence import PersistenceBase

from general_circuits.running.digests import Digests
from general_circuits.storage.files import UnusableFileError, check_seal

UNREADABLE = "unreadable"
"""Stands for the digest of a file that cannot be read. No record has it, so the file's readers run and name it."""


def decide_by_content(digests: Digests) -> None:
    """Make Snakemake decide by content alone what runs again. The digests save it from reading files again."""

    async def is_newer(file: Any, time: float) -> bool:
        return not file.is_ancient

    async def is_checksum_eligible(file: Any, threshold: float | None) -> bool:
        return os.path.lexists(file)

    async def checksum(file: Any, *_: Any, **__: Any) -> str | None:
        if not os.path.lexists(file):
            return None
        try:
            return f"sha256:{digests.of(file)}" if os.path.isfile(file) else UNREADABLE
        except OSError:
            return UNREADABLE

    async def check_output_mtime(dag: Any, job: Any, outputs: Any) -> None:
        """Check that outputs are whole, and accept those that are dated earlier than an input."""
        try:
            for output in job.output:
                check_seal(Path(output))
        except UnusableFileError as error:
            raise WorkflowError(str(error)) from None

    _IOFile.is_newer = is_newer
    _IOFile.is_checksum_eligible = is_checksum_eligible
    _IOFile.checksum = checksum
    DAG.check_output_mtime = check_output_mtime
    _compare_outputs()


def _compare_outputs() -> None:
    """Make Snakemake record what a job wrote, and treat other content in its place as incomplete."""
    finish, find_incomplete = PersistenceBase.finished, PersistenceBase.incomplete

    async def finished(persistence: Any, job: Any) -> None:
        await finish(persistence, job)
        if not persistence.dag.workflow.is_main_process:
            return
        persistence.deactivate_cache()  # it may hold the records from before
        for output in job.output:
            record = persistence.metadata(output)
            if record is not None and (written := await output.checksum()):
                record.input_checksums = {**(record.input_checksums or {}), str(output): written}
                persistence._write_record(str(output), record)

    async def incomplete(persistence: Any, job: Any) -> list[Any]:
        found: list[Any] = await find_incomplete(persistence, job)
        if not persistence.dag.workflow.is_main_process:
            return found
        others = [output for output in job.output if output not in found]
        return found + [output for output in others if await is_altered(persistence, output)]

    async def is_altered(persistence: Any, output: Any) -> bool:
        record = persistence.metadata(output)
        if not os.path.lexists(output):
            return record is not None and not is_flagged(output, "temp")
        return not record or await output.checksum() != (record.input_checksums or {}).get(str(output))

    PersistenceBase.finished = finished
    PersistenceBase.incomplete = incomplete
