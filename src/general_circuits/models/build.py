"""A network from its settings."""

from __future__ import annotations

from general_circuits.models.network import Network
from general_circuits.models.perceptron import Perceptron
from general_circuits.models.settings import Model
from general_circuits.models.transformer import Transformer
from general_circuits.tasks.vocabulary import Vocabulary


def build(settings: Model, vocabulary: Vocabulary) -> Network:
    """The network that the settings ask for, to read and answer this vocabulary; its weights are not drawn yet."""
    kind = {"transformer": Transformer, "mlp": Perceptron}[settings.architecture]
    return kind(settings, vocabulary)
