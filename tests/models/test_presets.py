"""Presets against the same networks made of torch's own layers, and published numbers of parameters."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch_networks import PlainPerceptron, PlainTransformer, in_plain_layout, in_plain_perceptron, waves

from general_circuits.config.condition import ModelSettings
from general_circuits.models.build import build
from general_circuits.models.network import Network
from general_circuits.models.perceptron import Perceptron
from general_circuits.models.presets import PRESETS
from general_circuits.pipeline.memory import parameters

OF_EMBEDDING_AND_HEAD = ("embed.W_E", "pos_embed.W_pos", "unembed.W_U")


def network(preset: str, dtype: torch.dtype) -> Network:
    chosen = PRESETS[preset]
    model = build(chosen.model, chosen.vocabulary).initialise(torch.Generator().manual_seed(0)).to(dtype)
    if chosen.model.positions == "sinusoidal":
        model.pos_embed.W_pos = waves(3, chosen.model.d_model).to(dtype)
    return model


def in_plain(model: Network, tensors: dict[str, Tensor]) -> tuple[nn.Module, dict[str, Tensor]]:
    """Return the plain network, and our weights, or their gradients, in its layout."""
    settings, vocabulary = model.settings, model.vocabulary
    if isinstance(model, Perceptron):
        return PlainPerceptron(settings, vocabulary), in_plain_perceptron(tensors, settings)
    plain = PlainTransformer(settings, vocabulary.n_symbols + 1, vocabulary.n_classes)
    return plain, in_plain_layout(tensors, settings)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=str)
@pytest.mark.parametrize("preset", PRESETS)
def test_logits_and_gradients_are_those_of_torchs_own_layers(preset, dtype, tolerance):
    """Both have the same initial weights and get a batch of 64. The tolerance is relative to the largest entry."""
    model = network(preset, dtype)
    vocabulary = model.vocabulary
    plain, weights = in_plain(model, dict(model.named_parameters()))
    if model.settings.positions == "sinusoidal":
        weights["positions.weight"] = model.pos_embed.W_pos
    plain = plain.to(dtype)
    plain.load_state_dict(weights)

    generator = torch.Generator().manual_seed(1)
    inputs = torch.randint(vocabulary.n_symbols, (64, vocabulary.n_inputs), generator=generator)
    tokens = torch.cat([inputs, torch.full((64, 1), vocabulary.n_symbols)], dim=1)
    labels = torch.randint(vocabulary.n_classes, (64,), generator=generator)
    ours = model.answer(tokens)
    theirs = plain(inputs) if isinstance(model, Perceptron) else plain(tokens)[:, -1]
    close(ours, theirs, tolerance)

    nn.functional.cross_entropy(ours, labels).backward()
    nn.functional.cross_entropy(theirs, labels).backward()
    _, gradients = in_plain(model, {name: weight.grad for name, weight in model.named_parameters()})
    expected = {name: weight.grad for name, weight in plain.named_parameters()}
    for name, gradient in gradients.items():
        close(gradient, expected[name], tolerance)


@pytest.mark.parametrize("preset", ["power", "pre_norm"])
def test_blocks_are_torchs_encoder_layers_under_a_causal_mask(preset):
    """The encoder layer's biases are zero where the preset has none."""
    model = network(preset, torch.float64)
    settings = model.settings
    options = {"activation": settings.activation, "norm_first": settings.normalisation == "pre"}
    weights = in_plain_layout(dict(model.named_parameters()), settings)
    resid = torch.randn(20, 3, settings.d_model, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mask = nn.Transformer.generate_square_subsequent_mask(3, dtype=torch.float64)
    renamed = {"attention": "self_attn", "into": "linear1", "out": "linear2", "first": "norm1", "second": "norm2"}
    for i, block in enumerate(model.blocks):
        layer = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True, **options).double()
        mine = {name: torch.zeros_like(weight) for name, weight in layer.named_parameters()}
        for name, weight in weights.items():
            kind, number, *rest = name.split(".", 2)
            if (kind, number) == ("blocks", str(i)):
                part, leaf = rest[0].split(".", 1)
                mine[f"{renamed[part]}.{leaf}"] = weight
        layer.load_state_dict(mine)
        close(block(resid), layer(resid, src_mask=mask), 1e-12)


def close(ours: Tensor, theirs: Tensor, tolerance: float) -> None:
    atol = tolerance * max(1.0, theirs.abs().max().item())
    torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


def numbers(preset: str) -> dict[str, int]:
    chosen = PRESETS[preset]
    return {name: weight.numel() for name, weight in build(chosen.model, chosen.vocabulary).named_parameters()}


@pytest.mark.parametrize("preset", PRESETS)
def test_parameters_are_as_many_as_documented(preset: str) -> None:
    chosen = PRESETS[preset]
    assert sum(numbers(preset).values()) == chosen.parameters == parameters(chosen.model, chosen.vocabulary)


@pytest.mark.parametrize(
    ("preset", "published", "outside"),
    [
        ("power", 455_424, 239 * 128 * 2),  # openai/grok: 239 tokens in and out
        ("nanda", 226_816, 114 * 128 + 3 * 128 + 128 * 114),  # progress-measures-paper: a logit for "=" too
        ("pre_norm", 422_784, 99 * 128 + 5 * 128 + 128 * 99),  # ironjr/grokfast: tokens op and "=", 5 positions
    ],
)
def test_parameters_beside_embedding_and_head_are_the_published_ones(preset: str, published: int, outside: int) -> None:
    within = sum(size for name, size in numbers(preset).items() if name not in OF_EMBEDDING_AND_HEAD)
    assert within == published - outside


def test_the_perceptrons_parameters_are_the_published_ones() -> None:
    assert sum(numbers("parity_mlp").values()) == 42_000  # Tsili42/parity-nn: 40 → 1,000 → 1
    assert sum(numbers("quadratic_mlp").values()) == 2 * 97 * 500 + 500 * 97  # d-doshi/Grokking


def test_the_config_offers_every_preset() -> None:
    assert ModelSettings.model_fields["preset"].annotation.__args__ == tuple(PRESETS)
