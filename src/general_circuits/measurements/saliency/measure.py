"""Every saliency of one checkpoint: each method, target and place, as statistics of neurons or example by example.

Only one place of one checkpoint is in memory at a time.
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
"""Methods that give the same saliency where the target is linear in the neurons. The first is the cheapest.

There the target is a constant plus the sum of weight × unit. So each neuron's part is weight × unit. The gradient is
the weight at every point of the integration path. Deleting a neuron costs its part, whatever was deleted before.
"""

GROUP = ["split", "layer", "site", "method", "target", "normalisation"]

IN_ONE_PASS = ("activation_gradient",)
"""Methods that need one pass through the network everywhere."""
ALONG_LOGITS = ("integrated_gradients", "integrated_gradients_from_mean")
"""Methods that need one pass only where the logits are linear in the neurons."""


@dataclass(frozen=True)
class Questions:
    """Settings of the saliency of a checkpoint.

    Attributes:
        methods, targets, normalisations, sites: every combination is measured.
        examples: examples per split for methods that need many passes through the network. 0 means all.
        effort: limits on the work of the methods.
    """

    methods: Sequence[str]
    targets: Sequence[str]
    normalisations: Sequence[str]
    sites: Sequence[Site]
    examples: int
    effort: Effort


@dataclass(frozen=True)
class Answer:
    """Saliency by one method, target and normalisation at one place, on one split.

    Attributes:
        method, target, normalisation: names from the settings.
        attributed: the target that was attributed, with its scale.
        layer: the neurons, on the examples that were used.
        rows: positions of these examples in the split, (example).
        attribution: the attribution in units of the target, before normalisation.
        divisor: number that divides the saliency to bring it to matched scale, else 1.
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
        """Names that distinguish this answer from the others at its place and split."""
        return {"method": self.method, "target": self.target, "normalisation": self.normalisation}

    @property
    def saliency(self) -> Tensor:
        """Normalised saliency, (example, neuron)."""
        raw = self.attribution.saliency
        if self.normalisation == "per_example":
            return raw / self.totals
        return raw / self.divisor if self.divisor != 1 else raw

    @property
    def totals(self) -> Tensor:
        """Sum of the magnitudes of each example's saliencies, or 1 where all are 0: (example, 1)."""
        total = self.attribution.saliency.abs().sum(dim=1, keepdim=True)
        return torch.where(total == 0, 1, total)


class Method(Protocol):
    """Saliency method, with all its own arguments already bound."""

    def __call__(self, layer: Layer, targets: Sequence[Target], effort: Effort) -> list[Attribution]:
        """Attribute each target to the layer's neurons."""


