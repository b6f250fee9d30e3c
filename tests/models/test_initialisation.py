"""Initial weights against those of torch's own modules, and against published numbers."""

from __future__ import annotations

import math

import pytest
import torch
from builders import NANDA, mlp_settings, model_settings
from scipy.stats import ks_2samp
from torch import Tensor, nn

from general_circuits.models.build import build
from general_circuits.models.presets import PRESETS
from general_circuits.models.transformer import Transformer
from general_circuits.tasks.vocabulary import Vocabulary

P97, P113 = Vocabulary(2, 97, 97), Vocabulary(2, 113, 113)
D, M = 128, 512


def initialised(settings, seed: int = 0, vocabulary: Vocabulary = P97) -> dict[str, Tensor]:
    return build(settings, vocabulary).initialise(torch.Generator().manual_seed(seed)).state_dict()


def alike(ours: Tensor, theirs: Tensor) -> None:
    """Assert that both are samples of one distribution, by Kolmogorov and Smirnov's test and by their spread."""
    ours, theirs = ours.detach().flatten(), theirs.detach().flatten()
    assert ks_2samp(ours, theirs).pvalue > 1e-3
    assert ours.std() == pytest.approx(theirs.std().item(), rel=10 / math.sqrt(len(ours)))


def bounded(ours: Tensor, bound: float) -> None:
    """Assert that weights stay within a bound, and that many weights come close to it."""
    assert ours.abs().max() <= bound
    assert ours.abs().max() > bound * (1 - 20 / ours.numel())


@pytest.fixture(autouse=True)
def one_seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("preset", ["power", "pre_norm"])
def test_transformers_begin_as_torchs_modules(preset: str) -> None:
    weights = initialised(PRESETS[preset].model)
    attention = nn.MultiheadAttention(D, 4)
    joint = attention.in_proj_weight if preset == "pre_norm" else nn.Linear(D, D).weight
    bound = math.sqrt(6 / (4 * D)) if preset == "pre_norm" else 1 / math.sqrt(D)
    for i in range(2):
        for x in "QKV":
            alike(weights[f"blocks.{i}.attn.W_{x}"], joint)
            bounded(weights[f"blocks.{i}.attn.W_{x}"], bound)
        alike(weights[f"blocks.{i}.attn.W_O"], attention.out_proj.weight)
        alike(weights[f"blocks.{i}.mlp.W_in"], nn.Linear(D, M).weight)
        alike(weights[f"blocks.{i}.mlp.W_out"], nn.Linear(M, D).weight)
        bounded(weights[f"blocks.{i}.mlp.W_out"], 1 / math.sqrt(M))
    alike(weights["embed.W_E"], nn.Embedding(97, D).weight)
    alike(weights["unembed.W_U"], nn.Linear(D, 97).weight)


def test_biases_of_multihead_attention_begin_at_zero_and_the_others_as_in_linear() -> None:
    weights, attention = initialised(PRESETS["pre_norm"].model), nn.MultiheadAttention(D, 4)
    assert not attention.in_proj_bias.any()
    assert not attention.out_proj.bias.any()
    for i in range(2):
        assert not any(weights[f"blocks.{i}.attn.b_{x}"].any() for x in "QKVO")
        alike(weights[f"blocks.{i}.mlp.b_in"], nn.Linear(D, M).bias)
        alike(weights[f"blocks.{i}.mlp.b_out"], nn.Linear(M, D).bias)
        bounded(weights[f"blocks.{i}.mlp.b_in"], 1 / math.sqrt(D))
        bounded(weights[f"blocks.{i}.mlp.b_out"], 1 / math.sqrt(M))
    alike(weights["pos_embed.W_pos"], nn.Embedding(3, D).weight)
    norms = [weight for name, weight in weights.items() if name.endswith(".w")]
    assert len(norms) == 5
    assert all((weight == 1).all() for weight in norms)
    assert not any(weight.any() for name, weight in weights.items() if name.endswith(".b"))


def test_all_biases_of_linear_maps_begin_as_in_linear() -> None:
    weights = initialised(model_settings(d_model=D, d_mlp=M, biases="all", initialisation="linear"))
    for x in "QKVO":
        bounded(weights[f"blocks.0.attn.b_{x}"], 1 / math.sqrt(D))
    bounded(weights["unembed.b_U"], 1 / math.sqrt(D))


