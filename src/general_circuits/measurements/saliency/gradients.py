"""Activation × gradient, and integrated gradients (Sundararajan, Taly & Yan 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from general_circuits.measurements.saliency.attribution import Attribution, Effort, nothing, relative_error
from general_circuits.measurements.saliency.targets import Target
from general_circuits.models.layer import Layer
from general_circuits.models.settings import EXAMPLES_PER_PASS


def activation_gradient(layer: Layer, targets: Sequence[Target], effort: Effort) -> list[Attribution]:
    """Each unit's activation × the target's gradient in it, summed over positions.

    Where the logits are linear in the layer that is one matrix product. Complete against zero activation where the
    target is linear too; else it says what a small relative change of the neuron would do.
    """
    if layer.is_linear:
        gradients = [in_units(layer, target.gradient(layer.logits, layer.labels)) for target in targets]
    else:
        gradients = layer.unit_gradients(targets)
    silent = silent_logits(layer, nothing(layer))
    return [
        Attribution(layer.by_neuron(layer.units * gradient), explained(layer, target, silent))
        for target, gradient in zip(targets, gradients, strict=True)
    ]


def frozen_closed_form(layer: Layer, targets: Sequence[Target]) -> list[Tensor]:
    """What would be exact for linear targets if the layer norms after the layer did not rescale: (example, neuron).

    Activation × gradient with the scale that every norm divides by held at its value ("direct logit attribution").
    """
    with layer.model.frozen_norms():
        return [layer.by_neuron(layer.units * gradient) for gradient in layer.unit_gradients(targets)]


def integrated_gradients(layer: Layer, targets: Sequence[Target], effort: Effort) -> list[Attribution]:
    """Along the straight line from zero activation."""
    return _integrated(layer, targets, effort, nothing(layer))


def integrated_gradients_from_mean(
    layer: Layer, targets: Sequence[Target], effort: Effort, mean: Tensor
) -> list[Attribution]:
    """Along the straight line from each unit's mean over training examples, (position, unit)."""
    return _integrated(layer, targets, effort, mean)


def _integrated(layer: Layer, targets: Sequence[Target], effort: Effort, baseline: Tensor) -> list[Attribution]:
    """With as many steps as it takes to be complete, doubled from the first number up to the most."""
    silent = silent_logits(layer, baseline)
    found = []
    for target in targets:
        change, is_exact = explained(layer, target, silent), layer.is_linear and target.is_linear
        steps = 1 if is_exact else effort.integration_steps  # the gradient is the same all along
        while True:
            saliency = _along_line(layer, target, baseline, silent, steps)
            error = relative_error(saliency.double().sum(dim=1), change.double())
            if error <= effort.completeness_error or 2 * steps > effort.most_integration_steps:
                break
            steps *= 2
        found.append(Attribution(saliency, change, 0 if is_exact else steps))
    return found


def _along_line(layer: Layer, target: Target, baseline: Tensor, silent: Tensor, steps: int) -> Tensor:
    """Integrated gradients by Gauss–Legendre quadrature, (example, neuron).

    Where the logits are linear in the layer they move along a line too, and only the gradient in the logits has to be
    integrated. Elsewhere it is Captum's `IntegratedGradients` on the rest of the network, not its
    `LayerIntegratedGradients`: the latter's baseline is the layer's activation at a baseline *input*.
    """
    if layer.is_linear:
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        gradient = torch.zeros_like(layer.logits)
        for node, weight in zip(nodes, weights, strict=True):
            at = silent + (node + 1) / 2 * (layer.logits - silent)
            gradient += weight / 2 * target.gradient(at, layer.labels)
        return layer.by_neuron((layer.units - baseline) * in_units(layer, gradient))

    def rest(units: Tensor, past: Tensor, labels: Tensor) -> Tensor:
        # One sum, whose gradient is every example's own: Captum would go backwards from each by itself.
        return target(layer.model.answer_from(past, units, layer.place), labels).sum().unsqueeze(0)

    attribution = IntegratedGradients(rest).attribute(
        layer.units,
        baselines=baseline.expand_as(layer.units),
        additional_forward_args=(layer.past, layer.labels),
        n_steps=steps,
        internal_batch_size=max(EXAMPLES_PER_PASS, len(layer.labels)),
    )
    return layer.by_neuron(attribution.detach())


def in_units(layer: Layer, gradient: Tensor) -> Tensor:
    """A gradient in the logits (example, class) → in the units (example, 1, unit); linear places only."""
    return (gradient @ layer.weights.T).unsqueeze(1)


@torch.no_grad()
def silent_logits(layer: Layer, baseline: Tensor) -> Tensor:
    """Logits (example, class) with every unit at the baseline (position, unit)."""
    return layer.answer(baseline.expand_as(layer.units))


def explained(layer: Layer, target: Target, silent: Tensor) -> Tensor:
    """By how much the target differs from that of the `silent` logits, (example)."""
    return target(layer.logits, layer.labels) - target(silent, layer.labels)
