"""Saliency: how much each MLP unit contributed to each answer.

The target is the right answer's logit minus the mean logit, which neither saturates with confidence nor moves when all
logits shift together. A unit's saliency is summed over the positions it is computed at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from general_circuits import scores
from general_circuits.examples import Examples
from general_circuits.models.network import Network

Method = Literal["activation_gradient", "integrated_gradients"]


@dataclass(frozen=True)
class Attribution:
    """Saliency of one layer's units.

    Attributes:
        saliency: (example, neuron), in units of the logits.
        fires: whether the unit is anything but zero at a position that can reach the answer, (example, neuron).
        completeness_error: mean |Σ saliency − (target − target without the layer)| over mean |target − target without
            the layer|; None where the method does not promise completeness.
    """

    saliency: Tensor
    fires: Tensor
    completeness_error: float | None


def target(logits: Tensor, labels: Tensor) -> Tensor:
    """Right logit minus mean logit: logits (example, class), labels (example) → (example)."""
    return scores.right_logit(logits, labels) - logits.mean(dim=-1)


def attribute(
    model: Network, tokens: Tensor, labels: Tensor, layer: int, method: Method, integration_steps: int = 50
) -> Attribution:
    """Saliency of every unit of one layer for every example.

    Args:
        model: the network at one checkpoint.
        tokens: (example, position).
        labels: (example), the class each saliency explains.
        layer: which block's MLP.
        method: `activation_gradient` (activation × gradient of the target) or `integrated_gradients` (Sundararajan et
            al. 2017) along the straight line from zero activation. Where the target is linear in the layer the two are
            one matrix product, which is then used for either.
        integration_steps: of integrated gradients, where they are not exact.
    """
    resid_mid, post = (part.detach() for part in model.run_to_neurons(tokens, layer))
    fires = (post[:, -1:] if model.is_last(layer) else post).ne(0).any(dim=1)
    if model.is_linear_from(layer):
        saliency = closed_form(model, post, labels, layer)
    elif method == "activation_gradient":
        saliency = activation_gradient(model, resid_mid, post, labels, layer)
    else:
        saliency = integrated_gradients(model, resid_mid, post, labels, layer, integration_steps)
    if method == "activation_gradient":
        return Attribution(saliency, fires, None)
    return Attribution(saliency, fires, completeness_error(model, resid_mid, post, labels, layer, saliency))


def measure(
    model: Network, splits: Mapping[str, Examples], methods: Sequence[Method], integration_steps: int
) -> pd.DataFrame:
    """The statistics of every unit of one checkpoint: a row per `split`, `layer`, `method` and `neuron`."""
    frames = []
    for name, part in splits.items():
        for layer in range(model.settings.n_layers):
            for method in methods:
                found = attribute(model, part.tokens, part.labels, layer, method, integration_steps)
                frames.append(neuron_statistics(found).assign(split=name, layer=layer, method=method))
    return pd.concat(frames, ignore_index=True)


@torch.no_grad()
def closed_form(model: Network, post: Tensor, labels: Tensor, layer: int) -> Tensor:
    """Activation × what the unit writes to the target, (example, neuron); exact where the logits are linear in it."""
    weights = model.logit_weights(layer)  # (neuron, class)
    effect = weights - weights.mean(dim=1, keepdim=True)
    return post[:, -1] * effect.T[labels]


def activation_gradient(model: Network, resid_mid: Tensor, post: Tensor, labels: Tensor, layer: int) -> Tensor:
    """Activation × gradient of the target, summed over positions, (example, neuron)."""
    post = post.detach().clone().requires_grad_()
    total = target(model.answer_from_neurons(resid_mid, post, layer), labels).sum()
    (gradient,) = torch.autograd.grad(total, post)
    return (post * gradient).sum(dim=1).detach()


def integrated_gradients(
    model: Network, resid_mid: Tensor, post: Tensor, labels: Tensor, layer: int, steps: int
) -> Tensor:
    """Captum's integrated gradients from zero activation to `post`, summed over positions, (example, neuron).

    `IntegratedGradients` on the rest of the network, not `LayerIntegratedGradients`: the latter's baseline is the
    layer's activation at a baseline *input*, which is not zero activation.
    """

    def rest(post: Tensor, resid_mid: Tensor, labels: Tensor) -> Tensor:
        return target(model.answer_from_neurons(resid_mid, post, layer), labels)

    attribution = IntegratedGradients(rest).attribute(
        post,
        baselines=0.0,
        additional_forward_args=(resid_mid, labels),
        n_steps=steps,
        internal_batch_size=max(2048, len(post)),
    )
    return attribution.sum(dim=1).detach()


@torch.no_grad()
def completeness_error(
    model: Network, resid_mid: Tensor, post: Tensor, labels: Tensor, layer: int, saliency: Tensor
) -> float:
    """How far the saliencies are from adding up to what the layer changed, relative to its mean size."""
    whole = target(model.answer_from_neurons(resid_mid, post, layer), labels)
    without = target(model.answer_from_neurons(resid_mid, torch.zeros_like(post), layer), labels)
    change = (whole - without).double()
    error = (saliency.double().sum(dim=1) - change).abs().mean()
    return float(error / change.abs().mean().clamp_min(torch.finfo(torch.float64).tiny))


@torch.no_grad()
def neuron_statistics(attribution: Attribution) -> pd.DataFrame:
    """One row per neuron: how its saliency is spread over the examples.

    Columns: `median` of the signed saliency; `median_magnitude`, `mean_magnitude`, `q95_magnitude` of its absolute
    value; `breadth`, the participation ratio (Σ|s|)² / (n·Σs²) from 1/n (one example) to 1 (all alike), 0 for a unit
    without saliency; `alive`, whether it fires on any example.
    """
    # Units in rows: numpy sorts the examples of one unit much faster where they lie side by side.
    saliency = attribution.saliency.T.double().contiguous().cpu().numpy()  # (neuron, example)
    magnitude = np.abs(saliency)
    squares = np.square(saliency).sum(axis=1)
    with np.errstate(invalid="ignore"):
        breadth = np.square(magnitude.sum(axis=1)) / (saliency.shape[1] * squares)
    median_magnitude, q95_magnitude = np.quantile(magnitude, [0.5, 0.95], axis=1)
    columns = {
        "median": np.quantile(saliency, 0.5, axis=1),
        "median_magnitude": median_magnitude,
        "mean_magnitude": magnitude.mean(axis=1),
        "q95_magnitude": q95_magnitude,
        "breadth": np.where(squares == 0, 0.0, breadth),
        "alive": attribution.fires.any(dim=0).cpu().numpy(),
    }
    frame = pd.DataFrame(columns)
    error = attribution.completeness_error
    return frame.assign(neuron=range(len(frame)), completeness_error=float("nan") if error is None else error)
