"""Settings of a study → one row per condition and key."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from general_circuits.records import flat
from general_circuits.stages.command import run
from general_circuits.storage import tables
from general_circuits.storage.schemas.conditions import TABLE as CONDITIONS


def main(settings: Path, output: Path) -> None:
    """List the settings of all conditions in SETTINGS, a JSON file with one mapping per condition."""
    conditions = json.loads(settings.read_text(encoding="utf-8"))
    rows = [
        {"condition": name, "setting": key, "value": json.dumps(value, ensure_ascii=False), "number": _number(value)}
        for name, nested in conditions.items()
        for key, value in flat(nested).items()
    ]
    tables.write(output, CONDITIONS, pd.DataFrame(rows))


def _number(value: object) -> float:
    """Return a value as a number; NaN if it is none. True and False are no numbers here."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else float("nan")


if __name__ == "__main__":
    run(main)
