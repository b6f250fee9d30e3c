"""Every kind of saliency of the networks built by hand: what each neuron and each head is worth is known.

In a lookup table one neuron is active on each example, so that all of the target is its own. In the Fourier network
every neuron is active on many examples. In both the logits are read off what the neurons write, and nothing else.
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
"""Of integration. Conductance takes the gradient at each step's beginning, so it errs in proportion to their length."""
ROUGH = 0.1
"""What that comes to where the log-probability is steep at first, and flat after."""
ASKED = questions(
    normalisations=("raw", "matched"),
    effort=Effort(STEPS, STEPS, completeness_error=1e-3, permutations=2),
)
FROM_ZERO = tuple(method for method in METHODS if method != "integrated_gradients_from_mean")
LINEAR = ("right_minus_mean", "right_logit")
Kind = tuple[str, str, str]
"""Method, target, normalisation."""
KINDS = [(m, t, n) for m in METHODS for t in TARGETS for n in ASKED.normalisations]


def saliencies(model, asked=ASKED) -> dict[Kind, np.ndarray]:
    """On the training examples, (example, neuron) in double precision."""
    found = by_example(model, {"train": addition()["train"]}, asked, seed=0)
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
    return {name: measure(model, {"train": addition()["train"]}, ASKED, seed=0) for name, model in networks.items()}


def surprise(logit: float) -> float:
    """−log-probability of a class whose logit this is, where all others' are 0."""
    return math.log(math.exp(logit) + P - 1) - logit


def of_its_example(method: str, target: str, gain: float) -> float:
    """What a lookup table's neuron is worth on its own example: all that the target says."""
    if target != "log_probability":
        return gain * (1 - 1 / P) if target == "right_minus_mean" else gain
    if method == "activation_gradient":  # where it is sure, hardly anything
        return gain * (1 - math.exp(-surprise(gain)))
    return surprise(0.0) - surprise(gain)


@pytest.mark.parametrize(("method", "target", "normalisation"), [kind for kind in KINDS if kind[0] in FROM_ZERO])
def test_a_lookup_tables_neuron_is_salient_on_its_own_example_alone(
    of_table: dict[Kind, np.ndarray], method: str, target: str, normalisation: str
) -> None:
    gain = GAIN / scale(lookup_table(), normalisation)
    found, expected = of_table[method, target, normalisation], of_its_example(method, target, gain)
    is_rough = method == "conductance" and target == "log_probability"
    np.testing.assert_allclose(np.diag(found), expected, rtol=ROUGH if is_rough else 5e-4)
    assert (found[~np.eye(N_TRAIN, dtype=bool)] == 0).all()


@pytest.mark.parametrize("target", LINEAR)
def test_from_the_mean_a_lookup_tables_neuron_is_missed_a_little_wherever_it_is_silent(
    of_table: dict[Kind, np.ndarray], target: str
) -> None:
    """Each is 1 on one example in n, 1/n on average: (δ − 1/n) times what it writes to the target."""
    labels = addition()["train"].labels.numpy()
    written = GAIN * (labels[:, None] == labels).astype(float)  # of neuron to example's label: (example, neuron)
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
    # It is so sure that its raw log-probability is 0 to the last digit, however a neuron changes.
    assert of_few == [(m, "log_probability", "raw") for m in ("ablation_effect", "activation_gradient", "shapley")]
    assert breadths["fourier"].loc["ablation_effect", "log_probability", "raw"].median() == 0


def test_methods_are_complete_where_they_promise_it_and_conductance_where_all_goes_through_the_neurons(
    tables: dict[str, tuple[pd.DataFrame, pd.DataFrame]],
) -> None:
    for _, attribution in tables.values():
        errors = attribution.groupby(["method", "target"])["completeness_error"].max()
        assert errors.loc[["integrated_gradients", "integrated_gradients_from_mean"]].max() < 1e-3
        assert errors.loc["shapley"].max() < 1e-5
        assert errors.loc["conductance"].max() < ROUGH
        assert errors.loc[list(METHODS), list(LINEAR)].max() < 1e-5


def test_conductance_of_the_general_network_is_integrated_gradients(of_fourier: dict[Kind, np.ndarray]) -> None:
    """Without biases all neurons are 0 at a blank, and grow in proportion along the path: the same straight line.

    Of the margin only their sum is: the runner-up is one of two by symmetry, which rounding decides at each step.
    """
    for (method, target, normalisation), found in of_fourier.items():
        if method == "conductance" and target != "margin":
            expected = of_fourier["integrated_gradients", target, normalisation]
            tolerance = (1e-5 if target in LINEAR else ROUGH) * np.abs(expected).max()
            np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_one_neuron_in_many_orders_is_worth_the_same(tables: dict[str, tuple[pd.DataFrame, pd.DataFrame]]) -> None:
    """Nobody else on an example is active in a lookup table; in the general network, it depends on who is left."""
    errors = {name: found.set_index(["method", "target"])["standard_error"] for name, (_, found) in tables.items()}
    assert (errors["lookup_table"] == 0).all()
    assert (errors["fourier"].loc["shapley", "log_probability"] > 0).all()
    assert (errors["fourier"].loc["shapley", "right_logit"] == 0).all()


def test_a_histogram_over_neurons_that_are_all_alike_is_said_to_mean_nothing(
    tables: dict[str, tuple[pd.DataFrame, pd.DataFrame]],
) -> None:
    """What tells the two apart is on how many examples a neuron is salient, not how salient neurons are."""
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
    """Each reads one operand, and a neuron fires for both together. So deleting either costs everything, and the
    gradient counts it twice; shared fairly, half is each head's."""
    for (method, target, _), found in saliencies(lookup_table(), HEADS).items():
        whole = GAIN if target == "right_logit" else GAIN * (1 - 1 / P)
        worth = {"ablation_effect": 1, "activation_gradient": 1, "shapley": 1 / 2, "integrated_gradients": 1 / 2}
        # From a blank too, both grow in proportion, and a neuron fires from half-way on: in N/2 − 1 of N steps.
        worth["conductance"] = 1 / 2 - 1 / STEPS
        if method in worth:
            np.testing.assert_allclose(found, worth[method] * whole, rtol=1e-4, err_msg=method)


def test_one_head_does_all_of_the_general_networks_work() -> None:
    """Its twelve waves fit into the first head. Without biases, scaling a head scales the logits: all methods agree."""
    model, train = fourier(), addition()["train"]
    for (method, target, _), found in saliencies(model, HEADS).items():
        if method != "integrated_gradients_from_mean":
            expected = TARGETS[target](model.answer(train.tokens), train.labels).detach().double().numpy()
            if method == "conductance":  # a neuron that is at exactly 0, as all are at a blank, has no gradient
                expected *= 1 - 1 / STEPS
            np.testing.assert_allclose(found[:, 0], expected, rtol=1e-4, err_msg=method)
            assert (found[:, 1] == 0).all()


def test_a_unit_of_a_lookup_tables_heads_speaks_for_one_symbol_as_one_operand() -> None:
    one = {"methods": ("ablation_effect",), "targets": ("right_logit",), "normalisations": ("raw",)}
    (values,) = saliencies(lookup_table(), questions(**one, sites=("head_outputs",))).values()
    tokens, d_head = addition()["train"].tokens, 22
    expected = torch.zeros(N_TRAIN, 2 * d_head)
    for position in range(2):
        expected[torch.arange(N_TRAIN), position * d_head + tokens[:, position]] = GAIN
    np.testing.assert_allclose(values, expected, rtol=1e-5)
