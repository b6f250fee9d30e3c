"""Which settings of a network go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from general_circuits.conditions import Model

CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "transformer": {
        "inputs": ("tokens",),
        "initialisation": ("normal", "linear", "multihead"),
        "outputs": ("classes",),
    },
    "mlp": {
        "inputs": ("one_hot", "embedding", "ordinal"),
        "n_heads": (),
        "normalisation": ("none",),
        "biases": ("none", "mlp", "all"),
        "positions": (),
        "initialisation": ("linear", "mean_field"),
    },
}
"""By architecture, the values that it can have, of keys where another has more."""

NAMES = {"transformer": "a transformer", "mlp": "an MLP"}


def misfits(given: Mapping[str, Any], model: Model, n_classes: int) -> Iterator[tuple[str, str]]:
    """Keys of a network that do not go together: which, and what would be right.

    Args:
        given: what the config says, None where it leaves a key to the preset.
        model: the network that comes of it.
        n_classes: of the task.
    """
    name = NAMES[model.architecture]
    for key, choices in CHOICES[model.architecture].items():
        if given[key] is not None and given[key] not in choices:
            yield key, f"should be {' or '.join(choices)} for {name}" if choices else f"{name} has none; leave it out"
    if model.architecture == "transformer":
        if model.d_model % model.n_heads:
            yield "n_heads", f"should divide d_model = {model.d_model}"
    elif model.inputs == "embedding" and not model.d_model:
        yield "inputs", "needs d_model, the width of the embedding"
    elif model.inputs in ("one_hot", "ordinal") and model.d_model:
        yield "d_model", "belongs to inputs: embedding; leave it out"
    if model.outputs == "sign" and n_classes != 2:
        yield "outputs", f"should be classes, since there are {n_classes} and not two"


def why_not_reduced(model: Model, n_inputs: int) -> str | None:
    """What keeps the arithmetic of a network's gradients from being reduced, if anything does."""
    if model.architecture != "transformer":
        return f"{NAMES[model.architecture]} has no reduced form"
    return None if n_inputs == 2 else f"there are {n_inputs} inputs and the reduced form is of two operands"
