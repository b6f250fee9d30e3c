"""Activation × gradient, and integrated gradients (Sundararajan, Taly & Yan 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from general_circuits.measurements.saliency.attribution import Attribution, Effort, relative_error, zero_baseline
from general_circuits.measurements.saliency.targets import Target
from general_circuits.models.layer import Layer
from general_circuits.models.settings import EXAMPLES_PER_PASS


def activation_gradient(layer: Layer, targets: Sequence[Target], effort: Effort) -> list[Attribution]:
    """Return each unit's activation times the target's gradient in it, summed over positions.

    Where the logits and the target are linear in the layer, it is complete against zero activation. Elsewhere it is the
    effect of a small relative change of the neuron.
    """
    if layer.is_linear:
        # One matrix product replaces the backward pass through the network.
        gradients = [in_units(layer, target.gradient(layer.logits, layer.labels)) for target in targets]
    else:
        gradients = layer.unit_gradients(targets)
    at_baseline = baseline_logits(layer, zero_baseline(layer))
    return [
        Attribution(layer.by_neuron(layer.units * gradient), explained(layer, target, at_baseline))
        for target, gradient in zip(targets, gradients, strict=True)
    ]


def frozen_closed_form(layer: Layer, targets: Sequence[Target]) -> list[Tensor]:
    """Return activation × gradient with the scale of every layer norm held fixed, (example, neuron) for each target.

    This is direct logit attribution. For a linear target it would be exact if later norms did not rescale.
    """
    with layer.model.frozen_norms():
        return [layer.by_neuron(layer.units * gradient) for gradient in layer.unit_gradients(targets)]


def integrated_gradients(layer: Layer, targets: Sequence[Target], effort: Effort) -> list[Attribution]:
    """Return integrated gradients along the straight line from zero activation to the layer's activation."""
    return _integrated(layer, targets, effort, zero_baseline(layer))


def integrated_gradients_from_mean(
    layer: Layer, targets: Sequence[Target], effort: Effort, mean: Tensor
) -> list[Attribution]:
    """Return integrated gradients along the straight line from each unit's mean over training examples.

    `mean` is (position, unit).
    """
    return _integrated(layer, targets, effort, mean)


def _integrated(layer: Layer, targets: Sequence[Target], effort: Effort, baseline: Tensor) -> list[Attribution]:
    """Integrate with a number of steps that doubles until the attribution is complete or the limit is reached."""
    at_baseline = baseline_logits(layer, baseline)
    attributions = []
    for target in targets:
        change, is_exact = explained(layer, target, at_baseline), layer.is_linear and target.is_linear
        steps = 1 if is_exact else effort.integration_steps  # a linear target has the same gradient all along the line
        while True:
            saliency = _along_line(layer, target, baseline, at_baseline, steps)
            error = relative_error(saliency.double().sum(dim=1), change.double())
            if error <= effort.completeness_error or 2 * steps > effort.most_integration_steps:
                break
            steps *= 2
        attributions.append(Attribution(saliency, change, 0 if is_exact else steps))
    return attributions


def _along_line(layer: Layer, target: Target, baseline: Tensor, at_baseline: Tensor, steps: int) -> Tensor:
    """Return integrated gradients by Gauss–Legendre quadrature, (example, neuron).

    Captum's `IntegratedGradients` runs on the rest of the network. Its `LayerIntegratedGradients` would not do: its
    baseline is the layer's activation at a baseline *input*, not a chosen activation.
    """
    if layer.is_linear:
        # As the units move along a line, so do the logits. Only the target's gradient in the logits is integrated.
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        gradient = torch.zeros_like(layer.logits)
        for node, weight in zip(nodes, weights, strict=True):
            # The nodes lie in (−1, 1) and their weights add up to 2. The line's parameter runs from 0 to 1.
            at = at_baseline + (node + 1) / 2 * (layer.logits - at_baseline)
            gradient += weight / 2 * target.gradient(at, layer.labels)
        return layer.by_neuron((layer.units - baseline) * in_units(layer, gradient))

    def rest(units: Tensor, past: Tensor, labels: Tensor) -> Tensor:
        # The gradient of one sum holds each example's own gradient. Captum would run a backward pass per example.
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
    """Turn a gradient in the logits (example, class) into one in the units (example, 1, unit). Linear places only."""
    return (gradient @ layer.weights.T).unsqueeze(1)


@torch.no_grad()
def baseline_logits(layer: Layer, baseline: Tensor) -> Tensor:
    """Return the logits (example, class) with every unit at the baseline (position, unit)."""
    return layer.answer(baseline.expand_as(layer.units))


def explained(layer: Layer, target: Target, at_baseline: Tensor) -> Tensor:
    """Return the target minus its value for the logits `at_baseline`, (example)."""
    return target(layer.logits, layer.labels) - target(at_baseline, layer.labels)
