"""Layer conductance (Dhamdhere, Sundararajan & Yan 2019): integrated gradients in the input, by the units on its way.

The path runs from a blank, zero in place of every input's vector, to what the network reads. A unit's conductance is
its change along the path times the target's gradient in it. They add up to the target's change where all that is read
flows through the layer: in a perceptron, not in a transformer, whose residual stream goes past it.
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
    """Of every neuron: its change along each piece of the path × the gradient where the piece begins, summed.

    Pieces are of equal length, from the blank to what is read; of a target that is linear in the layer nothing is lost.

    Args:
        layer: of these tokens.
        targets: what is explained.
        effort: how many steps.
        tokens: (example, n_inputs + 1).
    """
    with torch.no_grad():
        start, end = layer.model.blank(tokens), layer.model.read(tokens)
        past, units = layer.model.run_to(start, layer.place)
        blank = layer.model.answer_from(past, units, layer.place)
    way = _through_logits if layer.is_linear else _by_captum
    found = way(layer, targets, start, end, effort.integration_steps)
    return [
        Attribution(
            layer.by_neuron(attribution),
            target(layer.logits, layer.labels) - target(blank, layer.labels),
            effort.integration_steps,
        )
        for target, attribution in zip(targets, found, strict=True)
    ]


def _by_captum(layer: Layer, targets: Sequence[Target], start: Tensor, end: Tensor, steps: int) -> list[Tensor]:
    """Captum's, (example, position, unit). Its own default rule, Gauss–Legendre, leaves out both ends of the path."""
    found = []
    for target in targets:
        whole = _Whole(layer, target)
        attribution = LayerConductance(whole, whole.tap).attribute(
            end,
            baselines=start,
            additional_forward_args=(layer.labels,),
            n_steps=steps,
            method="riemann_trapezoid",
            internal_batch_size=max(EXAMPLES_PER_PASS, len(end)),
        )
        found.append(attribution.detach())
    return found


@torch.no_grad()
def _through_logits(layer: Layer, targets: Sequence[Target], start: Tensor, end: Tensor, steps: int) -> list[Tensor]:
    """The same where the logits are linear in the layer: nothing goes backwards, and all targets share the path."""
    found = [torch.zeros_like(layer.units) for _ in targets]
    past, units = layer.model.run_to(start, layer.place)
    for alpha in torch.linspace(0, 1, steps + 1).tolist()[1:]:
        logits = layer.model.answer_from(past, units, layer.place)
        past, after = layer.model.run_to(start + alpha * (end - start), layer.place)
        for target, total in zip(targets, found, strict=True):
            total += (after - units) * in_units(layer, target.gradient(logits, layer.labels))
        units = after
    return found


class _Whole(nn.Module):
    """From what is read to the target, with a place's units as a module's output, which is how Captum finds them."""

    def __init__(self, layer: Layer, target: Target) -> None:
        super().__init__()
        self.layer, self.target = layer, target
        self.tap = nn.Identity()

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        past, units = self.layer.model.run_to(x, self.layer.place)
        logits = self.layer.model.answer_from(past, self.tap(units), self.layer.place)
        return self.target(logits, labels).sum().unsqueeze(0)  # one sum, as in `gradients`
