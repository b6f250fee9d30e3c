"""Record of what a report shows, beside it: the report is made again when the content of any of it has changed."""

from __future__ import annotations

import os
from pathlib import Path

from general_circuits.figures import registry as figures
from general_circuits.pipeline.dag import Dag
from general_circuits.report import registry as pages
from general_circuits.report.registry import PAGES
from general_circuits.storage.files import digest_of, replacing

RECORD = "report_shows.txt"
"""Name of the record in a study's folder."""


def is_current(dag: Dag, root: Path) -> bool:
    """Tell whether a study's report is the recorded one, and shows the files as they are now.

    Args:
        dag: the study's DAG.
        root: the checkout.
    """
    record = root / dag.results / RECORD
    return record.is_file() and record.read_bytes() == _digests(dag, root)


def keep(dag: Dag, root: Path) -> None:
    """Record the digests of a report that has just been made. Arguments are those of `is_current`."""
    with replacing(root / dag.results / RECORD) as temporary:
        temporary.write_bytes(_digests(dag, root))


def shown(dag: Dag, root: Path) -> list[Path]:
    """List the files that a report is made from: its figures and pages, their captions, and its style."""
    results = root / dag.results
    drawn = [results / "figures" / f"{drawing}.{kind}" for drawing in dag.drawings for kind in ("svg", "txt")]
    written = [results / "report" / f"{page}.html" for page in [*PAGES, "front"]]
    texts = sorted(path for path in (root / "workflow").rglob("*") if path.suffix in (".rst", ".css", ".smk"))
    # The report's menu has the titles and categories of these files.
    return [*drawn, *written, *texts, *(Path(str(module.__file__)) for module in (figures, pages))]


def _digests(dag: Dag, root: Path) -> bytes:
    """Return a line for the report and for each file that it shows, in the format of `sha256sum --check`."""
    lines = []
    for path in [root / dag.results / "report.html", *shown(dag, root)]:
        digest = digest_of(path) if path.is_file() else "missing"
        lines.append(f"{digest}  {os.path.relpath(path, root)}\n")
    return "".join(lines).encode()
