"""Heads of the toy: planted strengths are exact, and gradients equal autograd's."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from general_circuits.duels import toy_network

PAIRS, TOYS = 4, 3
CASES = list(itertools.product((1, 3, 4), (True, False), (True, False)))
"""Coverage, whether the query is shared, and whether attention is linear."""


def disturbed(coverage: int, is_shared: bool, is_linear: bool) -> tuple[toy_network.Heads, Tensor]:
    """Plant toys and move them away from their symmetry."""
    strength = torch.full((TOYS,), 1.5)
    weights, circuits = toy_network.plant(PAIRS, coverage, is_shared, is_linear, strength, strength)
    generator = torch.Generator().manual_seed(coverage)
    for weight in weights.tensors:
        weight += 0.3 * torch.randn(weight.shape, generator=generator)
    return weights, circuits


def plain_logits(weights: toy_network.Heads, is_linear: bool) -> Tensor:
    """Run the same network one toy, pair and head at a time."""
    toys, n_heads = weights.W_Q.shape
    logits = torch.zeros(toys, PAIRS, PAIRS)
    for toy, pair, head in itertools.product(range(toys), range(PAIRS), range(n_heads)):
        tokens = [pair, PAIRS + pair]
        scores = weights.W_Q[toy, head] * weights.W_K[toy, head, tokens]
        if not is_linear:
            scores = torch.cat([scores, torch.tensor([toy_network.REST])]).softmax(0)[:2]
        output = scores @ weights.W_V[toy, head, tokens]
        logits = logits.index_put((torch.tensor(toy), torch.tensor(pair)), output @ weights.W_O[toy, head], True)
    return logits


def by_autograd(weights: toy_network.Heads, is_linear: bool, shown: Tensor) -> toy_network.Heads:
    leaves = toy_network.Heads(*(weight.clone().requires_grad_() for weight in weights.tensors))
    logits = plain_logits(leaves, is_linear)
    labels = torch.arange(PAIRS).expand(TOYS, -1)
    losses = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(TOYS, PAIRS)
    return toy_network.Heads(*torch.autograd.grad((losses * shown).sum(), leaves.tensors))


@pytest.mark.parametrize(("coverage", "is_shared", "is_linear"), CASES)
def test_every_circuit_adds_its_planted_strength_to_the_pairs_it_knows(
    coverage: int, is_shared: bool, is_linear: bool
) -> None:
    general, shallow = torch.tensor([2.0, 0.5]), torch.tensor([1.0, 3.0])
    weights, circuits = toy_network.plant(PAIRS, coverage, is_shared, is_linear, general, shallow)
    added = toy_network.contributions(weights, toy_network.forward(weights, is_linear), circuits)
    assert torch.allclose(added[:, 0, :coverage], general[:, None].expand(-1, coverage), atol=1e-5)
    assert torch.allclose(added[:, 1:].diagonal(dim1=1, dim2=2), shallow[:, None].expand(-1, PAIRS), atol=1e-5)


@pytest.mark.parametrize(("coverage", "is_shared", "is_linear"), CASES)
def test_contributions_add_up_to_the_right_logit(coverage: int, is_shared: bool, is_linear: bool) -> None:
    weights, circuits = disturbed(coverage, is_shared, is_linear)
    logits = plain_logits(weights, is_linear)
    right = logits.diagonal(dim1=1, dim2=2) - logits.mean(dim=2)
    added = toy_network.contributions(weights, toy_network.forward(weights, is_linear), circuits).sum(dim=1)
    assert torch.allclose(added, right, atol=1e-5)


@pytest.mark.parametrize(("coverage", "is_shared", "is_linear"), CASES)
def test_gradients_equal_autograd_of_the_plain_network(coverage: int, is_shared: bool, is_linear: bool) -> None:
    weights, _ = disturbed(coverage, is_shared, is_linear)
    shown = torch.rand(TOYS, PAIRS, generator=torch.Generator().manual_seed(0))
    run = toy_network.forward(weights, is_linear)
    gradients = toy_network.gradients(weights, run, toy_network.backward(weights, run, is_linear), shown)
    for mine, other in zip(gradients.tensors, by_autograd(weights, is_linear, shown).tensors, strict=True):
        assert torch.allclose(mine, other, atol=1e-5)


@pytest.mark.parametrize(("coverage", "is_shared", "is_linear"), CASES)
def test_gradient_norms_of_each_pair_equal_a_pass_for_it_alone(coverage: int, is_shared: bool, is_linear: bool) -> None:
    weights, circuits = disturbed(coverage, is_shared, is_linear)
    run = toy_network.forward(weights, is_linear)
    norms = toy_network.gradient_norms(weights, run, toy_network.backward(weights, run, is_linear), circuits)
    for pair in range(PAIRS):
        shown = torch.zeros(TOYS, PAIRS)
        shown[:, pair] = 1.0
        alone = by_autograd(weights, is_linear, shown).norms(circuits)
        assert torch.allclose(norms[:, :, pair], alone, atol=1e-5)


def test_a_circuit_planted_apart_is_a_copy_of_each_shallow_one() -> None:
    strength = torch.ones(1)
    weights, circuits = toy_network.plant(PAIRS, 3, False, True, strength, strength)
    assert circuits[:, 0].tolist() == [1, 1, 1, 0, 0, 0, 0]
    for weight in weights.tensors:
        assert torch.equal(weight[:, :3], weight[:, 3:6])


def test_a_shared_circuit_is_one_head_with_one_query() -> None:
    strength = torch.ones(1)
    weights, circuits = toy_network.plant(PAIRS, 3, True, True, strength, strength)
    assert weights.W_Q.shape == (1, 1 + PAIRS)
    assert circuits[:, 0].tolist() == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("is_linear", [True, False])
def test_a_head_attends_at_most_four_percent_to_pairs_it_does_not_know(is_linear: bool) -> None:
    strength = torch.ones(1)
    weights, _ = toy_network.plant(PAIRS, 2, True, is_linear, strength, strength)
    _, to_both = toy_network.start(strength, PAIRS, is_linear)
    attention = toy_network.forward(weights, is_linear).attention.sum(dim=2)[0]  # (head, pair)
    known = torch.cat([torch.tensor([[True, True, False, False]]), torch.eye(PAIRS, dtype=torch.bool)])
    assert torch.allclose(attention[known], to_both.expand(2 + PAIRS), atol=1e-6)
    assert (attention[~known] <= (0.0 if is_linear else 0.0354)).all()
