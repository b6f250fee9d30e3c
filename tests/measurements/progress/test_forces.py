"""Gradients through components add up, and predicted changes of logits are those of moved weights."""

from __future__ import annotations

import copy

import pandas as pd
import pytest
import torch
from builders import random_perceptron, random_transformer
from progress_builders import MODULUS, examples_by_answer, general_network, random_logits, sums, table_network
from torch import Tensor

from general_circuits.measurements.progress import forces
from general_circuits.measurements.progress.components import ExamplesByAnswer, General, centred
from general_circuits.models import predictions
from general_circuits.models.network import Network
from general_circuits.tasks.vocabulary import Vocabulary

SMALL = 1e-6


def network(kind: str) -> Network:
    """A tiny random network for addition modulo 13, in double precision."""
    if kind == "perceptron":
        return random_perceptron(Vocabulary(2, MODULUS, MODULUS))
    norm = {"transformer": "none", "pre_norm": "pre", "post_norm": "post"}[kind]
    return random_transformer(MODULUS + 1, MODULUS, n_layers=2, normalisation=norm)


KINDS = ("perceptron", "transformer", "pre_norm", "post_norm")


def prepared(kind: str) -> tuple[Network, ExamplesByAnswer, General, Tensor]:
    examples, model = examples_by_answer(), network(kind)
    logits = forces.answer(model, examples.tokens)
    return model, examples, General.of(examples, logits), logits


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_the_network(kind: str) -> None:
    model, examples, _, logits = prepared(kind)
    assert torch.allclose(logits, model.answer(examples.tokens))


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_shares_add_up_to_the_gradient(kind: str) -> None:
    model, examples, general, logits = prepared(kind)
    found = forces.passed(model, examples, general, logits, torch.float64)
    assert found["restricted"].gradient_share + found["excluded"].gradient_share == pytest.approx(1)
    train = examples.rows["train"]
    loss = predictions.loss(model.answer(examples.tokens[train]), examples.labels[train])
    gradient = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))])
    assert found["all"].gradient_norm == pytest.approx(float(gradient.norm()))
    assert found["all"].loss_gradient_norm == pytest.approx(float(gradient.norm()))


@pytest.mark.parametrize("component", ["restricted", "excluded"])
def test_a_components_own_gradient_is_that_of_its_loss(component: str) -> None:
    model, examples, general, logits = prepared("transformer")
    train = examples.rows["train"]
    part = general.split(model.answer(examples.tokens))[component]
    loss = predictions.loss(part[train], examples.labels[train])
    gradient = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))])
    found = forces.passed(model, examples, general, logits, torch.float64)[component]
    assert found.loss_gradient_norm == pytest.approx(float(gradient.norm()))


def test_gradients_are_the_same_in_passes_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    model, examples, _, logits = prepared("pre_norm")
    pull = random_logits(len(examples), MODULUS, seed=3)
    (whole,) = forces.gradients(model, examples.tokens, [pull])
    monkeypatch.setattr(forces, "EXAMPLES_PER_PASS", 50)
    (in_chunks,) = forces.gradients(model, examples.tokens, [pull])
    assert torch.allclose(whole, in_chunks)
    assert torch.allclose(forces.answer(model, examples.tokens), logits)


def shifted(model: Network, direction: dict[str, Tensor], size: float) -> Network:
    moved = copy.deepcopy(model)
    with torch.no_grad():
        for name, weight in moved.named_parameters():
            weight += size * direction[name]
    return moved


@pytest.mark.parametrize("kind", KINDS)
def test_moved_logits_are_those_of_moved_weights(kind: str) -> None:
    model, examples, _, _ = prepared(kind)
    generator = torch.Generator().manual_seed(5)
    direction = {
        name: torch.randn(weight.shape, dtype=weight.dtype, generator=generator)
        for name, weight in model.named_parameters()
    }
    ahead, behind = (forces.answer(shifted(model, direction, size), examples.tokens) for size in (SMALL, -SMALL))
    assert torch.allclose(forces.moved(model, examples.tokens, direction), (ahead - behind) / (2 * SMALL), atol=1e-6)


