"""All that is asked of one checkpoint: every method, target and place, as statistics of neurons, or example by example.

No more than one place of one checkpoint is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from general_circuits.measurements.saliency import gradients
from general_circuits.measurements.saliency.attribution import Attribution, Effort, relative_error
from general_circuits.measurements.saliency.conductance import conductance
from general_circuits.measurements.saliency.deletion import ablation_effect
from general_circuits.measurements.saliency.order_statistics import IN_LOGITS, Floats, neuron_statistics
from general_circuits.measurements.saliency.shapley import shapley
from general_circuits.measurements.saliency.targets import TARGETS, Target, saturated
from general_circuits.models.layer import Layer
from general_circuits.models.network import Network, Site
from general_circuits.tasks.examples import Examples

COINCIDING = ("activation_gradient", "integrated_gradients", "ablation_effect", "shapley")
"""Methods that are one and the same where the target is linear in the neurons: the first is the cheapest."""

GROUP = ["split", "layer", "site", "method", "target", "normalisation"]

IN_ONE_PASS = ("activation_gradient",)
ALONG_LOGITS = ("integrated_gradients", "integrated_gradients_from_mean")
"""Methods that also need but one pass where the logits are linear in the neurons."""


@dataclass(frozen=True)
class Questions:
    """What is asked of a checkpoint.

    Attributes:
        methods, targets, normalisations, sites: each is combined with each.
        examples: how many examples of a split the methods see that need many passes through the network; 0 is all.
        effort: how much work they may do.
    """

    methods: Sequence[str]
    targets: Sequence[str]
    normalisations: Sequence[str]
    sites: Sequence[Site]
    examples: int
    effort: Effort


@dataclass(frozen=True)
class Answer:
    """One method and target at one place, on one split.

    Attributes:
        method, target, normalisation: as asked.
        attributed: the target that was attributed, at its scale.
        layer: the neurons, on the examples that were used.
        rows: those examples' places in the split, (example).
        attribution: what was found, in units of the target, before any normalisation.
        divisor: of the saliency, at the scale that was asked for.
    """

    method: str
    target: str
    normalisation: str
    attributed: Target
    layer: Layer
    rows: Tensor
    attribution: Attribution
    divisor: float

    @property
    def names(self) -> dict[str, object]:
        """What tells it from the other answers of its place and split."""
        return {"method": self.method, "target": self.target, "normalisation": self.normalisation}

    @property
    def saliency(self) -> Tensor:
        """(example, neuron), as the normalisation has it."""
        found = self.attribution.saliency
        if self.normalisation == "per_example":
            return found / self.totals
        return found / self.divisor if self.divisor != 1 else found

    @property
    def totals(self) -> Tensor:
        """(example, 1): the magnitudes of each example's saliencies together, or 1 where all are 0."""
        total = self.attribution.saliency.abs().sum(dim=1, keepdim=True)
        return torch.where(total == 0, 1, total)


class Method(Protocol):
    def __call__(self, layer: Layer, targets: Sequence[Target], effort: Effort) -> list[Attribution]:
        """Attribute each target to the layer's neurons."""


