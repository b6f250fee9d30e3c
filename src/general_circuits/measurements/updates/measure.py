"""Checkpoints of one replica in numbers: every MLP neuron, its gradient on training examples, its way to the next."""

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
"""By name, one number of each neuron, (neuron)."""
Checkpoint = tuple[int, dict[Place, movement.Weights], dict[Place, Columns]]
"""A step, each layer's weights there, and what was measured of them."""


def track(
    models: Iterable[tuple[int, Network]], train: Examples, settings: Optimiser, seed: int
) -> Iterator[tuple[int, pd.DataFrame]]:
    """Every checkpoint, with what updates did from it to the next of these.

    Args:
        models: step and network, by ascending step; read one at a time, and it may be one network that is filled anew.
        train: the training examples, with the labels that train.
        settings: how the steps between were taken.
        seed: the replica, for what is drawn.

    Yields:
        The step, and one row per layer and neuron, in that order: the `updates` table but for condition and replica.
    """
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(stream_seed(seed, "shuffled_labels")))
    shuffled = train.labels[order.to(train.labels.device)]
    precision = torch.float64 if settings.loss_precision == "float64" else torch.float32
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
    """One layer of MLP neurons at one checkpoint.

    Args:
        model: the network.
        train: the training examples.
        shuffled: their labels, shuffled among them, (example).
        place: the layer.
        precision: the logits', in which the loss is taken.
    """
    own, of_shuffled = moments(model, train.tokens, (train.labels, shuffled), place, precision)
    found = {
        "gradient_norm": own.norm,
        "gsnr": own.gsnr,
        "coherence": own.coherence,
        "shuffled_gsnr": of_shuffled.gsnr,
        "shuffled_coherence": of_shuffled.coherence,
        "weight_norm": model.weight_norms(place).detach(),
    }
    return _saliency(model, train, place) | {name: values.cpu().numpy() for name, values in found.items()}


def salient(saliency: Tensor) -> Tensor:
    """On which examples each neuron has more than an equal share of all saliency: (example, neuron), the same."""
    magnitude = saliency.double().abs()
    return magnitude > magnitude.mean(dim=1, keepdim=True)


def _saliency(model: Network, train: Examples, place: Place) -> Columns:
    """How large it is, on how many examples, and whether there is any: by the registered method and target."""
    total = torch.zeros(())
    for tokens, labels in zip(
        train.tokens.split(EXAMPLES_PER_PASS), train.labels.split(EXAMPLES_PER_PASS), strict=True
    ):
        layer = Layer.at(model, tokens, labels, place)
        (gradient,) = layer.unit_gradients([predictions.right_minus_mean])
        found = layer.by_neuron(layer.units * gradient)
        magnitude = found.double().abs()
        parts = (magnitude, magnitude.square(), salient(found).double(), layer.fires.double())
        total = total.to(magnitude.device) + torch.stack([part.sum(dim=0) for part in parts])
    magnitudes, squares, shared, fired = total.cpu().numpy()
    n = len(train)
    breadth = np.where(squares == 0, 0.0, np.square(magnitudes) / (n * np.where(squares == 0, 1.0, squares)))
    return {"saliency": magnitudes / n, "breadth": breadth, "generality": shared / n, "alive": fired > 0}


def _as_frame(
    here: Checkpoint, there: tuple[int, dict[Place, movement.Weights]] | None, decayed: set[str], settings: Optimiser
) -> tuple[int, pd.DataFrame]:
    """A checkpoint as a frame, with its way to the next one where there is one."""
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
