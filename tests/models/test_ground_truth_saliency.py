"""Every kind of saliency of the networks built by hand, where the contribution of each neuron and head is known.

In a lookup table one neuron is active on each example, so the whole target is due to it. In the Fourier network every
neuron is active on many examples. In both, the logits depend only on what the neurons write.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from by_hand import N_TRAIN, P, addition, fourier, lookup_table
from saliency_builders import METHODS, questions

from general_circuits.measurements.saliency import histograms
from general_circuits.measurements.saliency.attribution import Effort
from general_circuits.measurements.saliency.measure import by_example, measure
from general_circuits.measurements.saliency.targets import TARGETS
from general_circuits.models.ground_truth import GAIN

STEPS = 200
"""Steps of integration. Conductance takes the gradient at the start of each step, so its error falls as 1/STEPS."""
ROUGH = 0.1
"""Relative error of conductance for the log-probability, whose gradient changes a lot along the path."""
SETTINGS = questions(
    normalisations=("raw", "matched"),
    effort=Effort(STEPS, STEPS, completeness_error=1e-3, permutations=2),
)
FROM_ZERO = tuple(method for method in METHODS if method != "integrated_gradients_from_mean")
LINEAR = ("right_minus_mean", "right_logit")
Kind = tuple[str, str, str]
"""Method, target, normalisation."""
KINDS = [(m, t, n) for m in METHODS for t in TARGETS for n in SETTINGS.normalisations]


def saliencies(model, settings=SETTINGS) -> dict[Kind, np.ndarray]:
    """Return every saliency on the training examples, (example, neuron) in double precision."""
    found = by_example(model, {"train": addition()["train"]}, settings, seed=0)
    return {(k["method"], k["target"], k["normalisation"]): values.double().numpy() for k, _, values in found}


def scale(model, normalisation: str) -> float:
    return model.logit_scale(addition()["train"].tokens) if normalisation == "matched" else 1.0


@pytest.fixture(scope="module")
def of_table() -> dict[Kind, np.ndarray]:
    return saliencies(lookup_table())


@pytest.fixture(scope="module")
def of_fourier() -> dict[Kind, np.ndarray]:
    return saliencies(fourier())


@pytest.fixture(scope="module")
def tables() -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """The `saliency` and the `attribution` table of each network."""
    networks = {"lookup_table": lookup_table(), "fourier": fourier()}
    return {name: measure(model, {"train": addition()["train"]}, SETTINGS, seed=0) for name, model in networks.items()}


def surprise(logit: float) -> float:
    """Return minus the log-probability of a class with this logit, where all other logits are 0."""
    return math.log(math.exp(logit) + P - 1) - logit


def saliency_on_its_example(method: str, target: str, gain: float) -> float:
    """Return the saliency of a lookup table's neuron on its own example, which is the whole target."""
    if target != "log_probability":
        return gain * (1 - 1 / P) if target == "right_minus_mean" else gain
    if method == "activation_gradient":  # the gradient vanishes where the network is sure
        return gain * (1 - math.exp(-surprise(gain)))
    return surprise(0.0) - surprise(gain)


@pytest.mark.parametrize(("method", "target", "normalisation"), [kind for kind in KINDS if kind[0] in FROM_ZERO])
def test_a_lookup_tables_neuron_is_salient_on_its_own_example_alone(
    of_table: dict[Kind, np.ndarray], method: str, target: str, normalisation: str
) -> None:
    gain = GAIN / scale(lookup_table(), normalisation)
    found, expected = of_table[method, target, normalisation], saliency_on_its_example(method, target, gain)
    is_rough = method == "conductance" and target == "log_probability"
    np.testing.assert_allclose(np.diag(found), expected, rtol=ROUGH if is_rough else 5e-4)
    assert (found[~np.eye(N_TRAIN, dtype=bool)] == 0).all()


