"""General shares of margins on networks built by hand, and effects of a spike at worked values."""

from __future__ import annotations

import math

import pytest
import torch
from progress_builders import examples_by_answer, general_network, sums, table_network
from torch import Tensor

from general_circuits.measurements.progress import forces
from general_circuits.measurements.progress.components import General
from general_circuits.measurements.progress.shares import Shares, effects
from general_circuits.models import predictions


def shares(general: float, margins: list[float], general_shares: list[float], losses: list[float]) -> Shares:
    def column(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)

    return Shares(general, column(general_shares), column(losses), column(margins))


def test_nearly_all_of_a_general_circuits_margins_is_general() -> None:
    examples, network = examples_by_answer(), general_network(frequencies=2)
    measured = Shares.of(network, General.of(examples, forces.answer(network, examples.tokens)))
    assert measured.general == pytest.approx(1, abs=0.05)
    assert measured.shares.shape == measured.margins.shape == (len(examples.rows["train"]),)
    assert (measured.margins > 0).all()


def test_nothing_of_a_tables_margins_is_general() -> None:
    splits = sums()
    examples, network = examples_by_answer(splits), table_network(splits)
    measured = Shares.of(network, General.of(examples, forces.answer(network, examples.tokens)))
    assert measured.general == pytest.approx(0, abs=1e-9)
    assert measured.shares.abs().max() < 1e-9
    assert (measured.margins > 0).all()


def test_losses_and_margins_are_those_of_the_training_examples() -> None:
    splits = sums()
    examples, network = examples_by_answer(splits), general_network()
    measured = Shares.of(network, General.of(examples, forces.answer(network, examples.tokens)))
    logits = network.answer(splits["train"].tokens).detach()
    torch.testing.assert_close(measured.losses, predictions.surprise(logits, splits["train"].labels))
    torch.testing.assert_close(measured.margins, predictions.margins(logits, splits["train"].labels))


def test_effects_of_a_spike_at_worked_values() -> None:
    """The second and third example are served by both circuits: right, and 0.2 to 0.8 of the margin general."""
    before = shares(0.5, [2.0, 2.0, 4.0, -1.0], [0.9, 0.5, 0.3, 0.5], [0.1, 0.1, 0.1, 1.0])
    at = shares(0.6, [1.0, -2.0, 2.0, -1.0], [0.9, 0.5, 0.3, 0.5], [0.3, 2.1, 0.5, 1.0])
    after = shares(0.7, [2.0, 2.0, 4.0, 1.0], [0.9, 0.5, 0.3, 0.5], [0.1, 0.1, 0.1, 0.2])
    row = effects([before, at, after])
    assert (row["general_before"], row["general_after"]) == (0.5, 0.7)
    assert math.isnan(row["general_later"])
    assert row["shared"] == 2
    assert row["rise_shared"] == pytest.approx((2.0 + 0.4) / 2)
    assert row["rise_others"] == pytest.approx((0.2 + 0.0) / 2)
    assert row["fall_shared"] == pytest.approx((4.0 + 2.0) / 2)
    assert row["fall_others"] == pytest.approx((1.0 + 0.0) / 2)


def test_a_later_observation_has_its_general_share_too() -> None:
    one = shares(0.5, [2.0, 2.0], [0.5, 0.9], [0.1, 0.1])
    later = shares(0.9, [2.0, 2.0], [0.5, 0.9], [0.1, 0.1])
    assert effects([one, one, one, later])["general_later"] == 0.9


def test_without_shared_examples_their_means_are_missing() -> None:
    one = shares(1.0, [2.0, 3.0], [0.2, 0.8], [0.1, 0.1])  # a fifth and four fifths exactly are not shared
    row = effects([one, one, one])
    assert row["shared"] == 0
    assert math.isnan(row["rise_shared"])
    assert row["rise_others"] == 0
