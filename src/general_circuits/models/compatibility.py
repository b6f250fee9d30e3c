"""Rules for settings of a network that belong together. The config reports each broken rule before any work starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from general_circuits.models.presets import PRESETS
from general_circuits.models.settings import Model
from general_circuits.tasks.modular import Modular
from general_circuits.tasks.settings import Task
from general_circuits.tasks.vocabulary import Vocabulary

CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "transformer": {
        "inputs": ("tokens",),
        "initialisation": ("normal", "linear", "multihead", "fourier", "lookup_table"),
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
"""Values that each architecture allows, for the keys whose values depend on it. An empty tuple allows none."""

DIRECTIONS = 9
"""Neurons that one frequency needs, a copy of `models.ground_truth.DIRECTIONS`: importing that would load torch."""

NAMES = {"transformer": "a transformer", "mlp": "an MLP"}
"""Names of the architectures in messages."""


def lacking(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys that a condition must not take over from the defaults, because of its preset's architecture.

    The architecture does not have these keys, or not with the given value.
    """
    preset = PRESETS.get(str(given.get("preset")))
    if preset is None:
        return
    yield from _outside_choices(given, preset.model.architecture)
    if preset.model.architecture == "mlp" and (given.get("inputs") or preset.model.inputs) != "embedding":
        yield "d_model"


def misfits(given: Mapping[str, Any], model: Model, n_classes: int) -> Iterator[tuple[str, str]]:
    """Yield each key of a network that contradicts another, and a message that says what would be right.

    Args:
        given: values from the config, None where it leaves a key to the preset.
        model: the network with the preset's values filled in.
        n_classes: number of classes of the task.
    """
    name = NAMES[model.architecture]
    for key in _outside_choices(given, model.architecture):
        choices = " or ".join(CHOICES[model.architecture][key])
        yield key, f"should be {choices} for {name}" if choices else f"{name} has none; leave it out"
    if model.architecture == "transformer":
        if model.d_model % model.n_heads:
            yield "n_heads", f"should divide d_model = {model.d_model}"
    elif model.inputs == "embedding" and not model.d_model:
        yield "inputs", "needs d_model, the width of the embedding"
    elif model.inputs in ("one_hot", "ordinal") and model.d_model:
        yield "d_model", "belongs to inputs: embedding; leave it out"
    if model.outputs == "sign" and n_classes != 2:
        yield "outputs", f"should be classes, since there are {n_classes} and not two"


def _outside_choices(given: Mapping[str, Any], architecture: str) -> Iterator[str]:
    """Yield the keys whose given value this architecture does not allow."""
    for key, choices in CHOICES[architecture].items():
        if given.get(key) not in (None, *choices):
            yield key


def by_hand_misfits(model: Model, task: Task, vocabulary: Vocabulary, n_training: int) -> Iterator[tuple[str, str]]:
    """Yield each key that stops `models.ground_truth` from building this network, and what would be right.

    Args:
        model: the network.
        task: the task that the network should answer.
        vocabulary: the task's symbols and classes.
        n_training: number of training examples.
    """
    # A lookup table needs a coordinate for each symbol of both operands, for each class and for each of 3 positions.
    kind, n, widest = model.initialisation, vocabulary.n_symbols, vocabulary.n_symbols * 2 + vocabulary.n_classes + 3
    if kind not in ("fourier", "lookup_table") or model.architecture != "transformer":
        return
    needed = {"n_layers": 1, "activation": "relu", "normalisation": "none", "positions": "learned"}
    for key, value in needed.items():
        if getattr(model, key) != value:
            yield key, f"should be {value}, since {kind} needs it"
    if kind == "fourier":
        if not isinstance(task, Modular) or task.formulas != ("x+y",) or task.modulus % 2 == 0:
            yield "initialisation", "adds modulo an odd number: set operation: x+y and an odd modulus"
        least = {"d_model": (4, "a wave, read and written"), "d_mlp": (DIRECTIONS, "one frequency")}
    elif vocabulary.n_inputs != 2:
        yield "initialisation", f"looks up two operands, and there are {vocabulary.n_inputs} inputs"
        return
    else:
        if model.n_heads < 2 or model.d_model // model.n_heads < n:
            yield "n_heads", f"should be 2 or more, with d_model / n_heads at least {n}: a head carries one operand"
        least = {"d_model": (widest, "both operands and the answer"), "d_mlp": (n_training, "a neuron per example")}
    for key, (number, why) in least.items():
        if getattr(model, key) < number:
            yield key, f"should be at least {number}: {why}"


def why_not_reduced(model: Model, n_inputs: int) -> str | None:
    """Return the reason why this network cannot train with `arithmetic: reduced`, or None if it can."""
    if model.architecture != "transformer":
        return f"{NAMES[model.architecture]} has no reduced form"
    return None if n_inputs == 2 else f"there are {n_inputs} inputs and the reduced form is of two operands"
