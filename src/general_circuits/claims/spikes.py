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

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from general_circuits.analysis.decisions import least_favourable
from general_circuits.analysis.estimates import Array, estimate
from general_circuits.analysis.preconditions import unmet
from general_circuits.analysis.variants import BASE
from general_circuits.analysis.windows import steps_of_events
from general_circuits.claims.findings import (
    BETWEEN,
    CONTRADICTED,
    ENOUGH_REPLICAS,
    REGISTERED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    Rule,
    beside,
    not_testable,
    outcome,
    primary,
    written,
)

RULE = Rule(supported=0.02, contradicted=0.0)
UNIT = "share of the margin"
CONTROLS = {"quiet": "quiet windows", "kick": "kicks"}
"""Windows that spikes are compared with, and their names for a reader."""
ENOUGH_SPIKES = 3
"""Least number of spikes that a replica needs."""
INTERVALS = 3
"""Least number of intervals between spikes whose variation is measured."""


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from `events`, `spikes` and `spike_effects` of grokking and of its variants in float64.

    A contrast without a value in any replica is left out.
    """
    events, spikes, effects = (tables[name] for name in ("events", "spikes", "spike_effects"))
    replicas = list(steps_of_events(events, BASE).index)
    effects = effects[effects["condition"] == BASE]
    gains, later = (_gains(effects, f"general_{until}") for until in ("after", "later"))
    beyond = {kind: _means(gains["spike"] - gains[kind], replicas) for kind in CONTROLS}
    findings = [_registered(beyond)]
    for kind, words in CONTROLS.items():
        lasting = _means(later["spike"] - later[kind], replicas)
        findings.append(beside(f"gain beyond {words}", UNIT, beyond[kind]))
        findings.append(beside(f"gain beyond {words}, 400 steps after", UNIT, lasting))
    for kind, words in {"spike": "spikes", **CONTROLS}.items():
        findings.append(beside(f"gain in {words}", UNIT, _means(gains[kind], replicas)))
    findings += _of_examples(effects[effects["kind"] == "spike"], replicas)
    of_base = spikes[(spikes["condition"] == BASE) & spikes["is_on_plateau"].astype(bool)]
    for kind in ("spike", "kick"):
        rows = of_base[of_base["kind"] == kind]
        rise = np.log10(rows["validation"] / rows["validation_before"])
        contrast = f"rise of validation loss in a {kind}"
        findings.append(beside(contrast, "log10 of the ratio", _by_replica(rows, rise, replicas)))
    for condition in dict.fromkeys(events["condition"].astype(str)):
        findings += _numbers(spikes, events, condition)
    return [finding for finding in findings if finding.verdict or finding.estimate.n]


def _gains(effects: pd.DataFrame, until: str) -> pd.DataFrame:
    """Return the gain of each spike, and the mean gains of the quiet windows and of the kicks beside it.

    Args:
        effects: rows of `spike_effects`.
        until: column with the general share at which a gain ends.

    Returns:
        Columns `spike`, `quiet` and `kick`, indexed by replica and spike; only spikes that have all three.
    """
    gain = effects.assign(gain=effects[until] - effects["general_before"])
    means = gain.pivot_table(index=["replica", "spike"], columns="kind", values="gain", observed=True)
    return means.reindex(columns=["spike", *CONTROLS]).dropna()


def _means(gains: pd.Series, replicas: Sequence[int]) -> Array:
    """Return the mean over the spikes of each replica, (replica); NaN for a replica with too few spikes."""
    of_replica = gains.groupby("replica")
    return of_replica.mean().where(of_replica.size() >= ENOUGH_SPIKES).reindex(replicas).to_numpy(float)


def _by_replica(rows: pd.DataFrame, values: pd.Series, replicas: Sequence[int]) -> Array:
    """Return the mean of values over the rows of each replica, (replica); NaN for a replica without rows."""
    return values.groupby(rows["replica"]).mean().reindex(replicas).to_numpy(float)


def _registered(beyond: Mapping[str, Array]) -> Finding:
    """Judge the gain beyond each control, (replica) by kind of window; both have the same replicas."""
    known = np.isfinite(next(iter(beyond.values())))
    met = "three spikes or more on the plateau have quiet windows beside them"
    if reason := unmet({met: known}):
        return not_testable(reason)
    if known.sum() < ENOUGH_REPLICAS:
        return not_testable(f"{met} in {known.sum()} replicas; three must")
    decision = least_favourable({CONTROLS[kind]: values for kind, values in beyond.items()}, RULE)
    words = {
        SUPPORTED: "circuits are unified around spikes",
        CONTRADICTED: f"the general part gains less around spikes than in or after {decision.contrast}",
        BETWEEN: "the general part gains hardly more around spikes than elsewhere",
        UNDECIDED: "it is not shown that the general part gains more around spikes than elsewhere",
    }
    quiet, kick = (written(estimate(beyond[kind])) for kind in CONTROLS)
    sentence = (
        f"Around a spike on the plateau, the general part of training margins gains {quiet} more than in quiet windows"
        f" beside it, and {kick} more than after kicks as large: {outcome(decision, words)}."
    )
    return primary(REGISTERED, UNIT, decision, sentence)


def _of_examples(in_spikes: pd.DataFrame, replicas: Sequence[int]) -> Iterator[Finding]:
    """Yield how examples that both kinds of circuit serve fare in spikes, against all others."""
    shared, others = in_spikes["rise_shared"], in_spikes["rise_others"]
    ratio = np.log10((shared / others).where((shared > 0) & (others > 0)))
    name = "rise of losses, shared over others"
    yield beside(name, "log10 of the ratio", _by_replica(in_spikes, ratio, replicas))
    difference = in_spikes["fall_shared"] - in_spikes["fall_others"]
    yield beside("fall of margins, shared less others", "logits", _by_replica(in_spikes, difference, replicas))


def _numbers(spikes: pd.DataFrame, events: pd.DataFrame, condition: str) -> Iterator[Finding]:
    """Yield the numbers of spikes of a condition, and how regular they are on the plateau."""
    memorised = steps_of_events(events, condition)["memorised"]
    rows = spikes[(spikes["condition"] == condition) & (spikes["kind"] == "spike")]
    on_plateau = rows[rows["is_on_plateau"].astype(bool)]
    for contrast, of_kind in ((f"spikes in {condition}", rows), (f"spikes on the plateau in {condition}", on_plateau)):
        numbers = of_kind.groupby("replica").size().reindex(memorised.index, fill_value=0)
        # A replica that never memorised was not watched.
        yield beside(contrast, "spikes", numbers.where(memorised.notna()), is_change=False)
    variations = [_variation(on_plateau.loc[on_plateau["replica"] == replica, "step"]) for replica in memorised.index]
    contrast = f"coefficient of variation of intervals on the plateau in {condition}"
    yield beside(contrast, "ratio", variations, is_change=False)


def _variation(steps: pd.Series) -> float:
    """Return the coefficient of variation of the intervals between spikes; NaN where they are too few."""
    intervals = np.diff(np.sort(steps))
    return float(intervals.std(ddof=1) / intervals.mean()) if len(intervals) >= INTERVALS else float("nan")