def measure(
    model: Network, splits: Mapping[str, Examples], asked: Questions, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One checkpoint in numbers.

    Args:
        model: the network.
        splits: the examples to explain, by name; `train` is one of them.
        asked: what to compute.
        seed: the replica, for what is drawn.

    Returns:
        One row per split, layer, site, method, target, normalisation and neuron (`saliency`), and one row each for all
        neurons together (`attribution`).
    """
    layers: list[dict[str, object]] = []
    neurons: list[dict[str, NDArray[Any]]] = []
    for split, layer, answers in _answers(model, splits, asked, seed):
        alive = layer.fires.any(dim=0).cpu().numpy()
        at = {"split": split, "layer": layer.place.layer, "site": layer.place.site}
        known: dict[object, dict[str, Floats]] = {}
        qualities: dict[int, dict[str, Any]] = {}
        for answer in answers:
            layers.append({**at, **answer.names, **_quality(answer, qualities)})
            neurons.append({"neuron": np.arange(len(alive)), **_statistics(answer, known), "alive": alive})
    of_layers = pd.DataFrame(layers).assign(logit_scale=model.logit_scale(splits["train"].tokens))
    keys = of_layers[GROUP].astype({name: "category" for name in GROUP if name != "layer"})
    of_neurons = keys.loc[np.repeat(keys.index, [len(found["neuron"]) for found in neurons])].reset_index(drop=True)
    columns = {name: np.concatenate([found[name] for found in neurons]) for name in neurons[0]}
    return of_neurons.assign(**columns), of_layers


def by_example(
    model: Network, splits: Mapping[str, Examples], asked: Questions, seed: int
) -> Iterator[tuple[dict[str, object], Tensor, Tensor]]:
    """Every saliency of one checkpoint, with the arguments of `measure`.

    Yields:
        For each split, layer, site, method, target and normalisation, in alphabetical order, its names, the numbers of
        the examples that were used, ascending (example), and the saliencies (example, neuron).
    """
    in_order = replace(
        asked,
        methods=sorted(asked.methods),
        targets=sorted(asked.targets),
        normalisations=sorted(asked.normalisations),
        sites=sorted(asked.sites),
    )
    for split, layer, answers in _answers(model, splits, in_order, seed):
        numbers = splits[split].numbers
        assert numbers is not None  # they are from a task's table
        at = {"split": split, "layer": layer.place.layer, "site": layer.place.site}
        for answer in answers:
            yield at | answer.names, numbers[answer.rows], answer.saliency


def _answers(
    model: Network, splits: Mapping[str, Examples], asked: Questions, seed: int
) -> Iterator[tuple[str, Layer, Iterator[Answer]]]:
    """Split by split and place by place: the layer on all of the split's examples, and the answers one by one."""
    scale = model.logit_scale(splits["train"].tokens)
    means = {
        place: Layer.at(model, splits["train"].tokens, splits["train"].labels, place).units.mean(dim=0)
        for place in model.places(asked.sites)
    }
    for split, part in sorted(splits.items()):
        for place, mean in means.items():
            layer = Layer.at(model, part.tokens, part.labels, place)
            yield split, layer, _at_place(layer, part, mean, scale, asked, seed)


def _at_place(
    layer: Layer, part: Examples, mean: Tensor, scale: float, asked: Questions, seed: int
) -> Iterator[Answer]:
    """Every answer at one place, on one split. Methods that coincide are computed once."""
    raw = [TARGETS[name] for name in asked.targets]
    wanted = list(raw)
    if "matched" in asked.normalisations:
        wanted += [target.at_scale(scale) for target in raw if not target.is_homogeneous]
    some = part.drawn(asked.examples, seed)
    done: dict[tuple[str, str, float], Attribution] = {}
    used: dict[bool, tuple[Layer, Tensor]] = {
        False: (layer, torch.arange(len(part), device=some.device)),
        True: (layer.some(some), some) if len(some) < len(part) else (layer, some),
    }
    ways: dict[str, Method] = {
        "activation_gradient": gradients.activation_gradient,
        "integrated_gradients": gradients.integrated_gradients,
        "integrated_gradients_from_mean": partial(gradients.integrated_gradients_from_mean, mean=mean),
        "conductance": partial(conductance, tokens=part.tokens[some]),
        "ablation_effect": ablation_effect,
        "shapley": partial(shapley, seed=seed),
    }
    for method in asked.methods:
        computed = {target: _cheapest(method, layer, target) for target in wanted}
        for how in dict.fromkeys(computed.values()):
            targets = [t for t in wanted if computed[t] == how and (how, t.name, t.scale) not in done]
            if not targets:
                continue
            on, _ = used[_needs_many_passes(how, layer)]
            for target, attribution in zip(targets, ways[how](on, targets, asked.effort), strict=True):
                done[how, target.name, target.scale] = attribution
        for target in raw:
            for normalisation in asked.normalisations:
                is_rescaled = normalisation == "matched" and not target.is_homogeneous
                attributed = target.at_scale(scale) if is_rescaled else target
                how = computed[target]
                on, rows = used[_needs_many_passes(how, layer)]
                divisor = scale if normalisation == "matched" and target.is_homogeneous else 1.0
                attribution = done[how, target.name, attributed.scale]
                yield Answer(method, target.name, normalisation, attributed, on, rows, attribution, divisor)


def _cheapest(method: str, layer: Layer, target: Target) -> str:
    """The cheapest method that gives the same."""
    return COINCIDING[0] if layer.is_linear and target.is_linear and method in COINCIDING else method


def _needs_many_passes(method: str, layer: Layer) -> bool:
    return not (method in IN_ONE_PASS or (method in ALONG_LOGITS and layer.is_linear))


def _statistics(answer: Answer, known: dict[object, dict[str, Floats]]) -> dict[str, Floats]:
    """Of every neuron; what differs from another answer by a factor is that, times it."""
    is_share = answer.normalisation == "per_example"
    key = id(answer.attribution), is_share
    if key not in known:
        known[key] = neuron_statistics(answer.saliency if is_share else answer.attribution.saliency)
    found = known[key]
    if is_share or answer.divisor == 1:
        return found
    return {name: values / answer.divisor if name in IN_LOGITS else values for name, values in found.items()}


def _quality(answer: Answer, known: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """How far an attribution is to be trusted, in one number each; of each attribution it is worked out once."""
    attribution, labels = answer.attribution, answer.layer.labels
    if id(attribution) not in known:
        known[id(attribution)] = {
            "examples": len(labels),
            "completeness_error": attribution.completeness_error,
            "integration_steps": attribution.steps,
            "saturated": saturated(answer.attributed, answer.layer.logits, labels),
            "closed_form_gap": _closed_form_gap(answer),
        }
    error = attribution.standard_error
    if error is None:
        return {**known[id(attribution)], "standard_error": 0.0}
    unit = answer.totals if answer.normalisation == "per_example" else answer.divisor
    return {**known[id(attribution)], "standard_error": float((error / unit).square().mean().sqrt())}


def _closed_form_gap(answer: Answer) -> float:
    """How far what a final norm keeps from being in closed form is from it, with the norm frozen; NaN elsewhere."""
    layer = answer.layer
    is_before_norm = layer.model.is_last(layer.place) and layer.place.site == "mlp" and not layer.is_linear
    if not is_before_norm or answer.method not in COINCIDING:
        return float("nan")
    (closed,) = gradients.frozen_closed_form(layer, [answer.attributed])
    return relative_error(closed.double(), answer.attribution.saliency.double())
