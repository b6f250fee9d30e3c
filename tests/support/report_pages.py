"""A small study's tables, settings and pages of the report, for tests."""

from __future__ import annotations

from html.parser import HTMLParser

import pandas as pd
from verdict_tables import MARKUP, in_parts, two_claims

from general_circuits.claims import verdicts
from general_circuits.report import pages
from general_circuits.report.registry import PAGES

NASTY = f"mine {MARKUP}"
"""Name of a condition that must not reach a page as it is."""
PICTURE = pages.Picture(f"A title {MARKUP}", f"What was {MARKUP} shown.", b"\x89PNG")

ABOUT = pages.About(
    {"study": NASTY, "replicas": 2, "measurements": {"saliency": {"methods": ["one", "two"]}}},
    {
        "grokking": {"task": {"operation": "x+y"}, "schedule": {"steps": 7000}},
        NASTY: {"task": {"operation": "x+y"}, "schedule": {"steps": 300}},
    },
    {},
)


def events() -> pd.DataFrame:
    """Return the events of two conditions, one of which does not generalise; names are categories."""
    rows = [
        ("grokking", 0, "generalised", 5000, False),
        ("grokking", 0, "memorised", 350, False),
        (NASTY, 0, "generalised", 7000, True),
        (NASTY, 0, "memorised", 1350, False),
    ]
    frame = pd.DataFrame(rows, columns=["condition", "replica", "event", "step", "censored"])
    return frame.assign(
        after=frame["step"] - 50 * ~frame["censored"],
        condition=pd.Categorical(frame["condition"], categories=["grokking", NASTY]),
        event=frame["event"].astype("category"),
    )


CLAIM_TABLES = [*two_claims(), in_parts("takeover")]
FRAMES = {
    "verdicts": verdicts.merge(CLAIM_TABLES).astype({"claim": "category", "verdict": "category"}),
    "claim": pd.concat(CLAIM_TABLES, ignore_index=True),
    "events": events(),
    "distribution": pd.DataFrame(),
    "ablation": pd.DataFrame(),
}


def page(name: str) -> str:
    """Return one page, written from the tables that it reads and no other."""
    written: str = getattr(pages, name)({table: FRAMES[table] for table in PAGES[name].tables}, ABOUT)
    return written


class Reader(HTMLParser):
    """Reader of a page: rows of its tables as texts, and its elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and self.elements[-1][0] in ("td", "th", "b", "br"):
            self.rows[-1][-1] += data.strip()
