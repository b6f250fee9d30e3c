"""Cost of saliency and ablation in closed form, against Captum's integrated gradients and running the network.

`make bench` runs this. It prints one table, writes it as Parquet under results/, and puts it into the README between
its marks.

The network is the preset `nanda` on all 9,409 pairs of x + y mod 97. Its weights are random, and differ at each
checkpoint, since no time depends on their values. Everything runs on one thread. Methods that are compared take turns,
and times are medians.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from general_circuits import devices, formatting, machine
from general_circuits.documentation.readme import between
from general_circuits.measurements.ablation.answers import recomputed
from general_circuits.measurements.ablation.nested import Nested
from general_circuits.measurements.ablation.rankings import sizes
from general_circuits.measurements.saliency.attribution import Effort, nothing
from general_circuits.measurements.saliency.gradients import AT_ONCE, activation_gradient, in_units
from general_circuits.measurements.saliency.order_statistics import neuron_statistics
from general_circuits.measurements.saliency.targets import TARGETS
from general_circuits.models.build import build
from general_circuits.models.layer import Layer
from general_circuits.models.network import Network, Place
from general_circuits.models.presets import PRESETS
from general_circuits.tasks.vocabulary import Vocabulary

ROOT = Path(__file__).parents[1]
TABLE, README = ROOT / "results" / "benchmarks_saliency.parquet", ROOT / "README.md"
MODULUS, PLACE, TARGET = 97, Place(0), TARGETS["right_minus_mean"]
CHECKPOINTS = 40
STEPS = 50
"""Steps of Captum's integrated gradients."""
EFFORT = Effort(STEPS, STEPS, completeness_error=1e-3, permutations=2)
TURNS = {"captum": 3, "closed": 10, "curve": 7}
"""Number of times that each method is timed. The closed form is timed this often in each of Captum's turns."""
SOME_K = (1, 32, 128, 256, 384, 512)
"""Numbers of deleted neurons for which the network runs again."""


def main() -> None:
    """Measure, print the table, write it as Parquet, and refresh the README."""
    devices.set_up("cpu")
    costs = _forty() | _against_captum() | _curve()
    TABLE.parent.mkdir(exist_ok=True)
    pd.DataFrame([costs]).to_parquet(TABLE)
    text = _markdown(costs)
    print(text)
    README.write_text(between(README.read_text(encoding="utf-8"), "bench-saliency", text), encoding="utf-8")


def _network(seed: int) -> Network:
    vocabulary = Vocabulary(2, MODULUS, MODULUS)
    return build(PRESETS["nanda"].model, vocabulary).initialise(torch.Generator().manual_seed(seed))


def _examples() -> tuple[Tensor, Tensor]:
    """Return the tokens (example, 3) and labels (example) of every pair."""
    pairs = torch.cartesian_prod(torch.arange(MODULUS), torch.arange(MODULUS))
    equals = torch.full((len(pairs), 1), MODULUS)
    return torch.cat([pairs, equals], dim=1), pairs.sum(dim=1) % MODULUS


def _layer(seed: int = 0) -> Layer:
    return Layer.at(_network(seed), *_examples(), PLACE)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that the work takes, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _forty() -> dict[str, float]:
    """Return the seconds of the closed form over all checkpoints, by part of the work."""
    tokens, labels = _examples()
    spent = dict.fromkeys(("network_s", "product_s", "statistics_s"), 0.0)
    for seed in range(CHECKPOINTS):
        model = _network(seed)
        seconds, layer = _timed(lambda model=model: Layer.at(model, tokens, labels, PLACE))
        spent["network_s"] += seconds
        seconds, (attribution,) = _timed(lambda layer=layer: activation_gradient(layer, [TARGET], EFFORT))
        spent["product_s"] += seconds
        seconds, _ = _timed(lambda saliency=attribution.saliency: neuron_statistics(saliency))
        spent["statistics_s"] += seconds
    return spent


def _against_captum() -> dict[str, float]:
    """Return the median seconds of one checkpoint in closed form and by Captum, and the largest difference.

    The difference is relative to the largest saliency.
    """
    layer = _layer()
    times: dict[str, list[float]] = {name: [] for name in ("product_s", "closed_s", "captum_s")}
    for _ in range(TURNS["captum"]):
        seconds, by_captum = _timed(lambda: _by_captum(layer))
        times["captum_s"].append(seconds)
        for _ in range(TURNS["closed"]):
            fresh = layer.some(torch.arange(len(layer.labels)))  # a copy that has not computed its logits yet
            times["closed_s"].append(_timed(lambda fresh=fresh: _closed_form(fresh))[0])
            seconds, product = _timed(lambda fresh=fresh: _product(fresh))
            times["product_s"].append(seconds)
    difference = (by_captum - product).abs().max() / product.abs().max()
    return {f"one_{name}": median(of) for name, of in times.items()} | {"largest_difference": float(difference)}


