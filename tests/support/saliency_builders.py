"""Settings and tiny networks that the tests of saliency share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from builders import random_examples, random_perceptron, random_questions, random_transformer
from torch import Tensor

from general_circuits.config.measurements import Method
from general_circuits.measurements.saliency.attribution import Effort
from general_circuits.measurements.saliency.measure import Questions
from general_circuits.measurements.saliency.targets import TARGETS, Target
from general_circuits.models.layer import Layer
from general_circuits.models.network import Network, Place
from general_circuits.tasks.examples import Examples

METHODS = get_args(Method)
FIRST = Place(0)
EVERY_TARGET = list(TARGETS.values())
LINEAR_TARGETS = [target for target in EVERY_TARGET if target.is_linear]
EFFORT = Effort(integration_steps=20, most_integration_steps=320, completeness_error=1e-3, permutations=4)


def at(model: Network, examples: Examples, place: Place = FIRST) -> Layer:
    """Return one place of a network on these examples."""
    return Layer.at(model, examples.tokens, examples.labels, place)


def a_layer(place: Place = FIRST, n: int = 10, **settings: Any) -> Layer:
    """Return one place of a tiny random transformer on n random examples."""
    return at(random_transformer(**settings), random_examples(n), place)


def a_perceptrons_layer(place: Place = FIRST, **settings: Any) -> Layer:
    """Return one place of a tiny random perceptron on random examples."""
    return at(random_perceptron(**settings), random_questions(), place)


def rest_of(layer: Layer, target: Target) -> Callable[..., Tensor]:
    """Return the rest of the network as a function of units, `past` and labels, which Captum can attribute."""
    return lambda units, past, labels: target(layer.model.answer_from(past, units, layer.place), labels)


def mean_of(layer: Layer) -> Tensor:
    """Return the mean of each unit over the layer's examples, (position, unit)."""
    return layer.units.mean(dim=0)


def questions(**changes: Any) -> Questions:
    """Return settings with every method, target and normalisation on MLP units, but for the changes."""
    usual: dict[str, Any] = {
        "methods": METHODS,
        "targets": tuple(TARGETS),
        "normalisations": ("raw", "matched", "per_example"),
        "sites": ("mlp",),
        "examples": 0,
        "effort": EFFORT,
    }
    return Questions(**(usual | changes))
