"""The report's pages. To add one, write a function in `pages.py`, and list here what it reads and its caption."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """One page: its words, its place in the report, and its tables.

    Attributes:
        title: its name in the report's list.
        category: heading under which the report lists it.
        tables: names of the tables that it reads.
        caption: explanation of what is on it.
        after: names of tables that it does not read, but that must be complete before it is written.
    """

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
        "One row per part of each claim of the source. Two one-sided tests over replicas (Student's t) decide the"
        " verdict: is the mean beyond the threshold of support, or of contradiction? “Between” means that the mean is"
        " shown to lie between both.",
    ),
    "contrasts": Page(
        "Every contrast",
        "All claims",
        ("claim", "verdicts"),
        "The primary contrasts of each measured claim, with their thresholds, and all contrasts beside them: other"
        " controls, other measures, single levels. Only primary contrasts (“registered”) have a verdict and an adjusted"
        " p-value (Benjamini and Hochberg over all of them).",
    ),
    "events": Page(
        "Events",
        "Tables",
        ("events",),
        "Steps at which each replica memorised, had its largest validation loss, left its plateau and generalised."
        " “Not by” stands before the last step of a replica that did not.",
    ),
    "dictionary": Page(
        "Data dictionary",
        "Tables",
        (),
        "Every column of every Parquet table in the study's folder.",
    ),
    "settings": Page(
        "Settings", "Provenance", (), "Every setting of every condition, with defaults and presets filled in."
    ),
    "versions": Page(
        "Versions",
        "Provenance",
        (),
        "Software, platform and processor with which this page was written. Another kind of processor rounds"
        " differently, and training makes such differences grow.",
    ),
    "run_times": Page(
        "Run times",
        "Provenance",
        (),
        "Times and peak memory of the jobs of the three long stages. “Statistics” in the report's menu has every rule.",
        after=("events", "distribution", "ablation"),
    ),
}
