"""One number for a network's structure, on networks of which it is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from progress_builders import MODULUS, general_network, ground, permutations, random_logits, sums, table_network

from general_circuits.measurements.progress import structure
from general_circuits.measurements.progress.harmonics import parts
from general_circuits.tasks.groups import cyclic


def test_concentration_of_energies_that_are_all_alike_and_of_one() -> None:
    assert structure.concentration(np.ones(8)) == {"gini": 0.0, "inverse_participation": pytest.approx(1 / 8)}
    alone = structure.concentration(np.eye(8)[3])
    assert alone == {"gini": pytest.approx(7 / 8), "inverse_participation": 1.0}
    assert all(np.isnan(value) for value in structure.concentration(np.zeros(3)).values())


def test_every_neuron_of_a_general_circuit_is_tuned_to_one_frequency_and_none_of_a_table() -> None:
    assert structure.tuned_share(general_network(frequencies=3), ground()) == 1
    splits = sums()
    assert structure.tuned_share(table_network(splits), ground(splits)) == 0


def test_a_neuron_of_one_frequency_and_one_of_two() -> None:
    a, b = np.divmod(np.arange(121), 11)
    wave = [np.cos(2 * np.pi * k * np.arange(11) / 11) for k in range(6)]
    units = np.stack([1 + wave[3][a] + wave[3][b] + 5 * wave[3][a] * wave[3][b], wave[1][a] + wave[2][a]], axis=1)
    explained, variance = structure.explained_by_frequency(units, a, b, parts(cyclic(11)))
    assert np.allclose(variance, np.square(units - units.mean(axis=0)).sum(axis=0))
    assert np.allclose(explained[2, 0], variance[0])
    assert np.allclose(explained[:, 1] / variance[1], [0.5, 0.5, 0, 0, 0])


def test_the_embedding_of_a_general_circuit_has_its_frequencies_alone() -> None:
    energy = structure.embedding_energies(general_network(frequencies=2), ground())
    assert energy is not None
    assert np.allclose(energy / energy.sum(), [0.5, 0, 0, 0, 0, 0.5])


def test_symmetry_violation_is_0_for_equal_1_for_unrelated_and_2_for_opposite_answers() -> None:
    here = ground()
    logits = random_logits(len(here), MODULUS)
    n = MODULUS
    place = torch.empty(n, n, dtype=torch.long)
    place[here.tokens[:, 0], here.tokens[:, 1]] = torch.arange(len(here))
    mirror = place[here.tokens[:, 1], here.tokens[:, 0]]
    assert structure.symmetry_violation(logits + logits[mirror], here.tokens) == 0
    assert structure.symmetry_violation(logits, here.tokens) == pytest.approx(1, abs=0.1)
    assert structure.symmetry_violation(logits - logits[mirror], here.tokens) == pytest.approx(2)
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
    here = ground(splits, task)
    assert here.solution is not None
    assert here.solution.operands is not None
