"""Every example's answer, and the gradient in ten parts, against autograd on all examples at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from builders import MODULUS, VOCABULARY, addition, random_perceptron, random_transformer

from general_circuits.measurements import answers
from general_circuits.models import network, predictions
from general_circuits.models.network import Network
from general_circuits.tasks.examples import Examples

NETWORKS = {"transformer": random_transformer, "perceptron": random_perceptron}


def splits() -> dict[str, Examples]:
    """Return addition, numbered from both ends."""
    found = addition()
    n = len(found["train"])
    numbers = {"train": torch.arange(n), "validation": torch.arange(MODULUS**2 - 1, n - 1, -1)}
    return {name: replace(part, numbers=numbers[name]) for name, part in found.items()}


def gradient(model: Network, examples: Examples) -> torch.Tensor:
    loss = predictions.surprise(model.answer(examples.tokens), examples.labels).mean()
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))])


def test_every_example_has_its_answer_under_its_own_number() -> None:
    model, examples = random_transformer(), splits()
    found = answers.answers(model, examples).set_index("example")
    assert sorted(found.index) == list(range(MODULUS**2))
    for part in examples.values():
        assert part.numbers is not None
        rows = found.loc[part.numbers.tolist()]
        logits = model.answer(part.tokens).detach()
        right = logits.argmax(dim=1) == part.labels
        assert ((rows["margin"] > 0).to_numpy() == right.numpy()).all()
        expected = torch.softmax(logits, dim=1).gather(1, part.labels.unsqueeze(1)).squeeze(1)
        torch.testing.assert_close(torch.tensor(rows["probability"].to_numpy()), expected)


@pytest.mark.parametrize("network", NETWORKS)
def test_ten_parts_of_the_gradient_add_up_to_it(network: str) -> None:
    """Shares along the gradient add up to 1, and norms to no less than its norm."""
    model, examples = NETWORKS[network](), splits()
    found = answers.deciles(model, examples, torch.float64)
    whole = gradient(model, examples["train"])
    assert list(found["decile"]) == list(range(1, 11))
    assert found["examples"].sum() == len(examples["train"])
    assert found["gradient_share"].sum() == pytest.approx(1.0)
    assert found["gradient_norm"].sum() >= float(whole.norm())
    descent = float(whole @ gradient(model, examples["validation"]))
    assert found["validation_fall"].sum() == pytest.approx(descent)


def test_the_first_part_is_the_gradient_of_the_least_sure_examples() -> None:
    model, examples = random_transformer(), splits()
    found = answers.deciles(model, examples, torch.float64)
    train = examples["train"]
    probability = predictions.correct_probability(model.answer(train.tokens).detach(), train.labels)
    assert found["probability"].is_monotonic_increasing
    n = int(found["examples"].iloc[0])
    least = probability.argsort()[:n]
    assert found["probability"].iloc[0] == pytest.approx(float(probability[least].mean()))
    own = gradient(model, train.some(least)) * (n / len(train))
    assert found["gradient_norm"].iloc[0] == pytest.approx(float(own.norm()))


def test_answers_and_gradients_are_the_same_in_passes_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    model, examples = random_perceptron(VOCABULARY), splits()
    at_once = answers.deciles(model, examples, torch.float64), answers.answers(model, examples)
    for module in (answers, network):
        monkeypatch.setattr(module, "EXAMPLES_PER_PASS", 4)
    for whole, parts in zip(
        at_once, (answers.deciles(model, examples, torch.float64), answers.answers(model, examples)), strict=True
    ):
        assert parts.to_numpy() == pytest.approx(whole.to_numpy(), rel=1e-9)
