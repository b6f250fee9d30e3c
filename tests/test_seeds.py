"""Seeds: fixed for all time, and never shared between purposes or replicas."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from typing import get_args

import numpy as np
import torch

from general_circuits.seeds import Purpose, stream_seed

PURPOSES = get_args(Purpose)


def test_seeds_are_pinned():
    """Published results depend on these numbers: a change here changes every study."""
    assert {purpose: stream_seed(0, purpose) for purpose in PURPOSES} == {
        "initialisation": 3_615_915_409_916_687_493,
        "perturbation": 7_408_003_358_824_328_580,
        "batches": 605_656_132_248_606_861,
        "shapley": 2_027_946_405_728_621_580,
        "parts": 7_061_144_166_264_069_066,
        "memorisers": 5_235_727_454_935_220_486,
        "generaliser": 7_962_503_938_775_616_930,
        "shuffled_labels": 3_383_961_411_371_579_333,
        "split": 1_300_918_452_588_894_143,
        "labels": 8_583_025_004_223_510_359,
        "ablation": 7_230_650_910_295_938_588,
        "donors": 2_222_828_365_721_311_634,
        "inputs": 1_451_139_974_858_245_233,
        "noise": 6_004_962_786_717_105_893,
        "kick": 7_284_774_676_199_210_992,
        "interventions": 4_576_035_108_551_869_469,
    }
    assert stream_seed(1000, "batches") == 3_839_500_875_447_490_866


def test_purposes_and_replicas_never_share_a_seed():
    seeds = {stream_seed(seed, purpose) for seed, purpose in itertools.product(range(2000), PURPOSES)}
    assert len(seeds) == 2000 * len(PURPOSES)


def test_torch_and_numpy_take_every_seed():
    seeds = [stream_seed(seed, purpose) for seed, purpose in itertools.product(range(200), PURPOSES)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) >= 2**62  # and all 63 bits are used
    torch.Generator().manual_seed(max(seeds))
    np.random.default_rng(max(seeds))


def test_another_process_with_another_hash_seed_agrees():
    code = "from general_circuits.seeds import stream_seed; print(stream_seed(7, 'split'))"
    for hash_seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        process = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert int(process.stdout) == stream_seed(7, "split")
