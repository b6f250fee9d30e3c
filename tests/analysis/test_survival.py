"""Censored times: textbook values, values by hand, and estimates that recover planted slopes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from general_circuits.analysis import survival
from general_circuits.analysis.survival import kaplan_meier, median_time, slopes

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


X = np.tile(np.log([1, 2, 5, 10]), 5)
REPLICA = np.repeat(np.arange(5), 4)


def exact(slope: float | np.ndarray) -> np.ndarray:
    """Return times without noise, for replicas with different intercepts."""
    return np.exp(8 + 0.3 * REPLICA + slope * X)


def test_without_censoring_each_replica_has_its_own_slope() -> None:
    own = np.repeat([-1.0, -0.5, 0.0, 0.5, -0.75], 4)
    found = slopes(X, exact(own), np.zeros(20), REPLICA)
    assert found == pytest.approx([-1.0, -0.5, 0.0, 0.5, -0.75], abs=1e-9)


def test_the_slope_of_censored_times_has_no_bias() -> None:
    """Log-normal times are cut so that 30 % are censored; to count these as ended gives a biased slope."""
    generator = np.random.default_rng(0)
    means, naive = [], []
    for _ in range(40):
        times = exact(-0.6) * np.exp(0.3 * generator.normal(size=20))
        cut = np.quantile(times, 0.7)
        ended = np.minimum(times, cut)
        means.append(np.nanmean(slopes(X, ended, times > cut, REPLICA)))
        naive.append(slopes(X, ended, np.zeros(20), REPLICA).mean())
    assert np.mean(means) == pytest.approx(-0.6, abs=0.04)
    assert np.mean(naive) > -0.52


def test_the_slope_is_the_most_likely_one() -> None:
    """Compared with the same likelihood, written out and maximised without its gradient."""
    generator = np.random.default_rng(1)
    times = exact(-0.5) * np.exp(0.4 * generator.normal(size=20))
    cut = np.quantile(times, 0.75)
    y, is_cut = np.log(np.minimum(times, cut)), times > cut

    def cost(parameters: np.ndarray) -> float:
        line = parameters[1:6][REPLICA] + parameters[0] * X
        width = np.exp(parameters[6])
        return -np.where(is_cut, norm.logsf(y, line, width), norm.logpdf(y, line, width)).sum()

    thorough = {"maxiter": 40_000, "maxfev": 40_000, "xatol": 1e-9, "fatol": 1e-12}
    best = minimize(cost, [-0.5, *(8 + 0.3 * np.arange(5)), -1.0], method="Nelder-Mead", options=thorough)
    found = survival._slope(np.column_stack([X, np.exp(y), is_cut, REPLICA]))
    assert found == pytest.approx(best.x[0], abs=1e-4)


def test_a_level_at_which_nothing_ended_gives_the_least_steep_slope() -> None:
    """All times at the lowest x are censored; they count as if they had ended at the end of training."""
    times = exact(-1.0)
    cut = 0.9 * times[X == 0].min()
    ended = np.minimum(times, cut)
    found = slopes(X, ended, times > cut, REPLICA)
    assert -1.0 < found.mean() < 0
    assert np.isfinite(found).all()


def test_where_nothing_ended_there_is_no_slope() -> None:
    assert np.isnan(slopes(X, np.full(20, 1000.0), np.ones(20), REPLICA)).all()


def test_a_replica_that_never_ended_has_no_slope_and_changes_no_other() -> None:
    found = slopes(X, exact(-0.5), REPLICA == 2, REPLICA)
    assert np.isnan(found[2])
    assert np.delete(found, 2) == pytest.approx([-0.5] * 4, abs=1e-9)


def test_missing_times_are_left_out_and_a_lone_replica_has_no_slope() -> None:
    times = exact(-0.5)
    times[3] = np.nan
    assert slopes(X, times, np.zeros(20), REPLICA) == pytest.approx([-0.5] * 5, abs=1e-9)
    assert np.isnan(slopes(X[:4], exact(-0.5)[:4], np.zeros(4), REPLICA[:4])).all()
