"""Specification curves on simulated tables: every combination is a row, the registered one the claim's number."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
import variant_tables
from moment_tables import moments_table, partners

from general_circuits.analysis.estimates import estimate
from general_circuits.analysis.moments import steps_of
from general_circuits.analysis.windows import steps_read
from general_circuits.claims import saliency_skew, specifications, topk_damage
from general_circuits.claims.findings import Finding
from general_circuits.registered import REGISTERED
from general_circuits.storage.schemas.specification import TABLE
from general_circuits.storage.tables import Table

STEPS = np.array([0, 400, 600, 1000, 1500, 2000, 2500, 3000, 3500])
EVENTS = {"memorised": 600.0, "onset": 1500.0, "generalised": 2000.0}
REPLICAS = range(4)
READ = steps_read(STEPS.tolist(), {"baseline": EVENTS["memorised"], "generalised": EVENTS["generalised"]})
"""Steps that a claim reads."""
METHODS, TARGETS = ("activation_gradient", "conductance"), ("right_minus_mean", "margin")
NORMALISATIONS, SITES = ("raw", "per_example"), ("mlp", "head_outputs")
STATISTICS, SPLITS, DEAD = ("mean_magnitude", "median"), ("train", "validation"), ("included", "excluded")
DELETIONS = ("zero", "mean")


def moments(censored: tuple[int, ...] = ()) -> pd.DataFrame:
    """Build the `moments` table of grokking and its control; `censored` replicas never leave the plateau."""
    memorised = dict.fromkeys(("grokking", "random_labels"), EVENTS["memorised"])
    return moments_table(partners(len(REPLICAS), EVENTS, censored), memorised, int(STEPS[-1]))


def histograms(conditions: tuple[str, ...] = ("grokking", "random_labels"), seed: int = 0) -> pd.DataFrame:
    """Build the `specified_distribution` table: random values, and degenerate histograms of the median."""
    generator = np.random.default_rng(seed)
    names = ["condition", "replica", "step", "layer", "method", "target", "normalisation", "site", "statistic"]
    axes = (conditions, REPLICAS, STEPS, (0, 1), METHODS, TARGETS, NORMALISATIONS, SITES, STATISTICS, SPLITS, DEAD)
    frame = pd.DataFrame(itertools.product(*axes), columns=[*names, "split", "dead_units"])
    frame["l_skewness"] = generator.normal(size=len(frame))
    frame["degenerate"] = frame["statistic"] == "median"
    frame = frame.assign(**dict.fromkeys(("moment_skewness", "gini", "median"), 0.5))
    return categorical(frame, conditions)


def damages(seed: int = 0) -> pd.DataFrame:
    """Build the `specified_damage` table: random values, two random draws, and rankings by norm, which is no choice."""
    generator = np.random.default_rng(seed)
    places = ["replica", "step", "layer", "site", "split", "dead_units", "deletion"]
    axes = (REPLICAS, STEPS, (0,), ("mlp",), SPLITS, DEAD, DELETIONS)
    saliencies = list(itertools.product(METHODS, TARGETS, NORMALISATIONS, STATISTICS))
    rankings = [("top", by, *of, 0) for *of, by in saliencies]
    rankings += [("random", *["none"] * 4, draw) for draw in (0, 1)] + [("top", "weight_norm", *["none"] * 3, 0)]
    rows = [(*place, *ranking) for place in itertools.product(*axes) for ranking in rankings]
    frame = pd.DataFrame(rows, columns=[*places, "ranking", "by", "method", "target", "normalisation", "draw"])
    frame["area"] = generator.random(len(frame))
    return categorical(frame.assign(condition="grokking"), ("grokking",))


def categorical(frame: pd.DataFrame, conditions: tuple[str, ...]) -> pd.DataFrame:
    words = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    frame = frame.astype(dict.fromkeys(words, "category"))
    return frame.assign(condition=pd.Categorical(frame["condition"].astype(str), categories=list(conditions)))


def of_claim(name: str, censored: tuple[int, ...] = ()) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Return a claim's specifications, and the tables that they are made from."""
    if name == "saliency_skew":
        tables = {"moments": moments(censored), "specified_distribution": histograms()}
        return saliency_skew.specify(tables), tables
    tables = {"moments": moments(censored), "specified_damage": damages()}
    return topk_damage.specify(tables), tables


