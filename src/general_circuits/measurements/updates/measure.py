"""Every MLP neuron of a replica at each checkpoint: saliency, gradient, and movement to the next checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from general_circuits.measurements.updates import movement
from general_circuits.measurements.updates.outer import moments
from general_circuits.models import predictions
from general_circuits.models.layer import Layer
from general_circuits.models.network import Network, Place
from general_circuits.models.settings import EXAMPLES_PER_PASS
from general_circuits.seeds import stream_seed
from general_circuits.tasks.examples import Examples
from general_circuits.training.settings import Optimiser

Columns = dict[str, NDArray[Any]]
"""Columns of a table by name, with one number per neuron, (neuron)."""

Checkpoint = tuple[int, dict[Place, movement.Weights], dict[Place, Columns]]
"""Step, weights of each layer's neurons at that step, and their measured columns."""


def track(
    models: Iterable[tuple[int, Network]], train: Examples, settings: Optimiser, seed: int
) -> Iterator[tuple[int, pd.DataFrame]]:
    """Measure every checkpoint, and how updates moved the neurons from it to the next checkpoint given.

    Args:
        models: step and network, by ascending step. They are read one at a time, so one network may be filled anew.
        train: the training examples, with the labels that train.
        settings: the update rule that took the steps between.
        seed: the replica, whose stream shuffles the labels.

    Yields:
        The step and its rows of the `updates` table, but for condition and replica: one per layer and neuron.
    """
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(stream_seed(seed, "shuffled_labels")))
    shuffled = train.labels[order.to(train.labels.device)]
    precision = torch.float64 if settings.loss_precision == "float64" else torch.float32
    # A checkpoint's rows need the next one's weights, so each is yielded once the next is read.
    last: Checkpoint | None = None
    decayed: set[str] = set()
    for step, model in models:
        places = model.places(["mlp"])
        weights = {place: movement.weights_of(model, place) for place in places}
        decayed = decayed or settings.decays(name for name, _ in model.named_parameters())
        if last:
            yield _as_frame(last, (step, weights), decayed, settings)
        last = step, weights, {place: measure(model, train, shuffled, place, precision) for place in places}
    if last:
        yield _as_frame(last, None, decayed, settings)


def measure(model: Network, train: Examples, shuffled: Tensor, place: Place, precision: torch.dtype) -> Columns:
    """Measure one layer of MLP neurons at one checkpoint.

    Args:
        model: the network.
        train: the training examples.
        shuffled: their labels in another order, (example).
        place: the layer.
        precision: the logits' type, in which the loss is taken.
    """
    trained, of_shuffled = moments(model, train.tokens, (train.labels, shuffled), place, precision)
    columns = {
        "gradient_norm": trained.norm,
        "gsnr": trained.gsnr,
        "coherence": trained.coherence,
        "shuffled_gsnr": of_shuffled.gsnr,
        "shuffled_coherence": of_shuffled.coherence,
        "weight_norm": model.weight_norms(place).detach(),
    }
    return _saliency(model, train, place) | {name: values.cpu().numpy() for name, values in columns.items()}


def salient(saliency: Tensor) -> Tensor:
    """Return whether a neuron has more than an equal share of an example's saliency: (example, neuron) → the same."""
    magnitude = saliency.double().abs()
    return magnitude > magnitude.mean(dim=1, keepdim=True)


def _saliency(model: Network, train: Examples, place: Place) -> Columns:
    """Return each neuron's saliency by the registered method and target, and on how many examples it has any.

    The columns are the mean |saliency|; `breadth`, the participation ratio over examples as a share of them;
    `generality`, the share of examples on which the neuron is `salient`; and `alive`, whether it ever fires.
    """
    total = torch.zeros(())  # (statistic, neuron) from the first pass on
    for tokens, labels in zip(
        train.tokens.split(EXAMPLES_PER_PASS), train.labels.split(EXAMPLES_PER_PASS), strict=True
    ):
        layer = Layer.at(model, tokens, labels, place)
        (gradient,) = layer.unit_gradients([predictions.right_minus_mean])
        saliency = layer.by_neuron(layer.units * gradient)  # activation × gradient, (example, neuron)
        magnitude = saliency.double().abs()
        parts = (magnitude, magnitude.square(), salient(saliency).double(), layer.fires.double())
        total = total.to(magnitude.device) + torch.stack([part.sum(dim=0) for part in parts])
    magnitudes, squares, shared, fired = total.cpu().numpy()
    n = len(train)
    # (Σ|s|)² / (n Σs²): 1 if all examples have the same |s|, 1/n if one has it all; 0 for a neuron without saliency.
    breadth = np.where(squares == 0, 0.0, np.square(magnitudes) / (n * np.where(squares == 0, 1.0, squares)))
    return {"saliency": magnitudes / n, "breadth": breadth, "generality": shared / n, "alive": fired > 0}


def _as_frame(
    here: Checkpoint, there: tuple[int, dict[Place, movement.Weights]] | None, decayed: set[str], settings: Optimiser
) -> tuple[int, pd.DataFrame]:
    """Return a checkpoint's step and rows, with the movement to the next checkpoint; NaN if there is none."""
    step, weights, measured = here
    layers = []
    for place, columns in measured.items():
        update, decay = np.full((2, len(columns["saliency"])), np.nan)
        if there:
            end, later = there
            norms = movement.norms(weights[place], later[place], decayed, settings, step, end)
            update, decay = (norm.cpu().numpy() for norm in norms)
        names = {"step": step, "layer": place.layer, "neuron": np.arange(len(update))}
        layers.append(pd.DataFrame({**names, **columns, "update_norm": update, "decay_norm": decay}))
    return step, pd.concat(layers, ignore_index=True)
