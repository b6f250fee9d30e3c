"""Networks built by hand compute what they should, and are saved like any other network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from by_hand import N_TRAIN, P, addition, fourier, lookup_table, transformer

from general_circuits.models import ground_truth, predictions
from general_circuits.storage import checkpoints


@pytest.mark.parametrize("biases", ["none", "mlp", "all"])
@pytest.mark.parametrize(
    ("p", "d_model", "n_heads", "d_mlp"), [(13, 44, 2, 108), (59, 128, 4, 512), (113, 128, 4, 512), (15, 8, 1, 10)]
)
def test_fourier_features_add_every_pair_of_numbers(
    p: int, d_model: int, n_heads: int, d_mlp: int, biases: str
) -> None:
    model = ground_truth.fourier(transformer(p, d_model=d_model, n_heads=n_heads, d_mlp=d_mlp, biases=biases))
    everything = addition(p, p * p)["train"]
    margins = predictions.margins(model.answer(everything.tokens), everything.labels)
    assert (margins > 0).all()


def test_fourier_logits_are_the_sum_of_cosines() -> None:
    """Class c gets |2·cos w(a − b)/2| · cos w(a + b − c) from each of the six frequencies, to within 2 %."""
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


def test_networks_built_by_hand_are_saved_and_read_like_any_other(tmp_path: Path) -> None:
    for name, model in {"fourier": fourier(), "lookup_table": lookup_table()}.items():
        path = tmp_path / f"{name}.safetensors"
        weights = {key: weight[None] for key, weight in model.state_dict().items()}
        checkpoints.write(path, 0, weights, [0], model)
        ((step, read),) = checkpoints.Checkpoints(path, 0).models([0], torch.device("cpu"))
        tokens = addition()["train"].tokens
        assert step == 0
        assert torch.equal(read.answer(tokens), model.answer(tokens))
