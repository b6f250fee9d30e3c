"""Tables of specifications that several tests share."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from general_circuits.storage.schemas.specification import TABLE

OPTIONS = {
    "method": ("activation_gradient", "integrated_gradients", "deep_lift", "conductance", "ablation", "shapley"),
    "target": ("right_minus_mean", "right_logit", "margin", "log_probability"),
    "normalisation": ("raw", "matched", "per_example"),
    "statistic": ("mean_magnitude l_skewness", "mean_magnitude gini", "median l_skewness", "breadth median"),
    "layer": ("last mlp", "last head_outputs", "0 mlp"),
    "split": ("train", "validation"),
    "dead_units": ("excluded", "included"),
    "deletion": ("none",),
    "control": ("random_labels", "none"),
}
"""Options of each choice, the registered one first."""

EFFECTS = {"method": 0.02, "target": 0.01, "normalisation": 0.06, "statistic": -0.05, "layer": 0.03}
"""Amount that each further option of a choice adds to the estimate."""


def specifications(count: int, failing: int = 0, claim: str = "saliency_skew", seed: int = 0) -> pd.DataFrame:
    """Return a claim's table: the registered combination and `count` − 1 others.

    Args:
        count: number of combinations, at most 6,912.
        failing: number of combinations without an estimate. They come last.
        claim: name of the claim.
        seed: seed for the choice of combinations and the noise of estimates.
    """
    generator = np.random.default_rng(seed)
    combinations = list(itertools.product(*OPTIONS.values()))
    others = generator.permutation(np.arange(1, len(combinations)))[: count - 1]
    frame = pd.DataFrame([combinations[i] for i in (0, *others)], columns=list(OPTIONS))
    numbers = {name: frame[name].map(OPTIONS[name].index) for name in EFFECTS}
    middle = sum(EFFECTS[name] * numbers[name] for name in EFFECTS) - 0.1
    middle = middle + 0.05 * generator.standard_normal(count)
    half = 0.02 + 0.04 * generator.exponential(size=count)
    has_one = np.arange(count) < count - failing
    frame = frame.assign(
        claim=claim,
        registered=np.arange(count) == 0,
        unit="L-skewness",
        supported_beyond=0.05,
        contradicted_beyond=0.0 if claim == "topk_damage" else -0.05,
        estimate=middle.where(has_one),
        low=(middle - half).where(has_one),
        high=(middle + half).where(has_one),
        p_value=0.5,
        replicas=np.where(has_one, 5, 0),
        failure=np.where(has_one, "", "no replica has a late window"),
    )
    return frame.astype(dict.fromkeys(TABLE.key, "category"))[TABLE.schema.names]
