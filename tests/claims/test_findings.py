"""The rules that every claim shares: what the interval decides, and how an estimate is written."""

from __future__ import annotations

import pytest

from general_circuits.analysis.estimates import Estimate
from general_circuits.claims import findings
from general_circuits.claims.findings import CONTRADICTED, SUPPORTED, UNDECIDED

pytestmark = pytest.mark.filterwarnings("error")
NAN = float("nan")


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.06, 0.10, SUPPORTED),
        (0.05, 0.10, UNDECIDED),  # the threshold itself is not beyond it
        (0.01, 0.10, UNDECIDED),
        (-0.04, 0.04, UNDECIDED),
        (-0.10, -0.05, UNDECIDED),
        (-0.10, -0.06, CONTRADICTED),
        (NAN, NAN, UNDECIDED),
    ],
)
def test_the_interval_alone_decides(low: float, high: float, verdict: str) -> None:
    for p_value in (0.0, 1.0, NAN):
        assert findings.beyond(Estimate((low + high) / 2, low, high, p_value, 5), 0.05) == verdict


@pytest.mark.parametrize(("n", "verdict"), [(0, UNDECIDED), (2, UNDECIDED), (3, SUPPORTED)])
def test_fewer_than_three_replicas_are_undecided(n: int, verdict: str) -> None:
    assert findings.beyond(Estimate(0.5, 0.4, 0.6, 1e-9, n), 0.05) == verdict


def test_estimates_are_written_with_their_interval() -> None:
    assert findings.written(Estimate(0.1, 0.05, 0.15, 0.01, 5)) == "+0.100 (95 % interval +0.050 to +0.150)"
    assert findings.written(Estimate(0.1, NAN, NAN, NAN, 1)) == "+0.100 (no interval)"
    assert findings.written(Estimate(NAN, NAN, NAN, NAN, 0)) == "an unknown amount"


def test_censored_replicas_are_counted() -> None:
    assert findings.counted(5, 5) == "all 5 replicas"
    assert findings.counted(3, 5).startswith("3 of 5 replicas")
