"""Networks built by hand: they do what they say, and measurements tell the general one from the shallow one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from builders import model_settings, saliency_rows

from general_circuits import checkpoints, damage, distributions, misfits, saliency, scores
from general_circuits.ablation.measure import Settings, measure
from general_circuits.conditions import Modular, Vocabulary
from general_circuits.examples import Examples
from general_circuits.layer import Layer
from general_circuits.models import ground_truth
from general_circuits.models.network import Place
from general_circuits.models.transformer import Transformer
from general_circuits.tasks import registry

P, N_TRAIN = 13, 100


def test_the_config_knows_how_many_neurons_a_frequency_needs() -> None:
    assert misfits.DIRECTIONS == ground_truth.DIRECTIONS


def addition(p: int = P, n_train: int = N_TRAIN) -> dict[str, Examples]:
    table = registry.generate(Modular(("x+y",), p))
    inputs = torch.tensor(table.inputs, dtype=torch.long)
    tokens = torch.cat([inputs, torch.full((len(inputs), 1), p)], dim=1)
    labels = torch.tensor(table.target, dtype=torch.long)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    parts = {"train": order[:n_train], "validation": order[n_train:]}
    return {name: Examples(tokens[rows], labels[rows]) for name, rows in parts.items()}


def transformer(p: int = P, **changes: object) -> Transformer:
    settings = model_settings(**{"d_model": 44, "n_heads": 2, "d_mlp": N_TRAIN, "biases": "none", **changes})
    return Transformer(settings, Vocabulary(2, p, p))


@pytest.mark.parametrize("biases", ["none", "mlp", "all"])
@pytest.mark.parametrize(
    ("p", "d_model", "n_heads", "d_mlp"), [(13, 44, 2, 108), (59, 128, 4, 512), (113, 128, 4, 512), (15, 8, 1, 10)]
)
def test_fourier_features_add_every_pair_of_numbers(
    p: int, d_model: int, n_heads: int, d_mlp: int, biases: str
) -> None:
    model = ground_truth.fourier(transformer(p, d_model=d_model, n_heads=n_heads, d_mlp=d_mlp, biases=biases))
    everything = addition(p, p * p)["train"]
    margins = scores.margins(model.answer(everything.tokens), everything.labels)
    assert (margins > 0).all()


def test_fourier_logits_are_the_sum_of_cosines() -> None:
    """|2·cos w(a − b)/2| · cos w(a + b − c) for each frequency: here all six, with 15 directions."""
    model = ground_truth.fourier(transformer().double())
    part = addition()["validation"]
    a, b = part.tokens[:, 0, None, None], part.tokens[:, 1, None, None]
    w = 2 * torch.pi * torch.arange(1, 7, dtype=torch.float64) / P
    c = torch.arange(P)[None, :, None]
    expected = ground_truth.GAIN * ((2 * (w * (a - b) / 2).cos()).abs() * (w * (a + b - c)).cos()).sum(dim=2)
    assert (model.answer(part.tokens) - expected).abs().max() < 0.02 * expected.abs().max()


@pytest.mark.parametrize("biases", ["none", "mlp", "all"])
def test_a_lookup_table_knows_its_examples_and_nothing_else(biases: str) -> None:
    splits = addition()
    labels = torch.randint(P, (N_TRAIN,), generator=torch.Generator().manual_seed(1))  # any labels will do
    model = ground_truth.lookup_table(transformer(biases=biases), splits["train"].tokens, labels)
    expected = ground_truth.GAIN * torch.nn.functional.one_hot(labels, P).float()
    torch.testing.assert_close(model.answer(splits["train"].tokens), expected)
    assert (model.answer(splits["validation"].tokens) == 0).all()


@pytest.fixture(scope="module")
def networks() -> dict[str, Transformer]:
    train = addition()["train"]
    return {
        "fourier": ground_truth.fourier(transformer()),
        "lookup_table": ground_truth.lookup_table(transformer(), train.tokens, train.labels),
    }


@pytest.mark.parametrize("method", ["activation_gradient", "integrated_gradients"])
def test_saliency_is_broad_in_the_general_network_and_of_one_example_per_neuron_in_the_shallow_one(
    networks: dict[str, Transformer], method: saliency.Method
) -> None:
    found = {name: saliency.measure(model, addition(), [method], 20) for name, model in networks.items()}
    breadth = {
        name: frame[frame["alive"] & (frame["split"] == "train")]["breadth"].to_numpy() for name, frame in found.items()
    }
    assert len(breadth["lookup_table"]) == N_TRAIN
    np.testing.assert_allclose(breadth["lookup_table"], 1 / N_TRAIN, rtol=1e-4)
    assert breadth["fourier"].min() > 0.1  # every unit serves many examples: over ten times as many
    if method == "integrated_gradients":
        assert found["fourier"]["completeness_error"].max() < 1e-5


def ablated(model: Transformer, **changes: object) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The `ablation` and the `damage` table of one checkpoint: units set to zero, ranked by activation × gradient."""
    splits = addition()
    settings = Settings(
        **{
            "sites": ("mlp",),
            "deletions": ("zero",),
            "rankings": ("mean_magnitude",),
            "dead_units": ("included",),
            "k_points": "all",
            "random_draws": 20,
            **changes,
        }
    )
    train = splits["train"]
    layer = Layer.at(model, train.tokens, train.labels, Place(0))
    effect = layer.weights - layer.weights.mean(dim=1, keepdim=True)  # (unit, class)
    salience = (layer.units[:, -1] * effect[:, train.labels].T).abs().mean(dim=0)
    found = measure(model, splits, saliency_rows(mean_magnitude=salience), settings, seed=0)
    curves, areas = (
        frame.assign(condition=pd.Categorical(["by_hand"] * len(frame)), replica=0, step=0) for frame in found
    )
    return curves, areas


