"""Every test runs on one thread, and Hypothesis draws the same examples each time without a deadline."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # of NumPy and of jobs that tests start, as Snakemake sets it; read when imported

import signal

import pytest
import torch
from hypothesis import settings

# A shell that runs the suite in the background makes it ignore Ctrl-C and Ctrl-\, and `nohup` a closed terminal. The
# processes it starts would ignore them too.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)

torch.set_num_threads(1)
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def subnormal_numbers_are_kept() -> None:
    """Undo what a job in the same process has set: Hypothesis refuses to draw numbers where subnormal ones are 0."""
    torch.set_flush_denormal(False)
