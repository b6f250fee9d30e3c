"""What deleting each neuron by itself costs each answer: the target with it, minus the target with it set to zero."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from general_circuits.measurements.saliency import LOGITS_PER_PASS
from general_circuits.measurements.saliency.attribution import Attribution, Effort, nothing
from general_circuits.measurements.saliency.gradients import explained, silent_logits
from general_circuits.measurements.saliency.targets import Target
from general_circuits.models.layer import Layer


@torch.no_grad()
def ablation_effect(layer: Layer, targets: Sequence[Target], effort: Effort) -> list[Attribution]:
    """Of every neuron on every example. Not complete where neurons act together: each is deleted by itself."""
    labels = layer.labels
    whole = [target(layer.logits, labels) for target in targets]
    found = [torch.empty(len(labels), layer.n_neurons).to(layer.logits) for _ in targets]
    if layer.is_linear:
        at_once = max(1, LOGITS_PER_PASS // layer.logits.numel())
        for some in torch.arange(layer.n_neurons, device=labels.device).split(at_once):
            written = layer.units[:, 0, some].T.unsqueeze(2) * layer.weights[some].unsqueeze(1)
            without = layer.logits - written  # (neuron, example, class)
            for target, saliency, value in zip(targets, found, whole, strict=True):
                saliency[:, some] = (value - target(without, labels)).T
    else:
        zero = nothing(layer)
        for neuron in torch.arange(layer.n_neurons, device=labels.device):
            without = layer.answer(layer.without(neuron.unsqueeze(0), zero))
            for target, saliency, value in zip(targets, found, whole, strict=True):
                saliency[:, neuron] = value - target(without, labels)
    silent = silent_logits(layer, nothing(layer))
    return [
        Attribution(saliency, explained(layer, target, silent)) for target, saliency in zip(targets, found, strict=True)
    ]
