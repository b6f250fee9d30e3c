"""Reruns by content: no date of any file decides what Snakemake runs.

Snakemake 9 compares an input's content with what its job read only if the input is dated later than an output. So a
change is hidden by an output with a date in the future, or by an old date on the changed input. Here, Snakemake
compares every input, whatever its date.

It compares outputs too. A file in place of an output, such as an older copy, is not what its job wrote, so the job runs
again. Snakemake records digests of a job's inputs, and no place for its outputs. They stand beside the inputs here.
"""

from __future__ import annotations

import os
from typing import Any

from snakemake.dag import DAG
from snakemake.io import _IOFile
from snakemake.persistence import PersistenceBase

from general_circuits.running.digests import Digests


def decide_by_content(digests: Digests) -> None:
    """Make Snakemake decide by content alone what runs again. The digests save it from reading files again."""

    async def is_newer(file: Any, time: float) -> bool:
        return not file.is_ancient

    async def is_checksum_eligible(file: Any, threshold: float | None) -> bool:
        return os.path.isfile(file)

    async def checksum(file: Any, *_: Any, **__: Any) -> str | None:
        return f"sha256:{digests.of(file)}" if os.path.isfile(file) else None

    async def check_output_mtime(dag: Any, job: Any, outputs: Any) -> None:
        """Accept outputs that are dated earlier than an input."""

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
        others = [output for output in job.output if output not in found]
        return found + [output for output in others if await is_altered(persistence, output)]

    async def is_altered(persistence: Any, output: Any) -> bool:
        record = persistence.metadata(output)
        written = (record.input_checksums or {}).get(str(output)) if record else None
        return written is not None and await output.exists() and await output.checksum() != written

    PersistenceBase.finished = finished
    PersistenceBase.incomplete = incomplete
