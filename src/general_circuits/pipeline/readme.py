"""The README's results: a record of the workstation study beside the docs, its pictures, and a block written from it.

The record says with which settings and which code the results were made, so that one can tell when they are stale
without running the study again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from general_circuits import claims, figures, tasks
from general_circuits.claims import display
from general_circuits.claims.findings import NOT_TESTABLE
from general_circuits.claims.registry import CLAIMS
from general_circuits.config.errors import ConfigError
from general_circuits.config.load import load
from general_circuits.config.study import Study
from general_circuits.figures.registry import FIGURES
from general_circuits.pipeline.dag import Dag
from general_circuits.pipeline.fingerprints import fingerprint
from general_circuits.pipeline.launch import LAUNCHES
from general_circuits.storage import tables
from general_circuits.storage.schemas.verdicts import TABLE as VERDICTS

README, RECORD, PICTURES = Path("README.md"), Path("docs/results.json"), Path("docs/figures")
RESULTS, CONFIG, LARGE = Path("results/workstation"), Path("config/config.yaml"), Path("config/full.yaml")
STAGES = {
    "generate_task": tasks,
    "split_examples": None,
    "train_block": None,
    "find_events": None,
    "extract_saliency": None,
    "describe_saliency": None,
    "ablate_neurons": None,
    "replay_block": None,
    "measure_progress": None,
    "track_updates": None,
    "record_answers": None,
    "watch_spikes": None,
    "measure_spikes": None,
    "duel_toys": None,
    "train_modules": None,
    "duel_modules": None,
    "list_conditions": None,
    "judge_claim": claims,
    "specify_claim": claims,
    "merge_verdicts": None,
    "plot_figure": figures,
}
"""What results are made by, and the modules a stage is told to import by their names."""


class ReadmeError(ValueError):
    """Results that cannot be shown, or a README that does not show them; the message says which and what to do."""


def between(text: str, name: str, body: str) -> str:
    """`text` with `body` between the marks `<!-- name -->` and `<!-- /name -->`."""
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, opening, rest = text.partition(start)
    _, closing, after = rest.partition(end)
    if not opening or not closing:
        raise ReadmeError(f"no {start.strip()} … {end} to write between")
    return f"{before}{start}{body}{end}{after}"


def refresh(root: Path) -> None:
    """Record the finished study under `root`, copy its registered pictures, and write the README's block."""
    verdicts, launches = root / RESULTS / VERDICTS.path, root / RESULTS / LAUNCHES
    _must_be_there(root, verdicts, launches)
    kept = _kept(Dag(_study(root)).drawings)
    found = {name: root / RESULTS / f"figures/{drawing}.txt" for name, drawing in kept.items()}
    pictures = {name: path.with_suffix(".png") for name, path in found.items()}
    _must_be_there(root, *found.values(), *pictures.values())
    taken = pd.read_csv(launches, sep="\t")
    record = {
        "settings": settings(root),
        "code": code(),
        "machine": taken["machine"].iloc[-1],
        "cores": int(taken["cores"].iloc[-1]),
        "minutes": round(float(taken["s"].sum()) / 60),
        "found": {name: path.read_text(encoding="utf-8").strip() for name, path in found.items()},
        "verdicts": json.loads(display.as_json(tables.read(verdicts, VERDICTS))),
    }
    record["costs"] = _costs(root, record["verdicts"])
    page = between((root / README).read_text(encoding="utf-8"), "results", block(record))
    (root / PICTURES).mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        shutil.copyfile(picture, root / PICTURES / f"{name}.png")
    (root / RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (root / README).write_text(page, encoding="utf-8")


def check(root: Path) -> list[str]:
    """What has changed in the code since the README's results were made, stage by stage; none if nothing has.

    Raises:
        ReadmeError: the README is not what the record says, or the record is of other settings than the config's, or
            no record.
    """
    if not (root / RECORD).is_file():
        raise ReadmeError(f"{RECORD} is missing: run `make readme`")
    now, page = settings(root), (root / README).read_text(encoding="utf-8")
    try:
        record = json.loads((root / RECORD).read_text(encoding="utf-8"))
        body, then, made_by = block(record), record["settings"], record["code"]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ReadmeError(f"{RECORD} is not as it was written ({error!r}): run `make readme`") from None
    if between(page, "results", body) != page:
        raise ReadmeError(f"{README} is stale: its results are not those of {RECORD}; run `make readme`")
    parts = [("conditions", name) for name in {**now["conditions"], **then["conditions"]}]
    parts += [("study", key) for key in {**now["study"], **then["study"]}]
    other = [name for part, name in parts if now[part].get(name) != then[part].get(name)]
    if other:
        raise ReadmeError(
            f"{README} is stale: {CONFIG} has changed since its results were made ({', '.join(other)}); run"
            " `make readme`"
        )
    return [stage for stage, digest in code().items() if made_by.get(stage) != digest]


def settings(root: Path) -> dict[str, Any]:
    """The workstation study's resolved settings."""
    return _study(root).resolved()


def _must_be_there(root: Path, *paths: Path) -> None:
    for path in paths:
        if not path.is_file():
            raise ReadmeError(f"{path.relative_to(root)} is missing: run `make figures` first")


def _study(root: Path, config: Path = CONFIG) -> Study:
    try:
        return load(yaml.safe_load((root / config).read_text(encoding="utf-8")))
    except ConfigError as error:
        raise ReadmeError(f"{config}: {error}") from None


def code() -> dict[str, str]:
    """The fingerprint of each stage with all that it may import by name."""
    found = {}
    for stage, package in STAGES.items():
        modules = sorted(file.stem for file in Path(package.__path__[0]).glob("[!_]*.py")) if package else []
        named = [f"{package.__name__}.{name}" for name in modules] if package else []
        found[stage] = fingerprint(f"stages.{stage}", *named)
    return found


def block(record: dict[str, Any]) -> str:
    """The README's results, in Markdown."""
    verdicts = pd.DataFrame(record["verdicts"]).fillna(float("nan"))  # null everywhere is None
    sentences = [
        f"- {display.code(row.claim, row.contrast)}: {row.sentence}" for row in display.judged(verdicts).itertuples()
    ]
    pictures = [_picture(name, record) for name in ("learning_curves", "forest")]
    replicas = record["settings"]["study"]["replicas"]
    conditions = len(record["settings"]["conditions"])
    lines = [
        f"{conditions} conditions with {replicas} replicas each, from training to report, took {record['minutes']}"
        f" minutes on {record['cores']} cores ({record['machine']}), set-up aside.",
        "",
        pictures[0],
        "",
        display.markdown(verdicts),
        "A verdict follows from its interval alone, by a rule written down before this setting was measured;"
        " “confirmed” says that it also holds after Holm's adjustment.",
        "",
        *sentences,
        *_untested(verdicts, record["costs"]),
        "",
        pictures[1],
        "",
    ]
    return "\n".join(lines)


def _untested(verdicts: pd.DataFrame, costs: Mapping[str, float]) -> list[str]:
    """A line for all that the study could not test of measured claims."""
    rows = verdicts[(verdicts["verdict"] == NOT_TESTABLE) & verdicts["claim"].isin(list(costs))]
    return [
        f"- {display.code(row.claim, row.contrast)}: {row.sentence} Here that is {costs[row.claim]:,.1f} core-hours."
        for row in rows.itertuples()
    ]


def _kept(drawn: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Pictures kept with the code, by name, and their drawings: each figure as registered, or of every claim."""
    kept = {}
    for drawing, (name, view) in drawn.items():
        if FIGURES[name].toggle == "claim":
            kept[drawing] = drawing
        elif view == FIGURES[name].views[0]:
            kept[name] = drawing
    return kept


def _costs(root: Path, verdicts: list[dict[str, Any]]) -> dict[str, float]:
    """Core-hours that the large study would take for each measured claim that this one could not test, in part even."""
    from general_circuits.pipeline.plan import of_claim, plan

    lacking = {row["claim"] for row in verdicts if row["verdict"] == NOT_TESTABLE and CLAIMS[row["claim"]].is_measured}
    full = _study(root, LARGE) if lacking else None
    return {claim: float(plan(of_claim(full, claim), 0.0)["core_hours"].sum()) for claim in sorted(lacking) if full}


def _picture(name: str, record: dict[str, Any]) -> str:
    words = f"{FIGURES[name].title}. {record['found'][name]}".replace("[", "(").replace("]", ")").replace("\n", " ")
    return f"![{words}]({PICTURES / name}.png)"
