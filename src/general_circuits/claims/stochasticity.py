"""Claim: the noise of minibatches speeds generalisation, because it degrades shallow circuits more than general ones.

Registered before this rule was applied to any result, three verdicts:

- speed: t_g goes as the batch size to a power above 0.2, at equal numbers of updates. The rule is in `speed.py`.
- mechanism, minibatch noise; and mechanism, gaussian noise: this noise alone removes a larger share of the shallow part
  of margins than of the general part. The rule is in `mechanism.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from general_circuits.claims import mechanism, speed
from general_circuits.claims.findings import Finding


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `conditions`, `events`, `progress` and `structure` tables of grokking and its variants."""
    return [*speed.of_batches(tables), *mechanism.of_noise(tables)]
