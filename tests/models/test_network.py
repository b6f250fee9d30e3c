"""The interface of every network: places, passes of limited size, logit scale and frozen norms."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from builders import random_examples, random_perceptron, random_questions, random_transformer, two_units

from general_circuits.models import network as module
from general_circuits.models.network import Place


def test_places_are_by_layer_and_a_neuron_of_heads_is_a_whole_head():
    model = random_transformer(n_layers=2)
    assert model.places(["heads", "mlp"]) == [(0, "heads"), (0, "mlp"), (1, "heads"), (1, "mlp")]
    assert [model.width(Place(0, site)) for site in model.sites] == [1, 1, 4]
    assert [len(model.weight_norms(Place(1, site))) for site in model.sites] == [12, 8, 2]


@pytest.mark.parametrize(
    ("normalisation", "n_layers", "linear_layers"),
    [("none", 1, [0]), ("none", 2, [1]), ("none", 3, [2]), ("pre", 1, []), ("pre", 2, []), ("post", 1, [])],
)
def test_logits_are_linear_only_in_the_last_layer_without_normalisation(normalisation, n_layers, linear_layers):
    model = random_transformer(normalisation=normalisation, n_layers=n_layers)
    linear = [Place(layer) for layer in linear_layers]
    everywhere = model.places(model.sites)
    assert [place for place in everywhere if model.is_linear_from(place)] == linear
    for place in set(everywhere) - set(linear):
        with pytest.raises(ValueError, match=f"{place.site} of layer {place.layer}: the logits are not linear"):
            model.logit_weights(place)


@pytest.mark.parametrize("per_pass", [1, 3, 10, 100])
def test_any_number_of_examples_per_pass_gives_the_same_answers(per_pass: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXAMPLES_PER_PASS", per_pass)
    model, tokens = random_transformer(n_layers=2), random_examples().tokens
    answers = model.answer_all(tokens)
    torch.testing.assert_close(answers, model.answer(tokens).detach())
    assert not answers.requires_grad


def test_the_logit_scale_at_worked_values() -> None:
    """The centred logits are 8 −4 −4, 2 −4 2 and −8 −8 16. Their squares add up to 504, so 56 on average."""
    model, examples = two_units()
    assert model.logit_scale(examples.tokens) == pytest.approx(56**0.5)


def test_a_network_without_norms_has_the_same_gradients_while_they_are_frozen() -> None:
    examples = random_questions()
    for model in (random_perceptron(n_layers=2), random_transformer()):
        gradients = []
        for context in (nullcontext(), model.frozen_norms()):
            with context:
                (gradient,) = torch.autograd.grad(model.answer(examples.tokens).sum(), model.unembed.W_U)
                gradients.append(gradient)
        assert torch.equal(*gradients)
