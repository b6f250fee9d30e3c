"""Layer conductance (Dhamdhere, Sundararajan & Yan 2019): integrated gradients of the input, split by hidden unit.

The path runs from a blank input, with zero in place of every input's vector, to the network's input. A unit's
conductance is the integral of the target's gradient in the unit over the unit's change along the path.

The conductances add up to the target's change where the whole input flows through the layer. This holds in a
perceptron. It does not hold in a transformer, whose residual stream bypasses the layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from captum.attr import LayerConductance
from torch import Tensor, nn

from general_circuits.measurements.saliency.attribution import Attribution, Effort
from general_circuits.measurements.saliency.gradients import in_units
from general_circuits.measurements.saliency.targets import Target
from general_circuits.models.layer import Layer
from general_circuits.models.settings import EXAMPLES_PER_PASS


def conductance(layer: Layer, targets: Sequence[Target], effort: Effort, tokens: Tensor) -> list[Attribution]:
    """Return the conductance of every neuron for each target.

    The path is cut into steps of equal length. A step contributes the unit's change times the gradient at the step's
    start. For a target that is linear in the layer the gradient is constant, so this sum is exact.

    Args:
        layer: place and examples to explain.
        targets: numbers of each answer to explain.
        effort: `integration_steps` is the number of steps.
        tokens: tokens of the layer's examples, (example, n_inputs + 1).
    """
    with torch.no_grad():
        start, end = layer.model.blank(tokens), layer.model.read(tokens)
        past, units = layer.model.run_to(start, layer.place)
        blank = layer.model.answer_from(past, units, layer.place)
    integrate = _through_logits if layer.is_linear else _by_captum
    conductances = integrate(layer, targets, start, end, effort.integration_steps)
    return [
        Attribution(
            layer.by_neuron(by_unit),
            target(layer.logits, layer.labels) - target(blank, layer.labels),
            effort.integration_steps,
        )
        for target, by_unit in zip(targets, conductances, strict=True)
    ]


def _by_captum(layer: Layer, targets: Sequence[Target], start: Tensor, end: Tensor, steps: int) -> list[Tensor]:
    """Return Captum's conductance for each target, (example, position, unit).

    Captum's default rule, Gauss–Legendre, has no node at either end of the path. Captum takes each unit's change from
    node to node, so that rule would lose the change before the first node and after the last.
    """
    conductances = []
    for target in targets:
        path = _PathToTarget(layer, target)
        attribution = LayerConductance(path, path.tap).attribute(
            end,
            baselines=start,
            additional_forward_args=(layer.labels,),
            n_steps=steps,
            method="riemann_trapezoid",
            internal_batch_size=max(EXAMPLES_PER_PASS, len(end)),
        )
        conductances.append(attribution.detach())
    return conductances


@torch.no_grad()
def _through_logits(layer: Layer, targets: Sequence[Target], start: Tensor, end: Tensor, steps: int) -> list[Tensor]:
    """Return the same as `_by_captum` where the logits are linear in the layer.

    The gradient in the units is the target's gradient in the logits times fixed weights. So no backward pass is needed,
    and all targets share one run along the path.
    """
    conductances = [torch.zeros_like(layer.units) for _ in targets]
    past, units = layer.model.run_to(start, layer.place)
    for alpha in torch.linspace(0, 1, steps + 1).tolist()[1:]:
        logits = layer.model.answer_from(past, units, layer.place)
        past, after = layer.model.run_to(start + alpha * (end - start), layer.place)
        for target, total in zip(targets, conductances, strict=True):
            # `logits` are still the logits at the start of the step, as in Captum's trapezoid rule.
            total += (after - units) * in_units(layer, target.gradient(logits, layer.labels))
        units = after
    return conductances


class _PathToTarget(nn.Module):
    """Map from the network's input to the target. The place's units pass through `tap`, since Captum needs a module."""

    def __init__(self, layer: Layer, target: Target) -> None:
        super().__init__()
        self.layer, self.target = layer, target
        self.tap = nn.Identity()

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        past, units = self.layer.model.run_to(x, self.layer.place)
        logits = self.layer.model.answer_from(past, self.tap(units), self.layer.place)
        return self.target(logits, labels).sum().unsqueeze(0)  # one sum, for the reason given in `gradients`
