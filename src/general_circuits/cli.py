"""`general-circuits`: run a study, regenerate the reference, or call any stage by its name."""

from __future__ import annotations

import importlib
import os
import pkgutil
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from general_circuits import stages

if TYPE_CHECKING:
    import pandas as pd

    from general_circuits.config.study import Study


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
    profile: Annotated[str | None, typer.Option(help="slurm, or any profiles/{name}: elsewhere than here")] = None,
) -> None:
    """Run a study in this folder from wherever it stands, and make its report."""
    from general_circuits.pipeline.launch import LaunchError, launch

    try:
        report = launch(study, cores, Path.cwd(), profile)
    except LaunchError as error:
        raise _refusal(error) from None
    typer.echo(f"\nThe report is in {report}")


@app.command()
def plan(
    study: Annotated[str, typer.Option(help="workstation, smoke, full, or any config/{name}.yaml")] = "workstation",
    claim: Annotated[str, typer.Option(help="of the study, what this claim needs and no more")] = "",
    seconds: Annotated[float, typer.Option(help="how long to measure each rate at least", min=0.0)] = 0.5,
) -> None:
    """Say what a study will take before anything runs: jobs, core-hours, memory and disk, from rates measured here."""
    settings = _study(study)
    from general_circuits import devices
    from general_circuits.pipeline.memory import machine_mb
    from general_circuits.pipeline.plan import plan as planned

    devices.set_up("cpu")
    if claim:
        settings = _of_claim(settings, claim)
    table = planned(settings, seconds)
    total = table["core_hours"].sum()
    formats = {"jobs": "{:,}", "core_hours": "{:,.2f}", "mem_mb": "{:,}", "disk_mb": "{:,.1f}"}
    shown = table.apply(lambda column: column.map(formats[column.name].format))
    shown.columns = ["jobs", "core-hours", "memory of one job, MB", "disk, MB"]
    typer.echo(shown.to_string())
    typer.echo(
        f"\n{settings.study}: {table['jobs'].sum():,} jobs, {total:,.2f} core-hours"
        f" ({total / (os.cpu_count() or 1):,.2f} hours on {os.cpu_count()} cores like this one),"
        f" {table['disk_mb'].sum() / 1000:,.2f} GB of disk."
        f"\nThe largest job needs {table['mem_mb'].max():,} MB; this machine has {machine_mb():,}."
    )


@app.command()
def replay(
    condition: Annotated[str, typer.Option(help="which one of the study")],
    first: Annotated[int, typer.Option(help="the first step to look at", min=0)],
    last: Annotated[int, typer.Option(help="the last step", min=0)],
    study: Annotated[str, typer.Option(help="workstation, smoke, full, or any config/{name}.yaml")] = "workstation",
    block: Annotated[int, typer.Option(help="which block of replicas", min=0)] = 0,
    checkpoints_every: Annotated[int, typer.Option(help="keep weights of one step in so many", min=1)] = 1,
    metrics_every: Annotated[int, typer.Option(help="evaluate one step in so many", min=1)] = 1,
) -> None:
    """Train some steps of a finished run again, byte for byte, and look more closely. One not finished is, first."""
    from general_circuits.pipeline.launch import LaunchError, target

    _check_replay(_study(study), condition, block, first, last)
    name = f"steps-{first}-{last}-checkpoints-{checkpoints_every}-metrics-{metrics_every}"
    try:
        made = target(study, f"replays/{condition}/{block}/{name}/metrics.parquet", Path.cwd())
    except LaunchError as error:
        raise _refusal(error) from None
    typer.echo(f"\nMetrics are in {made}, weights beside it")


class Format(StrEnum):
    """How verdicts are printed."""

    table = "table"
    markdown = "markdown"
    json = "json"


@app.command()
def claims(
    results: Annotated[Path, typer.Argument(help="a study's folder, such as results/workstation")],
    form: Annotated[Format, typer.Option("--format", help="how")] = Format.table,
) -> None:
    """Print the verdict of every claim that a finished study has data for."""
    from general_circuits.claims import display
    from general_circuits.storage import tables
    from general_circuits.storage.schemas.verdicts import TABLE

    path = results / TABLE.path
    if not path.is_file():
        raise _refusal(ValueError(f"{path} is missing: {results} is not the folder of a finished study"))
    try:
        verdicts = tables.read(path, TABLE)
    except (OSError, ValueError) as error:
        raise _refusal(error) from None
    if form is Format.json:
        typer.echo(display.as_json(verdicts), nl=False)
    elif form is Format.markdown:
        typer.echo(display.markdown(verdicts), nl=False)
    else:
        # What was predicted is what the sentence answers, and a terminal is narrow.
        _print_table(display.shown(verdicts).drop(columns="predicted"))
        for row in display.judged(verdicts).itertuples():
            typer.echo(f"\n{display.named(row.claim, row.contrast)}: {row.sentence}")
        typer.echo(f"\n{display.rest(verdicts)}".rstrip())


