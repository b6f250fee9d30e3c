"""Interruptions: a signal asks a job to stop, and a full disk ends it with a plain message."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from general_circuits.stages.interruption import room_for

WAITING = """
import sys, time
from general_circuits.stages.interruption import Stop
stop = Stop()
assert not stop.is_asked()
print("ready", flush=True)
while not stop.is_asked():
    time.sleep(0.01)
print("asked", flush=True)
sys.exit(stop.exit_status)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_the_job_to_stop_and_decides_its_exit_status(number):
    process = subprocess.Popen([sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    output, errors = process.communicate()
    assert process.returncode == 128 + number
    assert (output, errors) == (b"asked\n", b"")


def test_a_second_signal_changes_only_the_exit_status():
    deaf = WAITING.replace("sys.exit", "while stop.signal != 15:\n    time.sleep(0.01)\nsys.exit")
    process = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == b"asked\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    process.stdout.close()


def test_a_signal_of_another_kind_still_ends_the_process():
    process = subprocess.Popen([sys.executable, "-c", WAITING], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    assert process.wait() == -signal.SIGHUP
    process.stdout.close()


def test_a_job_of_the_workflow_leaves_ctrl_c_to_snakemake():
    """The shell of a job ignores Ctrl-C, and so does the job."""
    command = ["bash", "-c", 'trap "" INT; exec "$0" "$@"', sys.executable, "-c", WAITING]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert process.communicate()[0] == b"asked\n"
    assert process.returncode == 128 + signal.SIGTERM


WRITING = """
import sys, time
from pathlib import Path
from general_circuits.stages import command
from general_circuits.storage.files import replacing
def main(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half")
        print("ready", flush=True)
        time.sleep(60)
command.run(main)
"""


def test_a_stage_that_is_stopped_while_it_writes_leaves_no_file_and_no_traceback(tmp_path):
    script = tmp_path / "writing.py"
    script.write_text(WRITING)
    command = [sys.executable, str(script), "--path", str(tmp_path / "out/table")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    assert len(list((tmp_path / "out").iterdir())) == 1
    process.send_signal(signal.SIGTERM)
    assert process.communicate() == (b"", b"")
    assert process.returncode == 128 + signal.SIGTERM
    assert list((tmp_path / "out").iterdir()) == []


FULL, FORBIDDEN = (
    ("nothing more can be written", "make room"),
    ("a file may not be read or written", "give access to it"),
)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        *((number, FULL) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)),
        *((number, FORBIDDEN) for number in (errno.EACCES, errno.EPERM, errno.EROFS)),
    ],
)
def test_a_full_disk_or_a_forbidden_file_ends_the_work_with_one_line_that_names_work_reason_and_file(number, words):
    wrong, right = words
    with pytest.raises(SystemExit) as end, room_for("grokking"):
        raise OSError(number, os.strerror(number), "results/weights")
    message = end.value.code
    assert message.startswith(f"grokking: {wrong} ({os.strerror(number)}: results/weights)")
    assert message.endswith(f". Earlier files are complete: {right}, and run this again")
    assert "\n" not in message
    assert end.value.__cause__ is None
    assert end.value.__suppress_context__


def test_an_error_without_a_file_name_gives_a_message_without_one():
    """The error of a failed write, unlike the error of a failed open, has no file name."""
    with pytest.raises(SystemExit) as end, room_for("grokking"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "No space left on device" in end.value.code
    assert "None" not in end.value.code


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EIO])
def test_other_errors_of_the_system_are_raised_unchanged(number):
    error = OSError(number, os.strerror(number), "results/weights")
    with pytest.raises(OSError, match=os.strerror(number)) as raised, room_for("grokking"):
        raise error
    assert raised.value is error


def test_errors_and_exits_of_the_work_itself_are_raised_unchanged():
    with pytest.raises(ValueError, match="theirs"), room_for("grokking"):
        raise ValueError("theirs")
    with pytest.raises(SafetensorError, match="invalid header"), room_for("grokking"):
        raise SafetensorError("Error while deserializing header: invalid header")
    with pytest.raises(SystemExit) as end, room_for("grokking"):
        raise SystemExit(143)
    assert end.value.code == 143
    with room_for("grokking"):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_write_to_a_full_device_is_reported_as_a_full_disk():
    with pytest.raises(SystemExit) as end, room_for("grokking"):
        Path("/dev/full").write_bytes(b"0" * 10_000)
    assert os.strerror(errno.ENOSPC) in end.value.code


TOO_LARGE = """
import resource, sys, torch
from safetensors.torch import save_file
from general_circuits.stages.interruption import room_for
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
with room_for("grokking"):
    save_file({"W": torch.zeros(1000)}, sys.argv[1])
"""


def test_a_weights_file_larger_than_allowed_is_reported_as_a_full_disk(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", TOO_LARGE, str(tmp_path / "weights")], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert run.stderr.startswith("grokking: nothing more can be written (")
    assert "File too large" in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_weights_file_in_a_missing_folder_is_not_reported_as_a_full_disk(tmp_path):
    with pytest.raises(SafetensorError), room_for("grokking"):
        save_file({"W": torch.zeros(1)}, tmp_path / "missing" / "weights")
