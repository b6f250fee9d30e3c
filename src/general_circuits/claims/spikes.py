"""Claim: spikes of the training loss mark events in which circuits are unified.

Registered before any result of the rule below was seen, for grokking:

- A spike is a training loss above a threshold times the median of the 50 steps before; the study sets the threshold.
- Only spikes on the plateau count. It begins at 2 t_m. It ends at t_g, or earlier, where validation loss has fallen by
  a nat from its peak (as in `validation_leads`). Earlier spikes belong to memorising, and later ones come too late.
- G is the share of the mean training margin that unseen examples show. A spike's gain is the change of G from 50 steps
  before it to 200 after its peak. Two controls are subtracted from it. One is the gain in the nearest windows without
  spikes, one on either side. The other is the gain there after a kick: a random move of the weights that raises the
  training loss as much. Both controls lie on the plateau too, since G rises by itself after it.
- A replica's value is the mean over its spikes that have such a window beside them. It needs three of them, since one
  spike can be an accident of rounding.
- Precondition: at least four fifths of the replicas, and at least three, have three such spikes. Otherwise the claim is
  not testable.
- Supported where the gain is more than 0.02 of the margin beyond both controls. Contradicted where it is less than one
  of them. The less favourable control decides.
- Beside it: the gain beyond each control; the same up to 400 steps after, which says whether it lasts; and the gains in
  spikes, in quiet windows and after kicks by themselves. The part that kicks share is therefore visible.
- Also beside it: examples that both kinds of circuit serve, against the others. Their losses rise and their margins
  fall in every spike on the plateau that was measured. And the rise of validation loss in spikes and after kicks, which
  is trivial, since both losses share the weights.
- Also beside it: the number of spikes in each replica, in all and on the plateau; and the same where losses are
  computed in float64, since float32 makes spikes of its own. The coefficient of variation of the intervals between
  spikes on the plateau is 1 where they come at random and 0 where they are regular. It needs three or more intervals.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from general_circuits.analysis.estimates import Array, Estimate, estimate
from general_circuits.analysis.variants import BASE
from general_circuits.claims.findings import (
    CONTRADICTED,
    ENOUGH_REPLICAS,
    REGISTERED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    beside,
    counted,
    outcome,
    written,
)

KINDS = {"quiet": "quiet windows", "kick": "kicks"}
"""Windows that spikes are compared with, and their names for a reader."""
UNIT = "share of the margin"
INTERVALS = 3
"""Least number of intervals between spikes whose variation is measured."""


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `losses`, `spikes` and `spike_effects` tables of grokking and of its variants in float64."""
    spikes, effects, losses = (tables[name] for name in ("spikes", "spike_effects", "losses"))
    replicas = sorted(losses.loc[losses["condition"] == BASE, "replica"].unique())
    of_base = effects[effects["condition"] == BASE]
    gain = of_base.assign(
        gain=of_base["general_after"] - of_base["general_before"],
        later=of_base["general_later"] - of_base["general_before"],
    )
    both = {kind: estimate(_beyond(gain, "gain", kind, replicas)) for kind in KINDS}
    findings = [_registered(both, len(replicas))]
    for kind, words in KINDS.items():
        findings.append(beside(f"gain beyond {words}", UNIT, both[kind]))
        later = estimate(_beyond(gain, "later", kind, replicas))
        findings.append(beside(f"gain beyond {words}, 400 steps after", UNIT, later))
    in_spikes = of_base[of_base["kind"] == "spike"]
    for what, unit in (("rise", "log10 of the ratio"), ("fall", "logits")):
        shared, others = in_spikes[f"{what}_shared"], in_spikes[f"{what}_others"]
        values = np.log10((shared / others).where((shared > 0) & (others > 0))) if what == "rise" else shared - others
        name = {"rise": "rise of losses, shared over others", "fall": "fall of margins, shared less others"}[what]
        findings.append(beside(name, unit, estimate(_by_replica(in_spikes, values, replicas))))
    for kind in ("spike", "kick"):
        rows = spikes[(spikes["condition"] == BASE) & (spikes["kind"] == kind)]
        rise = np.log10(rows["validation"] / rows["validation_before"])
        contrast = f"rise of validation loss in a {kind}"
        findings.append(beside(contrast, "log10 of the ratio", estimate(_by_replica(rows, rise, replicas))))
    for condition in dict.fromkeys(losses["condition"].astype(str)):
        rate = estimate(_rates(spikes, losses, condition))
        findings.append(beside(f"spikes in {condition}", "per 1,000 steps", rate, is_change=False))
        regular = estimate(_variations(spikes, losses, condition))
        contrast = f"coefficient of variation of intervals in {condition}"
        findings.append(beside(contrast, "ratio", regular, is_change=False))
    return findings