@app.command()
def readme(
    check: Annotated[bool, typer.Option("--check", help="change nothing; fail if it is stale")] = False,
) -> None:
    """Refresh the README's results from results/workstation, or say when they are stale."""
    from general_circuits.pipeline import readme as page

    try:
        if not check:
            page.refresh(Path.cwd())
            return
        changed = page.check(Path.cwd())
    except page.ReadmeError as error:
        raise _refusal(error) from None
    if changed:
        typer.echo(
            f"{page.README}: may be stale. Since its results were made, the code of {', '.join(changed)} has changed;"
            " `make readme` runs the study and shows what comes out"
        )


@app.command()
def reference(
    check: Annotated[bool, typer.Option("--check", help="change nothing; fail if a file is out of date")] = False,
) -> None:
    """Regenerate what is written from models: the config's schema and documentation, and the data dictionary."""
    from general_circuits.pipeline.reference import files

    for path, text in files().items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            typer.echo(f"{path} is out of date: run `make reference`", err=True)
            raise typer.Exit(1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        typer.echo(f"wrote {path}")


def _print_table(table: pd.DataFrame) -> None:
    """A table as wide as it needs to be, or as the terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    for column in table.columns:
        wide = 13 if column == "verdict" else None
        shown.add_column(column, no_wrap=column in ("claim", "interval", "Holm p"), min_width=wide)
    for row in table.to_numpy():
        shown.add_row(*row)
    Console().print(shown)


def _study(name: str) -> Study:
    """The settings of a study by its name; ends the command if there are none or they cannot run."""
    import yaml

    from general_circuits.config.errors import ConfigError
    from general_circuits.config.load import load
    from general_circuits.pipeline.launch import LaunchError, config_file

    try:
        return load(yaml.safe_load(config_file(name, Path.cwd()).read_text(encoding="utf-8")))
    except (ConfigError, LaunchError) as error:
        raise _refusal(error) from None


def _of_claim(study: Study, claim: str) -> Study:
    """What one claim needs of a study; ends the command if there is no such claim, or the study lacks what it needs."""
    from general_circuits.claims.registry import CLAIMS
    from general_circuits.pipeline.dag import Dag
    from general_circuits.pipeline.plan import of_claim

    known = [name for name, found in CLAIMS.items() if found.is_measured]
    if claim not in known:
        raise _refusal(ValueError(f"--claim {claim}: should be one of {', '.join(known)}"))
    if lacks := Dag(study).lacks(claim):
        raise _refusal(ValueError(f"--claim {claim}: {study.study} has {lacks}, which it needs"))
    return of_claim(study, claim)


def _check_replay(study: Study, condition: str, block: int, first: int, last: int) -> None:
    """End the command if the study has no such steps, before anything is trained for them."""
    from general_circuits.config.branch import replay_refusal

    if condition not in study.conditions:
        raise _refusal(ValueError(f"--condition {condition}: {study.study} has {', '.join(study.conditions)}"))
    if branch := study.conditions[condition].branch:
        raise _refusal(ValueError(f"--condition {condition}: {replay_refusal(branch.parent)}"))
    if block >= study.blocks:
        raise _refusal(ValueError(f"--block {block}: {study.study} has blocks 0 to {study.blocks - 1}"))
    steps = study.conditions[condition].steps
    if not first <= last <= steps:
        raise _refusal(
            ValueError(f"--first {first} --last {last}: should ascend within the {steps} steps of {condition}")
        )


def _refusal(error: Exception) -> typer.Exit:
    """The end of a command that cannot do what was asked; says why."""
    typer.echo(f"general-circuits: {error}", err=True)
    return typer.Exit(1)


def main() -> None:
    """The `general-circuits` command."""
    app()


if __name__ == "__main__":
    main()