@pytest.mark.parametrize(("kind", "degree"), [("general", 6), ("table", 8)])
def test_decay_shrinks_logits_of_networks_built_by_hand_by_their_degree_in_the_weights(kind: str, degree: int) -> None:
    """The general circuit's weights reach its logits through values alone, the table's through attention scores too."""
    splits = sums()
    model, examples = general_network() if kind == "general" else table_network(splits), examples_by_answer(splits)
    logits = forces.answer(model, examples.tokens)
    change = forces.decayed(model, examples.tokens)
    right = logits.gather(1, examples.labels[:, None]) > 1
    ratio = (change / logits).gather(1, examples.labels[:, None])[right]
    assert torch.allclose(ratio, torch.full_like(ratio, -degree), rtol=0.01)


def test_decay_shrinks_a_network_without_biases_as_its_degree_says() -> None:
    """Two linear maps around a square give logits of degree 3 in the weights.

    By Euler's theorem decay shrinks all components of a homogeneous network alike.
    """
    model = random_perceptron(Vocabulary(2, MODULUS, MODULUS), activation="quadratic", biases="none")
    examples = examples_by_answer()
    logits = forces.answer(model, examples.tokens)
    general = General.of(examples, logits)
    change = forces.decayed(model, examples.tokens)
    assert torch.allclose(change, -3 * logits)
    assert torch.allclose(general.restricted(change), -3 * general.restricted(logits))


def test_a_step_on_one_example_changes_margins_as_predicted() -> None:
    model, examples, general, logits = prepared("transformer")
    others = predictions.rivals(logits, examples.labels)
    train, validation = examples.rows["train"], examples.rows["validation"]
    for place, found in zip(
        (0, 7),
        forces.reinforcements(model, examples, general, logits, torch.tensor([0, 7]), torch.float64),
        strict=True,
    ):
        loss = predictions.loss(model.answer(examples.tokens[train[place]][None]), examples.labels[train[place]][None])
        names = [name for name, _ in model.named_parameters()]
        gradient = dict(zip(names, torch.autograd.grad(loss, list(model.parameters())), strict=True))
        after, before = (forces.answer(shifted(model, gradient, size), examples.tokens) for size in (-SMALL, SMALL))
        change = centred(after - before) / (2 * SMALL)
        margins = predictions.margins_over(change, examples.labels, others)
        parts = {"restricted": general.restricted(change), "unseen": general.unseen(change)}
        rest = train[torch.arange(len(train)) != place]
        assert found["own"] == pytest.approx(float(margins[train[place]]), rel=1e-4)
        for name, part in parts.items():
            moves = predictions.margins_over(part, examples.labels, others)
            assert found[f"own_{name}"] == pytest.approx(float(moves[train[place]]), rel=1e-4, abs=1e-7)
            assert found[f"others_{name}"] == pytest.approx(float(moves[rest].sum()), rel=1e-3, abs=1e-6)
        assert found["others"] == pytest.approx(float(margins[rest].sum()), rel=1e-3, abs=1e-7)
        assert found["helped"] == pytest.approx(float((margins[rest] > 0).double().mean()), abs=0.02)
        assert found["validation"] == pytest.approx(float(margins[validation].mean()), rel=1e-3, abs=1e-7)


def followed(model: Network, examples: ExamplesByAnswer) -> pd.DataFrame:
    """Return the mean effect of the gradients of every fourth training example."""
    logits = forces.answer(model, examples.tokens)
    drawn = torch.arange(0, len(examples.rows["train"]), 4)
    return pd.DataFrame(
        forces.reinforcements(model, examples, General.of(examples, logits), logits, drawn, torch.float64)
    ).mean()


def test_an_examples_gradient_in_a_table_does_nothing_for_unseen_examples() -> None:
    """Each example has its own neuron in a table; examples share only the weights that all of them read.

    Other examples also reinforce most of the restricted part, since their answers are right as well. So that is no sign
    of a general circuit. The unseen part is one.
    """
    splits = sums()
    examples, table = examples_by_answer(splits), table_network(splits)
    with torch.no_grad():
        table.unembed.W_U *= 0.1
    found = followed(table, examples)
    assert found["others_restricted"] > 10 * found["own_restricted"]
    assert abs(found["others_unseen"]) < 0.05 * found["others_restricted"]
    assert abs(found["own_unseen"]) < 0.05 * found["own"]
    assert abs(found["validation"]) < 0.1 * found["others"] / len(examples.rows["train"])


def test_an_examples_gradient_in_a_general_circuit_helps_unseen_examples_too() -> None:
    examples, network = examples_by_answer(), general_network(frequencies=2)
    with torch.no_grad():
        network.unembed.W_U *= 0.02
    found = followed(network, examples)
    assert found["others_unseen"] > 0.8 * found["others_restricted"] > 0
