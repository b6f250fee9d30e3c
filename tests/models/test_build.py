"""The network that settings describe."""

from __future__ import annotations

from builders import mlp_settings, model_settings

from general_circuits.models.build import build
from general_circuits.models.perceptron import Perceptron
from general_circuits.models.transformer import Transformer
from general_circuits.tasks.vocabulary import Vocabulary

VOCABULARY = Vocabulary(n_inputs=4, n_symbols=7, n_classes=2)


def test_the_architecture_decides_the_kind_of_network() -> None:
    assert type(build(model_settings(), VOCABULARY)) is Transformer
    assert type(build(mlp_settings(), VOCABULARY)) is Perceptron


def test_a_transformer_has_a_vector_for_the_equals_sign_and_a_perceptron_has_none() -> None:
    transformer, perceptron = build(model_settings(), VOCABULARY), build(mlp_settings(inputs="embedding"), VOCABULARY)
    assert transformer.embed.W_E.shape == (8, 8)
    assert transformer.pos_embed.W_pos.shape == (5, 8)
    assert perceptron.embed.W_E.shape == (7, 3)
    assert transformer.unembed.W_U.shape[1] == perceptron.unembed.W_U.shape[1] == 2
