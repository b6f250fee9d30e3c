"""D by hand: trapezoids over k from 1 to a quarter of the units, and what is subtracted from it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import pytest

from general_circuits import damage

pytestmark = pytest.mark.filterwarnings("error")

KS = (0, 1, 2, 4, 8, 16)
"""Of a layer of 16 units, a quarter of which is 4."""


def ablation(accuracy: Mapping[str, list[float]], **key: object) -> pd.DataFrame:
    """What is left at each of `KS`, by ranking and, after a dot, draw; margins are ten times the accuracy."""
    names = {"condition": "grokking", "replica": 0, "step": 0, "split": "train", "layer": 0, "deletion": "zero", **key}
    frames = []
    for name, left in accuracy.items():
        ranking, _, draw = name.partition(".")
        rows = pd.DataFrame({"k": KS, "accuracy": left}).assign(ranking=ranking, draw=int(draw or 0), **names)
        frames.append(rows[rows["k"] > 0] if ranking == "matched" else rows)
    return together(pd.concat(frames, ignore_index=True).assign(loss=0.0))


def together(*frames: pd.DataFrame) -> pd.DataFrame:
    """Tables below one another, conditions as categories in order of appearance."""
    frame = pd.concat([part.astype({"condition": str}) for part in frames], ignore_index=True)
    categories = list(dict.fromkeys(frame["condition"]))
    return frame.assign(
        margin=10 * frame["accuracy"], condition=pd.Categorical(frame["condition"], categories=categories)
    )


LEFT = {
    "top": [1.0, 0.8, 0.6, 0.4, 0.2, 0.0],
    "bottom": [1.0, 1.0, 1.0, 0.9, 0.5, 0.0],
    "random.0": [1.0, 1.0, 0.9, 0.8, 0.4, 0.0],
    "random.1": [1.0, 0.8, 0.9, 0.6, 0.2, 0.0],
    "matched": [1.0, 0.9, 0.8, 0.7, math.nan, math.nan],
}


def test_curves_are_what_is_lost_with_draws_averaged() -> None:
    lost = damage.curves(ablation(LEFT)).xs(("grokking", 0, 0))
    assert lost["accuracy"]["top"].to_dict() == pytest.approx({1: 0.2, 2: 0.4, 4: 0.6, 8: 0.8, 16: 1.0})
    assert lost["accuracy"]["random"].to_dict() == pytest.approx({1: 0.1, 2: 0.1, 4: 0.3, 8: 0.7, 16: 1.0})
    assert lost["margin"]["top"][2] == pytest.approx(4.0)


def test_areas_by_hand() -> None:
    """Trapezoids over k = 1, 2, 4, divided by 3: top (0.3 + 1.0)/3, random (0.1 + 0.4)/3, bottom (0 + 0.1)/3."""
    (row,) = damage.areas(ablation(LEFT)).to_dict("records")
    assert (row["condition"], row["replica"], row["step"]) == ("grokking", 0, 0)
    assert row["top"] == pytest.approx(1.3 / 3)
    assert row["random"] == pytest.approx(0.5 / 3)
    assert row["bottom"] == pytest.approx(0.1 / 3)
    assert row["matched"] == pytest.approx((0.15 + 0.5) / 3)
    assert row["excess"] == pytest.approx(0.8 / 3)
    assert row["over_bottom"] == pytest.approx(1.2 / 3)
    assert row["over_matched"] == pytest.approx(0.65 / 3)
    assert row["margin_excess"] == pytest.approx(8 / 3)


def test_more_than_a_quarter_of_the_units_does_not_count() -> None:
    changed = {**LEFT, "top": [1.0, 0.8, 0.6, 0.4, 0.9, 0.9]}
    assert damage.areas(ablation(changed))["top"][0] == damage.areas(ablation(LEFT))["top"][0]


def test_constant_damage_is_its_own_mean() -> None:
    flat = {name: [1.0] + [0.7] * 5 for name in LEFT}
    (row,) = damage.areas(ablation(flat)).to_dict("records")
    assert row["top"] == pytest.approx(0.3)
    assert row["excess"] == pytest.approx(0)


def test_damage_is_measured_from_the_whole_network() -> None:
    imperfect = {name: [left - 0.1 for left in values] for name, values in LEFT.items()}
    pd.testing.assert_frame_equal(damage.areas(ablation(imperfect)), damage.areas(ablation(LEFT)))


def test_no_match_up_to_a_quarter_is_no_value_rather_than_a_shorter_mean() -> None:
    missing = {**LEFT, "matched": [1.0, 0.9, 0.8, math.nan, math.nan, math.nan]}
    (row,) = damage.areas(ablation(missing)).to_dict("records")
    assert math.isnan(row["matched"])
    assert math.isnan(row["over_matched"])
    assert row["excess"] == pytest.approx(0.8 / 3)


def test_no_match_at_all_is_no_value() -> None:
    none = {**LEFT, "matched": [1.0] + [math.nan] * 5}
    assert damage.areas(ablation(none))[["matched", "over_matched"]].isna().all(axis=None)


def test_only_training_examples_zeroed_units_and_the_last_layer_count() -> None:
    other = {name: [0.9] * 6 for name in LEFT}
    frame = together(
        ablation(LEFT, layer=1),
        ablation(other, layer=0),
        ablation(other, layer=1, split="validation"),
        ablation(other, layer=1, deletion="mean"),
    )
    pd.testing.assert_frame_equal(damage.areas(frame), damage.areas(ablation(LEFT)))


def test_one_row_per_condition_replica_and_step() -> None:
    keys = [(c, r, s) for c in ("grokking", "random_labels") for r in (0, 1) for s in (0, 500)]
    frame = together(*(ablation(LEFT, condition=c, replica=r, step=s) for c, r, s in keys))
    found = damage.areas(frame.sample(frac=1, random_state=0))
    assert list(found[damage.KEYS].itertuples(index=False, name=None)) == keys
    assert found["excess"].to_numpy() == pytest.approx([0.8 / 3] * len(keys))


@pytest.mark.parametrize("order", [["grokking", "control"], ["control", "grokking"]])
def test_conditions_keep_their_order(order: list[str]) -> None:
    found = damage.areas(together(*(ablation(LEFT, condition=name) for name in order)))
    assert found["condition"].tolist() == order
    assert found["condition"].cat.categories.tolist() == order


def test_layers_of_different_conditions_may_differ_in_width_and_number() -> None:
    """Of 4 units a quarter is 1, of 64 it is 16."""
    narrow = ablation(LEFT, condition="narrow").query("k <= 4")
    wide = ablation(LEFT, condition="wide")
    wide["k"] *= 4
    deep = [ablation(LEFT, condition="deep", layer=layer, step=7) for layer in (0, 1)]
    found = damage.areas(together(ablation(LEFT), narrow, wide, *deep)).set_index("condition")
    assert found["top"].to_dict() == pytest.approx(
        {"grokking": 1.3 / 3, "narrow": 0.2, "wide": 1.3 / 3, "deep": 1.3 / 3}
    )
    assert found["step"]["deep"] == 7