def left(model: Transformer, split: str, **changes: object) -> pd.DataFrame:
    """What is left, by k and ranking: accuracy and margin, means over draws."""
    found, _ = ablated(model, **changes)
    return found[found["split"] == split].groupby(["ranking", "k"])[["accuracy", "margin"]].mean().unstack("ranking")


def test_deleting_neurons_of_a_lookup_table_costs_an_example_each_whichever(networks: dict[str, Transformer]) -> None:
    accuracy = left(networks["lookup_table"], "train")["accuracy"]
    for ranking in ("top", "bottom", "random"):
        np.testing.assert_allclose(accuracy[ranking], 1 - accuracy.index / N_TRAIN, atol=1e-12)
    assert accuracy["matched"][7] == pytest.approx(0.93)
    assert (left(networks["lookup_table"], "validation")["accuracy"].fillna(0) == 0).all(axis=None)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_general_network_answers_without_any_seventh_of_its_neurons(
    networks: dict[str, Transformer], split: str
) -> None:
    """On both splits alike; without a quarter of them, drawn at random, nearly always. Of all, nothing is left."""
    found = left(networks["fourier"], split)
    accuracy = found["accuracy"]
    assert (accuracy.loc[:14, ["top", "bottom"]] == 1).all(axis=None)
    assert accuracy["random"].loc[:25].min() > 0.98
    assert found["margin"]["top"][0] > 10
    assert (found.drop(columns="matched", level="ranking").loc[N_TRAIN] == 0).all()


def test_damage_is_large_in_the_shallow_network_and_none_in_the_general_one(networks: dict[str, Transformer]) -> None:
    """Beyond random deletion there is none in either: no neuron of a lookup table matters more than another."""
    (shallow,) = damage.areas(ablated(networks["lookup_table"])[1]).itertuples()
    (general,) = damage.areas(ablated(networks["fourier"])[1]).itertuples()
    assert shallow.top == pytest.approx((1 + 25) / 2 / N_TRAIN)  # the mean of 1 %, 2 %, … 25 %
    assert shallow.excess == pytest.approx(0, abs=1e-12)
    assert shallow.over_bottom == pytest.approx(0, abs=1e-12)
    assert general.random < 0.005
    assert general.top < shallow.top / 3


def test_half_is_lost_with_half_of_a_lookup_table(networks: dict[str, Transformer]) -> None:
    _, areas = ablated(networks["lookup_table"], k_points=5)
    found = areas[(areas["split"] == "train") & (areas["ranking"] != "matched")]
    np.testing.assert_allclose(found["half_k"], N_TRAIN / 2)
    assert areas[areas["split"] == "validation"]["half_k"].isna().all()


def test_a_histogram_over_neurons_that_are_all_alike_is_said_to_mean_nothing(networks: dict[str, Transformer]) -> None:
    """What tells the two apart is on how many examples a neuron is salient, not how salient neurons are."""
    described = {}
    for name, model in networks.items():
        found = saliency.measure(model, {"train": addition()["train"]}, ["activation_gradient"], 20)
        table = distributions.describe(found.assign(condition=name, replica=0, step=0))
        described[name] = table[table["dead_units"] == "excluded"].set_index("statistic")
    assert described["lookup_table"].loc["mean_magnitude", "degenerate"]
    assert not described["fourier"].loc["mean_magnitude", "degenerate"]
    assert abs(described["fourier"].loc["mean_magnitude", "l_skewness"]) < 0.05
    breadth = {name: table.loc["breadth", "median"] for name, table in described.items()}
    assert breadth["lookup_table"] == pytest.approx(1 / N_TRAIN)
    assert breadth["fourier"] > 20 / N_TRAIN


def test_they_are_checkpoints_like_any_other(networks: dict[str, Transformer], tmp_path: Path) -> None:
    for name, model in networks.items():
        path = tmp_path / f"{name}.safetensors"
        weights = {key: weight[None] for key, weight in model.state_dict().items()}
        checkpoints.write(path, 0, weights, [0], model)
        ((step, read),) = checkpoints.Checkpoints(path).models([0], torch.device("cpu"))
        tokens = addition()["train"].tokens
        assert step == 0
        assert torch.equal(read.answer(tokens), model.answer(tokens))
