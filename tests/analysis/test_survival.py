"""Censored times: textbook values, values by hand, and planted slopes that intervals cover as often as they say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from lifelines import LogNormalAFTFitter
from scipy.optimize import minimize
from scipy.stats import norm

from general_circuits.analysis import interval_regression
from general_circuits.analysis.estimates import estimate
from general_circuits.analysis.survival import Slopes, kaplan_meier, median_time, pseudo_values, slopes

Array = np.ndarray

# Freireich et al. 1963, weeks in remission under 6-MP, as in every textbook of survival analysis; + is censored.
WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
CENSORED = [0, 0, 0, 1, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1]


def test_kaplan_meier_of_a_textbook() -> None:
    times, share, low, high = kaplan_meier(WEEKS, CENSORED)
    assert times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert share == pytest.approx([0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], abs=5e-4)
    assert ((low < share) & (share < high)).all()
    assert (low[0], high[0]) == pytest.approx((0.620, 0.952), abs=1e-3)


def test_the_median_of_a_textbook() -> None:
    found = median_time(WEEKS, CENSORED)
    assert (found.time, found.low, found.high) == (23, 13, np.inf)


def test_a_median_that_was_not_reached_is_infinite() -> None:
    assert median_time([5, 10, 10, 10], [0, 1, 1, 1]).time == np.inf
    assert median_time([10] * 5, [1] * 5).time == np.inf


def test_without_censoring_the_median_is_the_middle_one() -> None:
    assert median_time([4, 1, 3, 2, 5], [0] * 5).time == 3


def test_missing_times_say_nothing_about_the_median() -> None:
    assert median_time([4, np.nan, 3, 2], [0, 1, 0, 0]) == median_time([4, 3, 2], [0, 0, 0])
    for missing in ([], [np.nan, np.nan]):
        assert all(len(part) == 0 for part in kaplan_meier(missing, [1] * len(missing)))
        found = median_time(missing, [1] * len(missing))
        assert np.isnan([found.time, found.low, found.high]).all()


X = np.tile(np.log([0.5, 1, 2, 4]), 5)
REPLICA = np.repeat(np.arange(5), 4)
NONE = np.zeros(20, bool)


def on_lines(slope: float | Array) -> Array:
    """Return times without noise, for replicas with different intercepts."""
    return np.exp(8 + 0.3 * REPLICA + slope * X)


def nearly_exact(times: Array, censored: Array = NONE) -> Slopes:
    """Return the slope of times that are known to one part in a million."""
    return slopes(X, times * (1 - 1e-6), times, censored, REPLICA)


def found_by(times: Array, horizon: float) -> tuple[Array, Array]:
    """Return the ends of log times' intervals in runs that are evaluated every 20 steps up to a horizon."""
    step = np.ceil(times / 20) * 20
    with np.errstate(divide="ignore"):
        lower = np.log(np.minimum(step - 20, horizon))
    return lower, np.where(step > horizon, np.inf, np.log(step))


def simulated(
    levels: Sequence[float], slope: float, at_1: float, horizon: float, replicas: int, studies: int
) -> tuple[Array, Array, Array]:
    """Return x and the ends of log times' intervals, (study, replica, level).

    Log times differ between replicas, and within them, by a standard deviation of 0.15.

    Args:
        levels: levels of the setting; x is their log.
        slope, at_1: power of the setting, and median time at level 1.
        horizon: last evaluation.
        replicas, studies: their numbers.
    """
    generator = np.random.default_rng(0)
    shape = (studies, replicas, len(levels))
    x = np.broadcast_to(np.log(levels), shape)
    noise = 0.15 * (generator.normal(size=(*shape[:2], 1)) + generator.normal(size=shape))
    return x, *found_by(at_1 * np.exp(slope * x + noise), horizon)