def _closed_form(layer: Layer) -> None:
    """Do all the pipeline's work on a layer: logits, saliency, check of completeness, order statistics."""
    (attribution,) = activation_gradient(layer, [TARGET], EFFORT)
    _ = attribution.completeness_error
    neuron_statistics(attribution.saliency)


def _product(layer: Layer) -> Tensor:
    """Return the saliency (example, neuron) alone, as Captum does."""
    return layer.by_neuron(layer.units * in_units(layer, TARGET.gradient(layer.logits, layer.labels)))


def _by_captum(layer: Layer) -> Tensor:
    """Return integrated gradients (example, neuron) by Captum, with the settings that the package uses.

    The package integrates only where the logits are not linear in the neurons.
    """

    def rest(units: Tensor, past: Tensor, labels: Tensor) -> Tensor:
        return TARGET(layer.model.answer_from(past, units, layer.place), labels)

    attribution = IntegratedGradients(rest).attribute(
        layer.units,
        baselines=torch.zeros_like(layer.units),
        additional_forward_args=(layer.past, layer.labels),
        n_steps=STEPS,
        internal_batch_size=max(AT_ONCE, len(layer.labels)),
    )
    return layer.by_neuron(attribution.detach())


def _curve() -> dict[str, float]:
    """Return the median seconds of one ablation curve, and of running the rest of the network for every k."""
    layer, scale = _layer(), 1.0
    zero, n = nothing(layer), layer.n_neurons
    order = np.random.default_rng(0).permutation(n)
    some, every = np.array([0, *sizes(n, 20)]), np.arange(n + 1)
    times: dict[str, list[float]] = {
        name: [] for name in ("setup_s", "area_s", "curve_s", "curve_all_s", *map(str, SOME_K))
    }
    for _ in range(TURNS["curve"]):
        for name, kept, is_whole in (("area_s", some, False), ("curve_s", some, True), ("curve_all_s", every, True)):
            seconds, nested = _timed(lambda: Nested(layer, zero, scale))
            times["setup_s"].append(seconds)
            times[name].append(_timed(partial(nested.curve, order, kept, is_whole))[0])
        for k in SOME_K:
            times[str(k)].append(_timed(lambda k=k: recomputed(layer, [order[:k]], zero, scale))[0])
    medians = {name: median(of) for name, of in times.items()}
    # The time hardly depends on k, so the mean over a few k stands for each of the n + 1.
    again = sum(medians.pop(str(k)) for k in SOME_K) / len(SOME_K)
    return {**medians, "kept": len(some), "again_s": again * (n + 1)}


def _markdown(costs: dict[str, float]) -> str:
    """Return the table for the README, with the machine and the largest difference below it."""
    total = sum(costs[name] for name in ("network_s", "product_s", "statistics_s"))
    captum, product, whole = (costs[f"one_{name}"] for name in ("captum_s", "product_s", "closed_s"))
    curve, every, again = (costs[name] for name in ("curve_s", "curve_all_s", "again_s"))
    rows = [
        (
            f"saliency of {CHECKPOINTS} checkpoints, with its exact order statistics",
            "about 20 s",
            f"{total:.0f} s",
            f"running the network to the layer {costs['network_s']:.1f} s · closed form {costs['product_s']:.1f} s ·"
            f" order statistics {costs['statistics_s']:.1f} s",
        ),
        (
            f"Captum's integrated gradients at {STEPS} steps, against the product",
            "150 times or more",
            f"{captum / product:.0f} times",
            f"one checkpoint: {captum:.1f} s against {product:.3f} s",
        ),
        (
            "… against all that is done with it: logits, saliency, completeness, order statistics",
            "",
            f"{captum / whole:.0f} times",
            f"{captum:.1f} s against {whole:.3f} s",
        ),
        (
            "an ablation curve, accuracy and margin at every k from 0 to 512",
            "under 0.5 s",
            f"{curve:.2f} s",
            f"with losses at {costs['kept']:.0f} k; {costs['setup_s']:.2f} s more, once for all curves; with losses at"
            f" every k {every:.1f} s; what a study asks, every k up to a quarter, {costs['area_s']:.2f} s",
        ),
        (
            "… against running the rest of the network for every k",
            "",
            f"{again / every:.0f} times",
            f"losses at every k: {again:.0f} s, from {len(SOME_K)} k that were timed, against {every:.1f} s",
        ),
    ]
    return (
        f"{formatting.markdown_table(('what', 'goal', 'measured', 'made of'), rows)}\n"
        f"On one thread of {machine.description()}. Captum's saliency and the product's differ by at most"
        f" {costs['largest_difference']:.0e} of the largest.\n"
    )


if __name__ == "__main__":
    main()
