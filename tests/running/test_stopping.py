"""Stopping: a launcher and the process that it runs, orphaned jobs, and files that were being written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from general_circuits.running import stopping
from general_circuits.storage.files import replacing

RUNNING = """
import sys
from pathlib import Path
from general_circuits.running import stopping
stopping.PATIENCE = 0.25
print(stopping.Stopper().run([sys.executable, "-c", sys.argv[1]], Path.cwd()))
"""
SLEEPING = "import time; print('ready', flush=True); time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPING}"
LISTENING = """
try:
    import time; print('ready', flush=True); time.sleep(60)
except KeyboardInterrupt:
    print('reached', flush=True)
"""
SUSPENDED = f"import os, signal; print('ready', flush=True); os.kill(os.getpid(), signal.SIGSTOP); {SLEEPING}"


def start(code: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Start a process that runs this code in a process of its own, and wait until that is ready."""
    command = [*prefix, sys.executable, "-c", RUNNING, code]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("code", [SLEEPING, DEAF, SUSPENDED], ids=["asked", "killed", "woken"])
@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_a_signal_stops_the_process_that_runs_also_if_it_does_not_listen(number: int, code: str) -> None:
    process = start(code)
    os.kill(process.pid, number)
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "None\n")
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_ctrl_c_in_a_terminal_reaches_only_the_launcher_also_twice() -> None:
    process = start(LISTENING)
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=30)[0] == "None\n"


def test_a_signal_that_nohup_ignores_stays_ignored() -> None:
    process = start(SLEEPING.replace("60", "0.5"), ("nohup",))
    os.killpg(process.pid, signal.SIGHUP)
    assert process.communicate(timeout=30)[0] == "0\n"


def test_a_job_whose_snakemake_was_killed_is_ended_and_others_are_not(tmp_path: Path) -> None:
    """A job writes its log below the results of its study."""
    stage = f"import sys; sys.argv = ['x']; {SLEEPING}"
    jobs = []
    for study in ("mine", "other"):
        log = tmp_path / study / "logs/job.log"
        log.parent.mkdir(parents=True)
        with log.open("w") as file:
            command = [sys.executable, "-c", stage, "general_circuits.stages.job"]
            jobs.append(subprocess.Popen(command, stdout=file, stderr=file))
        while "ready" not in log.read_text():
            time.sleep(0.01)
    stopping.end_orphans(tmp_path / "mine")
    assert jobs[0].wait(timeout=10) == -signal.SIGTERM
    assert jobs[1].poll() is None
    jobs[1].kill()
    jobs[1].wait()


def test_only_files_that_were_being_written_are_removed(tmp_path: Path) -> None:
    writing = replacing(tmp_path / "deep/table.parquet")
    writing.__enter__().write_text("half of a table")
    (tmp_path / "deep/.tmpeYdsOx").write_text("half of the weights, by safetensors")
    (tmp_path / "deep/.hidden").write_text("")
    (tmp_path / "deep/table.parquet.0123456789abcdef0123456789abcdef").write_text("")
    assert len(list((tmp_path / "deep").iterdir())) == 4
    stopping.remove_unfinished(tmp_path)
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == [
        ".hidden",
        "table.parquet.0123456789abcdef0123456789abcdef",
    ]
