"""Command lines of stages: every argument of a stage's `main` is a required option of the same name.

A stage with many arguments takes a single dataclass. Then the fields of the dataclass are the options.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from general_circuits.stages.interruption import end_when_asked, room_for
from general_circuits.storage.files import UnusableFileError

Stage = Callable[..., None]
FOLDERS = (
    *(".state", "ablation", "answers", "damage", "distribution", "duels", "example_saliency", "moments", "progress"),
    *("replays", "runs", "saliency", "specifications", "spikes", "updates"),
)
"""Folders of a study with files of single blocks."""
RUN = re.compile(rf"(?:^|/)(?:{'|'.join(map(re.escape, FOLDERS))})/(?:[a-z_]+/)?([a-z][a-z0-9_]*)/(\d+)(?=[/.-]|$)")
"""Condition and block in the path of such a file or folder."""
OF_OTHER_CONDITIONS = ("parent", "parent_states", "partner", "as_kicked")
"""Options with files of another condition's same block."""


def with_options(main: Stage) -> Stage:
    """Return `main` as a function whose arguments typer reads from required options.

    A file that it cannot use or write, or that is of another run, ends the process with one sentence.

    Args:
        main: function of a stage, with arguments of any number or with one dataclass. It has no defaults.
    """
    kinds = get_type_hints(main)
    kinds.pop("return", None)  # an annotation, but no argument
    (first, *others) = kinds.values()
    record: Any = first if dataclasses.is_dataclass(first) and not others else None
    if record is not None:
        hints = get_type_hints(record)
        kinds = {field.name: hints[field.name] for field in dataclasses.fields(record)}

    @functools.wraps(main)
    def command(**arguments: Any) -> None:
        if fault := of_another_run(arguments):
            raise SystemExit(fault)
        try:
            with room_for(Path(inspect.getfile(main)).stem):
                if record is not None:
                    main(record(**arguments))
                else:
                    main(**arguments)
        except UnusableFileError as error:
            raise SystemExit(str(error)) from None

    # Typer reads a function's signature, so the command gets one of keyword-only options.
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[kind, typer.Option()])
        for name, kind in kinds.items()
    ]
    command.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    command.__annotations__ = {option.name: option.annotation for option in options}
    return command


def of_another_run(arguments: Mapping[str, Any]) -> str:
    """Return in words which file is of another condition or block than the job; empty text if none is.

    A job is of the condition and block that its options name, or else of those of its last file, which it writes.
    """
    paths = {
        name: str(value)
        for name, value in arguments.items()
        if isinstance(value, Path) or str(value).endswith(".parquet")
    }
    runs = {name: found[-1] for name, path in paths.items() if (found := RUN.findall(path))}
    own = [run for name, run in runs.items() if name not in OF_OTHER_CONDITIONS]
    if not own:
        return ""
    condition, block = own[-1]
    condition, block = arguments.get("condition", condition), str(arguments.get("block", block))
    for name, (of, number) in runs.items():
        if number != block or (of != condition and name not in OF_OTHER_CONDITIONS):
            return f"{paths[name]}: is of {of}, block {number}, and this job is of {condition}, block {block}"
    return ""


def run(main: Stage) -> None:
    """Run a stage from the command line."""
    end_when_asked()
    # Imported modules stay until the end. Looking through torch for garbage would take a third of a second at the end.
    gc.freeze()
    typer.run(with_options(main))
