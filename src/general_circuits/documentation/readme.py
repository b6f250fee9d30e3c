"""Results in the README: a record of the workstation study in docs/, its pictures, and a block made from the record.

The record holds the settings and the code that made the results. So a check can tell that they are stale without
running the study again.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

import general_circuits
from general_circuits.claims import display
from general_circuits.claims.registry import CLAIMS
from general_circuits.config.errors import ConfigError
from general_circuits.config.load import load
from general_circuits.config.read import read
from general_circuits.config.study import Study
from general_circuits.figures.registry import FIGURES
from general_circuits.pipeline.dag import Dag
from general_circuits.pipeline.fingerprints import fingerprint
from general_circuits.running.launch import LAUNCHES
from general_circuits.storage import tables
from general_circuits.storage.files import check_end, read_text
from general_circuits.storage.schemas.verdicts import TABLE as VERDICTS

README, RECORD, PICTURES = Path("README.md"), Path("docs/results.json"), Path("docs/figures")
RESULTS, CONFIG = Path("results/workstation"), Path("config/config.yaml")
TRAINED_BY = ("training/losses", "training/optimisers")
STAGES: dict[str, tuple[str, ...]] = {
    "generate_task": ("tasks",),
    "split_examples": (),
    "train_block": TRAINED_BY,
    "find_events": (),
    "extract_saliency": (),
    "describe_saliency": (),
    "ablate_neurons": (),
    "replay_block": TRAINED_BY,
    "replay_moments": TRAINED_BY,
    "measure_progress": (),
    "track_updates": (),
    "record_answers": (),
    "watch_spikes": TRAINED_BY,
    "measure_spikes": (),
    "duel_toys": (),
    "train_modules": (),
    "duel_modules": (),
    "list_conditions": (),
    "judge_claim": ("claims",),
    "specify_claim": ("claims",),
    "merge_verdicts": (),
    "plot_figure": ("figures",),
}
"""Stages that make results. Each has the folders of the package whose modules it imports by name."""
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
"""Pattern of the space between two sentences."""


class ReadmeError(ValueError):
    """Results that cannot be shown, or a README that does not show them. The message says which, and what to do."""


def between(text: str, name: str, body: str) -> str:
    """Return `text` with `body` between the marks `<!-- name -->` and `<!-- /name -->`.

    Raises:
        ReadmeError: the text lacks a mark, or has them in the wrong order.
    """
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, opening, rest = text.partition(start)
    _, closing, after = rest.partition(end)
    if not opening or not closing:
        raise ReadmeError(f"no {start.strip()} … {end} to write between")
    return f"{before}{start}{body}{end}{after}"


def refresh(root: Path) -> None:
    """Record the finished study under `root`, copy its registered pictures, and write the README's block.

    Raises:
        ReadmeError: results are missing, or the README has no marks.
    """
    verdicts, launches = root / RESULTS / VERDICTS.path, root / RESULTS / LAUNCHES
    _must_be_there(root, verdicts, launches)
    kept = _kept(Dag(_study(root)).drawings)
    descriptions = {name: root / RESULTS / f"figures/{drawing}.txt" for name, drawing in kept.items()}
    pictures = {name: path.with_suffix(".png") for name, path in descriptions.items()}
    _must_be_there(root, *descriptions.values(), *pictures.values())
    launched = pd.read_csv(launches, sep="\t")
    record = {
        "settings": settings(root),
        "code": code(),
        "machine": launched["machine"].iloc[-1],
        "cores": int(launched["cores"].iloc[-1]),
        "minutes": round(float(launched["s"].sum()) / 60),
        "found": {name: read_text(path) for name, path in descriptions.items()},
        "verdicts": json.loads(display.as_json(tables.read(verdicts, VERDICTS))),
    }
    record["costs"] = _costs(root, record["verdicts"])
    # A README without marks is refused here, before anything is written.
    page = between((root / README).read_text(encoding="utf-8"), "results", block(record))
    (root / PICTURES).mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        check_end(picture)
        shutil.copyfile(picture, root / PICTURES / f"{name}.png")
    (root / RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (root / README).write_text(page, encoding="utf-8")


def check(root: Path) -> list[str]:
    """Return the stages whose code has changed since the README's results were made.

    Raises:
        ReadmeError: the record is missing or broken, the README does not show it, or the config has other settings.
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
        raise ReadmeError(f"{README} is stale: its results differ from {RECORD}; run `make readme`")
    parts = [("conditions", name) for name in {**now["conditions"], **then["conditions"]}]
    parts += [("study", key) for key in {**now["study"], **then["study"]}]
    changed = [name for part, name in parts if now[part].get(name) != then[part].get(name)]
    if changed:
        raise ReadmeError(
            f"{README} is stale: {CONFIG} has changed since its results were made ({', '.join(changed)}); run"
            " `make readme`"
        )
    return [stage for stage, digest in code().items() if made_by.get(stage) != digest]


