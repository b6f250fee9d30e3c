"""Build a network from its settings."""

from __future__ import annotations

from general_circuits.models.network import Network
from general_circuits.models.perceptron import Perceptron
from general_circuits.models.settings import Model
from general_circuits.models.transformer import Transformer
from general_circuits.tasks.vocabulary import Vocabulary


def build(settings: Model, vocabulary: Vocabulary) -> Network:
    """Return the network that the settings describe, for this vocabulary. Its weights are not drawn yet."""
    kind = {"transformer": Transformer, "mlp": Perceptron}[settings.architecture]
    return kind(settings, vocabulary)