@pytest.mark.parametrize(
    ("claim", "count"),
    [("saliency_skew", 2 * 2 * 2 * 2 * 4 * 2 * 2 * 2), ("topk_damage", 2 * 2 * 2 * 2 * 1 * 2 * 2 * 2 * 2)],
)
def test_every_combination_is_a_row_and_one_is_registered(claim: str, count: int) -> None:
    found, _ = of_claim(claim)
    assert len(found) == count
    assert not found.duplicated(list(specifications.CHOICES)).any()
    assert found["registered"].sum() == 1
    assert set(found) == set(TABLE.schema.names) - {"claim"}
    assert (found["estimate"].isna() == (found["failure"] != "")).all()
    assert list(TABLE.key)[1:] == sorted(specifications.CHOICES, key=list(TABLE.key).index)


def registered(found: pd.DataFrame) -> pd.Series:
    return found[found["registered"]].iloc[0]


def contrasts(findings: list[Finding]) -> Mapping[str, Finding]:
    return {finding.contrast: finding for finding in findings}


def test_the_registered_specification_of_skew_is_the_change_beyond_labels_random_by_example() -> None:
    """Other random labels are not measured in every way."""
    found, tables = of_claim("saliency_skew")
    labels = {"split.label_noise": 1.0, "split.label_noise_by": "example"}
    given = {"distribution": tables["specified_distribution"]}
    given["conditions"] = variant_tables.conditions({"random_labels": labels})
    judged = saliency_skew.judge({**tables, **given})
    row, expected = registered(found), contrasts(judged)["skewness, minus random_labels"].estimate
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx((expected.mean, expected.low, expected.high))
    alone = found[
        (found["control"] == "none") & (found[list(REGISTERED_SKEW)] == pd.Series(REGISTERED_SKEW)).all(axis=1)
    ]
    assert alone["estimate"].item() == pytest.approx(contrasts(judged)["skewness, without a control"].estimate.mean)


REGISTERED_SKEW = {
    **{name: REGISTERED[name] for name in ("split", "method", "target", "normalisation")},
    "statistic": "mean_magnitude",
    "layer": "last mlp",
    "dead_units": "excluded",
}


def test_the_registered_specification_of_damage_is_the_rise_of_the_excess() -> None:
    found, tables = of_claim("topk_damage")
    damage = tables["specified_damage"]
    areas = damage[
        (damage["split"] == "train")
        & (damage["dead_units"] == "included")
        & (damage["deletion"] == "zero")
        & (damage["ranking"].eq("random") | damage["by"].eq("mean_magnitude"))
        & damage["method"].isin(["none", "activation_gradient"])
        & damage["target"].isin(["none", "right_minus_mean"])
        & damage["normalisation"].isin(["none", "raw"])
    ]
    means = areas.groupby(["replica", "step", "ranking"], observed=True)["area"].mean().unstack("ranking")
    excess = (means["top"] - means["random"]).unstack("step")
    late = excess[[2000, 2500, 3000]].median(axis=1)
    expected = estimate(late - excess[600])
    row = registered(found)
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx((expected.mean, expected.low, expected.high))
    assert row["replicas"] == 4


def test_degenerate_histograms_are_rows_with_a_failure() -> None:
    found, _ = of_claim("saliency_skew")
    is_median = found["statistic"] == "median"
    assert (found["failure"][is_median].str.startswith("degenerate histograms")).all()
    assert (found["failure"][~is_median] == "").all()


@pytest.mark.parametrize(
    ("where", "failing"),
    [
        ({"condition": "grokking", "step": 2000}, {"random_labels": False, "none": False}),  # one of three
        ({"condition": "grokking", "step": 600}, {"random_labels": True, "none": True}),
        ({"condition": "random_labels", "step": (2000, 3000)}, {"random_labels": True, "none": False}),
    ],
)
def test_one_degenerate_window_is_a_failure_also_in_a_control_that_is_subtracted(
    where: dict[str, object], failing: dict[str, bool]
) -> None:
    frame = histograms()
    frame = frame[frame["step"].isin(READ) & (frame["statistic"] == "mean_magnitude")]
    hit = (frame["condition"] == where["condition"]) & frame["step"].isin(np.atleast_1d(where["step"]))
    frame = frame.assign(degenerate=hit & (frame["normalisation"] == "raw"))
    found = saliency_skew.specify({"moments": moments(), "specified_distribution": frame})
    for control, is_failing in failing.items():
        rows = found[found["control"] == control]
        is_raw = rows["normalisation"] == "raw"
        assert rows["failure"][is_raw].str.startswith("degenerate histograms").eq(is_failing).all()
        assert (rows["failure"][~is_raw] == "").all()


