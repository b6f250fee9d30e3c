"""All saliencies of one checkpoint: methods that are complete, methods that coincide, and normalisations."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
import torch
from builders import random_examples, random_perceptron, random_questions, random_transformer
from saliency_builders import METHODS, questions

from general_circuits.measurements.saliency import measure as module
from general_circuits.measurements.saliency.measure import COINCIDING, Questions, by_example, measure
from general_circuits.measurements.saliency.order_statistics import IN_LOGITS, neuron_statistics
from general_circuits.measurements.saliency.targets import TARGETS
from general_circuits.models import predictions
from general_circuits.models.network import Network
from general_circuits.tasks.examples import Examples

SITES = ("mlp", "head_outputs", "heads")
GROUP = ["split", "layer", "site", "method", "target", "normalisation"]


def splits(n: int = 16) -> dict[str, Examples]:
    parts = {"train": random_examples(n), "validation": random_examples(n // 2, seed=3)}
    return {
        name: Examples(part.tokens, part.labels, numbers=torch.arange(len(part.labels)) * 10)
        for name, part in parts.items()
    }


def measured(
    model: Network, settings: Questions, parts: Mapping[str, Examples] | None = None
) -> tuple[pd.DataFrame, ...]:
    neurons, layers = measure(model, parts or splits(), settings, seed=0)
    return neurons.set_index([*GROUP, "neuron"]).sort_index(), layers.set_index(GROUP).sort_index()


@pytest.fixture(scope="module", params=["none", "pre", "post"])
def everything(request: pytest.FixtureRequest) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every saliency of a network of two layers."""
    model = random_transformer(n_layers=2, normalisation=request.param, biases="all")
    return measured(model, questions(sites=SITES))


