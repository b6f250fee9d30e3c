"""Preconditions of verdicts: what at least four fifths of the replicas must have done."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

ENOUGH = 0.8
"""Least share of the replicas that must meet a precondition."""
MOST_CENSORED = 0.2
"""Largest share of censored times in a slope over levels."""
DELAY = 2.0
"""Least ratio of t_o to t_m in a replica that generalises after a delay."""
MEMORISED = 0.99
"""Least training accuracy of a network that has memorised its examples."""


def unmet(checks: Mapping[str, ArrayLike]) -> str:
    """Return in words the first check that too few replicas pass; empty if there is none.

    Args:
        checks: whether each replica passes, (replica), by words that complete "in 3 of 5 replicas".
    """
    for words, passes in checks.items():
        passed = np.asarray(passes, dtype=bool)
        if not passed.size or passed.mean() < ENOUGH:
            return f"{words} in {int(passed.sum())} of {passed.size} replicas; four fifths must"
    return ""


def delayed(steps: pd.DataFrame) -> dict[str, ArrayLike]:
    """Return the checks that replicas memorised, and that validation accuracy began to rise after a delay.

    Args:
        steps: steps of the events `memorised` and `onset`, a row per replica, NaN where censored.
    """
    return {
        "training examples were memorised": steps["memorised"].notna(),
        "validation accuracy left its plateau": steps["onset"].notna(),
        f"there was a delay (t_o of {DELAY:g} t_m or later)": steps["onset"] >= DELAY * steps["memorised"],
    }


def grokked(steps: pd.DataFrame) -> dict[str, ArrayLike]:
    """Return the checks that replicas memorised, generalised, and did so after a delay.

    Args:
        steps: as for `delayed`, with the steps of `generalised`.
    """
    return delayed(steps) | {"validation examples were generalised to": steps["generalised"].notna()}
