"""Findings on baselines that claims about neurons share: accuracies there, and late windows that training cut."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from general_circuits.analysis import moments
from general_circuits.analysis.variants import BASE
from general_circuits.claims.findings import Finding, beside


def accuracies(table: pd.DataFrame, conditions: Iterable[str]) -> list[Finding]:
    """Return the training accuracy of each condition at its baseline, with no neuron deleted.

    Args:
        table: the table `moments`.
        conditions: names of the conditions.
    """
    return [
        beside(
            f"training accuracy at the baseline, {name}",
            "share of the examples",
            moments.accuracy_at(table, name),
            is_change=False,
        )
        for name in conditions
    ]


def late_windows_cut(table: pd.DataFrame) -> str:
    """Return a sentence that counts the replicas of grokking whose late window is not whole; empty if all are."""
    cut = moments.is_cut(table, BASE)
    if not cut.any():
        return ""
    return f" In {int(cut.sum())} of {len(cut)} replicas, training ended within the late window."
