"""Verdicts on mirror images in studies whose plateau is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from variant_tables import study
from verdict_tables import by_contrast

from general_circuits.claims import commutativity
from general_circuits.claims.findings import CONTRADICTED, SUPPORTED, UNDECIDED, Finding

SYMBOLS = 6


def split(condition: str, by_pair: bool) -> pd.DataFrame:
    """Build the `split` table of all pairs of six symbols; those with an even a train, or by pair an even a + b."""
    a, b = (part.ravel() for part in np.meshgrid(range(SYMBOLS), range(SYMBOLS), indexing="ij"))
    trains = (a + b) % 2 == 0 if by_pair else a % 2 == 0
    frame = pd.DataFrame({"a": a, "b": b, "split": np.where(trains, "train", "validation"), "condition": condition})
    return pd.concat([frame.assign(replica=replica) for replica in range(5)], ignore_index=True)


def judged(accuracy: float) -> dict[str, Finding]:
    """Return findings where the split by example has this plateau and grokking has a plateau of 0."""
    variants = {"by_example": {"split.split_by": "example"}}
    tables = study(
        variants,
        dict.fromkeys(["grokking", *variants], lambda r: 2000.0),
        {"by_example": lambda since: (1.0, accuracy)},
    )
    metrics = tables["metrics"]
    mirrored = metrics[(metrics["condition"] == "by_example") & (metrics["split"] == "validation")]
    mirrored = mirrored.assign(split="validation_mirrored", accuracy=2 * accuracy)
    metrics = pd.concat([metrics, mirrored], ignore_index=True)
    splits = pd.concat([split("grokking", by_pair=True), split("by_example", by_pair=False)])
    return by_contrast(commutativity.judge({**tables, "metrics": metrics, "split": splits}))


@pytest.mark.parametrize(("accuracy", "verdict"), [(0.5, SUPPORTED), (0.2, UNDECIDED), (0.05, CONTRADICTED)])
def test_the_verdict_is_of_the_plateau_over_the_share_of_mirrored_examples(accuracy: float, verdict: str) -> None:
    """(a, b) with an odd a validates; (b, a) trains for half of these, so a plateau of 0.5 is all of them."""
    findings = judged(accuracy)
    assert findings["share whose mirror image trains, by_example"].estimate.mean == 0.5
    assert findings["registered"].verdict == verdict
    assert findings["registered"].estimate.mean == pytest.approx(2 * accuracy, abs=1e-9)
    assert findings["plateau of mirrored examples, by_example"].estimate.mean == pytest.approx(2 * accuracy)


def test_grokking_s_own_plateau_is_subtracted() -> None:
    variants = {"by_example": {"split.split_by": "example"}}
    left = dict.fromkeys(["grokking", *variants], lambda r: 2000.0)
    tables = study(variants, left, {"by_example": lambda since: (1.0, 0.4), "grokking": lambda since: (1.0, 0.1)})
    splits = pd.concat([split("grokking", by_pair=True), split("by_example", by_pair=False)])
    finding = by_contrast(commutativity.judge({**tables, "split": splits}))["registered"]
    assert finding.estimate.mean == pytest.approx((0.4 - 0.1) / 0.5)


def test_no_mirror_image_trains_in_a_split_by_pair() -> None:
    assert commutativity._mirrored(split("grokking", by_pair=True), "grokking").tolist() == [0.0] * 5
