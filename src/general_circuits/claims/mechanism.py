"""Verdicts on mechanism: does decay, or noise, take a larger share of shallow parts of margins than of general parts?

Parts of the claims `weight_decay` and `stochasticity`. Registered before this rule was applied to any result, for
branches of grokking at onset in which no gradient moves the weights:

- The general part of the mean training margin is the part that unseen examples show. The shallow part is the rest. The
  estimate is the share lost of the shallow part minus the share lost of the general part, over the steps of the branch.
  Supported above 0.05, contradicted below 0. Both are the same circuit's parts at the branching step and after.
- Key frequencies, which define the general part, come from the weights at the branching step. Before, they came from
  the branch's last checkpoint. Those are the frequencies that the treatment left, so the general part seemed to lose
  less. The former choice stands beside.
- `weight_decay` has one such part: a branch in which only decay moves the weights.
- `stochasticity` has two: a branch in which only the noise of minibatches moves the weights, and one in which only
  Gaussian noise does. The claim is about minibatches, and Gaussian noise has another shape.
- Noise is matched to decay in its total displacement, the norm of the change of all weights over the branch. Before, it
  was matched in the size of a step. Steps of noise add up as a random walk, so noise went a fifth as far in 50 steps.
- Preconditions: the branch exists and was measured. Both parts are at least 0.5 logits at the branching step in at
  least four fifths of grokking's replicas. A share of nothing is no share, so other replicas have no value. For noise,
  the displacement is within 10 % of decay's in each replica.
- Beside it: the share that each part loses; the displacement relative to the norm of the weights; the estimate with
  key frequencies from after the branch; and the estimate under the other kinds of movement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from general_circuits.analysis import moved_alone, variant_outcomes
from general_circuits.analysis.decisions import decide
from general_circuits.analysis.estimates import estimate
from general_circuits.analysis.moved_alone import BY_DECAY, GAUSSIAN, LEAST, MINIBATCHES
from general_circuits.analysis.variants import BASE
from general_circuits.claims.findings import (
    BETWEEN,
    CONTRADICTED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    Rule,
    beside,
    not_testable,
    outcome,
    part,
    primary,
    written,
)

RULE = Rule(supported=0.05, contradicted=0.0)
ENOUGH = 0.8
"""Least share of replicas in which both parts are at least `LEAST` logits."""
TOLERANCE = 0.1
"""Largest difference between the displacements by noise and by decay, as a share of decay's."""
SHARE, OF_NORM = "share of the part", "share of the norm"
WORDS = {
    SUPPORTED: "shallow circuits lose more",
    CONTRADICTED: "general circuits lose more",
    BETWEEN: "shallow circuits do not lose less, but hardly more",
    UNDECIDED: "no difference is shown",
}


