"""Gradients through components add up to the gradient; what moves logits is what moving the weights does."""

from __future__ import annotations

import copy

import pandas as pd
import pytest
import torch
from builders import random_perceptron, random_transformer
from progress_builders import MODULUS, general_network, ground, random_logits, sums, table_network
from torch import Tensor

from general_circuits.measurements.progress import forces
from general_circuits.measurements.progress.components import ExamplesByAnswer, General, centred
from general_circuits.models import predictions
from general_circuits.models.network import Network
from general_circuits.tasks.vocabulary import Vocabulary

SMALL = 1e-6


def network(kind: str) -> Network:
    """A tiny random one that adds modulo 13, in double precision."""
    if kind == "perceptron":
        return random_perceptron(Vocabulary(2, MODULUS, MODULUS))
    norm = {"transformer": "none", "pre_norm": "pre", "post_norm": "post"}[kind]
    return random_transformer(MODULUS + 1, MODULUS, n_layers=2, normalisation=norm)


KINDS = ("perceptron", "transformer", "pre_norm", "post_norm")


def prepared(kind: str) -> tuple[Network, ExamplesByAnswer, General, Tensor]:
    here, model = ground(), network(kind)
    logits = forces.answer(model, here.tokens)
    return model, here, General.of(here, logits), logits


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_the_network_s(kind: str) -> None:
    model, here, _, logits = prepared(kind)
    assert torch.allclose(logits, model.answer(here.tokens))


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_shares_add_up_to_the_gradient(kind: str) -> None:
    model, here, general, logits = prepared(kind)
    found = forces.passed(model, here, general, logits, torch.float64)
    assert found["restricted"].gradient_share + found["excluded"].gradient_share == pytest.approx(1)
    train = here.rows["train"]
    loss = predictions.loss(model.answer(here.tokens[train]), here.labels[train])
    gradient = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))])
    assert found["all"].gradient_norm == pytest.approx(float(gradient.norm()))
    assert found["all"].loss_gradient_norm == pytest.approx(float(gradient.norm()))


@pytest.mark.parametrize("component", ["restricted", "excluded"])
def test_a_component_s_own_gradient_is_that_of_its_loss(component: str) -> None:
    model, here, general, logits = prepared("transformer")
    train = here.rows["train"]
    part = general.split(model.answer(here.tokens))[component]
    loss = predictions.loss(part[train], here.labels[train])
    gradient = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))])
    found = forces.passed(model, here, general, logits, torch.float64)[component]
    assert found.loss_gradient_norm == pytest.approx(float(gradient.norm()))


