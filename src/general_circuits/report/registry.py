"""The pages of the report. A new one is a function in `pages.py` and an entry here: where it stands, what it reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """One page: what the report lists it as and under, the tables it reads, what is on it, and what it waits for."""

    title: str
    category: str
    tables: tuple[str, ...]
    caption: str
    after: tuple[str, ...] = ()


PAGES = {
    "verdicts": Page(
        "A verdict per claim",
        "All claims",
        ("verdicts",),
        "One row per claim of the source. The interval is Student's t at 95 % over replicas and alone decides the"
        " verdict; Holm's p is over the claims that have data, and “confirmed” says that the verdict survives it too.",
    ),
    "contrasts": Page(
        "Every contrast",
        "All claims",
        ("claim",),
        "Each measured claim's registered contrast, and every other one that stands beside it: other controls, other"
        " measures, the parts that a verdict needs. Only the registered one has a verdict.",
    ),
    "events": Page(
        "Events",
        "Tables",
        ("events",),
        "The step at which each replica memorised, had its largest validation loss, left its plateau and generalised;"
        " “not by” gives the last step of a replica that did not.",
    ),
    "dictionary": Page(
        "Data dictionary",
        "Tables",
        (),
        "Every column of every Parquet table under the study's folder.",
    ),
    "settings": Page("Settings", "Provenance", (), "Every setting of every condition, defaults and presets filled in."),
    "versions": Page("Versions", "Provenance", (), "The software and the platform that this page was written with."),
    "run_times": Page(
        "Run times",
        "Provenance",
        (),
        "What the jobs of the three long stages took, and their largest memory. “Statistics” in the report's menu has"
        " every rule.",
        after=("events", "distribution", "ablation"),
    ),
}
