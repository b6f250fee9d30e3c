"""Ablation effect: the target of each answer, minus the target with one neuron set to zero."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from general_circuits.measurements.saliency import LOGITS_PER_PASS
from general_circuits.measurements.saliency.attribution import Attribution, Effort, zero_baseline
from general_circuits.measurements.saliency.gradients import baseline_logits, explained
from general_circuits.measurements.saliency.targets import Target
from general_circuits.models.layer import Layer


@torch.no_grad()
def ablation_effect(layer: Layer, targets: Sequence[Target], effort: Effort) -> list[Attribution]:
    """Return the effect of deleting each neuron by itself, on every example.

    The effects do not add up to the target's change where neurons act together.
    """
    labels = layer.labels
    values = [target(layer.logits, labels) for target in targets]  # one (example) per target
    effects = [torch.empty(len(labels), layer.n_neurons).to(layer.logits) for _ in targets]
    if layer.is_linear:
        # A neuron adds unit × weights to the logits. Deleting it takes away just that, so nothing is run again.
        at_once = max(1, LOGITS_PER_PASS // layer.logits.numel())
        for neurons in torch.arange(layer.n_neurons, device=labels.device).split(at_once):
            # (neuron, example, 1) × (neuron, 1, class) → (neuron, example, class)
            written = layer.units[:, 0, neurons].T.unsqueeze(2) * layer.weights[neurons].unsqueeze(1)
            without = layer.logits - written
            for target, effect, value in zip(targets, effects, values, strict=True):
                effect[:, neurons] = (value - target(without, labels)).T
    else:
        zero = zero_baseline(layer)
        for neuron in torch.arange(layer.n_neurons, device=labels.device):
            without = layer.answer(layer.without(neuron.unsqueeze(0), zero))
            for target, effect, value in zip(targets, effects, values, strict=True):
                effect[:, neuron] = value - target(without, labels)
    at_baseline = baseline_logits(layer, zero_baseline(layer))
    return [
        Attribution(effect, explained(layer, target, at_baseline))
        for target, effect in zip(targets, effects, strict=True)
    ]
