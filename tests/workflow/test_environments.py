"""Environments: a user's own profile, settings, home and folder change neither what runs nor a byte of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkouts import TINY, Project, checkout

PROFILE = """
rerun-triggers: [mtime]
forceall: true
touch: true
config: {study: another, replicas: 3}
configfile: /none.yaml
directory: /tmp/elsewhere
snakefile: /none/Snakefile
until: [train_block]
omit-from: [plot_figure]
batch: all=1/3
executor: touch
software-deployment-method: conda
set-threads: {train_block: 2}
rerun-incomplete: false
keep-going: false
max-checksum-file-size: 1
shadow-prefix: /tmp/elsewhere
report: elsewhere.html
"""
"""Settings of a user or a site that decide what runs. All are ignored. Some would have changed or removed results."""

MATPLOTLIBRC = "backend: tkagg\nlines.linewidth: 12\nfont.size: 30\naxes.facecolor: red\nsavefig.bbox: tight\n"

HOSTILE = {
    "COLUMNS": "20",
    "FORCE_COLOR": "1",
    "HOME": "/proc/none",
    "LANG": "tr_TR.UTF-8",
    "LC_ALL": "C",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MPLCONFIGDIR": "/proc/none",
    "OMP_NUM_THREADS": "7",
    "PYTHONHASHSEED": "77",
    "PYTHONIOENCODING": "ascii",
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "error",
    "SOURCE_DATE_EPOCH": "1",
    "TERM": "dumb",
    "TMPDIR": "/none",
    "TZ": "Asia/Tokyo",
    "XDG_CACHE_HOME": "/dev/null/none",
}
"""Variables that users, notebooks, clusters and containers set, with values that end many programs."""

PICTURES = [f"results/tiny/figures/learning_curves-loss.{kind}" for kind in ("svg", "png", "txt")]
MADE = [*PICTURES, "results/tiny/distribution/grokking/0.parquet", "results/tiny/claims/gradual.parquet"]
"""Files of several kinds that are quickly made: figures, and tables of a measurement and of a claim."""


class Elsewhere(Project):
    """A checkout whose commands run with further environment variables."""

    variables: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **self.variables}


def elsewhere(root: Path, **variables: str) -> Elsewhere:
    project = Elsewhere(root)
    object.__setattr__(project, "variables", variables)
    return project


def test_a_global_profile_changes_neither_what_is_up_to_date_nor_what_runs_again(
    finished: Project, tmp_path: Path
) -> None:
    """It has the name of a profile in the user's folder, as a site's would have one in /etc."""
    folder = tmp_path / "config/snakemake/mine"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(PROFILE)
    by_name = {"SNAKEMAKE_PROFILE": "mine", "XDG_CONFIG_HOME": str(tmp_path / "config")}
    run = elsewhere(finished.root, **by_name).snakemake("--dry-run")
    assert "Nothing to be done" in run.stdout + run.stderr
    ignored = next(line for line in run.stderr.splitlines() if "this project ignores" in line)
    assert all(line.partition(":")[0] in ignored for line in PROFILE.strip().splitlines())
    copy = shutil.copytree(finished.root, tmp_path / "copy", copy_function=shutil.copyfile)
    project = elsewhere(copy, **by_name)
    project.configure(conditions={**TINY["conditions"], "grokking": {"weight_decay": 0.5}})
    assert project.planned() == Project(copy).planned() != {}


def test_hostile_settings_of_the_user_and_a_strange_path_change_no_byte(finished: Project, tmp_path: Path) -> None:
    root = tmp_path / 'my cöpy\'s $HOME; (1) & "so"'
    shutil.copytree(finished.root, root, copy_function=shutil.copyfile)
    (root / "matplotlibrc").write_text(MATPLOTLIBRC)
    project = elsewhere(root, **HOSTILE)
    assert project.planned() == {}
    run = project.snakemake("--cores", "2", "--force", *MADE)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    for name in MADE:
        made, before = root / name, finished.root / name
        assert made.read_bytes() == before.read_bytes(), name
        assert made.stat().st_mtime_ns > (root / "config/tiny.yaml").stat().st_mtime_ns


def test_a_path_that_snakemake_cannot_use_is_refused_before_any_job(tmp_path: Path) -> None:
    run = checkout(tmp_path / "a{b}").snakemake("--dry-run")
    assert run.returncode == 1
    assert "cannot use a path with {; rename the folder" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root, to mount a folder read-only")
@pytest.mark.parametrize(
    "command", ["general_circuits.cli run --study tiny", "snakemake -n --configfile config/tiny.yaml"]
)
def test_a_folder_that_cannot_be_written_is_refused_in_a_sentence(command: str, tmp_path: Path) -> None:
    project = checkout(tmp_path / "fresh")
    mount = f"mount --bind {project.root} {project.root} && mount -o remount,ro,bind {project.root}"
    run = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"{mount} && cd {project.root} && {sys.executable} -m {command}"],
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if "mount:" in run.stderr:
        pytest.skip("mounting is not allowed here")
    assert run.returncode == 1
    assert f"{project.root} " in run.stdout + run.stderr
    assert " be written" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr
