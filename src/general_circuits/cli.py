"""Run a study, predict its costs, print its verdicts, regenerate the documentation, or call a stage by its name."""

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
from general_circuits.console import open_missing, print_table, take_any_letter
from general_circuits.running import environment

if TYPE_CHECKING:
    from general_circuits.config.study import Study

STUDY_HELP = "{name} for config/{name}.yaml, such as smoke; workstation stands for config/config.yaml"
MOST_STEPS = 10_000_000  # as in config.kinds, which takes a while to import
NO_STAGES = {"command", "interruption"}
"""Modules of the package `stages` that several stages import. They are no stages themselves."""
LONGEST_PATH = 200
"""Number of letters after which a refusal cuts a path."""


class StagesOnDemand(TyperGroup):
    """Group of commands that imports a stage, and with it torch, only when that stage is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """List the commands of this file, then all stages."""
        return [*super().list_commands(ctx), *stage_names()]

    def get_command(self, ctx: Any, name: str) -> Any:
        """Return a command by its name. A stage becomes one here."""
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
    """List the names of all stages. A rule of the workflow calls the stage of its name."""
    return sorted(module.name for module in pkgutil.iter_modules(stages.__path__) if module.name not in NO_STAGES)


@app.command()
def run(
    study: Annotated[str, typer.Option(help=STUDY_HELP)] = "workstation",
    cores: Annotated[str, typer.Option(help="number of CPU cores to use, or all")] = "all",
    profile: Annotated[
        str | None, typer.Option(help="run jobs elsewhere: slurm, or the name of another folder in profiles/")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="replace results of another config that has the same `study:` name")
    ] = False,
) -> None:
    """Run all jobs of a study that are not up to date, and make its report."""
    from general_circuits.running.launch import LaunchError, launch

    try:
        report = launch(study, _cores(cores), Path.cwd(), profile, replace)
    except LaunchError as error:
        raise _refusal(error) from None
    typer.echo(f"\nThe report is in {report}")


@app.command()
def plan(
    study: Annotated[str, typer.Option(help=STUDY_HELP)] = "workstation",
    claim: Annotated[str, typer.Option(help="count only the jobs that this claim needs")] = "",
    seconds: Annotated[
        float, typer.Option(help="shortest time, in seconds, for which each kind of work is timed", min=0.0, max=3600.0)
    ] = 0.5,
) -> None:
    """Predict the jobs, core-hours, memory and disk of a study. The work of one step is timed on this machine."""
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
        f" ({total / (os.cpu_count() or 1):,.2f} hours on the {os.cpu_count()} cores of this machine),"
        f" {table['disk_mb'].sum() / 1000:,.2f} GB of disk."
        f"\nThe largest job needs {table['mem_mb'].max():,} MB of memory. This machine has {machine_mb():,} MB."
    )


@app.command()
def replay(
    condition: Annotated[str, typer.Option(help="name of the condition")],
    first: Annotated[int, typer.Option(help="first step of the replay", min=0, max=MOST_STEPS)],
    last: Annotated[int, typer.Option(help="last step of the replay", min=0, max=MOST_STEPS)],
    study: Annotated[str, typer.Option(help=STUDY_HELP)] = "workstation",
    block: Annotated[int, typer.Option(help="number of the block of replicas, from 0", min=0, max=99)] = 0,
    checkpoints_every: Annotated[
        int, typer.Option(help="number of steps between two checkpoints", min=1, max=MOST_STEPS)
    ] = 1,
    metrics_every: Annotated[
        int, typer.Option(help="number of steps between two evaluations", min=1, max=MOST_STEPS)
    ] = 1,
) -> None:
    """Train some steps of a run again, byte for byte, with more checkpoints and metrics.

    A run that has not finished is trained to its end first.
    """
    from general_circuits.running.launch import LaunchError, target

    _check_replay(_study(study), condition, block, first, last)
    name = f"steps-{first}-{last}-checkpoints-{checkpoints_every}-metrics-{metrics_every}"
    try:
        made = target(study, f"replays/{condition}/{block}/{name}/metrics.parquet", Path.cwd())
    except LaunchError as error:
        raise _refusal(error) from None
    typer.echo(f"\nThe metrics are in {made}. The weights are in the same folder.")


class Format(StrEnum):
    """Formats of printed verdicts."""

    table = "table"
    markdown = "markdown"
    json = "json"


@app.command()
def claims(
    results: Annotated[Path, typer.Argument(help="folder of a finished study, such as results/workstation")],
    form: Annotated[Format, typer.Option("--format", help="format of the verdicts")] = Format.table,
) -> None:
    """Print the verdict of every claim that a finished study could test."""
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
        # A terminal is narrow, and the sentences below tell whether the prediction holds.
        print_table(display.shown(verdicts).drop(columns="predicted"), whole=("interval",))
        for row in display.judged(verdicts).itertuples():
            typer.echo(f"\n{display.named(row.claim, row.contrast)}: {row.sentence}")
        typer.echo(f"\n{display.rest(verdicts)}".rstrip())


@app.command()
def check(study: Annotated[str, typer.Option(help=STUDY_HELP)] = "workstation") -> None:
    """Check that all files of a study are there, whole and in their places, weights and training states included."""
    settings, root = _study(study), Path.cwd()
    results = Path("results") / settings.study
    from general_circuits.running import launch, made_from, products
    from general_circuits.running.check import faults
    from general_circuits.storage.files import OPTIONS, options_of

    if not results.is_dir():
        raise _refusal(ValueError(f"{results} is missing: nothing of this study has run"))
    config = launch.config_file(study, root)
    try:
        made_from.check(root / results, [config], root)
    except made_from.OtherConfigError as error:
        raise _refusal(error) from None
    # The sentences name the command that makes a file anew.
    os.environ[OPTIONS] = options_of(made_from.relative([config], root))
    kept = [Path(name).relative_to(results) for name in products.of_study(config, root).kept]
    found = list(faults(results, kept))
    missing = [path for path, _ in found if not os.path.lexists(path)]
    wrong = [fault for path, fault in found if fault and os.path.lexists(path)]
    for fault in wrong:
        typer.echo(fault)
    if missing:
        typer.echo(f"{missing[0]}: missing, one of {len(missing):,}; a run of the study makes what is missing")
    typer.echo(f"{study}: {len(found) - len(missing):,} files checked, {len(wrong):,} cannot be used")
    if wrong or missing:
        raise typer.Exit(1)


@app.command()
def prune(
    study: Annotated[str, typer.Option(help=STUDY_HELP)] = "workstation",
    remove: Annotated[bool, typer.Option("--remove", help="remove the listed files")] = False,
) -> None:
    """List the results that no longer belong to a study, such as those of a removed condition, or remove them.

    Replays and training states belong to a study as long as it has their condition and block.
    """
    settings = _study(study)
    if unfit := environment.unfit_folder():
        raise _refusal(ValueError(unfit))
    from general_circuits.running import launch, made_from, prune

    root = Path.cwd()
    try:
        with launch.alone(root):
            old = prune.find(settings, launch.config_file(study, root), root)
            if remove:
                prune.remove(old)
    except (launch.LaunchError, made_from.OtherConfigError) as error:
        raise _refusal(error) from None
    for path in old.files:
        typer.echo(path.relative_to(root))
    for path in old.others:
        typer.echo(f"{path.relative_to(root)}: left alone, since the workflow did not write it")
    done = "were removed" if remove else "would be removed; --remove removes them"
    typer.echo(f"{settings.study}: {len(old.files):,} files ({old.size / 1e6:,.1f} MB) {done}")


@app.command()
def readme(
    check: Annotated[bool, typer.Option("--check", help="change nothing; fail if the README is stale")] = False,
) -> None:
    """Write the results of results/workstation into the README."""
    from general_circuits.documentation import readme as page

    try:
        if not check:
            page.refresh(Path.cwd())
            return
        changed = page.check(Path.cwd())
    except page.ReadmeError as error:
        raise _refusal(error) from None
    if changed:
        typer.echo(
            f"{page.README} may be stale: since its results were made, the code of {', '.join(changed)} has changed."
            " `make readme` runs the study again and writes its results into the README."
        )


@app.command()
def reference(
    check: Annotated[bool, typer.Option("--check", help="change nothing; fail if a file is out of date")] = False,
) -> None:
    """Regenerate the config's schema and documentation, the data dictionary, and the pages of tasks and networks."""
    from general_circuits.documentation.reference import files

    for path, text in files().items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            typer.echo(f"{path} is out of date: run `make reference`", err=True)
            raise typer.Exit(1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        typer.echo(f"wrote {path}")


def _cores(given: str) -> int:
    """Return a number of cores. End the command if it is none."""
    if given == "all":
        return os.cpu_count() or 1
    if not (given.isascii() and given.isdecimal() and len(given) < 7 and int(given)):
        raise _refusal(ValueError(f"--cores {given[:20]}: should be a whole number above 0, or all"))
    return int(given)


def _study(name: str) -> Study:
    """Return a study by its name. End the command if there is no such study, or if it cannot run."""
    from general_circuits.config.errors import ConfigError
    from general_circuits.config.load import load
    from general_circuits.config.read import read
    from general_circuits.running.launch import LaunchError, config_file

    try:
        return load(read(config_file(name, Path.cwd())))
    except (ConfigError, LaunchError) as error:
        raise _refusal(error) from None


def _of_claim(study: Study, claim: str) -> Study:
    """Return the part of a study that a claim needs. End the command if the claim is unknown or cannot be tested."""
    from general_circuits.claims.registry import CLAIMS
    from general_circuits.config.errors import cut
    from general_circuits.pipeline.dag import Dag
    from general_circuits.pipeline.plan import of_claim

    known = [name for name, each in CLAIMS.items() if each.is_measured]
    if claim not in known:
        raise _refusal(ValueError(f"--claim {cut(claim, quoted=False)}: should be one of {', '.join(known)}"))
    if lacks := Dag(study).lacks(claim):
        raise _refusal(ValueError(f"--claim {claim}: the claim needs more; the study {study.study} has {lacks}"))
    return of_claim(study, claim)


def _check_replay(study: Study, condition: str, block: int, first: int, last: int) -> None:
    """End the command if the study has no such steps, before anything is trained."""
    from general_circuits.config.branch import replay_refusal
    from general_circuits.config.errors import cut, some

    if condition not in study.conditions:
        wrong = f"{study.study} has no such condition; known: {some(study.conditions)}"
        raise _refusal(ValueError(f"--condition {cut(condition, quoted=False)}: {wrong}"))
    if branch := study.conditions[condition].branch:
        raise _refusal(ValueError(f"--condition {condition}: {replay_refusal(branch.parent)}"))
    if block >= study.blocks:
        last_block = study.blocks - 1
        raise _refusal(ValueError(f"--block {block}: should be from 0 to {last_block}, the blocks of {study.study}"))
    steps = study.conditions[condition].steps
    if not first <= last <= steps:
        raise _refusal(
            ValueError(f"--first {first} --last {last}: should ascend, and be at most the {steps} steps of {condition}")
        )


def _refusal(error: Exception) -> typer.Exit:
    """Print why a command cannot do its work, and return the exception that ends it."""
    typer.echo(f"general-circuits: {error}", err=True)
    return typer.Exit(getattr(error, "status", 1))


def main() -> None:
    """Run the command `general-circuits`. A file that it cannot use or write ends it with one sentence."""
    open_missing()
    from general_circuits.storage.files import UnusableFileError

    if unfit := environment.unfit_python():
        raise SystemExit(f"general-circuits: {unfit}")
    environment.run_own_code()
    environment.settle()
    take_any_letter()
    try:
        app()
    except UnusableFileError as error:
        raise SystemExit(f"general-circuits: {error}") from None
    except ModuleNotFoundError as error:
        raise SystemExit(f"general-circuits: not installed: {error.name}; {environment.MENDS}") from None
    except OSError as error:
        if error.errno not in environment.NOT_ALLOWED:
            raise
        if error.filename is None:
            raise SystemExit(f"general-circuits: the output cannot be written: {error.strerror}") from None
        path = str(error.filename)
        path = path if len(path) <= LONGEST_PATH else f"{path[:LONGEST_PATH]}…"
        raise SystemExit(f"general-circuits: {path} cannot be used: {error.strerror}") from None


if __name__ == "__main__":
    main()
