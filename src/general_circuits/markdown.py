"""Markdown tables, as every page that this package writes has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts; what would end a cell is escaped."""
    lines = [header, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    texts = ["| " + " | ".join(cells) + " |" for cells in lines]
    return "\n".join([texts[0], "|" + "---|" * len(header), *texts[1:]]) + "\n"