def test_a_small_step_through_one_component_changes_that_loss_as_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks too: their gradients add up."""
    model, here, _, logits = prepared("pre_norm")
    pull = random_logits(len(here), MODULUS, seed=3)
    (whole,) = forces.gradients(model, here.tokens, [pull])
    monkeypatch.setattr(forces, "EXAMPLES_PER_PASS", 50)
    (in_chunks,) = forces.gradients(model, here.tokens, [pull])
    assert torch.allclose(whole, in_chunks)
    assert torch.allclose(forces.answer(model, here.tokens), logits)


def shifted(model: Network, direction: dict[str, Tensor], size: float) -> Network:
    moved = copy.deepcopy(model)
    with torch.no_grad():
        for name, weight in moved.named_parameters():
            weight += size * direction[name]
    return moved


@pytest.mark.parametrize("kind", KINDS)
def test_moved_logits_are_those_of_moved_weights(kind: str) -> None:
    model, here, _, _ = prepared(kind)
    generator = torch.Generator().manual_seed(5)
    direction = {
        name: torch.randn(weight.shape, dtype=weight.dtype, generator=generator)
        for name, weight in model.named_parameters()
    }
    ahead, behind = (forces.answer(shifted(model, direction, size), here.tokens) for size in (SMALL, -SMALL))
    assert torch.allclose(forces.moved(model, here.tokens, direction), (ahead - behind) / (2 * SMALL), atol=1e-6)


@pytest.mark.parametrize(("kind", "degree"), [("general", 6), ("table", 8)])
def test_decay_shrinks_the_logits_of_networks_built_by_hand_by_what_they_are_made_of(kind: str, degree: int) -> None:
    """Through the values, or through scores too: it may take more from a table than from a general circuit."""
    splits = sums()
    model, here = general_network() if kind == "general" else table_network(splits), ground(splits)
    logits = forces.answer(model, here.tokens)
    change = forces.decayed(model, here.tokens)
    right = logits.gather(1, here.labels[:, None]) > 1
    ratio = (change / logits).gather(1, here.labels[:, None])[right]
    assert torch.allclose(ratio, torch.full_like(ratio, -degree), rtol=0.01)


def test_decay_shrinks_a_network_without_biases_as_its_degree_says() -> None:
    """Two linear maps around a square: logits of degree 3 in the weights. Both components shrink alike: by Euler's
    theorem decay has no favourite where the network is homogeneous."""
    model = random_perceptron(Vocabulary(2, MODULUS, MODULUS), activation="quadratic", biases="none")
    here = ground()
    logits = forces.answer(model, here.tokens)
    general = General.of(here, logits)
    change = forces.decayed(model, here.tokens)
    assert torch.allclose(change, -3 * logits)
    assert torch.allclose(general.restricted(change), -3 * general.restricted(logits))


def test_a_step_on_one_example_does_to_margins_what_is_said() -> None:
    model, here, general, logits = prepared("transformer")
    others = predictions.rivals(logits, here.labels)
    train, validation = here.rows["train"], here.rows["validation"]
    for place, found in zip(
        (0, 7), forces.reinforcements(model, here, general, logits, torch.tensor([0, 7]), torch.float64), strict=True
    ):
        loss = predictions.loss(model.answer(here.tokens[train[place]][None]), here.labels[train[place]][None])
        names = [name for name, _ in model.named_parameters()]
        gradient = dict(zip(names, torch.autograd.grad(loss, list(model.parameters())), strict=True))
        after, before = (forces.answer(shifted(model, gradient, size), here.tokens) for size in (-SMALL, SMALL))
        change = centred(after - before) / (2 * SMALL)
        margins = predictions.margins_over(change, here.labels, others)
        parts = {"restricted": general.restricted(change), "unseen": general.unseen(change)}
        rest = train[torch.arange(len(train)) != place]
        assert found["own"] == pytest.approx(float(margins[train[place]]), rel=1e-4)
        for name, part in parts.items():
            moves = predictions.margins_over(part, here.labels, others)
            assert found[f"own_{name}"] == pytest.approx(float(moves[train[place]]), rel=1e-4, abs=1e-7)
            assert found[f"others_{name}"] == pytest.approx(float(moves[rest].sum()), rel=1e-3, abs=1e-6)
        assert found["others"] == pytest.approx(float(margins[rest].sum()), rel=1e-3, abs=1e-7)
        assert found["helped"] == pytest.approx(float((margins[rest] > 0).double().mean()), abs=0.02)
        assert found["validation"] == pytest.approx(float(margins[validation].mean()), rel=1e-3, abs=1e-7)


def followed(model: Network, here: ExamplesByAnswer) -> pd.DataFrame:
    """Every fourth training example's gradient, once some loss is left."""
    logits = forces.answer(model, here.tokens)
    drawn = torch.arange(0, len(here.rows["train"]), 4)
    return pd.DataFrame(
        forces.reinforcements(model, here, General.of(here, logits), logits, drawn, torch.float64)
    ).mean()


def test_what_an_example_teaches_a_table_is_of_no_use_to_unseen_ones() -> None:
    """Each example has a neuron of its own; what it shares with others, all of them read when they are in the table.

    Of its restricted part too the others reinforce most, since their answers are right as well: that is no sign of a
    general circuit. What unseen examples show of it is.
    """
    splits = sums()
    here, table = ground(splits), table_network(splits)
    with torch.no_grad():
        table.unembed.W_U *= 0.1
    found = followed(table, here)
    assert found["others_restricted"] > 10 * found["own_restricted"]
    assert abs(found["others_unseen"]) < 0.05 * found["others_restricted"]
    assert abs(found["own_unseen"]) < 0.05 * found["own"]
    assert abs(found["validation"]) < 0.1 * found["others"] / len(here.rows["train"])


def test_what_an_example_teaches_a_general_circuit_unseen_ones_have_too() -> None:
    here, network = ground(), general_network(frequencies=2)
    with torch.no_grad():
        network.unembed.W_U *= 0.02
    found = followed(network, here)
    assert found["others_unseen"] > 0.8 * found["others_restricted"] > 0
