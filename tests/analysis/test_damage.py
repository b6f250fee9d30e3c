"""Losses by deletion worked out by hand, and the rows of both tables that they are read from."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import pytest

from general_circuits.analysis import damage

pytestmark = pytest.mark.filterwarnings("error")

KS = (0, 1, 2, 4, 8, 16)
NAMES = {
    "condition": "grokking",
    "replica": 0,
    "step": 0,
    "split": "train",
    "layer": 0,
    "site": "mlp",
    "dead_units": "included",
    "deletion": "zero",
}
BY_SALIENCY = {
    "by": "mean_magnitude",
    "method": "activation_gradient",
    "target": "right_minus_mean",
    "normalisation": "raw",
}
OTHERS = (
    {"split": "validation"},
    {"split": "train_true"},
    {"layer": 0},
    {"site": "heads"},
    {"deletion": "mean"},
    {"dead_units": "excluded"},
)
"""Keys of rows that the registered definition does not read, for a network whose last layer is 1."""
OTHER_RANKINGS = (
    {"by": "median_magnitude"},
    {"by": "weight_norm", "method": "none", "target": "none", "normalisation": "none"},
    {"method": "shapley"},
    {"target": "margin"},
    {"normalisation": "per_example"},
)


def rows(values: Mapping[str, object], **key: object) -> pd.DataFrame:
    """Build a table from columns by ranking, or by ranking, a dot and a draw.

    A column has one value, or one for each of `KS`.
    """
    frames = []
    for name, columns in values.items():
        ranking, _, draw = name.partition(".")
        by = dict.fromkeys(BY_SALIENCY, "none") if ranking == "random" else BY_SALIENCY
        frame = pd.DataFrame(columns, index=range(len(KS) if "k" in columns else 1))
        frames.append(frame.assign(ranking=ranking, draw=int(draw or 0), **{**NAMES, **by, **key}))
    return together(*frames)


def together(*frames: pd.DataFrame) -> pd.DataFrame:
    """Stack tables, with conditions as categories in order of appearance."""
    frame = pd.concat([part.astype({"condition": str}) for part in frames], ignore_index=True)
    return frame.assign(
        condition=pd.Categorical(frame["condition"], categories=list(dict.fromkeys(frame["condition"])))
    )


# Curves

LEFT = {
    "top": [1.0, 0.8, 0.6, 0.4, 0.2, 0.0],
    "bottom": [1.0, 1.0, 1.0, 0.9, 0.5, 0.0],
    "random.0": [1.0, 1.0, 0.9, 0.8, 0.4, 0.0],
    "random.1": [1.0, 0.8, 0.9, 0.6, 0.2, 0.0],
    "matched": [1.0, 0.9, 0.8, 0.7, math.nan, math.nan],
}


def ablation(accuracy: Mapping[str, list[float]] = LEFT, **key: object) -> pd.DataFrame:
    """Build an `ablation` table of accuracies at each of `KS`; margins are 10 times these, 2 times at matched scale."""
    columns = {
        name: {"k": KS, "accuracy": left, "margin": [10 * x for x in left], "matched_margin": [2 * x for x in left]}
        for name, left in accuracy.items()
    }
    return rows(columns, **key)


def test_curves_are_what_is_lost_with_draws_averaged() -> None:
    lost = damage.curves(ablation()).xs(("grokking", 0, 0))
    assert lost["accuracy"]["top"].to_dict() == pytest.approx({1: 0.2, 2: 0.4, 4: 0.6, 8: 0.8, 16: 1.0})
    assert lost["accuracy"]["random"].to_dict() == pytest.approx({1: 0.1, 2: 0.1, 4: 0.3, 8: 0.7, 16: 1.0})
    assert lost["margin"]["top"][2] == pytest.approx(4.0)
    assert lost["matched_margin"]["top"][2] == pytest.approx(0.8)


@pytest.mark.parametrize("other", [*OTHERS, *OTHER_RANKINGS], ids=str)
def test_curves_are_of_the_registered_rows(other: dict[str, object]) -> None:
    flat = ablation({"top": [0.5] * 6}, **{"layer": 1, **other})
    pd.testing.assert_frame_equal(damage.curves(together(ablation(layer=1), flat)), damage.curves(ablation(layer=1)))


# Areas

AREAS = {
    "top": {"area": 0.5, "margin_area": 6.0, "matched_margin_area": 0.6},
    "bottom": {"area": 0.1, "margin_area": 1.0, "matched_margin_area": 0.1},
    "random.0": {"area": 0.3, "margin_area": 3.0, "matched_margin_area": 0.4},
    "random.1": {"area": 0.1, "margin_area": 2.0, "matched_margin_area": 0.0},
    "matched": {"area": 0.25, "margin_area": 5.0, "matched_margin_area": 0.3},
}


def areas(values: Mapping[str, Mapping[str, float]] = AREAS, **key: object) -> pd.DataFrame:
    return rows(values, **key)


def test_areas_by_hand() -> None:
    (row,) = damage.areas(areas()).to_dict("records")
    assert row == pytest.approx(
        {
            "condition": "grokking",
            "replica": 0,
            "step": 0,
            "top": 0.5,
            "bottom": 0.1,
            "matched": 0.25,
            "random": 0.2,
            "excess": 0.3,
            "over_bottom": 0.4,
            "over_matched": 0.25,
            "margin_excess": 3.5,
            "matched_margin_excess": 0.4,
        }
    )


@pytest.mark.parametrize("other", [*OTHERS, *OTHER_RANKINGS], ids=str)
def test_areas_are_of_the_registered_rows(other: dict[str, object]) -> None:
    of_others = {name: dict.fromkeys(values, 0.9) for name, values in AREAS.items()}
    rankings = of_others if other in OTHERS else {"top": of_others["top"]}
    frame = together(areas(layer=1), areas(rankings, **{"layer": 1, **other}))
    pd.testing.assert_frame_equal(damage.areas(frame), damage.areas(areas(layer=1)))


@pytest.mark.parametrize("missing", ["nan", "no row"])
def test_no_match_is_no_value(missing: str) -> None:
    matched = {"matched": dict.fromkeys(AREAS["top"], math.nan)} if missing == "nan" else {}
    without = {name: values for name, values in AREAS.items() if name != "matched"}
    (row,) = damage.areas(areas({**without, **matched})).to_dict("records")
    assert math.isnan(row["matched"])
    assert math.isnan(row["over_matched"])
    assert row["excess"] == pytest.approx(0.3)


def test_one_row_per_condition_replica_and_step() -> None:
    keys = [(c, r, s) for c in ("grokking", "random_labels") for r in (0, 1) for s in (0, 500)]
    frame = together(*(areas(condition=c, replica=r, step=s) for c, r, s in keys))
    found = damage.areas(frame.sample(frac=1, random_state=0))
    assert list(found[damage.KEYS].itertuples(index=False, name=None)) == keys
    assert found["excess"].to_numpy() == pytest.approx([0.3] * len(keys))


@pytest.mark.parametrize("order", [["grokking", "control"], ["control", "grokking"]])
def test_conditions_keep_their_order(order: list[str]) -> None:
    found = damage.areas(together(*(areas(condition=name) for name in order)))
    assert found["condition"].tolist() == order
    assert found["condition"].cat.categories.tolist() == order


def test_each_condition_is_read_in_its_own_last_layer() -> None:
    deep = [
        areas(
            {name: dict.fromkeys(values, 0.1 * layer) for name, values in AREAS.items()}, condition="deep", layer=layer
        )
        for layer in (0, 1, 2)
    ]
    found = damage.areas(together(areas(), *deep)).set_index("condition")
    assert found["top"].to_dict() == pytest.approx({"grokking": 0.5, "deep": 0.2})
