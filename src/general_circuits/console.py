"""Printing for people: letters that any encoding can take, tables that any terminal or pipe can show."""

from __future__ import annotations

import codecs
import io
import os
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

WIDE = 120
"""Width of a table, in letters, where there is no terminal: in a pipe or a file."""

PLAIN = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "×": "x", "·": "*", "±": "+-", "≤": "<=", "≥": ">=", "’": "'", "…": "..."}
)
"""Letters of plain ASCII for those that an encoding may lack."""


def open_missing() -> None:
    """Open standard input, output and errors on /dev/null where the caller has closed them.

    Otherwise the next files that open would get their numbers, and what is printed would go there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number, which is this one
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def take_any_letter() -> None:
    """Let standard output and errors take any letter. Letters that their encoding lacks become plain ones."""
    codecs.register_error("plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return plain letters in place of those that could not be encoded, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return lacking.translate(PLAIN).encode("ascii", "replace").decode("ascii"), error.end


def print_table(table: pd.DataFrame, whole: tuple[str, ...] = ()) -> None:
    """Print a table of text that is as wide as the terminal, but never so narrow that a word is broken.

    Args:
        table: the cells.
        whole: columns whose cells stay on one line.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    columns = {str(name): [str(name), *cells] for name, cells in table.items()}
    most = {name: max(map(len, texts)) for name, texts in columns.items()}
    least = {name: most[name] if name in whole else _longest_word(texts) for name, texts in columns.items()}
    wanting = sum(most.values()) - sum(least.values())
    edges = 2 * len(columns) + 1  # a space after each cell, one between columns, one at each edge
    room = shutil.get_terminal_size((WIDE, 24)).columns - edges - sum(least.values())
    share = min(1.0, max(0, room) / max(1, wanting))

    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    widths = {name: least[name] + int(share * (most[name] - least[name])) for name in columns}
    for name, width in widths.items():
        shown.add_column(name, width=width)
    for row in table.to_numpy():
        shown.add_row(*row)
    Console(width=edges + sum(widths.values()), highlight=False).print(shown)


def _longest_word(texts: list[str]) -> int:
    return max(len(word) for text in texts for word in text.split() or [""])
