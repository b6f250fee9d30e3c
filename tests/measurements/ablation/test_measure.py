"""All deletions of one checkpoint: each row is the deletion, the examples and the scale that it names."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from builders import (
    lookup_table,
    random_examples,
    random_perceptron,
    random_questions,
    random_transformer,
    saliency_rows,
)
from deleting import DELETIONS, a_place, scored

from general_circuits.measurements.ablation import measure as room
from general_circuits.measurements.ablation.deletion import replacement
from general_circuits.measurements.ablation.matching import matched
from general_circuits.measurements.ablation.measure import DeletionSettings, measure
from general_circuits.measurements.ablation.rankings import activation_norm, random_orders
from general_circuits.models import predictions
from general_circuits.storage import tables
from general_circuits.storage.schemas.ablation import TABLE as ABLATION
from general_circuits.storage.schemas.damage import TABLE as DAMAGE
from general_circuits.tasks.examples import Examples

pytestmark = pytest.mark.filterwarnings("error")

SETTINGS = DeletionSettings(
    sites=("mlp",),
    deletions=("zero",),
    rankings=("mean_magnitude",),
    dead_units=("included",),
    k_points=5,
    random_draws=3,
)
UP = saliency_rows(mean_magnitude=np.arange(12.0))
"""Unit 11 is the most salient."""
CURVE = [
    "split",
    "layer",
    "site",
    "dead_units",
    "deletion",
    "ranking",
    "by",
    "method",
    "target",
    "normalisation",
    "draw",
]


def splits(n: int = 20) -> dict[str, Examples]:
    return {"train": random_examples(n=n), "validation": random_examples(n=8, seed=1)}


def measured(model, data=None, salience=UP, seed: int = 0, **changes: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    data = data or splits()
    scale = model.logit_scale(data["train"].tokens)
    return measure(model, data, salience, dataclasses.replace(SETTINGS, **changes), scale, seed)


def test_means_donors_and_norms_come_from_all_training_examples() -> None:
    """One example is drawn to delete on. It still gets the units of another one, and the mean over all twenty."""
    model, data = random_transformer(), splits()
    train = a_place(model, data["train"])
    drawn = data["train"].drawn(1, 0)
    curves, _ = measured(model, data, deletions=("mean", "resample"), examples=1, rankings=("activation_norm",))
    everything = curves[(curves["split"] == "train") & (curves["k"] == 12) & (curves["ranking"] == "random")]
    here = train.some(drawn)
    for deletion, rows in everything.groupby("deletion"):
        values = replacement(here, train, deletion, 0, drawn)
        assert not torch.equal(values.expand_as(here.units), here.units)
        with torch.no_grad():
            logits = here.answer(values.expand_as(here.units))
        assert rows["margin"].to_numpy() == pytest.approx(scored(logits, here.labels)[2])


@pytest.mark.parametrize("normalisation", ["none", "pre"])
def test_areas_only_keeps_few_k_where_the_logits_are_linear(normalisation: str) -> None:
    model = random_transformer(normalisation=normalisation)
    whole, areas = measured(model, k_points=6)
    few, same = measured(model, k_points=6, areas_only=True)
    pd.testing.assert_series_equal(same["area"], areas["area"])
    kept = set(few["k"])
    assert kept == ({0, 1, 3, 12} if normalisation == "none" else set(whole["k"]))


@pytest.mark.parametrize(
    ("normalisation", "index", "site"),
    [("none", 0, "mlp"), ("none", 1, "mlp"), ("pre", 1, "mlp"), ("none", 1, "head_outputs"), ("none", 0, "heads")],
)
def test_each_row_is_the_deletion_it_names(normalisation: str, index: int, site: str) -> None:
    model, data = random_transformer(n_layers=2, normalisation=normalisation), splits()
    train = a_place(model, data["train"], index, site)
    n = train.n_neurons
    salience = saliency_rows(index, site, mean_magnitude=np.arange(n))
    curves, _ = measured(model, data, salience, seed=4, sites=(site,), deletions=DELETIONS)
    here = curves[curves["layer"] == index]
    scale = predictions.logit_scale(model.answer(data["train"].tokens).detach())
    top, norm = np.arange(n)[::-1], activation_norm(train)
    layers = {name: train if name == "train" else a_place(model, part, index, site) for name, part in data.items()}
    seen = set()
    for row in here.dropna().itertuples():
        orders = {"top": top, "bottom": top[::-1], "random": random_orders(n, 3, seed=4)[row.draw]}
        neurons = matched(top, row.k, norm) if row.ranking == "matched" else orders[row.ranking][: row.k]
        layer = layers[row.split]
        values = replacement(layer, train, row.deletion, 4, torch.arange(20) if row.split == "train" else None)
        with torch.no_grad():
            logits = layer.answer(layer.without(torch.as_tensor(neurons.copy()), values))
        np.testing.assert_allclose((row.accuracy, row.loss, row.margin), scored(logits, layer.labels), rtol=1e-9)
        at_scale = scored(logits / scale, layer.labels)[1:]
        np.testing.assert_allclose((row.matched_loss, row.matched_margin), at_scale, rtol=1e-9)
        seen.add((row.split, row.deletion, row.ranking))
    assert {ranking for _, _, ranking in seen} == {"top", "bottom", "random", "matched"}
    missing = here[here["accuracy"].isna()]
    assert set(missing["ranking"]) <= {"matched"}
    assert all(matched(top, k, norm) is None for k in missing["k"])


def test_rows_have_the_keys_of_their_tables_once_each() -> None:
    everything = {"sites": ("mlp", "head_outputs", "heads"), "deletions": DELETIONS}
    everything |= {"dead_units": ("included", "excluded"), "rankings": ("mean_magnitude", "breadth", "weight_norm")}
    found = measured(random_transformer(n_layers=2), **everything)
    for table, frame in zip((ABLATION, DAMAGE), found, strict=True):
        given = frame.assign(condition="c", replica=0, step=0)
        assert set(given.columns) == set(table.schema.names)
        assert not given[list(table.key)].isna().any(axis=None)
        assert not given[list(table.key)].duplicated().any()
    curves, damage = found
    assert len(curves.groupby(CURVE)) == len(damage)
    assert (curves.groupby(CURVE)["k"].min() == 0).all()


def test_tables_are_written_and_read(tmp_path) -> None:
    for table, frame in zip((ABLATION, DAMAGE), measured(random_transformer()), strict=True):
        tables.write(tmp_path / "file", table, frame.assign(condition="c", replica=0, step=0))
        assert len(tables.read(tmp_path / "file", table)) == len(frame)


# Known results


@pytest.mark.parametrize("k_points", ["all", 2])
def test_the_area_of_a_lookup_table_does_not_depend_on_the_kept_k(k_points) -> None:
    """The area is the mean of 1, … q lost examples of 6. Here q is a quarter of 6 neurons, or of 12 with dead ones.

    The k at which half is lost depends on the kept k: beyond the quarter it is interpolated from 3 to 12.
    """
    model, examples = lookup_table()
    with torch.no_grad():
        wide = random_transformer(d_vocab=5, d_vocab_out=3, d_model=7, n_heads=1, biases="mlp", d_mlp=12)
        for name, weight in wide.named_parameters():
            given = dict(model.named_parameters())[name]
            axis = {"blocks.0.mlp.W_in": 1, "blocks.0.mlp.b_in": 0, "blocks.0.mlp.W_out": 0}.get(name)
            weight.copy_(given if axis is None else torch.cat([given, given], dim=axis))
        wide.blocks[0].mlp.b_in[6:] = -9.0  # six that never fire
    data = {"train": examples}
    either = ("included", "excluded")
    _, damage = measured(wide, data, salience_of_halves(), k_points=k_points, dead_units=either)
    by = damage.set_index(["dead_units", "ranking"])
    assert by.loc["included", "neurons"].eq(12).all()
    assert by.loc["excluded", "neurons"].eq(6).all()
    excluded = by.loc["excluded"].drop("matched")
    np.testing.assert_allclose(excluded["area"], 1 / 6)  # q = 1
    np.testing.assert_allclose(excluded["half_k"], 3.0)
    assert by.loc[("included", "top"), "area"].item() == pytest.approx((1 + 2 + 3) / 3 / 6)
    assert by.loc[("included", "bottom"), "area"].item() == 0.0
    assert by.loc[("included", "bottom"), "half_k"].item() == (9.0 if k_points == "all" else 7.5)


def salience_of_halves() -> pd.DataFrame:
    magnitudes = np.concatenate([np.arange(1.0, 7.0), np.zeros(6)])
    return saliency_rows(mean_magnitude=magnitudes, alive=magnitudes > 0)


def test_dead_neurons_are_in_no_ranking_that_excludes_them() -> None:
    """Every k then deletes neurons that fire, and all curves end at the same k."""
    alive = np.arange(12) % 3 > 0
    both = {"dead_units": ("included", "excluded"), "k_points": "all"}
    curves, damage = measured(random_transformer(), salience=UP.assign(alive=alive), **both)
    assert curves.groupby("dead_units")["k"].max().to_dict() == {"excluded": 8, "included": 12}
    assert damage.groupby("dead_units")["neurons"].unique().map(list).to_dict() == {"excluded": [8], "included": [12]}
    top = curves[(curves["ranking"] == "top") & (curves["split"] == "train")].set_index(["dead_units", "k"])["loss"]
    for k in (0, 1, 2):  # 11 and 10 are alive, 9 is not
        assert top["included", k] == top["excluded", k]
    assert top["included", 3] != top["excluded", 3]


def test_where_no_neuron_fires_there_is_nothing_to_delete() -> None:
    curves, damage = measured(random_transformer(), salience=UP.assign(alive=False), dead_units=("excluded",))
    assert set(curves["k"]) == {0}
    assert (damage["neurons"] == 0).all()
    assert damage[["area", "margin_area", "half_k"]].isna().all(axis=None)


def test_a_trebled_unembedding_changes_margins_but_not_matched_margins() -> None:
    model = random_transformer()
    trebled = copy.deepcopy(model)
    with torch.no_grad():
        trebled.unembed.W_U *= 3
    (curves, damage), (curves_3, damage_3) = measured(model), measured(trebled)
    for frame, frame_3, raw in ((curves, curves_3, "margin"), (damage, damage_3, "margin_area")):
        np.testing.assert_allclose(frame_3[raw], 3 * frame[raw], rtol=1e-9)
        np.testing.assert_allclose(frame_3[f"matched_{raw}"], frame[f"matched_{raw}"], rtol=1e-9)
    np.testing.assert_allclose(curves_3["matched_loss"], curves["matched_loss"], rtol=1e-9)
    assert (curves_3["loss"] - curves["loss"]).abs().max() > 0.1
    pd.testing.assert_series_equal(damage["area"], damage_3["area"])


def test_corrupted_and_true_labels_apart_add_up_to_training() -> None:
    data = splits()
    train = data["train"]
    data["train"] = Examples(train.tokens, train.labels, torch.arange(20) < 5)
    curves, damage = measured(random_transformer(), data)
    assert set(curves["split"]) == {"train", "train_corrupted", "train_true", "validation"}
    for frame, key, columns in (
        (curves, [*CURVE, "k"], ["accuracy", "loss", "margin", "matched_loss", "matched_margin"]),
        (damage, CURVE, ["area", "margin_area", "matched_margin_area"]),
    ):
        parts = {name: rows.set_index(key[1:])[columns] for name, rows in frame.groupby("split")}
        together = 0.25 * parts["train_corrupted"] + 0.75 * parts["train_true"]
        pd.testing.assert_frame_equal(together, parts["train"])
    alone, _ = measured(random_transformer(), {"train": train, "validation": data["validation"]})
    of_parts = curves["split"].isin(["train_corrupted", "train_true"])
    pd.testing.assert_frame_equal(curves[~of_parts].reset_index(drop=True), alone, check_categorical=False)


@pytest.mark.parametrize(("corrupted", "split"), [(True, "train_corrupted"), (False, "train_true")])
def test_a_part_without_examples_has_no_rows(corrupted: bool, split: str) -> None:
    data = splits()
    train = data["train"]
    data["train"] = Examples(train.tokens, train.labels, torch.full((20,), corrupted))
    curves, _ = measured(random_transformer(), data)
    assert set(curves["split"]) == {"train", split, "validation"}


def test_equal_orders_are_deleted_once_and_have_equal_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[np.ndarray] = []
    whole = room.Nested.curve
    monkeypatch.setattr(
        room.Nested, "curve", lambda self, order, kept: counted.append(order) or whole(self, order, kept)
    )
    both = {"dead_units": ("included", "excluded"), "rankings": ("mean_magnitude", "breadth")}
    curves, _ = measured(random_transformer(), **both)
    assert len(counted) == 2 * 5  # on two splits: top, bottom and three at random
    top = curves[curves["ranking"] == "top"]
    assert len(top.groupby(["dead_units", "by"])) == 4
    parts = [rows[["split", "k", "loss"]].reset_index(drop=True) for _, rows in top.groupby(["dead_units", "by"])]
    for part in parts[1:]:
        pd.testing.assert_frame_equal(part, parts[0])


def test_a_site_without_saliency_is_ranked_by_norms_and_at_random() -> None:
    curves, _ = measured(random_transformer(), sites=("mlp", "heads"), rankings=("mean_magnitude", "weight_norm"))
    rankings = curves.groupby("site")["ranking"].unique().map(set).to_dict()
    assert rankings == {"mlp": {"top", "bottom", "matched", "random"}, "heads": {"top", "random"}}


def test_a_perceptron_has_its_own_sites_only() -> None:
    model, data = random_perceptron(n_layers=2), {"train": random_questions(20)}
    curves, _ = measured(model, data, sites=("mlp", "head_outputs", "heads"))
    assert set(zip(curves["layer"], curves["site"], strict=True)) == {(0, "mlp"), (1, "mlp")}


def test_the_seed_decides_random_orders_and_donors() -> None:
    one, two, other = (measured(random_transformer(), seed=seed, deletions=DELETIONS)[1] for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(one, two)
    for case, is_same in ((("zero", "top"), True), (("zero", "random"), False), (("resample", "top"), False)):
        areas = [frame.set_index(["deletion", "ranking"]).loc[case, "margin_area"] for frame in (one, other)]
        assert np.array_equal(*areas) == is_same


def test_a_network_that_diverged_has_rows_like_any_other() -> None:
    model = random_transformer()
    with torch.no_grad():
        model.unembed.W_U.fill_(float("nan"))
    curves, damage = measured(model, salience=saliency_rows(mean_magnitude=np.full(12, np.nan)))
    assert curves["margin"].isna().all()
    assert (curves.query("ranking != 'matched'")["accuracy"] == 0).all()
    assert damage["half_k"].isna().all()
