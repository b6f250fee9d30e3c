"""Command lines of stages: every argument of a stage's `main` is a required option of the same name.

A stage with many arguments takes a single dataclass. Then the fields of the dataclass are the options.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from general_circuits.stages.interruption import end_when_asked, room_for
from general_circuits.storage.files import UnusableFileError

Stage = Callable[..., None]


def with_options(main: Stage) -> Stage:
    """Return `main` as a function whose arguments typer reads from required options.

    A file that it cannot use or write ends the process with one sentence.

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


def run(main: Stage) -> None:
    """Run a stage from the command line."""
    end_when_asked()
    # Imported modules stay until the end. Looking through torch for garbage would take a third of a second at the end.
    gc.freeze()
    typer.run(with_options(main))