def of_decay(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Return the verdict on decay, and the contrasts beside it.

    Reads `conditions` and `events`, and where the study has them `progress` and `structure`.
    """
    branches = _Branches(tables)
    return [branches.judge(BY_DECAY, part("mechanism")), *branches.beside([BY_DECAY], [GAUSSIAN, MINIBATCHES])]


def of_noise(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Return the verdicts on both kinds of noise, and the contrasts beside them; reads the same tables."""
    branches, kinds = _Branches(tables), [MINIBATCHES, GAUSSIAN]
    judged = [branches.judge(kind, part(f"mechanism, {kind}")) for kind in kinds]
    return [*judged, *branches.beside(kinds, [BY_DECAY])]


class _Branches:
    """Branches of a study in which no gradient moves the weights, and what they lose.

    Attributes:
        names: the branch of each kind of movement that the study has and measured.
        replicas: all replicas of grokking. A replica without an onset has no branch.
    """

    def __init__(self, tables: Mapping[str, pd.DataFrame]) -> None:
        self.conditions = variant_outcomes.settings(tables["conditions"])
        self.progress, self.structure = tables.get("progress"), tables.get("structure")
        measured = set() if self.progress is None else set(self.progress["condition"].astype(str))
        branches = moved_alone.branches(self.conditions)
        self.names = {kind: name for kind, name in branches.items() if name in measured}
        events = tables["events"]
        self.replicas = pd.Index(sorted(events.loc[events["condition"] == BASE, "replica"].unique()))

    def judge(self, kind: str, contrast: str) -> Finding:
        """Return the verdict on one kind of movement."""
        reason = self._misses(kind)
        if reason:
            return not_testable(reason, contrast)
        lost = self._lost(kind)
        decision = decide(lost["shallow"] - lost["general"], RULE)
        shallow, general = (written(estimate(lost[side]), is_change=False) for side in ("shallow", "general"))
        sentence = (
            f"Under {kind} alone, the shallow part of training margins loses {shallow} of itself, and the general part"
            f" loses {general}: {outcome(decision, WORDS)}."
        )
        return primary(contrast, SHARE, decision, sentence)

    def beside(self, kinds: list[str], others: list[str]) -> Iterator[Finding]:
        """Yield the contrasts beside verdicts on `kinds`, and the estimates of `others`, where the study has them."""
        for kind in (kind for kind in kinds if kind in self.names):
            lost = self._lost(kind)
            for side in ("shallow", "general"):
                yield beside(f"share of the {side} part lost, {kind}", SHARE, lost[side], is_change=False)
            if self.structure is not None:
                moved = self._displacement(kind)
                share = moved["displacement"] / moved["norm"]
                yield beside(f"displacement over the norm of the weights, {kind}", OF_NORM, share, is_change=False)
            later = self._lost(kind, moved_alone.AFTER)
            difference = later["shallow"] - later["general"]
            yield beside(f"with key frequencies from after the branch, {kind}", SHARE, difference)
        for kind in (kind for kind in others if kind in self.names):
            lost = self._lost(kind)
            yield beside(f"shallow minus general share lost, {kind}", SHARE, lost["shallow"] - lost["general"])

    def _lost(self, kind: str, component: str = moved_alone.BEFORE) -> pd.DataFrame:
        """Return the shares that both parts lose, for all replicas; NaN where a part was too small to lose a share."""
        assert self.progress is not None
        ends = moved_alone.parts(self.progress, self.conditions, self.names[kind], component)
        return moved_alone.lost(ends).reindex(self.replicas)

    def _displacement(self, kind: str) -> pd.DataFrame:
        assert self.structure is not None
        return moved_alone.displacement(self.structure, self.conditions, self.names[kind]).reindex(self.replicas)

    def _misses(self, kind: str) -> str:
        """Return why one kind of movement is not testable; empty if it is."""
        if kind not in self.names:
            return f"the study has no measured branch at onset with {kind} alone"
        assert self.progress is not None
        start, _ = moved_alone.parts(self.progress, self.conditions, self.names[kind], moved_alone.BEFORE)
        large, n = start >= LEAST, len(self.replicas)
        if large.all(axis=1).sum() < ENOUGH * n:
            each = ", ".join(f"the {side} part in {int(large[side].sum())}" for side in ("general", "shallow"))
            return f"too few of {n} replicas have parts of at least {LEAST} logits when the branch begins: {each}"
        return "" if kind == BY_DECAY else self._unmatched(kind)

    def _unmatched(self, kind: str) -> str:
        """Return why noise cannot be compared with decay; empty if both go as far."""
        if BY_DECAY not in self.names or self.structure is None:
            return f"the study has no measured branch with decay alone, whose displacement {kind} has to match"
        ratio = self._displacement(kind)["displacement"] / self._displacement(BY_DECAY)["displacement"]
        ratio = ratio[np.isfinite(ratio)]
        if ratio.empty or (ratio - 1).abs().max() > TOLERANCE:
            span = f"{ratio.min():.2f} to {ratio.max():.2f}" if len(ratio) else "unknown"
            return f"the displacement by {kind} over that by decay is {span}, and should be within 0.9 to 1.1"
        return ""
