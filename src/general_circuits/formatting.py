"""Text for numbers and tables, as a reader sees them: a true minus sign, and a dash for an unknown value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

MINUS, UNKNOWN, NO_DATA = "−", "–", "no data"


def plain(value: float, digits: int = 2) -> str:
    """Return a number with a sign only below zero, or a dash if it is not finite."""
    # A small negative number rounds to −0.0. Adding 0.0 makes it 0.0, so that no "−0.00" is written.
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", MINUS) if np.isfinite(value) else UNKNOWN


def signed(value: float, digits: int = 2) -> str:
    """Return a number with its sign, as changes are written, or a dash if it is not finite."""
    text = plain(value, digits)
    return text if text.startswith((MINUS, UNKNOWN)) else f"+{text}"


def interval(low: float, high: float, digits: int = 2, is_change: bool = True) -> str:
    """Return "low to high", each with its sign if the quantity is a change, or a dash if `low` is not finite."""
    number = signed if is_change else plain
    return f"{number(low, digits)} to {number(high, digits)}" if np.isfinite(low) else UNKNOWN


LEVELS = (
    "general share of the margin",
    "share of its start",
    "share of the training time",
    "share of mirrored examples",
    "share of replicas",
    "ratio of variances",
)
"""Units of estimates that are no changes."""


def is_change(unit: str) -> bool:
    """Return whether an estimate in this unit is a change, which is written with its sign. A level has none."""
    return unit not in LEVELS


def of_unit(value: float, unit: str) -> str:
    """Return an estimate as its unit is written: a change with its sign, a share without."""
    return signed(value) if is_change(unit) else plain(value)


def p_value(value: float) -> str:
    """Return a p-value with two significant digits; "< 0.001" below a thousandth."""
    if not np.isfinite(value):
        return UNKNOWN
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table of texts. Escape the bars in its cells, which would end a cell."""
    lines = [header, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    texts = ["| " + " | ".join(cells) + " |" for cells in lines]
    return "\n".join([texts[0], "|" + "---|" * len(header), *texts[1:]]) + "\n"
