"""Stages on the command line: every argument of a stage's `main` is a required option of the same name.

A stage of many arguments takes one record of them, a dataclass; then the record's fields are the options.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

Stage = Callable[..., None]


def with_options(main: Stage) -> Stage:
    """Return `main` with its arguments declared to typer as options, not positional arguments."""
    kinds = get_type_hints(main)
    kinds.pop("return", None)
    (first, *others) = kinds.values()
    record: Any = first if dataclasses.is_dataclass(first) and not others else None
    if record is not None:
        hints = get_type_hints(record)
        kinds = {field.name: hints[field.name] for field in dataclasses.fields(record)}

    @functools.wraps(main)
    def command(**arguments: Any) -> None:
        if record is not None:
            main(record(**arguments))
        else:
            main(**arguments)

    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[kind, typer.Option()])
        for name, kind in kinds.items()
    ]
    command.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    command.__annotations__ = {option.name: option.annotation for option in options}
    return command


def run(main: Stage) -> None:
    """Run a stage from the command line."""
    # All that was imported stays until the end. With torch, looking through it for garbage takes a third of a second.
    gc.freeze()
    typer.run(with_options(main))