def test_a_study_in_which_nothing_generalises_has_every_row() -> None:
    """Replicas are read at their last checkpoint only."""
    _, tables = of_claim("topk_damage")
    nothing = moments((0, 1, 2, 3))
    of_replicas = steps_of(nothing, "grokking")
    read = {step for _, of_one in of_replicas.iterrows() for step in steps_read(STEPS.tolist(), of_one)}
    assert read == {3500}
    damage = tables["specified_damage"]
    found = topk_damage.specify({"moments": nothing, "specified_damage": damage[damage["step"].isin(read)]})
    assert len(found) == len(of_claim("topk_damage")[0])
    assert (found["failure"] == "no replica has a value in both windows").all()


@pytest.mark.parametrize(
    ("censored", "failure"),
    [((0, 1, 2, 3), "no replica has a value in both windows"), ((0, 1, 2), "only one replica has a value")],
)
def test_events_that_never_came_are_rows_with_a_failure(censored: tuple[int, ...], failure: str) -> None:
    found, _ = of_claim("topk_damage", censored)
    assert (found["failure"] == failure).all()
    assert found["estimate"].isna().all()
    assert len(found) == len(of_claim("topk_damage")[0])


@pytest.mark.parametrize("claim", ["saliency_skew", "topk_damage"])
def test_a_study_in_which_no_replica_has_a_moment_has_rows_with_a_failure(claim: str) -> None:
    """The table of moments is empty then, and every replica is read at its last checkpoint."""
    specified, tables = of_claim(claim)
    found = {"saliency_skew": saliency_skew, "topk_damage": topk_damage}[claim].specify(
        {**tables, "moments": tables["moments"][:0]}
    )
    assert len(found) == len(specified)
    assert found["estimate"].isna().all()
    assert (found["failure"] != "").all()


def test_a_combination_without_data_is_a_row_that_says_so() -> None:
    tables = {"moments": moments(), "specified_distribution": histograms()}
    frame = tables["specified_distribution"]
    missing = (frame["site"] == "head_outputs") & (frame["method"] == "conductance")
    found = saliency_skew.specify({**tables, "specified_distribution": frame[~missing]})
    assert len(found) == len(of_claim("saliency_skew")[0])
    gone = found["layer"].str.endswith("head_outputs") & (found["method"] == "conductance")
    assert set(found["failure"][gone & (found["statistic"] != "median")]) == {"this study has no such data"}


def test_a_study_without_any_checkpoint_read_has_no_specifications() -> None:
    empty = {name: table[:0] for name, table in of_claim("topk_damage")[1].items() if name != "moments"}
    assert topk_damage.specify({"moments": moments((0, 1, 2, 3)), **empty}).empty


def test_a_curve_needs_no_other_checkpoints_than_those_read() -> None:
    """Steps that `steps_read` leaves out may have any value."""
    whole, tables = of_claim("saliency_skew")
    assert READ == [600, 2000, 2500, 3000]
    frame = tables["specified_distribution"]
    found = saliency_skew.specify({**tables, "specified_distribution": frame[frame["step"].isin(READ)]})
    pd.testing.assert_frame_equal(found, whole)


def test_layers_are_named_from_the_last() -> None:
    frame = pd.DataFrame({"condition": ["a", "a", "b"], "layer": [0, 1, 0], "site": ["mlp", "heads", "mlp"]})
    assert specifications.with_layers(frame)["layer"].tolist() == ["0 mlp", "last heads", "last mlp"]


def test_tables_are_of_the_claims_own_conditions() -> None:
    table: Table = TABLE
    assert table.axes == ["claim"]
