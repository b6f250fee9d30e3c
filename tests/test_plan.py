"""Rates that a plan is made of."""

from __future__ import annotations

import dataclasses

import pytest

from general_circuits import plan
from general_circuits.config import load


@pytest.mark.parametrize("preset", ["power", "nanda", "pre_norm", "quadratic_mlp", "mlp"])
def test_every_kind_of_network_is_timed_in_all_that_is_done_with_it(preset: str) -> None:
    small = {"preset": preset, "modulus": 11, "d_mlp": 16, "n_layers": 2, "batch_size": 8}
    few = {"saliency": {"methods": ["activation_gradient"]}, "ablation": {"k_points": 2, "random_draws": 2}}
    study = load({"study": "timed", "conditions": {"case": small}, "measurements": few})
    rates = plan._measured(study, study.conditions["case"].resolve(), seconds=0.0)
    assert all(value > 0 for value in dataclasses.astuple(rates))
    assert rates.attribution_rows == 2 * 2 * 2  # of two splits, in two layers, raw and matched
    assert rates.saliency_rows == 16 * rates.attribution_rows
    assert rates.example_rows == 16 * 121 * 2 * 2
