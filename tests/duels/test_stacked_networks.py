"""Stacked networks answer and learn as each of them does alone."""

from __future__ import annotations

import pytest
import torch
from duel_builders import examples, modules
from torch.nn.functional import cross_entropy

from general_circuits.duels.module_training import ModuleGroup


def test_stacked_networks_answer_as_each_does_alone() -> None:
    memorisers = modules()[ModuleGroup("memoriser", 4, 0.0)]
    stacked = memorisers.answer(examples().tokens)
    for number in range(4):
        network = memorisers.network
        network.load_state_dict({name: weight[number] for name, weight in memorisers.weights.items()})
        with torch.no_grad():
            assert torch.allclose(network.answer(examples().tokens), stacked[number], atol=1e-5)


def test_neurons_in_another_order_leave_the_function_as_it_is() -> None:
    general = modules()[ModuleGroup("generaliser", 1, 0.0)]
    other = general.permuted(torch.Generator().manual_seed(0))
    assert not torch.equal(general.tensors[0], other.tensors[0])
    assert torch.allclose(general.answer(examples().tokens), other.answer(examples().tokens), atol=1e-4)
    assert torch.allclose(general.norms(), other.norms(), rtol=1e-6)


def test_a_factor_in_the_readout_is_a_factor_of_the_answer() -> None:
    general = modules()[ModuleGroup("generaliser", 1, 0.0)]
    tokens = examples().tokens
    assert torch.allclose(general.scaled(3.0).answer(tokens), 3 * general.answer(tokens), rtol=1e-4, atol=1e-3)


def test_the_gradient_of_the_summed_losses_is_each_networks_own() -> None:
    """Networks share no weight, so that stacking changes no gradient."""
    memorisers = modules()[ModuleGroup("memoriser", 4, 0.0)]
    tokens, targets = examples().tokens[:20], examples().targets[:20]
    leaves = memorisers.with_weights([weight.clone().requires_grad_() for weight in memorisers.tensors])
    losses = torch.stack([cross_entropy(logits, targets) for logits in leaves.answer(tokens)])
    together = torch.autograd.grad(losses.sum(), leaves.tensors)
    for number in range(4):
        alone = memorisers.some([number])
        alone = alone.with_weights([weight.clone().requires_grad_() for weight in alone.tensors])
        gradients = torch.autograd.grad(cross_entropy(alone.answer(tokens)[0], targets), alone.tensors)
        for stacked, single in zip(together, gradients, strict=True):
            assert torch.allclose(stacked[number], single[0], atol=1e-5)


def test_norms_are_over_all_weights_of_a_network() -> None:
    general = modules()[ModuleGroup("generaliser", 1, 0.0)]
    numbers = sum(weight[0].numel() for weight in general.tensors)
    threes = [torch.full_like(weight, 3.0) for weight in general.tensors]
    assert general.norms(threes).tolist() == pytest.approx([3 * numbers**0.5] * 2)


def test_selected_networks_keep_the_order_of_their_numbers() -> None:
    memorisers = modules()[ModuleGroup("memoriser", 4, 0.0)]
    some = memorisers.some([2, 0])
    assert len(some) == 2
    assert torch.equal(some.tensors[0], memorisers.tensors[0][[2, 0]])


def test_a_network_depends_on_its_seed_alone() -> None:
    general = modules()[ModuleGroup("generaliser", 1, 0.0)]
    three = type(general).drawn(general.network, [5, 6, 5], torch.device("cpu"))
    one = type(general).drawn(general.network, [6], torch.device("cpu"))
    for drawn, single in zip(three.tensors, one.tensors, strict=True):
        assert torch.equal(drawn[0], drawn[2])
        assert torch.equal(drawn[1], single[0])