def settings(root: Path) -> dict[str, Any]:
    """Return the settings of the workstation study that its results depend on."""
    return _study(root).resolved()


def _must_be_there(root: Path, *paths: Path) -> None:
    """Refuse missing files of a finished study."""
    for path in paths:
        if not path.is_file():
            raise ReadmeError(f"{path.relative_to(root)} is missing: run `make figures` first")


def _study(root: Path, config: Path = CONFIG) -> Study:
    """Return the study of a config under `root`."""
    try:
        return load(read(root / config))
    except ConfigError as error:
        raise ReadmeError(f"{config}: {error}") from None


def code() -> dict[str, str]:
    """Return the fingerprint of each stage, with all modules that it may import by name."""
    digests, root = {}, Path(general_circuits.__file__).parent
    for stage, folders in STAGES.items():
        modules = [
            f"{folder.replace('/', '.')}.{file.stem}" for folder in folders for file in root.glob(f"{folder}/[!_]*.py")
        ]
        digests[stage] = fingerprint(f"stages.{stage}", *sorted(modules))
    return digests


def block(record: dict[str, Any]) -> str:
    """Return the README's results as Markdown."""
    # A column of nothing but null reads as None, which has no format as a number.
    verdicts = pd.DataFrame(record["verdicts"]).fillna(float("nan"))
    sentences = [
        f"- {display.code(row.claim, row.contrast)}: {row.sentence}" for row in display.judged(verdicts).itertuples()
    ]
    pictures = [_picture(name, record) for name in ("learning_curves", "forest")]
    replicas = record["settings"]["study"]["replicas"]
    conditions = len(record["settings"]["conditions"])
    lines = [
        f"{conditions} conditions with {replicas} replicas each took {record['minutes']} minutes on {record['cores']}"
        f" cores ({record['machine']}), from training to report and without the installation.",
        "",
        pictures[0],
        "",
        display.markdown(verdicts),
        "A verdict follows from its interval and two thresholds, by a rule that was written down before its result was"
        " seen.",
        "",
        *sentences,
        *_untested(verdicts, record["costs"]),
        "",
        pictures[1],
        "",
    ]
    return "\n".join(lines)


def _untested(verdicts: pd.DataFrame, costs: Mapping[str, float]) -> list[str]:
    """Return a line for each measured claim, or part of one, that the study could not test."""
    rows = verdicts[verdicts["is_lacking"].astype(bool) & verdicts["claim"].isin(list(costs))]
    return [
        f"- {display.code(row.claim, row.contrast)}: {row.sentence} Here it is {costs[row.claim]:,.1f} core-hours."
        for row in rows.itertuples()
    ]


def _kept(drawn: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Return the drawing of each picture that is kept with the code, by the picture's name.

    Each figure is kept in its first view, which is the registered one. A figure with a view per claim is kept in every
    view.
    """
    kept = {}
    for drawing, (name, view) in drawn.items():
        if FIGURES[name].toggle == "claim":
            kept[drawing] = drawing
        elif view == FIGURES[name].views[0]:
            kept[name] = drawing
    return kept


def _costs(root: Path, verdicts: list[dict[str, Any]]) -> dict[str, float]:
    """Return the core-hours that a larger study would take for each measured claim that this one could not test.

    Claims that it could test only in part are among them.
    """
    from general_circuits.pipeline.plan import of_claim, plan  # imports torch, which a check does not need

    lacking = {row["claim"] for row in verdicts if row["is_lacking"]}
    larger = {claim: _study(root, Path(f"config/{CLAIMS[claim].study}.yaml")) for claim in sorted(lacking)}
    return {claim: float(plan(of_claim(study, claim), 0.0)["core_hours"].sum()) for claim, study in larger.items()}


def _picture(name: str, record: dict[str, Any]) -> str:
    """Return a picture in Markdown. Its alternative text is the figure's title and the first words on its result."""
    words = _in_two_sentences(f"{FIGURES[name].title}. {record['found'][name]}")
    return f"![{words.replace('[', '(').replace(']', ')')}]({PICTURES / name}.png)"


def _in_two_sentences(text: str) -> str:
    """Return the first two sentences of a text on one line. Screen readers read alternative texts as a whole."""
    return " ".join(SENTENCE_END.split(text.strip())[:2]).replace("\n", " ")