def test_there_is_a_row_for_every_combination_and_neuron(everything: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    neurons, layers = everything
    assert len(layers) == 2 * 2 * 3 * len(METHODS) * 4 * 3
    assert len(neurons) == 2 * 2 * (12 + 8 + 2) * len(METHODS) * 4 * 3
    assert neurons.index.is_unique
    assert layers.index.is_unique
    assert not neurons.isna().any(axis=None)


def test_methods_are_complete_where_theory_says_so(everything: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    _, layers = everything
    error = layers["completeness_error"]
    assert error.xs("shapley", level="method").max() < 1e-6
    for method in ("integrated_gradients", "integrated_gradients_from_mean"):
        found = layers.xs(method, level="method")
        is_at_the_most = found["integration_steps"] == 320
        assert (found["completeness_error"][~is_at_the_most] <= 1e-3).all()
        assert found["completeness_error"].max() < 0.02  # kinks of ReLUs on the path


def test_methods_coincide_where_the_target_is_linear_in_the_neurons_and_nowhere_else() -> None:
    settings = questions(methods=COINCIDING, normalisations=("raw", "per_example"))
    neurons, layers = measured(random_transformer(n_layers=2), settings)
    for layer, target in ((layer, target) for layer in (0, 1) for target in TARGETS.values()):
        rows = neurons.xs((layer, target.name), level=("layer", "target"))
        first = rows.xs("activation_gradient", level="method")
        is_same = [
            np.allclose(rows.xs(method, level="method").astype(float), first.astype(float)) for method in COINCIDING[1:]
        ]
        assert all(is_same) if layer == 1 and target.is_linear else not any(is_same)
        if layer == 1 and target.is_linear:
            assert layers.xs((layer, target.name), level=("layer", "target"))["completeness_error"].max() < 1e-12


def test_coinciding_methods_give_the_same_when_each_runs_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    model, settings = random_transformer(), questions(methods=COINCIDING)
    shared, _ = measured(model, settings)
    monkeypatch.setattr(module, "_cheapest", lambda method, layer, target: method)
    alone, _ = measured(model, settings)
    pd.testing.assert_frame_equal(shared, alone, rtol=1e-6, atol=1e-9)


def test_matched_is_raw_of_the_network_with_its_logits_divided_by_their_scale() -> None:
    model = random_transformer(normalisation="pre")
    neurons, layers = measured(model, questions(normalisations=("raw", "matched")))
    scale = predictions.logit_scale(model.answer(splits()["train"].tokens).detach())
    np.testing.assert_allclose(layers["logit_scale"], scale)
    with torch.no_grad():
        model.unembed.W_U /= scale
    smaller, _ = measured(model, questions(normalisations=("raw", "matched")))
    matched = neurons.xs("matched", level="normalisation")
    for normalisation in ("raw", "matched"):
        found = smaller.xs(normalisation, level="normalisation")
        pd.testing.assert_frame_equal(found, matched, rtol=1e-3, atol=1e-6)  # steps may stop elsewhere
    raw = neurons.xs("raw", level="normalisation")
    for name in IN_LOGITS:
        ratio = raw[name] / matched[name] / scale
        is_homogeneous = raw.index.get_level_values("target") != "log_probability"
        kept = is_homogeneous & (matched[name] != 0)
        assert ratio[kept].to_numpy() == pytest.approx(1)
    assert not np.allclose(ratio[~is_homogeneous & (matched[name] != 0)], 1, rtol=0.05)


def test_per_example_saliency_is_a_share_of_the_examples_total() -> None:
    settings = questions(methods=["ablation_effect"], targets=["margin"], normalisations=["raw", "per_example"])
    found = {
        (names["split"], names["normalisation"]): saliency
        for names, _, saliency in by_example(random_transformer(), splits(), settings, seed=0)
    }
    raw, share = found["train", "raw"], found["train", "per_example"]
    sums = share.abs().sum(dim=1)
    torch.testing.assert_close(sums, torch.ones_like(sums))
    torch.testing.assert_close(share, raw / raw.abs().sum(dim=1, keepdim=True))


def test_an_example_without_saliency_has_shares_of_zero() -> None:
    model = random_transformer()
    with torch.no_grad():
        model.blocks[0].mlp.W_in.zero_()
        model.blocks[0].mlp.b_in.zero_()
    neurons, layers = measured(model, questions())
    assert (neurons.drop(columns="alive") == 0).all(axis=None)
    assert not neurons["alive"].any()
    assert (layers["completeness_error"].drop("conductance", level="method") == 0).all()


def test_a_standard_error_is_in_the_unit_of_the_saliency() -> None:
    model, settings = random_transformer(normalisation="pre"), questions(methods=["shapley"], targets=["margin"])
    _, layers = measured(model, settings)
    error = layers.xs("train")["standard_error"].droplevel(["layer", "site", "method", "target"])
    scale = layers["logit_scale"].iloc[0]
    assert error["matched"] == pytest.approx(error["raw"] / scale)
    raw = next(found for names, _, found in by_example(model, splits(), settings, 0) if names["normalisation"] == "raw")
    total = raw.abs().sum(dim=1)
    assert error["raw"] / total.max() <= error["per_example"] <= error["raw"] / total.min()


def test_statistics_summarise_the_saliencies_of_by_example_which_are_in_order() -> None:
    model = random_transformer(n_layers=2)
    settings = questions(methods=["shapley", "conductance"], targets=["margin", "log_probability"], sites=SITES)
    neurons, _ = measured(model, settings)
    keys = []
    for names, numbers, saliency in by_example(model, splits(), settings, seed=0):
        key = tuple(names[name] for name in GROUP)
        keys.append(key)
        assert numbers.tolist() == (torch.arange(16 if names["split"] == "train" else 8) * 10).tolist()
        expected = pd.DataFrame(neuron_statistics(saliency))
        found = neurons.loc[key, list(expected)].reset_index(drop=True)
        pd.testing.assert_frame_equal(found, expected, rtol=1e-9, check_names=False)
    assert keys == sorted(keys)
    assert len(keys) == len(set(keys))


def test_methods_of_many_passes_use_the_same_sample_of_examples_at_every_checkpoint() -> None:
    settings = questions(examples=5, normalisations=["raw"], sites=("mlp", "heads"))
    _, layers = measured(random_transformer(n_layers=2), settings)
    train = layers.xs("train")["examples"].droplevel("normalisation")
    last = train.xs((1, "mlp"))
    assert (last.xs("right_logit", level="target").drop("conductance") == 16).all()
    assert (last.loc[["conductance"]] == 5).all()
    assert last["ablation_effect", "margin"] == last["shapley", "log_probability"] == 5
    assert last["integrated_gradients", "margin"] == last["activation_gradient", "margin"] == 16
    inner = train.xs((0, "heads"))
    assert (inner.drop("activation_gradient") == 5).all()
    assert (inner.loc[["activation_gradient"]] == 16).all()
    one, other = (
        [numbers for _, numbers, _ in by_example(random_transformer(seed=s), splits(), settings, seed=7)]
        for s in (1, 2)
    )
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_by_gradients_a_heads_saliency_is_the_sum_over_its_units() -> None:
    methods = ["activation_gradient", "integrated_gradients"]
    settings = questions(methods=methods, targets=["right_minus_mean"], sites=SITES)
    found = {
        tuple(names.values()): saliency
        for names, _, saliency in by_example(random_transformer(), splits(), settings, 0)
    }
    for (split, layer, site, *rest), saliency in found.items():
        if site == "heads" and rest[2] != "per_example":
            by_unit = found[split, layer, "head_outputs", *rest]
            torch.testing.assert_close(saliency, by_unit.unflatten(1, (2, 4)).sum(dim=2))


def test_a_perceptron_has_no_heads() -> None:
    parts = {"train": random_questions(), "validation": random_questions(seed=1)}
    neurons, layers = measured(random_perceptron(n_layers=2), questions(sites=SITES), parts)
    assert set(layers.index.get_level_values("site")) == {"mlp"}
    assert len(neurons) == 2 * 2 * 12 * len(METHODS) * 4 * 3
    last = layers.xs(1, level="layer").xs("conductance", level="method")
    assert last["completeness_error"].max() < 0.2  # the whole input flows through, but the steps are few


def test_quality_columns_are_filled_where_they_apply(everything: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    _, layers = everything
    saturated = layers["saturated"]
    is_probability = layers.index.get_level_values("target") == "log_probability"
    assert saturated[is_probability].between(0, 1).all()
    assert saturated[~is_probability].isna().all()
    sampled = layers["standard_error"] > 0
    assert set(layers.index[sampled].get_level_values("method")) == {"shapley"}
    assert not sampled.xs("heads", level="site").any()  # two heads: exact
    has_gap = layers["closed_form_gap"].notna()
    is_last_mlp = (layers.index.get_level_values("site") == "mlp") & (layers.index.get_level_values("layer") == 1)
    assert not has_gap[~is_last_mlp].any()
    if has_gap.any():
        assert set(layers.index[has_gap].get_level_values("method")) == set(COINCIDING)
        assert layers["closed_form_gap"][has_gap].min() > 0.01


def test_a_dead_unit_has_no_saliency_and_is_not_alive() -> None:
    model = random_transformer()
    with torch.no_grad():
        model.blocks[0].mlp.b_in[3] = -1e6
    neurons, _ = measured(model, questions())
    dead = neurons.xs(3, level="neuron")
    assert not dead["alive"].any()
    assert (dead.drop(columns="alive").abs() < 1e-9).all(axis=None)
    assert neurons["alive"].xs("raw", level="normalisation").mean() > 0.5


def test_a_diverged_network_gives_nan_and_no_error() -> None:
    model = random_transformer()
    with torch.no_grad():
        model.unembed.W_U[0] = math.nan
    neurons, layers = measured(model, questions(normalisations=["raw", "matched", "per_example"]))
    assert neurons["mean_magnitude"].isna().any()
    assert layers["completeness_error"].isna().any()
