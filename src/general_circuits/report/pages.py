"""Pages of the report, one function each, and the body of the front page; `templates.py` has their HTML."""

from __future__ import annotations

import base64
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from general_circuits import __version__, formatting, machine
from general_circuits.claims import display
from general_circuits.claims.findings import is_registered
from general_circuits.claims.registry import CLAIMS
from general_circuits.report import templates
from general_circuits.report.registry import PAGES
from general_circuits.storage.schemas import registry as schemas

PACKAGE = "general-circuits"

TEMPLATES = jinja2.Environment(
    loader=jinja2.DictLoader(
        {
            "base": templates.BASE,
            "table": templates.TABLE,
            "settings": templates.SETTINGS,
            "front": templates.FRONT,
        }
    ),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class About:
    """Knowledge of a study beside its tables.

    Attributes:
        study: settings of the study itself.
        conditions: resolved settings of each condition, nested, by name.
        costs: files in which Snakemake has recorded the costs of this study's jobs, by rule.
    """

    study: Mapping[str, Any]
    conditions: Mapping[str, Mapping[str, Any]]
    costs: Mapping[str, Sequence[Path]]


Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Picture:
    """A drawing on a page.

    Attributes:
        title: its heading.
        description: what it shows, in words; part of its alternative text.
        png: bytes of the file.
    """

    title: str
    description: str
    png: bytes

    @property
    def uri(self) -> str:
        """Return the picture itself as an address, since a linked file is missing where the report is opened."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


def front(verdicts: pd.DataFrame, pictures: Sequence[Picture]) -> str:
    """Write the body of the front page: predictions of the hypothesis, estimates, verdicts and pictures."""
    judged = display.judged(verdicts)
    names = [display.named(row.claim, row.contrast) for row in judged.itertuples()]
    return TEMPLATES.get_template("front").render(
        rows=display.shown(verdicts).to_dict("records"),
        sentences=dict(zip(names, judged["sentence"], strict=True)),
        kinds=dict(zip(names, judged["verdict"], strict=True)),
        rest=display.rest(verdicts),
        unknown=formatting.UNKNOWN,
        pictures=pictures,
    )


def verdicts(frames: Frames, about: About) -> str:
    """Write a row per verdict of every claim of the source; claims that could be tested come first."""
    table = frames["verdicts"]
    table = pd.concat([judged := display.judged(table), table.drop(judged.index)])
    rows = pd.DataFrame(
        {
            "claim": [display.named(row.claim, row.contrast) for row in table.itertuples()],
            "statement": [CLAIMS[claim].statement for claim in table["claim"]],
            "said by": [CLAIMS[claim].said_by for claim in table["claim"]],
            "verdict": [display.explained(row) for row in table.itertuples()],
            "found": table["sentence"],
        }
    )
    return _table("verdicts", rows)


def contrasts(frames: Frames, about: About) -> str:
    """Write a row per contrast of every measured claim, the primary ones first, with thresholds and p-values."""
    adjusted = frames["verdicts"][["claim", "contrast", "p_adjusted"]]
    table = frames["claim"].astype({"claim": str}).merge(adjusted.astype({"claim": str}), "left", ["claim", "contrast"])
    table = table.assign(others=~table["contrast"].map(is_registered)).sort_values(["claim", "others", "contrast"])
    numbers = {
        name: table[column].map(formatting.signed)
        for name, column in (
            ("estimate", "estimate"),
            ("low", "low"),
            ("high", "high"),
            ("supported beyond", "supported_beyond"),
            ("contradicted beyond", "contradicted_beyond"),
        )
    }
    p_values = {
        name: table[column].map(formatting.p_value)
        for name, column in (
            ("p, supported", "p_supported"),
            ("p, contradicted", "p_contradicted"),
            ("adjusted", "p_adjusted"),
            ("p, not 0", "p_value"),
        )
    }
    texts = {name: table[name] for name in ("claim", "contrast", "unit")}
    replicas = table["replicas"]
    return _table("contrasts", pd.DataFrame({**texts, **numbers, **p_values, "replicas": replicas}))


def events(frames: Frames, about: About) -> str:
    """Write the step of every event: a row per condition and replica, a column per event."""
    table = frames["events"]
    step = table["step"].map("{:,}".format)
    rows = table.assign(step=step.mask(table["censored"], "not by " + step))
    wide = rows.pivot(index=["condition", "replica"], columns="event", values="step").sort_index()
    order = [name for name in ("memorised", "validation_loss_peak", "onset", "generalised") if name in wide]
    return _table("events", wide[order].reset_index())


def dictionary(frames: Frames, about: About) -> str:
    """Write a row per column of every table."""
    return _table("dictionary", pd.DataFrame(schemas.dictionary()))


def settings(frames: Frames, about: About) -> str:
    """Write a row per setting and a column per condition; values unlike the first condition's are marked."""
    flat = {name: dict(_flat(values)) for name, values in about.conditions.items()}
    keys = list(dict.fromkeys(key for values in flat.values() for key in values))
    first = next(iter(flat.values()))
    cells = {
        name: [(_text(values.get(key)), values.get(key) != first.get(key)) for key in keys]
        for name, values in flat.items()
    }
    study = [(key, _text(value)) for key, value in _flat(about.study)]
    return TEMPLATES.get_template("settings").render(title=PAGES["settings"].title, keys=keys, cells=cells, study=study)


def versions(frames: Frames, about: About) -> str:
    """Write the versions of this package, of its requirements, of Python, and of the platform."""
    required = sorted(re.split(r"[^\w.-]", line)[0] for line in requires(PACKAGE) or [] if "extra ==" not in line)
    known = [(PACKAGE, __version__), ("python", platform.python_version())]
    known += [(name, version(name)) for name in required]
    known += [("platform", platform.platform()), ("processor", machine.processor())]
    return _table("versions", pd.DataFrame(known, columns=["what", "version"]))


def run_times(frames: Frames, about: About) -> str:
    """Write the costs of jobs, a row per rule."""
    jobs = _jobs(about.costs).groupby("rule", sort=False)
    rows = pd.DataFrame(
        {
            "jobs": jobs.size().map("{:,}".format),
            "minutes in all": (jobs["s"].sum() / 60).map("{:,.1f}".format),
            "mean, s": jobs["s"].mean().map("{:,.1f}".format),
            "longest, s": jobs["s"].max().map("{:,.1f}".format),
            "peak memory, MB": jobs["max_rss"].max().map("{:,.0f}".format, na_action="ignore"),
        }
    )
    return _table("run_times", rows.reset_index())


def _jobs(costs: Mapping[str, Sequence[Path]]) -> pd.DataFrame:
    """Read the cost of every job whose rule has a `benchmark`.

    Columns: `rule`, `s` (wall seconds) and `max_rss` (MB).
    """
    columns = ["s", "max_rss"]
    frames = [
        pd.read_csv(file, sep="\t", na_values="-")[columns].assign(rule=rule)
        for rule, files in costs.items()
        for file in files
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*columns, "rule"])


def _table(page: str, rows: pd.DataFrame) -> str:
    """Write a page that is one table, with the title that the report lists."""
    cells = rows.astype(object).where(rows.notna(), "").astype(str).to_numpy().tolist()
    return TEMPLATES.get_template("table").render(title=PAGES[page].title, columns=list(rows.columns), rows=cells)


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return nested settings as pairs of a dotted key and a value."""
    pairs: list[tuple[str, Any]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        pairs += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, value)]
    return pairs


def _text(value: Any) -> str:
    """Write a setting's value; a list has commas."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
