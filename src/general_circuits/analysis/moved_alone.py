"""Branches of grokking at onset in which no gradient moves the weights, and what decay or noise takes from margins."""

from __future__ import annotations

import pandas as pd

from general_circuits.analysis.variant_outcomes import place
from general_circuits.analysis.variants import BASE, DECAY, INSTEAD, NOISE_EXAMPLES, Conditions, differences

BY_DECAY, MINIBATCHES, GAUSSIAN = "decay", "minibatch noise", "gaussian noise"
"""Kinds of movement without a gradient."""
BEFORE, AFTER = "unseen", "unseen_after"
"""Components that show the general part, with key frequencies from the branch's first or from its last checkpoint."""
LEAST = 0.5
"""Smallest part of a margin that can lose a share, in logits: a share of nothing is no share."""

Ends = tuple[pd.DataFrame, pd.DataFrame]
"""Values at a branch's first checkpoint, and at its last one before the change ends, each by replica."""


def branches(conditions: Conditions) -> dict[str, list[str]]:
    """Map each kind of movement to the branches at onset in which nothing else moves the weights.

    They have the study's order, but branches with grokking's own weight decay come first.
    """
    found: dict[str, list[str]] = {}
    for name, flat in conditions.items():
        changed = differences(conditions, name)
        if INSTEAD not in changed or place(changed) != "onset":
            continue
        # The setting replaces the gradient by noise of this size. At 0 nothing but decay moves the weights.
        has_noise, has_decay = changed[INSTEAD] > 0, flat[DECAY] > 0
        if has_noise != has_decay:
            noise = MINIBATCHES if changed.get(NOISE_EXAMPLES) else GAUSSIAN
            found.setdefault(noise if has_noise else BY_DECAY, []).append(name)
    own = conditions[BASE][DECAY]
    return {kind: sorted(names, key=lambda name: conditions[name][DECAY] != own) for kind, names in found.items()}


def measured(progress: pd.DataFrame, conditions: Conditions) -> dict[str, list[str]]:
    """Return those of `branches` that the table `progress` has."""
    have = set(progress["condition"].astype(str))
    found = {kind: [name for name in names if name in have] for kind, names in branches(conditions).items()}
    return {kind: names for kind, names in found.items() if names}


def parts(progress: pd.DataFrame, conditions: Conditions, name: str, component: str = BEFORE) -> Ends:
    """Return the general and the shallow part of a branch's mean training margin, in logits.

    Args:
        progress: the table `progress`.
        conditions: flat settings by name.
        name: the branch.
        component: component that shows the general part; the shallow part is the rest of the margin.

    Returns:
        Columns `general` and `shallow`, at both ends.
    """
    rows = progress[(progress["condition"] == name) & (progress["split"] == "train") & progress["is_scheduled"]]
    wide = rows.pivot_table(index=["replica", "step"], columns="component", values="part_of_margin", observed=True)
    wide = wide.reindex(columns=["all", component])
    both = pd.DataFrame({"general": wide[component], "shallow": wide["all"] - wide[component]})
    return _ends(both, conditions, name)


def lost(ends: Ends) -> pd.DataFrame:
    """Return the share that each part loses, by replica; both are NaN where either part is below `LEAST` at first.

    Args:
        ends: both parts at both ends, as `parts` returns them.
    """
    first, last = ends
    return (1 - last / first).where((first >= LEAST).all(axis=1), axis=0)


def alone(progress: pd.DataFrame, conditions: Conditions) -> dict[str, pd.DataFrame]:
    """Return `lost` of the branch of each kind of movement that is judged, the first one that was measured."""
    found = measured(progress, conditions)
    return {kind: lost(parts(progress, conditions, names[0])) for kind, names in found.items()}


def accuracy_after(progress: pd.DataFrame, conditions: Conditions, name: str) -> pd.Series:
    """Return a branch's training accuracy at the end of its change, by replica."""
    rows = progress[(progress["condition"] == name) & (progress["split"] == "train") & progress["is_scheduled"]]
    rows = rows[rows["component"] == "all"].set_index(["replica", "step"])[["accuracy"]].sort_index()
    return _ends(rows, conditions, name)[1]["accuracy"]


def displacement(structure: pd.DataFrame, conditions: Conditions, name: str) -> pd.DataFrame:
    """Return how far a branch has moved the weights by the end of its change, by replica.

    Returns:
        `displacement`, and `norm`, the norm of the weights at the branch's first checkpoint.
    """
    rows = structure[(structure["condition"] == name) & structure["is_scheduled"]]
    values = rows.set_index(["replica", "step"])[["displacement", "weight_norm"]].sort_index()
    first, last = _ends(values, conditions, name)
    return pd.DataFrame({"displacement": last["displacement"], "norm": first["weight_norm"]})


def _ends(values: pd.DataFrame, conditions: Conditions, name: str) -> Ends:
    """Return values (replica and step) at both ends; a replica whose change has no second checkpoint is NaN at last."""
    lasts = conditions[name].get("branch.lasts")  # None: until the end of training
    step = values.index.get_level_values("step").to_series(index=values.index)
    since = step - step.groupby("replica").transform("min")
    first = values[since == 0].droplevel("step")
    inside = values[(since > 0) & (since <= (float("inf") if lasts is None else lasts))]
    return first, inside.groupby("replica").tail(1).droplevel("step").reindex(first.index)