@pytest.mark.parametrize("target", LINEAR)
def test_from_the_mean_baseline_a_silent_neuron_of_a_lookup_table_has_a_small_saliency(
    of_table: dict[Kind, np.ndarray], target: str
) -> None:
    """A neuron is 1 on one example of n, so 1/n on average. Its saliency is (δ − 1/n) times what it writes."""
    labels = addition()["train"].labels.numpy()
    written = GAIN * (labels[:, None] == labels).astype(float)  # by each neuron to the example's label
    written -= GAIN / P if target == "right_minus_mean" else 0.0
    expected = (np.eye(N_TRAIN) - 1 / N_TRAIN) * written
    found = of_table["integrated_gradients_from_mean", target, "raw"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_breadth_is_one_example_in_a_lookup_table_and_many_in_the_general_network(
    tables: dict[str, tuple[pd.DataFrame, pd.DataFrame]],
) -> None:
    breadths = {}
    for name, (saliency, _) in tables.items():
        breadths[name] = saliency[saliency["alive"]].set_index(["method", "target", "normalisation"])["breadth"]
    assert set(breadths["lookup_table"].groupby(level=[0, 1, 2]).size()) == {N_TRAIN}
    np.testing.assert_allclose(breadths["lookup_table"].loc[list(FROM_ZERO)], 1 / N_TRAIN, rtol=1e-4)
    assert breadths["lookup_table"].loc["integrated_gradients_from_mean"].max() < 4 / N_TRAIN
    assert set(breadths["fourier"].groupby(level=[0, 1, 2]).size()) == {90}
    narrowest = breadths["fourier"].groupby(level=[0, 1, 2]).min()
    of_few = narrowest[narrowest < 0.17].index.tolist()
    # The network is so sure that its raw log-probability is exactly 0, with or without a neuron.
    assert of_few == [(m, "log_probability", "raw") for m in ("ablation_effect", "activation_gradient", "shapley")]
    assert breadths["fourier"].loc["ablation_effect", "log_probability", "raw"].median() == 0


def test_methods_are_complete_on_networks_built_by_hand_where_theory_says_so(
    tables: dict[str, tuple[pd.DataFrame, pd.DataFrame]],
) -> None:
    for _, attribution in tables.values():
        errors = attribution.groupby(["method", "target"])["completeness_error"].max()
        assert errors.loc[["integrated_gradients", "integrated_gradients_from_mean"]].max() < 1e-3
        assert errors.loc["shapley"].max() < 1e-5
        assert errors.loc["conductance"].max() < ROUGH
        assert errors.loc[list(METHODS), list(LINEAR)].max() < 1e-5


def test_conductance_of_the_general_network_is_integrated_gradients(of_fourier: dict[Kind, np.ndarray]) -> None:
    """All neurons are 0 at a blank and grow in proportion, as there are no biases. Both methods follow one line.

    The margin is left out: two classes tie for second place by symmetry, and rounding decides at each step.
    """
    for (method, target, normalisation), found in of_fourier.items():
        if method == "conductance" and target != "margin":
            expected = of_fourier["integrated_gradients", target, normalisation]
            tolerance = (1e-5 if target in LINEAR else ROUGH) * np.abs(expected).max()
            np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_shapley_values_of_a_lookup_table_do_not_depend_on_the_order(
    tables: dict[str, tuple[pd.DataFrame, pd.DataFrame]],
) -> None:
    """Only one neuron is active on each example there. In the general network the order matters."""
    errors = {name: found.set_index(["method", "target"])["standard_error"] for name, (_, found) in tables.items()}
    assert (errors["lookup_table"] == 0).all()
    assert (errors["fourier"].loc["shapley", "log_probability"] > 0).all()
    assert (errors["fourier"].loc["shapley", "right_logit"] == 0).all()


def test_a_histogram_of_equal_neurons_is_flagged_as_degenerate(
    tables: dict[str, tuple[pd.DataFrame, pd.DataFrame]],
) -> None:
    """The two networks differ in the number of examples on which a neuron is salient, not in its mean saliency."""
    described = {}
    for name, (saliency, _) in tables.items():
        found = histograms.describe(saliency.assign(condition=name, replica=0, step=0))
        registered = found.query("method == 'activation_gradient' and target == 'right_minus_mean'")
        registered = registered.query("normalisation == 'raw' and dead_units == 'excluded'")
        described[name] = registered.set_index("statistic")
    assert described["lookup_table"].loc["mean_magnitude", "degenerate"]
    assert not described["fourier"].loc["mean_magnitude", "degenerate"]
    assert abs(described["fourier"].loc["mean_magnitude", "l_skewness"]) < 0.05
    breadth = {name: table.loc["breadth", "median"] for name, table in described.items()}
    assert breadth["lookup_table"] == pytest.approx(1 / N_TRAIN)
    assert breadth["fourier"] > 20 / N_TRAIN


# Attention


HEADS = questions(
    targets=LINEAR,
    normalisations=("raw",),
    sites=("heads",),
    effort=Effort(STEPS, STEPS, completeness_error=1e-3, permutations=2),
)


def test_a_lookup_table_needs_both_of_its_heads() -> None:
    """Each head reads one operand, and a neuron fires only for both operands together.

    So deleting either head costs everything, and the gradient counts everything twice. A fair share is one half each.
    """
    for (method, target, _), found in saliencies(lookup_table(), HEADS).items():
        whole = GAIN if target == "right_logit" else GAIN * (1 - 1 / P)
        worth = {"ablation_effect": 1, "activation_gradient": 1, "shapley": 1 / 2, "integrated_gradients": 1 / 2}
        # From a blank both heads grow in proportion, and the neuron fires from half-way on: in N/2 − 1 of N steps.
        worth["conductance"] = 1 / 2 - 1 / STEPS
        if method in worth:
            np.testing.assert_allclose(found, worth[method] * whole, rtol=1e-4, err_msg=method)


def test_one_head_does_all_of_the_general_networks_work() -> None:
    """The twelve waves fit into the first head. Without biases scaling a head scales the logits, so methods agree."""
    model, train = fourier(), addition()["train"]
    for (method, target, _), found in saliencies(model, HEADS).items():
        if method != "integrated_gradients_from_mean":
            expected = TARGETS[target](model.answer(train.tokens), train.labels).detach().double().numpy()
            if method == "conductance":  # at a blank all neurons are exactly 0, where a ReLU has no gradient
                expected *= 1 - 1 / STEPS
            np.testing.assert_allclose(found[:, 0], expected, rtol=1e-4, err_msg=method)
            assert (found[:, 1] == 0).all()


def test_each_head_unit_of_a_lookup_table_carries_one_symbol_of_one_operand() -> None:
    one = {"methods": ("ablation_effect",), "targets": ("right_logit",), "normalisations": ("raw",)}
    (values,) = saliencies(lookup_table(), questions(**one, sites=("head_outputs",))).values()
    tokens, d_head = addition()["train"].tokens, 22
    expected = torch.zeros(N_TRAIN, 2 * d_head)
    for position in range(2):
        expected[torch.arange(N_TRAIN), position * d_head + tokens[:, position]] = GAIN
    np.testing.assert_allclose(values, expected, rtol=1e-5)