def _beyond(gain: pd.DataFrame, column: str, kind: str, replicas: list[int]) -> Array:
    """Return the mean over spikes of a gain, minus the gain of the windows of one kind beside each, (replica)."""
    means = gain.pivot_table(index=["replica", "spike"], columns="kind", values=column, observed=True)
    means = means.reindex(columns=["spike", kind])
    return (means["spike"] - means[kind]).groupby("replica").mean().reindex(replicas).to_numpy(float)


def _by_replica(rows: pd.DataFrame, values: pd.Series, replicas: list[int]) -> Array:
    """Return the mean of values over the rows of each replica, (replica); NaN for a replica without rows."""
    return values.groupby(rows["replica"]).mean().reindex(replicas).to_numpy(float)


def _peaks(spikes: pd.DataFrame, losses: pd.DataFrame, condition: str) -> dict[int, tuple[Array, int]]:
    """Return, for each replica, the ascending steps of its spikes, and the number of steps with a recorded loss."""
    recorded = losses[losses["condition"] == condition].groupby("replica")["step"].size()
    rows = spikes[(spikes["condition"] == condition) & (spikes["kind"] == "spike")]
    return {replica: (np.sort(rows.loc[rows["replica"] == replica, "step"]), n) for replica, n in recorded.items()}


def _rates(spikes: pd.DataFrame, losses: pd.DataFrame, condition: str) -> list[float]:
    """Return the number of spikes per 1,000 steps, by replica."""
    return [1000 * len(steps) / n for steps, n in _peaks(spikes, losses, condition).values()]


def _variations(spikes: pd.DataFrame, losses: pd.DataFrame, condition: str) -> list[float]:
    """Return the coefficient of variation of the intervals between spikes, by replica; NaN where they are too few."""
    variations = []
    for steps, _ in _peaks(spikes, losses, condition).values():
        intervals = np.diff(steps)
        enough = len(intervals) >= INTERVALS
        variations.append(float(intervals.std(ddof=1) / intervals.mean()) if enough else float("nan"))
    return variations


def _registered(both: Mapping[str, Estimate], replicas: int) -> Finding:
    falls = [result for result in both.values() if result.n >= ENOUGH_REPLICAS and result.high < 0]
    verdict, shown = (
        UNDECIDED,
        min(both.values(), key=lambda result: result.mean if np.isfinite(result.mean) else np.inf),
    )
    # A mean on the wrong side is no evidence, however small its p. NaN in either p makes the maximum NaN.
    p_value = float(np.max([np.maximum(result.p_value, 0.0 if result.mean > 0 else 1.0) for result in both.values()]))
    if falls:
        shown = min(falls, key=lambda result: result.p_value)
        verdict, p_value = CONTRADICTED, min(1.0, 2 * shown.p_value)
    elif all(result.n >= ENOUGH_REPLICAS and result.low > 0 for result in both.values()):
        verdict = SUPPORTED
    words = {
        SUPPORTED: "circuits are unified around spikes",
        CONTRADICTED: "the general part gains less around spikes than elsewhere",
        UNDECIDED: "it is not shown that the general part gains more around spikes than elsewhere",
    }
    sentence = (
        "Around a spike, the general part of training margins gains"
        f" {written(both['quiet'])} more than in quiet windows beside it, and {written(both['kick'])} more than after"
        f" kicks as large: {outcome(shown, verdict, words)}. Over {counted(shown.n, replicas)}."
    )
    return Finding(REGISTERED, UNIT, dataclasses.replace(shown, p_value=p_value), sentence, verdict)