def measure(
    model: Network, splits: Mapping[str, Examples], questions: Questions, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure the saliency of every neuron of one checkpoint.

    Args:
        model: the network.
        splits: the examples to explain, by name. `train` is one of them.
        questions: methods, targets and the rest of the settings.
        seed: the replica's seed, for random examples and orders.

    Returns:
        Two tables.

        `saliency` has one row per split, layer, site, method, target, normalisation and neuron.

        `attribution` has one row for all neurons of each such place, method, target and normalisation.
    """
    layers: list[dict[str, object]] = []
    neurons: list[dict[str, NDArray[Any]]] = []
    for split, layer, answers in _answers(model, splits, questions, seed):
        alive = layer.fires.any(dim=0).cpu().numpy()
        at = {"split": split, "layer": layer.place.layer, "site": layer.place.site}
        # Both are keyed by `id` of an attribution. An id is not reused here, as `_at_place` keeps its attributions.
        known: dict[object, dict[str, Floats]] = {}
        qualities: dict[int, dict[str, Any]] = {}
        for answer in answers:
            layers.append({**at, **answer.names, **_quality(answer, qualities)})
            neurons.append({"neuron": np.arange(len(alive)), **_statistics(answer, known), "alive": alive})
    of_layers = pd.DataFrame(layers).assign(logit_scale=model.logit_scale(splits["train"].tokens))
    # Names are stored as categories and repeated once per neuron. As strings they would take most of the memory.
    keys = of_layers[GROUP].astype({name: "category" for name in GROUP if name != "layer"})
    of_neurons = keys.loc[np.repeat(keys.index, [len(frame["neuron"]) for frame in neurons])].reset_index(drop=True)
    columns = {name: np.concatenate([frame[name] for frame in neurons]) for name in neurons[0]}
    return of_neurons.assign(**columns), of_layers


def by_example(
    model: Network, splits: Mapping[str, Examples], questions: Questions, seed: int
) -> Iterator[tuple[dict[str, object], Tensor, Tensor]]:
    """Yield every saliency of one checkpoint, example by example. The arguments are the same as for `measure`.

    Yields:
        One item per split, layer, site, method, target and normalisation, in alphabetical order. It holds these names,
        the ascending numbers of the examples that were used (example), and the saliencies (example, neuron).
    """
    in_order = replace(
        questions,
        methods=sorted(questions.methods),
        targets=sorted(questions.targets),
        normalisations=sorted(questions.normalisations),
        sites=sorted(questions.sites),
    )
    for split, layer, answers in _answers(model, splits, in_order, seed):
        numbers = splits[split].numbers
        assert numbers is not None  # examples from a task's table have numbers
        at = {"split": split, "layer": layer.place.layer, "site": layer.place.site}
        for answer in answers:
            yield at | answer.names, numbers[answer.rows], answer.saliency


def _answers(
    model: Network, splits: Mapping[str, Examples], questions: Questions, seed: int
) -> Iterator[tuple[str, Layer, Iterator[Answer]]]:
    """Yield, for each split and place, the layer on all examples of the split, and an iterator over its answers."""
    scale = model.logit_scale(splits["train"].tokens)
    means = {
        place: Layer.at(model, splits["train"].tokens, splits["train"].labels, place).units.mean(dim=0)
        for place in model.places(questions.sites)
    }
    for split, part in sorted(splits.items()):
        for place, mean in means.items():
            layer = Layer.at(model, part.tokens, part.labels, place)
            yield split, layer, _at_place(layer, part, mean, scale, questions, seed)


def _at_place(
    layer: Layer, part: Examples, mean: Tensor, scale: float, questions: Questions, seed: int
) -> Iterator[Answer]:
    """Yield every answer at one place, on one split. Methods that coincide are computed once."""
    raw = [TARGETS[name] for name in questions.targets]
    scaled = list(raw)
    if "matched" in questions.normalisations:
        # A homogeneous target at matched scale is the raw one divided by the scale, so it needs no work of its own.
        scaled += [target.at_scale(scale) for target in raw if not target.is_homogeneous]
    drawn = part.drawn(questions.examples, seed)
    done: dict[tuple[str, str, float], Attribution] = {}
    # Layer and rows, by whether the method needs many passes: all examples for cheap methods, drawn ones for others.
    used: dict[bool, tuple[Layer, Tensor]] = {
        False: (layer, torch.arange(len(part), device=drawn.device)),
        True: (layer.some(drawn), drawn) if len(drawn) < len(part) else (layer, drawn),
    }
    methods: dict[str, Method] = {
        "activation_gradient": gradients.activation_gradient,
        "integrated_gradients": gradients.integrated_gradients,
        "integrated_gradients_from_mean": partial(gradients.integrated_gradients_from_mean, mean=mean),
        "conductance": partial(conductance, tokens=part.tokens[drawn]),
        "ablation_effect": ablation_effect,
        "shapley": partial(shapley, seed=seed),
    }
    for method in questions.methods:
        # All targets that share a cheapest method are attributed in one call, which can share its passes.
        cheapest = {target: _cheapest(method, layer, target) for target in scaled}
        for name in dict.fromkeys(cheapest.values()):
            targets = [t for t in scaled if cheapest[t] == name and (name, t.name, t.scale) not in done]
            if not targets:
                continue
            explained, _ = used[_needs_many_passes(name, layer)]
            attributions = methods[name](explained, targets, questions.effort)
            for target, attribution in zip(targets, attributions, strict=True):
                done[name, target.name, target.scale] = attribution
        for target in raw:
            for normalisation in questions.normalisations:
                is_rescaled = normalisation == "matched" and not target.is_homogeneous
                attributed = target.at_scale(scale) if is_rescaled else target
                name = cheapest[target]
                explained, rows = used[_needs_many_passes(name, layer)]
                divisor = scale if normalisation == "matched" and target.is_homogeneous else 1.0
                attribution = done[name, target.name, attributed.scale]
                yield Answer(method, target.name, normalisation, attributed, explained, rows, attribution, divisor)


def _cheapest(method: str, layer: Layer, target: Target) -> str:
    """Return the cheapest method that gives the same saliency as this one."""
    return COINCIDING[0] if layer.is_linear and target.is_linear and method in COINCIDING else method


def _needs_many_passes(method: str, layer: Layer) -> bool:
    """Tell whether a method runs the network often, so that it is limited to `Questions.examples` examples."""
    return not (method in IN_ONE_PASS or (method in ALONG_LOGITS and layer.is_linear))


def _statistics(answer: Answer, known: dict[object, dict[str, Floats]]) -> dict[str, Floats]:
    """Return the statistics of every neuron.

    Answers at raw and at matched scale that share an attribution differ by a factor only. Their statistics are computed
    once and divided.
    """
    is_share = answer.normalisation == "per_example"
    key = id(answer.attribution), is_share
    if key not in known:
        known[key] = neuron_statistics(answer.saliency if is_share else answer.attribution.saliency)
    statistics = known[key]
    if is_share or answer.divisor == 1:
        return statistics
    return {name: values / answer.divisor if name in IN_LOGITS else values for name, values in statistics.items()}


def _quality(answer: Answer, known: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Return numbers that tell how far an attribution can be trusted. Each attribution is examined once."""
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
    """Return the relative error of the closed form with the final layer norm frozen, NaN elsewhere.

    It is defined for the last MLP before a final norm. Without this norm the methods in `COINCIDING` would be equal to
    the closed form.
    """
    layer = answer.layer
    is_before_norm = layer.model.is_last(layer.place) and layer.place.site == "mlp" and not layer.is_linear
    if not is_before_norm or answer.method not in COINCIDING:
        return float("nan")
    (closed,) = gradients.frozen_closed_form(layer, [answer.attributed])
    return relative_error(closed.double(), answer.attribution.saliency.double())