def test_without_censoring_the_slope_is_that_of_least_squares() -> None:
    times = on_lines(-0.6) * np.exp(0.3 * np.random.default_rng(0).normal(size=20))
    of_each = [np.polyfit(X[r == REPLICA], np.log(times[r == REPLICA]), 1)[0] for r in range(5)]
    found = nearly_exact(times)
    assert found.values == pytest.approx(of_each, abs=1e-6)
    assert found.values.mean() == pytest.approx(np.polyfit(X, np.log(times), 1)[0], abs=1e-6)
    assert (found.fitted, found.bounds, found.censored) == (tuple(np.unique(X)), (), 0)


def test_without_noise_the_slope_is_found_whatever_is_censored() -> None:
    own = np.repeat([-1.0, -0.5, 0.0, 0.5, -0.75], 4)
    assert nearly_exact(on_lines(own)).values == pytest.approx([-1.0, -0.5, 0.0, 0.5, -0.75], abs=1e-5)
    times = on_lines(-0.6)
    cut = np.quantile(times, 0.7)
    found = nearly_exact(np.minimum(times, cut), times > cut)
    assert found.values == pytest.approx([-0.6] * 5, abs=1e-3)
    assert found.censored == pytest.approx(0.3)


def fitted_by_lifelines(x: Array, lower: Array, upper: Array, **others: Array) -> float:
    """Return the slope by a library: log-normal times in intervals, with the other columns as fixed effects."""
    frame = pd.DataFrame({"x": x, "lower": np.exp(lower), "upper": np.exp(upper), **others})
    fit = LogNormalAFTFitter().fit_interval_censoring(frame, "lower", "upper")
    return float(fit.summary.loc[("mu_", "x"), "coef"])


@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # by the library
def test_a_library_without_effects_finds_the_same_slope_where_replicas_have_none() -> None:
    """The noise of each replica has the mean 0, so that replicas differ less than by chance."""
    noise = np.random.default_rng(0).normal(size=(8, 4))
    x = np.broadcast_to(np.log([0.5, 1, 2, 4]), noise.shape)
    times = 2000 * np.exp(-0.6 * x + 0.2 * (noise - noise.mean(axis=1, keepdims=True)))
    lower, upper = found_by(times, 2800)
    assert 0.1 < np.isinf(upper).mean() < 0.3
    of_library = fitted_by_lifelines(x.ravel(), lower.ravel(), upper.ravel())
    assert interval_regression.fit(x, lower, upper) == pytest.approx(of_library, abs=1e-3)


@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
def test_a_library_with_fixed_effects_finds_the_same_slope_where_effects_are_large() -> None:
    x, lower, upper = (part[0] for part in simulated([0.5, 1, 2, 4], -0.6, 2000, 2800, replicas=5, studies=1))
    assert 0.1 < np.isinf(upper).mean() < 0.3
    lower, upper = (end + 2.0 * np.arange(5)[:, None] for end in (lower, upper))
    effects = {f"replica_{r}": (r == REPLICA).astype(float) for r in range(1, 5)}
    of_library = fitted_by_lifelines(x.ravel(), lower.ravel(), upper.ravel(), **effects)
    assert interval_regression.fit(x, lower, upper) == pytest.approx(of_library, abs=0.01)


def test_the_slope_is_the_most_likely_one() -> None:
    """Compared with the same likelihood, integrated on a grid of effects and maximised without its gradient."""
    x, lower, upper = (part[0] for part in simulated([0.5, 1, 2], -0.6, 2000, 3300, replicas=4, studies=1))
    is_censored = np.isinf(upper)
    assert is_censored.any()
    assert not is_censored.all(axis=0).any()
    grid = np.linspace(-8, 8, 401)

    def cost(parameters: Array) -> float:
        a, b, s, tau = parameters[0], parameters[1], *np.exp(parameters[2:])
        line = (a + b * x)[..., None] + tau * grid  # (replica, level, effect)
        inside = norm.cdf((upper[..., None] - line) / s) - norm.cdf((lower[..., None] - line) / s)
        return -float(np.log((inside.prod(axis=1) * norm.pdf(grid)).sum(axis=1)).sum())

    thorough = {"maxiter": 4000, "maxfev": 4000, "xatol": 1e-7, "fatol": 1e-10}
    start = [np.log(2000), -0.6, np.log(0.15), np.log(0.15)]
    best = minimize(cost, start, method="Nelder-Mead", options=thorough)
    assert interval_regression.fit(x, lower, upper) == pytest.approx(best.x[1], abs=1e-3)


