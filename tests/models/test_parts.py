"""Activations, embedding, unembedding and biases at worked values."""

from __future__ import annotations

import pytest
import torch

from general_circuits.models.parts import ACTIVATIONS, Embed, Unembed, bias


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relu", [0.0, 0.0, 2.0]),
        ("quadratic", [1.0, 0.0, 4.0]),
        ("gelu", [-0.158655, 0.0, 2 * 0.977250]),  # x times the normal distribution function of x
    ],
)
def test_activations_at_worked_values(name: str, expected: list[float]) -> None:
    torch.testing.assert_close(ACTIVATIONS[name](torch.tensor([-1.0, 0.0, 2.0])), torch.tensor(expected))


def test_an_embedding_is_a_row_of_w_e() -> None:
    embed = Embed(3, 2)
    with torch.no_grad():
        embed.W_E.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert embed(torch.tensor([[2, 0]])).tolist() == [[[5, 6], [1, 2]]]


@pytest.mark.parametrize(("has_bias", "expected"), [(False, [[5.0, 8.0]]), (True, [[15.0, 28.0]])])
def test_an_unembedding_is_a_product_with_w_u_plus_its_bias(has_bias: bool, expected: list[list[float]]) -> None:
    unembed = Unembed(2, 2, has_bias)
    with torch.no_grad():
        unembed.W_U.copy_(torch.tensor([[1.0, 2.0], [2.0, 3.0]]))
        if has_bias:
            unembed.b_U.copy_(torch.tensor([10.0, 20.0]))
    assert unembed(torch.tensor([[1.0, 2.0]])).tolist() == expected


def test_a_bias_is_zero_or_missing() -> None:
    assert bias(2, 3, exists=False) is None
    assert bias(2, 3, exists=True).tolist() == [[0, 0, 0], [0, 0, 0]]
