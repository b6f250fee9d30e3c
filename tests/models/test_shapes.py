"""Names and shapes that follow from settings, against the parameters of the networks."""

from __future__ import annotations

import itertools

import pytest
from builders import VOCABULARY, mlp_settings, model_settings

from general_circuits.models.build import build
from general_circuits.models.network import Network
from general_circuits.models.shapes import weight_shapes

TRANSFORMERS = itertools.product(
    (1, 3), ("none", "pre", "post"), ("none", "mlp", "blocks", "all"), ("learned", "sinusoidal")
)


def shapes_of(network: Network) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in network.named_parameters()}


@pytest.mark.parametrize(("n_layers", "normalisation", "biases", "positions"), list(TRANSFORMERS))
def test_shapes_of_transformers_are_known_from_settings(
    n_layers: int, normalisation: str, biases: str, positions: str
) -> None:
    settings = model_settings(n_layers=n_layers, normalisation=normalisation, biases=biases, positions=positions)
    assert weight_shapes(settings, VOCABULARY) == shapes_of(build(settings, VOCABULARY))


@pytest.mark.parametrize("inputs", ["one_hot", "embedding", "ordinal"])
@pytest.mark.parametrize("biases", ["none", "mlp", "all"])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_shapes_of_perceptrons_are_known_from_settings(n_layers: int, biases: str, inputs: str) -> None:
    settings = mlp_settings(n_layers=n_layers, biases=biases, inputs=inputs)
    assert weight_shapes(settings, VOCABULARY) == shapes_of(build(settings, VOCABULARY))
