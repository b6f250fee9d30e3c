"""Texts in the report: what a config or a file says stays text there, and never becomes a part of the page.

Snakemake writes parameters, paths, labels and captions as JSON into script elements of the report, and `</script>` in
any of them ends the element. JSON has another way to write `<`, which no browser takes for an element.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from typing import Any

from snakemake.report import html_reporter
from snakemake.report.html_reporter import data


class _Json:
    """Substitute for the module `json` where Snakemake writes the report."""

    @staticmethod
    def dumps(value: Any) -> str:
        """Write a value as JSON without the letter `<`. It can only stand within texts."""
        return json.dumps(value).replace("<", r"\u003c")


def stay_texts() -> None:
    """Make Snakemake write all texts of a report so that they cannot end a script element."""
    parts = [importlib.import_module(f"{data.__name__}.{part.name}") for part in pkgutil.iter_modules(data.__path__)]
    for module in (html_reporter, *parts):
        if hasattr(module, "json"):
            module.json = _Json
