"""A network from its settings."""

from __future__ import annotations

from general_circuits.conditions import Model, Vocabulary
from general_circuits.models.transformer import Transformer


def build(settings: Model, vocabulary: Vocabulary) -> Transformer:
    """The network that the settings ask for, to read and answer this vocabulary; its weights are not drawn yet."""
    return Transformer(settings, vocabulary)
