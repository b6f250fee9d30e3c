"""Verdicts on spikes whose gains are known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from verdict_tables import by_contrast

from general_circuits.claims import spikes
from general_circuits.claims.findings import BETWEEN, CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED

PEAKS = (500, 900, 1300, 1800)
KEY = ["condition", "replica", "spike", "kind", "step"]


def spiking(
    gains: dict[str, float], peaks: Sequence[Sequence[int]] = (PEAKS,) * 5, exact: Sequence[int] = ()
) -> dict[str, pd.DataFrame]:
    """Build tables of grokking and of a variant "exact" in float64. Every replica memorised at step 100.

    Args:
        gains: gain of the general share by kind of window; windows differ by at most 0.01.
        peaks: steps of grokking's spikes on the plateau, replica by replica. One more, later spike was not looked into.
        exact: number of spikes in each replica of "exact", none of them on the plateau.
    """
    windows, effects = [], []
    for replica, of_replica in enumerate(peaks):
        for peak in of_replica:
            for kind, step in (("spike", peak), ("quiet", peak - 260), ("quiet", peak + 260), ("kick", peak + 260)):
                gain = gains[kind] + 0.01 * np.sin(replica + len(kind) + step)
                names = ("grokking", replica, peak, kind, step)
                windows.append((*names, True, 1e-3, 1e-1, 2e-3, 2e-1))
                effects.append((*names, 0.5, 0.5 + gain, 0.5 + gain / 2, 2e-1, 1e-1, 5.0, 2.0))
        windows.append(("grokking", replica, 2900, "spike", 2900, False, 1e-3, 1.0, 1e-3, 1.0))
    for replica, n in enumerate(exact):
        windows += [("exact", replica, step, "spike", step, False, 1, 2, 1, 2) for step in range(200, 200 + n)]
    losses = ["loss_before", "loss", "validation_before", "validation"]
    general = [f"general_{when}" for when in ("before", "after", "later")]
    of_examples = ["rise_shared", "rise_others", "fall_shared", "fall_others"]
    names = itertools.product(("grokking", "exact") if exact else ("grokking",), range(len(peaks)))
    memorised = [(condition, replica, "memorised", 100, False) for condition, replica in names]
    return {
        "spikes": pd.DataFrame(windows, columns=[*KEY, "is_on_plateau", *losses]),
        "spike_effects": pd.DataFrame(effects, columns=[*KEY, *general, *of_examples]),
        "events": pd.DataFrame(memorised, columns=["condition", "replica", "event", "step", "censored"]),
    }


def registered(gains: dict[str, float], peaks: Sequence[Sequence[int]] = (PEAKS,) * 5) -> spikes.Finding:
    return spikes.judge(spiking(gains, peaks))[0]


@pytest.mark.parametrize(
    ("gains", "verdict", "estimate"),
    [
        ({"spike": 0.3, "quiet": 0.1, "kick": 0.2}, SUPPORTED, 0.1),
        ({"spike": 0.3, "quiet": 0.2, "kick": 0.1}, SUPPORTED, 0.1),
        ({"spike": 0.31, "quiet": 0.1, "kick": 0.3}, BETWEEN, 0.01),
        ({"spike": 0.3, "quiet": 0.1, "kick": 0.3}, UNDECIDED, 0.0),
        ({"spike": 0.3, "quiet": 0.1, "kick": 0.5}, CONTRADICTED, -0.2),
        ({"spike": 0.1, "quiet": 0.3, "kick": 0.0}, CONTRADICTED, -0.2),
    ],
)
def test_support_needs_more_gain_than_in_quiet_windows_and_after_kicks(
    gains: dict[str, float], verdict: str, estimate: float
) -> None:
    findings = by_contrast(spikes.judge(spiking(gains)))
    assert findings["registered"].verdict == verdict
    assert findings["registered"].estimate.mean == pytest.approx(estimate, abs=0.01)
    for kind, words in (("quiet", "quiet windows"), ("kick", "kicks")):
        beyond = gains["spike"] - gains[kind]
        assert findings[f"gain beyond {words}"].estimate.mean == pytest.approx(beyond, abs=0.01)
        assert findings[f"gain beyond {words}, 400 steps after"].estimate.mean == pytest.approx(beyond / 2, abs=0.01)
        assert findings[f"gain in {words}"].estimate.mean == pytest.approx(gains[kind], abs=0.01)
    assert findings["gain in spikes"].estimate.mean == pytest.approx(gains["spike"], abs=0.01)


def test_a_gain_that_kicks_share_does_not_count() -> None:
    """Any rise of training loss as large moves the general share as much."""
    assert registered({"spike": 0.5, "quiet": 0.0, "kick": 0.5}).verdict != SUPPORTED


def test_each_spike_is_compared_with_the_windows_beside_it() -> None:
    """A comparison with the mean over all windows would count a trend over training as an effect of spikes."""
    tables = spiking({"spike": 0.0, "quiet": 0.0, "kick": 0.0})
    effects = tables["spike_effects"]
    trend = effects["spike"] / 1000 * (1 + effects["replica"])
    tables["spike_effects"] = effects.assign(general_after=0.5 + trend + 0.1 * (effects["kind"] == "spike"))
    estimate = by_contrast(spikes.judge(tables))["gain beyond kicks"].estimate
    assert estimate.mean == pytest.approx(0.1)
    assert estimate.high == pytest.approx(0.1)


# Preconditions

GAINS = {"spike": 0.3, "quiet": 0.1, "kick": 0.2}


def test_replicas_with_two_spikes_do_not_count() -> None:
    finding = registered(GAINS, (PEAKS[:2],) * 5)
    assert finding.verdict == NOT_TESTABLE
    met = "three spikes or more on the plateau have quiet windows beside them"
    assert finding.reason == f"{met} in 0 of 5 replicas; four fifths must"


def test_four_fifths_of_the_replicas_need_three_spikes() -> None:
    enough, too_few = registered(GAINS, (PEAKS[:3],) * 4 + ((),)), registered(GAINS, (PEAKS[:3],) * 3 + ((), ()))
    assert (enough.verdict, enough.estimate.n, len(enough.values)) == (SUPPORTED, 4, 5)
    assert "4 of 5 replicas" in enough.sentence
    assert too_few.verdict == NOT_TESTABLE
    assert "3 of 5 replicas" in too_few.reason


def test_two_replicas_are_too_few_though_they_are_all() -> None:
    finding = registered(GAINS, (PEAKS,) * 2)
    assert finding.verdict == NOT_TESTABLE
    assert finding.reason.endswith("in 2 replicas; three must")


def test_a_spike_without_quiet_windows_does_not_count() -> None:
    tables = spiking(GAINS, (PEAKS[:3],) * 5)
    effects = tables["spike_effects"]
    is_crowded = (effects["spike"] == PEAKS[0]) & (effects["kind"] != "spike")
    assert spikes.judge({**tables, "spike_effects": effects[~is_crowded]})[0].verdict == NOT_TESTABLE


def test_without_spikes_it_is_not_testable_and_their_number_is_0() -> None:
    tables = spiking(GAINS, ((),) * 5)
    tables["spikes"] = tables["spikes"][:0]
    findings = by_contrast(spikes.judge(tables))
    assert findings["registered"].verdict == NOT_TESTABLE
    assert "0 of 5 replicas" in findings["registered"].sentence
    assert findings["spikes in grokking"].values == (0,) * 5
    assert not [name for name in findings if name.startswith("gain")]


# Beside


def test_what_else_is_known_of_spikes_stands_beside() -> None:
    findings = by_contrast(spikes.judge(spiking(GAINS)))
    assert findings["rise of losses, shared over others"].estimate.mean == pytest.approx(np.log10(2))
    assert findings["fall of margins, shared less others"].estimate.mean == pytest.approx(3.0)
    assert findings["rise of validation loss in a spike"].estimate.mean == pytest.approx(2.0)


def test_spikes_of_each_replica_are_counted_also_in_float64() -> None:
    """Each replica of grokking has one more spike than it has on the plateau."""
    peaks = [PEAKS[:n] for n in (0, 1, 2, 3, 4)]
    findings = by_contrast(spikes.judge(spiking(GAINS, peaks, exact=(1, 2, 0, 4, 5))))
    assert findings["spikes in grokking"].values == (1, 2, 3, 4, 5)
    assert findings["spikes on the plateau in grokking"].values == (0, 1, 2, 3, 4)
    assert findings["spikes in exact"].values == (1, 2, 0, 4, 5)
    assert findings["spikes on the plateau in exact"].values == (0,) * 5


def test_a_replica_that_never_memorised_has_no_number_of_spikes() -> None:
    tables = spiking(GAINS, (*(PEAKS,) * 4, ()))
    tables["events"]["censored"] = tables["events"]["replica"] == 4
    tables["spikes"] = tables["spikes"][tables["spikes"]["replica"] != 4]
    findings = by_contrast(spikes.judge(tables))
    assert np.isnan(findings["spikes in grokking"].values[4])
    assert findings["registered"].verdict == SUPPORTED


def test_regular_spikes_have_a_coefficient_of_variation_of_0() -> None:
    """Three intervals are needed. The later spike that is not on the plateau does not count."""
    name = "coefficient of variation of intervals on the plateau in grokking"
    regular, irregular, few = ((500, 900, 1300, 1700), PEAKS, PEAKS[:3])
    values = by_contrast(spikes.judge(spiking(GAINS, (regular, irregular, few))))[name].values
    intervals = np.diff(PEAKS)
    expected = intervals.std(ddof=1) / intervals.mean()
    assert values == pytest.approx((0.0, expected, np.nan), nan_ok=True)