LOWEST_CUT = 2000 * 0.5**-0.6 * np.exp(1.04 * np.hypot(0.15, 0.15))
"""Horizon that 15 % of the times at the level 0.5 exceed."""


@pytest.mark.parametrize("replicas", [5, 8])
@pytest.mark.parametrize(
    ("levels", "slope", "at_1", "horizon", "censored"),
    [
        ([0.5, 1, 2, 4], -0.6, 2000.0, np.inf, (0.0, 0.0)),
        ([0.5, 1, 2, 4], -0.6, 2000.0, LOWEST_CUT, (0.1, 0.2)),
        # At the lowest level the median time is 5,000, so that no replica ends within the horizon.
        ([0.3, 1, 3], -1.0, 1500.0, 2500.0, (0.99, 1.0)),
    ],
)
def test_the_interval_covers_the_slope_as_often_as_it_says(
    replicas: int, levels: list[float], slope: float, at_1: float, horizon: float, censored: tuple[float, float]
) -> None:
    """A coverage of 95 % in 200 studies has a standard error of 1.5 %."""
    x, lower, upper = simulated(levels, slope, at_1, horizon, replicas, studies=200)
    assert censored[0] <= np.isinf(upper[:, :, 0]).mean() <= censored[1]
    found = [estimate(values) for values in pseudo_values(x, lower, upper)]
    assert np.mean([each.mean for each in found]) == pytest.approx(slope, abs=0.02)
    assert np.mean([each.low <= slope <= each.high for each in found]) == pytest.approx(0.95, abs=0.035)


def test_a_level_at_which_nothing_ended_is_a_bound_and_moves_no_slope() -> None:
    times = on_lines(-0.6)
    lowest = np.isclose(X, np.log(0.5))
    cut = times[lowest].min() * 0.9
    found = nearly_exact(np.where(lowest, cut, times), lowest)
    others = slopes(*(part[~lowest] for part in (X, times * (1 - 1e-6), times, NONE, REPLICA)))
    assert found.values == pytest.approx(others.values, abs=1e-9)
    assert found.bounds == (np.log(0.5),)
    assert found.fitted == tuple(np.log([1, 2, 4]))
    assert found.censored == 0


def test_times_that_ended_by_the_first_evaluation_are_bounds_too() -> None:
    times = on_lines(-0.6)
    after = np.where(np.isclose(X, np.log(4)), 0.0, times * (1 - 1e-6))
    found = slopes(X, after, times, NONE, REPLICA)
    assert found.bounds == (np.log(4),)
    assert found.values == pytest.approx([-0.6] * 5, abs=1e-4)


def test_where_nothing_ended_there_is_no_slope() -> None:
    found = nearly_exact(np.full(20, 1000.0), ~NONE)
    assert np.isnan(found.values).all()
    assert np.isnan(found.censored)
    assert (found.fitted, found.bounds) == ((), tuple(np.unique(X)))


def test_a_replica_that_never_ended_has_no_value_but_counts_as_censored() -> None:
    found = nearly_exact(on_lines(-0.5), REPLICA == 2)
    assert np.isnan(found.values[2])
    assert np.delete(found.values, 2) == pytest.approx([-0.5] * 4, abs=1e-3)
    assert found.censored == 0.2


def test_an_event_is_found_after_the_evaluation_before_it() -> None:
    with pytest.raises(ValueError, match="step 20 was found at step 10"):
        slopes([0, 1], [20, 0], [10, 10], [False, False], [0, 0])


def test_missing_times_are_left_out_and_a_lone_replica_has_no_slope() -> None:
    times = on_lines(-0.5)
    times[3] = np.nan
    assert nearly_exact(times).values == pytest.approx([-0.5] * 5, abs=1e-5)
    first = [part[:4] for part in (X, on_lines(-0.5) * 0.99, on_lines(-0.5), NONE, REPLICA)]
    assert np.isnan(slopes(*first).values).all()
