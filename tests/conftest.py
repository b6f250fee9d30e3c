"""Every test runs on one thread, and Hypothesis draws the same examples each time without a deadline."""

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
