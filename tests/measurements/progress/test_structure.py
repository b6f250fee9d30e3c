"""Measures of structure on networks and functions for which they are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from progress_builders import (
    MODULUS,
    examples_by_answer,
    general_network,
    permutations,
    random_logits,
    sums,
    table_network,
)

from general_circuits.measurements.progress import structure
from general_circuits.measurements.progress.harmonics import parts
from general_circuits.tasks.groups import cyclic


def test_concentration_is_least_for_equal_energies_and_greatest_for_a_single_one() -> None:
    assert structure.concentration(np.ones(8)) == {"gini": 0.0, "inverse_participation": pytest.approx(1 / 8)}
    alone = structure.concentration(np.eye(8)[3])
    assert alone == {"gini": pytest.approx(7 / 8), "inverse_participation": 1.0}
    assert all(np.isnan(value) for value in structure.concentration(np.zeros(3)).values())


def test_every_neuron_of_a_general_circuit_is_tuned_to_one_frequency_and_none_of_a_table() -> None:
    assert structure.tuned_share(general_network(frequencies=3), examples_by_answer()) == 1
    splits = sums()
    assert structure.tuned_share(table_network(splits), examples_by_answer(splits)) == 0


def test_one_frequency_explains_all_of_one_neuron_and_half_of_another() -> None:
    a, b = np.divmod(np.arange(121), 11)
    wave = [np.cos(2 * np.pi * k * np.arange(11) / 11) for k in range(6)]
    units = np.stack([1 + wave[3][a] + wave[3][b] + 5 * wave[3][a] * wave[3][b], wave[1][a] + wave[2][a]], axis=1)
    explained, variance = structure.explained_by_frequency(units, a, b, parts(cyclic(11)))
    assert np.allclose(variance, np.square(units - units.mean(axis=0)).sum(axis=0))
    assert np.allclose(explained[2, 0], variance[0])
    assert np.allclose(explained[:, 1] / variance[1], [0.5, 0.5, 0, 0, 0])


def test_the_embedding_of_a_general_circuit_has_only_its_own_frequencies() -> None:
    energy = structure.embedding_energies(general_network(frequencies=2), examples_by_answer())
    assert energy is not None
    assert np.allclose(energy / energy.sum(), [0.5, 0, 0, 0, 0, 0.5])


def test_symmetry_violation_is_0_for_equal_1_for_unrelated_and_2_for_opposite_answers() -> None:
    examples = examples_by_answer()
    logits = random_logits(len(examples), MODULUS)
    n = MODULUS
    place = torch.empty(n, n, dtype=torch.long)
    place[examples.tokens[:, 0], examples.tokens[:, 1]] = torch.arange(len(examples))
    mirror = place[examples.tokens[:, 1], examples.tokens[:, 0]]
    assert structure.symmetry_violation(logits + logits[mirror], examples.tokens) == 0
    assert structure.symmetry_violation(logits, examples.tokens) == pytest.approx(1, abs=0.1)
    assert structure.symmetry_violation(logits - logits[mirror], examples.tokens) == pytest.approx(2)
    assert np.isnan(structure.symmetry_violation(torch.zeros(3, 2), torch.zeros(3, 5, dtype=torch.long)))


def test_effective_rank_of_a_projector_is_its_rank() -> None:
    generator = torch.Generator().manual_seed(0)
    orthogonal, _ = torch.linalg.qr(torch.randn(8, 8, generator=generator, dtype=torch.float64))
    for rank in (1, 3, 8):
        assert structure.effective_rank(orthogonal[:, :rank] @ orthogonal[:, :rank].T) == pytest.approx(rank)
    heads = torch.stack([torch.eye(4), torch.diag(torch.tensor([1.0, 0, 0, 0]))])
    assert structure.effective_rank(heads) == pytest.approx(2.5)
    for odd in (torch.zeros(3, 3), torch.full((3, 3), torch.nan)):
        assert np.isnan(structure.effective_rank(odd))


def test_operands_of_a_group_have_energies_too() -> None:
    splits, task = permutations()
    examples = examples_by_answer(splits, task)
    assert examples.solution is not None
    assert examples.solution.operands is not None
