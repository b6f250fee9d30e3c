"""Stages on the command line: every parameter of a stage's `main` is a required option of the same name."""

from __future__ import annotations

import functools
import gc
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

Stage = Callable[..., None]


def with_options(main: Stage) -> Stage:
    """`main` with its parameters declared to typer as options instead of positional arguments."""

    @functools.wraps(main)
    def command(**arguments: Any) -> None:
        main(**arguments)

    signature = inspect.signature(main, eval_str=True)
    options = [
        part.replace(annotation=Annotated[part.annotation, typer.Option()]) for part in signature.parameters.values()
    ]
    command.__signature__ = signature.replace(parameters=options)  # type: ignore[attr-defined]
    command.__annotations__ = {option.name: option.annotation for option in options}
    return command


def run(main: Stage) -> None:
    """Run a stage from the command line."""
    # What was imported stays until the end. Looking through it for garbage takes a third of a second as torch is left.
    gc.freeze()
    typer.run(with_options(main))
