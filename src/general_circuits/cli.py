"""`general-circuits`: run a study, regenerate the reference, or call any stage by its name."""

from __future__ import annotations

import importlib
import os
import pkgutil
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from general_circuits import stages


class StagesOnDemand(TyperGroup):
    """A stage's module, and with it torch, is imported only when that stage is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *stage_names()]

    def get_command(self, ctx: Any, name: str) -> Any:
        if name not in stage_names():
            return super().get_command(ctx, name)
        from general_circuits.stages.command import with_options

        app = typer.Typer(add_completion=False)
        app.command(name)(with_options(importlib.import_module(f"{stages.__name__}.{name}").main))
        return typer.main.get_command(app)


app = typer.Typer(
    cls=StagesOnDemand, no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False
)


def stage_names() -> list[str]:
    """Every stage, which is every rule."""
    return sorted(module.name for module in pkgutil.iter_modules(stages.__path__) if module.name != "command")


@app.command()
def run(
    study: Annotated[str, typer.Option(help="workstation, smoke, full, or any config/{name}.yaml")] = "workstation",
    cores: Annotated[int, typer.Option(help="jobs' threads at once; all by default", min=1)] = os.cpu_count() or 1,
) -> None:
    """Run a study in this folder from wherever it stands, and make its report."""
    from general_circuits.launch import LaunchError, launch

    try:
        report = launch(study, cores, Path.cwd())
    except LaunchError as error:
        typer.echo(f"general-circuits: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"\nThe report is in {report}")


@app.command()
def reference(
    check: Annotated[bool, typer.Option("--check", help="change nothing; fail if a file is out of date")] = False,
) -> None:
    """Regenerate the config's schema and documentation from its models."""
    from general_circuits.reference import files

    for path, text in files().items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            typer.echo(f"{path} is out of date: run `make reference`", err=True)
            raise typer.Exit(1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        typer.echo(f"wrote {path}")


def main() -> None:
    """The `general-circuits` command."""
    app()


if __name__ == "__main__":
    main()