def test_a_perceptron_of_embeddings_begins_as_torchs_modules() -> None:
    weights = initialised(PRESETS["mlp"].model)
    first, last = nn.Linear(2 * D, M), nn.Linear(M, 97)
    alike(weights["embed.W_E"], nn.Embedding(97, D).weight)
    alike(weights["blocks.0.mlp.W_in"], first.weight)
    alike(weights["blocks.0.mlp.b_in"], first.bias)
    alike(weights["unembed.W_U"], last.weight)
    alike(weights["unembed.b_U"], last.bias)
    bounded(weights["blocks.0.mlp.W_in"], 1 / 16)
    bounded(weights["blocks.0.mlp.b_in"], 1 / 16)


def test_the_parity_network_begins_as_torchs_modules() -> None:
    preset = PRESETS["parity_mlp"]
    weights = initialised(preset.model, vocabulary=preset.vocabulary)
    first, last = nn.Linear(40, 1000), nn.Linear(1000, 1, bias=False)
    alike(weights["blocks.0.mlp.W_in"], first.weight)
    alike(weights["blocks.0.mlp.b_in"], first.bias)
    alike(weights["unembed.W_U"], last.weight)
    bounded(weights["blocks.0.mlp.b_in"], 1 / math.sqrt(40))
    bounded(weights["unembed.W_U"], 1 / math.sqrt(1000))


def test_the_quadratic_network_begins_normal_with_a_deviation_of_a_twentieth() -> None:
    """The deviation is (16 · 500)^(−1/3) = 1/20 at width 500. Doshi et al. write it ½ / (2 · 500)^(1/3)."""
    for width, deviation in ((500, 0.05), (4000, 0.025)):
        weights = initialised(mlp_settings(d_mlp=width, initialisation="mean_field", activation="quadratic"))
        for name in ("blocks.0.mlp.W_in", "unembed.W_U"):
            alike(weights[name], torch.randn(10**5) * deviation)
            assert weights[name].std() == pytest.approx(deviation, rel=0.01)
        assert not weights["blocks.0.mlp.b_in"].any()


@pytest.mark.parametrize("preset", PRESETS)
def test_the_generator_decides_every_byte_that_is_drawn(preset: str) -> None:
    model, vocabulary = PRESETS[preset].model, PRESETS[preset].vocabulary
    first = initialised(model, 3, vocabulary)
    torch.manual_seed(1)
    second, other = initialised(model, 3, vocabulary), initialised(model, 4, vocabulary)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first if "W_" in name)


def test_initial_weights_do_not_depend_on_torchs_global_seed():
    torch.manual_seed(1)
    first = initialised(NANDA, 3, P113)
    torch.manual_seed(2)
    second, other = initialised(NANDA, 3, P113), initialised(NANDA, 4, P113)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first if "b_" not in name)


def test_weights_begin_normal_with_the_published_standard_deviations():
    for name, weight in initialised(NANDA, 0, P113).items():
        if "b_" in name:
            continue
        expected = 1 / math.sqrt(114 if name == "unembed.W_U" else 128)
        n = weight.numel()
        assert abs(weight.std() / expected - 1) < 4 / math.sqrt(2 * n), name
        assert abs(weight.mean() / expected) < 4 / math.sqrt(n), name


def test_the_unembeddings_scale_counts_the_equals_sign():
    generator = torch.Generator().manual_seed(0)
    weights = Transformer(NANDA, P113).initialise(generator)
    repeated = torch.Generator().manual_seed(0)
    for name, weight in weights.named_parameters():
        if "W_" in name:
            unit = torch.empty_like(weight).normal_(generator=repeated)
            scale = 114**-0.5 if name == "unembed.W_U" else 128**-0.5
            torch.testing.assert_close(weight.detach(), unit * scale, rtol=1e-6, atol=1e-9, msg=name)


def test_biases_begin_at_zero_and_layer_norms_at_the_identity():
    weights = initialised(model_settings(biases="all", normalisation="pre", n_layers=2), seed=0)
    for name, weight in weights.items():
        leaf = name.rsplit(".", 1)[-1]
        if leaf == "w":
            assert (weight == 1).all(), name
        elif leaf.startswith("b"):
            assert (weight == 0).all(), name
