"""Regressions of growth: slopes that were planted, phases, and ages by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from general_circuits.analysis import neuron_growth
from general_circuits.analysis.estimates import Array, estimate

pytestmark = pytest.mark.filterwarnings("error")

STEPS = np.arange(0, 1001, 100)
MEMORISED, ONSET, GENERALISED = 200, 500, 700
NAN = float("nan")
Growing = Callable[[int, Array], Array]
"""Function: step, standardised predictors (neuron, predictor) → growth per 1,000 steps, (neuron)."""


def standardised(values: Array) -> Array:
    return (values - values.mean()) / values.std() if values.std() > 0 else np.zeros_like(values)


def run(
    growing: Growing, condition: str = "grokking", replica: int = 0, neurons: int = 30, steps: Array = STEPS
) -> pd.DataFrame:
    """Build rows of `updates` with random generality and saliency, and with norms that grow by `growing`."""
    generator = np.random.default_rng(replica)
    shape = (len(steps), neurons)
    generality, saliency, log_norm = generator.random(shape), generator.lognormal(size=shape), np.zeros(shape)
    age = neuron_growth.ages(steps.astype(float), saliency)
    log_norm[0] = generator.normal(size=neurons)
    for i, step in enumerate(steps[:-1]):
        columns = (generality[i], np.log(saliency[i]), log_norm[i], np.log1p(age[i]))
        x = np.stack([standardised(column) for column in columns], axis=1)
        log_norm[i + 1] = log_norm[i] + growing(step, x) * (steps[i + 1] - step) / 1000
    values = {"generality": generality, "saliency": saliency, "weight_norm": np.exp(log_norm)}
    keys = {"step": np.repeat(steps, neurons), "neuron": np.tile(np.arange(neurons), len(steps))}
    flat = {name: value.ravel() for name, value in values.items()}
    return pd.DataFrame({"condition": condition, "replica": replica, "layer": 0, **keys, **flat})


def events(condition: str = "grokking", replica: int = 0, **censored: bool) -> pd.DataFrame:
    steps = {"memorised": MEMORISED, "onset": ONSET, "generalised": GENERALISED, "validation_loss_peak": 300}
    rows = [(condition, replica, name, step, censored.get(name, False)) for name, step in steps.items()]
    return pd.DataFrame(rows, columns=["condition", "replica", "event", "step", "censored"])


def found(updates: pd.DataFrame, of: pd.DataFrame | None = None, response: str = "weights") -> pd.DataFrame:
    """Return the slopes of one run, (phase, predictor)."""
    rows = neuron_growth.slopes(updates, events() if of is None else of, response)
    return rows.pivot(index="phase", columns="predictor", values="slope").loc[list(neuron_growth.PHASES)]


def planted(*slopes: float) -> Growing:
    """Return growth with these slopes in every phase, beside a drift that all neurons share."""
    return lambda step, x: x @ np.array(slopes) + step / 100


@given(st.lists(st.floats(-5, 5), min_size=4, max_size=4), st.integers(0, 1000))
def test_planted_slopes_are_found_exactly_whatever_all_neurons_share(slopes: list[float], replica: int) -> None:
    table = found(run(planted(*slopes), replica=replica), of=events(replica=replica))
    np.testing.assert_allclose(table[list(neuron_growth.PREDICTORS)], [slopes] * 4, rtol=1e-8, atol=1e-8)


def test_a_slope_by_hand() -> None:
    """Two kinds of neurons lie one standard deviation to either side of the mean generality.

    The general kind grows by e in 100 steps. Its log grows by 10 per 1,000 steps more than the other's, which is 5 per
    standard deviation.
    """
    frame = pd.DataFrame(
        {
            "condition": "grokking",
            "replica": 0,
            "layer": 0,
            "step": [0, 0, 100, 100],
            "neuron": [0, 1, 0, 1],
            "generality": [0.2, 0.6, 0.0, 0.0],
            "saliency": 1.0,
            "weight_norm": [1.0, 1.0, 2.0, 2.0 * np.e],
        }
    )
    frame = pd.concat([frame, frame.assign(neuron=frame["neuron"] + 2)])
    rows = neuron_growth.slopes(frame, events(), "weights").set_index(["phase", "predictor"])
    before = rows.loc["before memorisation"]
    assert before.loc["generality", "slope"] == pytest.approx(5.0)
    assert before.loc["generality alone", "slope"] == pytest.approx(5.0)
    assert before.loc[["saliency", "norm", "age"], "slope"].isna().all()  # they do not differ
    assert (before[["neurons", "steps"]] == [4, 1]).all(axis=None)
    assert rows.loc["plateau", "slope"].isna().all()
    assert (rows.loc["plateau", ["neurons", "steps"]] == 0).all(axis=None)


def test_saliency_is_the_other_response() -> None:
    updates = run(planted(0, 0, 0, 0))
    swapped = updates.rename(columns={"saliency": "weight_norm", "weight_norm": "saliency"})
    weights, saliency = found(updates, response="saliency"), found(swapped, response="weights")
    np.testing.assert_allclose(weights["generality alone"], saliency["generality alone"])


def test_generality_alone_has_the_effect_of_what_correlates_with_it() -> None:
    """Growth follows saliency, which follows generality. With saliency held, generality has almost no slope."""
    updates = run(planted(0, 0, 0, 0))
    updates["saliency"] = np.exp(updates["generality"] + 0.1 * np.sin(np.arange(len(updates))))
    later = updates.groupby("neuron")["saliency"].transform(lambda of: np.log(of).shift(fill_value=0.0).cumsum())
    updates["weight_norm"] = np.exp(later)
    table = found(updates)
    assert (table["generality alone"] > 1).all()
    assert table["generality"].abs().max() < 0.05
    assert (table["saliency"] > 1).all()


def test_intervals_hold_0_at_their_nominal_rate_where_growth_is_noise() -> None:
    """About 95 % of 60 studies of 5 replicas have 0 in their interval."""
    generator = np.random.default_rng(0)

    def noise(step: int, x: Array) -> Array:
        return generator.normal(size=len(x))

    studies = []
    for study in range(60):
        replicas = [5 * study + i for i in range(5)]
        updates = pd.concat([run(noise, replica=replica, steps=STEPS[:4]) for replica in replicas])
        of_all = pd.concat([events(replica=replica) for replica in replicas])
        rows = neuron_growth.slopes(updates, of_all, "weights")
        here = rows[(rows["phase"] == "before memorisation") & (rows["predictor"] == "generality")]
        studies.append(estimate(here["slope"]))
    assert 0.88 <= np.mean([of.low <= 0 <= of.high for of in studies]) <= 1
    assert abs(np.mean([of.mean for of in studies])) < 0.05


def by_phase(step: int, x: Array) -> Array:
    """Generality's slope is 1, 2, 3, 4 in the four phases of grokking's events."""
    return x[:, 0] * (1 + (step >= MEMORISED) + (step >= ONSET) + (step >= GENERALISED))


def test_phases_are_by_where_growth_starts_and_controls_are_read_at_their_partners_steps() -> None:
    updates = pd.concat([run(by_phase), run(by_phase, "random_labels")])
    own = events("random_labels").assign(step=999, censored=True)
    rows = neuron_growth.slopes(updates, pd.concat([events(), own]), "weights")
    for _, here in rows[rows["predictor"] == "generality"].groupby("condition"):
        assert here["phase"].tolist() == list(neuron_growth.PHASES)
        np.testing.assert_allclose(here["slope"], [1, 2, 3, 4])
        assert here["steps"].tolist() == [2, 3, 2, 3]  # the last of the 11 checkpoints grows no more
        assert here["neurons"].tolist() == [60, 90, 60, 90]


@pytest.mark.parametrize(
    ("censored", "known"),
    [
        ({"generalised": True}, ["before memorisation", "plateau"]),
        ({"onset": True, "generalised": True}, ["before memorisation"]),
        ({"memorised": True, "onset": True, "generalised": True}, []),
    ],
)
def test_a_phase_needs_its_events(censored: dict[str, bool], known: list[str]) -> None:
    slopes = found(run(by_phase), of=events(**censored))["generality"]
    assert slopes.index[slopes.notna()].tolist() == known


@pytest.mark.parametrize("of", [events("another"), events(replica=1), events().iloc[:0]])
def test_without_grokkings_events_there_are_no_phases(of: pd.DataFrame) -> None:
    rows = neuron_growth.slopes(run(by_phase), of, "weights")
    assert len(rows) == 4 * 5
    assert rows["slope"].isna().all()


def test_growth_is_over_a_horizon_of_steps_at_least() -> None:
    """Checkpoints are 40 steps apart, so growth is over 120 steps; only the first 40 of them have a slope of 3."""
    steps = np.arange(0, 401, 40)
    updates = run(lambda step, x: 3 * x[:, 0] * (step == 0), steps=steps)
    late = events().assign(step=[120, 500, 700, 300])
    table = found(updates, of=late)
    assert table.loc["before memorisation", "generality"] == pytest.approx(1.0)
    rows = neuron_growth.slopes(updates, late, "weights")
    assert rows.groupby("phase")["steps"].first().to_dict() == {
        "before memorisation": 1,
        "plateau": 2,  # from 120 to 240, and on to 360: after that there is no checkpoint 120 later
        "onset": 0,
        "after": 0,
    }


def test_ages_by_hand() -> None:
    saliency = np.array([[1.0, 2, 3], [3, 2, 1], [3, 2, 3], [1, 2, 3], [0, 0, 1]])
    expected = [[0, 0, 0], [0, 10, 0], [20, 0, 0], [0, 0, 10], [0, 10, 20]]
    assert neuron_growth.ages(np.array([0.0, 10, 30, 40, 50]), saliency).tolist() == expected


def test_age_knows_only_the_past() -> None:
    saliency = np.random.default_rng(0).random((9, 5))
    steps = np.arange(9.0)
    whole = neuron_growth.ages(steps, saliency)
    for i in range(1, 9):
        assert (neuron_growth.ages(steps[:i], saliency[:i]) == whole[:i]).all()


def test_neurons_with_a_value_of_0_at_either_end_are_left_out() -> None:
    updates = run(planted(2, 0, 0, 0), steps=STEPS[:3])
    more = updates[updates["neuron"] < 4].assign(neuron=lambda rows: rows["neuron"] + 100, saliency=100.0)
    more.loc[more["neuron"] == 100, "saliency"] = 0.0
    more.loc[(more["neuron"] == 101) & (more["step"] > 0), "saliency"] = 0.0
    more.loc[(more["neuron"] == 102) & (more["step"] > 0), "weight_norm"] = 0.0
    more.loc[(more["neuron"] == 103) & (more["step"] > 0), "saliency"] = NAN
    for response, kept in (("weights", 32), ("saliency", 31)):  # what need not grow may be gone
        rows = neuron_growth.slopes(pd.concat([updates, more]).query("step < 200"), events(), response)
        here = rows[rows["phase"] == "before memorisation"].set_index("predictor")
        assert (here["neurons"] == kept).all()
    rows = neuron_growth.slopes(updates.query("step < 200"), events(), "weights")
    here = rows[rows["phase"] == "before memorisation"].set_index("predictor")
    assert here.loc["generality", "slope"] == pytest.approx(2.0)


def test_a_predictor_that_follows_from_others_leaves_none_of_them_a_slope() -> None:
    updates = run(planted(1, 0, 0, 0))
    updates["saliency"] = np.exp(updates["generality"])
    table = found(updates)
    assert table[list(neuron_growth.PREDICTORS)].isna().all(axis=None)
    assert table["generality alone"].notna().all()


def test_too_few_neurons_have_no_slope() -> None:
    updates = run(planted(1, 1, 1, 1), neurons=3, steps=STEPS[:2])
    assert found(updates)[list(neuron_growth.PREDICTORS)].isna().all(axis=None)


def test_only_the_last_layer_of_each_condition_counts() -> None:
    upper = run(by_phase).assign(layer=1)
    both = pd.concat([run(planted(9, 9, 9, 9), replica=0), upper, run(by_phase, "random_labels")])
    np.testing.assert_allclose(
        neuron_growth.slopes(both, events(), "weights").query("predictor == 'generality'")["slope"], [1, 2, 3, 4] * 2
    )
