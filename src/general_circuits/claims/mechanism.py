"""Verdicts on mechanism: does decay, or noise, take a larger share of shallow parts of margins than of general parts?

Parts of the claims `weight_decay` and `stochasticity`. Registered before this rule was applied to any result, for
branches of grokking at onset in which no gradient moves the weights:

- The general part of the mean training margin is the part that unseen examples show. The shallow part is the rest. The
  estimate is the share lost of the shallow part minus the share lost of the general part, over the steps of the branch.
  Supported above 0.05, contradicted below 0. Both are the same circuit's parts at the branching step and after.
- Key frequencies, which define the general part, come from the weights at the branching step. Before, they came from
  the branch's last checkpoint. Those are the frequencies that the treatment left, so the general part seemed to lose
  less. The former choice stands beside.
- `weight_decay` has one such part: a branch in which only decay, as strong as grokking's, moves the weights.
- `stochasticity` has two: a branch in which only the noise of minibatches moves the weights, and one in which only
  Gaussian noise does. The claim is about minibatches, and Gaussian noise has another shape.
- Noise is matched to decay in its total displacement, the norm of the change of all weights over the branch. Before, it
  was matched in the size of a step. Steps of noise add up as a random walk, so noise went a fifth as far in 50 steps.
  Of several branches with decay alone, noise is matched to the one that goes most nearly as far. In tuning, noise of
  minibatches left a training accuracy of 0.02 over the distance of grokking's own decay. So it is judged over a shorter
  distance.
- Preconditions: the branch exists and was measured. Each part is at least 0.5 logits when the branch begins, and
  training accuracy is at least 0.5 when it ends. Each of these holds in at least four fifths of grokking's replicas. A
  share of nothing is no share, so a replica with a smaller part has no value. A network that answers hardly anything
  has lost all circuits alike. For noise, the displacement is within 10 % of decay's in each replica.
- Beside it: the share that each part loses; training accuracy after the branch; the displacement relative to the norm
  of the weights; the estimate with key frequencies from after the branch; and that under the other kinds of movement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from general_circuits.analysis import moved_alone, variant_outcomes
from general_circuits.analysis.decisions import decide
from general_circuits.analysis.estimates import estimate
from general_circuits.analysis.moved_alone import BY_DECAY, GAUSSIAN, LEAST, MINIBATCHES
from general_circuits.analysis.preconditions import unmet
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
ANSWERED = 0.5
"""Smallest training accuracy after the branch with which shares can be compared."""
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
    return [branches.judge(BY_DECAY, part("mechanism")), *branches.beside([BY_DECAY])]


def of_noise(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Return the verdicts on both kinds of noise, and the contrasts beside them; reads the same tables."""
    branches, kinds = _Branches(tables), [MINIBATCHES, GAUSSIAN]
    judged = [branches.judge(kind, part(f"mechanism, {kind}")) for kind in kinds]
    return [*judged, *branches.beside(kinds)]


class _Branches:
    """Branches of a study in which no gradient moves the weights, and what they lose.

    Attributes:
        names: branches of each kind of movement that the study has and measured, the one that is judged first.
        replicas: all replicas of grokking. A replica without an onset has no branch.
    """

    def __init__(self, tables: Mapping[str, pd.DataFrame]) -> None:
        self.conditions = variant_outcomes.settings(tables["conditions"])
        self.progress, self.structure = (tables.get(name, pd.DataFrame()) for name in ("progress", "structure"))
        is_measured = not self.progress.empty and not self.structure.empty
        self.names = moved_alone.measured(self.progress, self.conditions) if is_measured else {}
        events = tables["events"]
        self.replicas = pd.Index(sorted(events.loc[events["condition"] == BASE, "replica"].unique()))

    def judge(self, kind: str, contrast: str) -> Finding:
        """Return the verdict on one kind of movement."""
        reason = self._misses(kind)
        if reason:
            return not_testable(reason, contrast)
        lost = self._lost(self.names[kind][0])
        decision = decide(lost["shallow"] - lost["general"], RULE)
        shallow, general = (written(estimate(lost[side]), is_change=False) for side in ("shallow", "general"))
        sentence = (
            f"Under {kind} alone, the shallow part of training margins loses {shallow} of itself, and the general part"
            f" loses {general}: {outcome(decision, WORDS)}."
        )
        return primary(contrast, SHARE, decision, sentence)

    def beside(self, kinds: Sequence[str]) -> Iterator[Finding]:
        """Yield the contrasts beside verdicts on these kinds, then the estimates of all other branches."""
        judged = {self.names[kind][0]: kind for kind in kinds if kind in self.names}
        for name, kind in judged.items():
            lost, moved = self._lost(name), self._displacement(name)
            for side in ("shallow", "general"):
                yield beside(f"share of the {side} part lost, {kind}", SHARE, lost[side], is_change=False)
            yield beside(f"accuracy after {kind}", "training accuracy", self._accuracy(name), is_change=False)
            share = moved["displacement"] / moved["norm"]
            yield beside(f"displacement over the norm of the weights, {kind}", OF_NORM, share, is_change=False)
            later = self._lost(name, moved_alone.AFTER)
            difference = later["shallow"] - later["general"]
            yield beside(f"with key frequencies from after the branch, {kind}", SHARE, difference)
        for name in (name for names in self.names.values() for name in names if name not in judged):
            lost = self._lost(name)
            yield beside(f"shallow minus general share lost, {name}", SHARE, lost["shallow"] - lost["general"])

    def _misses(self, kind: str) -> str:
        """Return why one kind of movement is not testable; empty if it is."""
        if kind not in self.names:
            return f"the study has no measured branch at onset with {kind} alone"
        name = self.names[kind][0]
        start, _ = moved_alone.parts(self.progress, self.conditions, name)
        is_large = (start >= LEAST).reindex(self.replicas, fill_value=False)
        checks = {
            f"the {side} part of margins was at least {LEAST} logits when the branch began": is_large[side]
            for side in ("general", "shallow")
        }
        answered = f"training accuracy was at least {ANSWERED} when the branch ended"
        return unmet({**checks, answered: self._accuracy(name) >= ANSWERED}) or self._unmatched(kind)

    def _unmatched(self, kind: str) -> str:
        """Return why noise cannot be compared with decay; empty if both go as far, or for decay itself."""
        if kind == BY_DECAY:
            return ""
        if BY_DECAY not in self.names:
            return f"the study has no measured branch with decay alone, whose displacement {kind} has to match"
        moved = self._displacement(self.names[kind][0])["displacement"]
        ratios = [(moved / self._displacement(decay)["displacement"]).dropna() for decay in self.names[BY_DECAY]]
        nearest = min(ratios, key=lambda ratio: (ratio - 1).abs().max())
        if nearest.empty or (nearest - 1).abs().max() > TOLERANCE:
            span = f"{nearest.min():.2f} to {nearest.max():.2f}"
            return f"the displacement by {kind} over that by decay is {span}, and should be within 0.9 to 1.1"
        return ""

    def _lost(self, name: str, component: str = moved_alone.BEFORE) -> pd.DataFrame:
        """Return the shares that both parts lose, for all replicas; NaN where a part was too small to lose a share."""
        ends = moved_alone.parts(self.progress, self.conditions, name, component)
        return moved_alone.lost(ends).reindex(self.replicas)

    def _accuracy(self, name: str) -> pd.Series:
        return moved_alone.accuracy_after(self.progress, self.conditions, name).reindex(self.replicas)

    def _displacement(self, name: str) -> pd.DataFrame:
        return moved_alone.displacement(self.structure, self.conditions, name).reindex(self.replicas)
