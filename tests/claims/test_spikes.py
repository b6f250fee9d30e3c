"""Verdicts on spikes whose gains are known."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from verdict_tables import by_contrast

from general_circuits.claims import spikes
from general_circuits.claims.findings import CONTRADICTED, SUPPORTED, UNDECIDED

PEAKS = (500, 900, 1300, 1800)


def spiking(
    gains: dict[str, float], replicas: int = 5, peaks: tuple[int, ...] = PEAKS, rates: tuple[int, ...] = ()
) -> dict[str, pd.DataFrame]:
    """Build tables of grokking and of a variant "exact" in float64.

    Args:
        gains: gain of the general share by kind of window; replicas differ by at most 0.01.
        replicas: number of replicas.
        peaks: steps of grokking's spikes.
        rates: number of spikes in each replica of "exact".
    """
    windows, effects = [], []
    for replica, peak in itertools.product(range(replicas), peaks):
        for kind, step in (("spike", peak), ("quiet", peak - 260), ("quiet", peak + 260), ("kick", peak + 260)):
            gain = gains[kind] + 0.01 * np.sin(replica + len(kind) + step)
            names = ("grokking", replica, peak, kind, step)
            windows.append((*names, 1e-3, 1e-1, 2e-3, 2e-1))
            effects.append((*names, 0.5, 0.5 + gain, 0.5 + gain / 2, 2e-1, 1e-1, 5.0, 2.0))
    for replica, n in enumerate(rates):
        windows += [("exact", replica, step, "spike", step, 1, 2, 1, 2) for step in range(200, 200 + n)]
    key = ["condition", "replica", "spike", "kind", "step"]
    losses = [
        (name, r, step) for name, r, step in itertools.product(("grokking", "exact"), range(replicas), range(100))
    ]
    loss_columns = ["loss_before", "loss", "validation_before", "validation"]
    general = [f"general_{when}" for when in ("before", "after", "later")]
    of_examples = ["rise_shared", "rise_others", "fall_shared", "fall_others"]
    return {
        "spikes": pd.DataFrame(windows, columns=[*key, *loss_columns]),
        "spike_effects": pd.DataFrame(effects, columns=[*key, *general, *of_examples]),
        "losses": pd.DataFrame(losses, columns=["condition", "replica", "step"]),
    }


@pytest.mark.parametrize(
    ("gains", "verdict", "estimate"),
    [
        ({"spike": 0.3, "quiet": 0.1, "kick": 0.2}, SUPPORTED, 0.1),
        ({"spike": 0.3, "quiet": 0.2, "kick": 0.1}, SUPPORTED, 0.1),
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
    assert findings["gain beyond quiet windows"].estimate.mean == pytest.approx(
        gains["spike"] - gains["quiet"], abs=0.01
    )
    assert findings["gain beyond kicks"].estimate.mean == pytest.approx(gains["spike"] - gains["kick"], abs=0.01)


def test_each_spike_is_compared_with_the_windows_beside_it() -> None:
    """A comparison with the mean over all windows would count a trend over training as an effect of spikes."""
    tables = spiking({"spike": 0.0, "quiet": 0.0, "kick": 0.0})
    effects = tables["spike_effects"]
    trend = effects["spike"] / 1000 * (1 + effects["replica"])
    tables["spike_effects"] = effects.assign(general_after=0.5 + trend + 0.1 * (effects["kind"] == "spike"))
    findings = by_contrast(spikes.judge(tables))
    assert findings["gain beyond kicks"].estimate.mean == pytest.approx(0.1)
    assert findings["gain beyond kicks"].estimate.high == pytest.approx(0.1)


def test_what_else_is_known_of_spikes_stands_beside() -> None:
    findings = by_contrast(spikes.judge(spiking({"spike": 0.3, "quiet": 0.1, "kick": 0.2}, rates=(1, 2, 3, 4, 5))))
    assert findings["rise of losses, shared over others"].estimate.mean == pytest.approx(np.log10(2))
    assert findings["fall of margins, shared less others"].estimate.mean == pytest.approx(3.0)
    assert findings["rise of validation loss in a spike"].estimate.mean == pytest.approx(2.0)
    assert findings["spikes in grokking"].estimate.mean == pytest.approx(40)
    assert findings["spikes in exact"].estimate.mean == pytest.approx(30)
    intervals = np.diff(PEAKS)
    variation = intervals.std(ddof=1) / intervals.mean()
    assert findings["coefficient of variation of intervals in grokking"].estimate.mean == pytest.approx(variation)


def test_without_spikes_nothing_is_decided() -> None:
    tables = spiking({"spike": 0.3, "quiet": 0.1, "kick": 0.2}, peaks=())
    findings = by_contrast(spikes.judge(tables))
    assert findings["registered"].verdict == UNDECIDED
    assert findings["registered"].estimate.n == 0
    assert "0 of 5 replicas" in findings["registered"].sentence
    assert findings["spikes in grokking"].estimate.mean == 0
