"""Numbers and tables as a reader sees them: a true minus, a dash for what is not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

MINUS, UNKNOWN, NO_DATA = "−", "–", "no data"


def plain(value: float, digits: int = 2) -> str:
    """With a sign only below zero."""
    # Adding 0 makes what rounds to −0 a plain 0.
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", MINUS) if np.isfinite(value) else UNKNOWN


def signed(value: float, digits: int = 2) -> str:
    """With its sign, as changes are written."""
    text = plain(value, digits)
    return text if text.startswith((MINUS, UNKNOWN)) else f"+{text}"


def interval(low: float, high: float, digits: int = 2, is_change: bool = True) -> str:
    """Both ends, signed if they are of a change."""
    number = signed if is_change else plain
    return f"{number(low, digits)} to {number(high, digits)}" if np.isfinite(low) else UNKNOWN


def is_change(unit: str) -> bool:
    """Whether an estimate in this unit is of a change, and so has a sign; a share of something has none."""
    return not unit.startswith("general share")


def of_unit(value: float, unit: str) -> str:
    """As its unit wants it."""
    return signed(value) if is_change(unit) else plain(value)


def p_value(value: float) -> str:
    """To two significant digits."""
    if not np.isfinite(value):
        return UNKNOWN
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table of texts; escape what would end a cell."""
    lines = [header, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    texts = ["| " + " | ".join(cells) + " |" for cells in lines]
    return "\n".join([texts[0], "|" + "---|" * len(header), *texts[1:]]) + "\n"
