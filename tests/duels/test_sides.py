"""Sides of a planted duel are scaled so that both have their share of every margin at the start."""

from __future__ import annotations

import pytest
import torch
from duel_builders import examples, modules, registered, sides

from general_circuits.duels.planted_grid import PlantedDuel
from general_circuits.duels.sides import Side, contestants
from general_circuits.models import predictions

N = 80
"""Number of training examples."""


def parts(duel: PlantedDuel) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return each side's part in every training example's margin, and the margins of the sum."""
    labels, tokens = examples().labels(duel.label_noise, 0), examples().tokens[:N]
    logits = [side.of_each(tokens)[0].sum(0) for side in sides(duel)]
    others = predictions.rivals(logits[0] + logits[1], labels)
    given = [predictions.margins_over(of_side, labels, others) for of_side in logits]
    return given[0], given[1], predictions.margins(logits[0] + logits[1], labels)


@pytest.mark.parametrize("duel_kind", ["duel", "generalisers", "memorisers", "copy"])
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_each_side_has_its_share_of_the_margin_on_every_example(duel_kind: str, share: float) -> None:
    duel = registered(duel_kind=duel_kind, initial_share=share, parts=4 if duel_kind == "duel" else 1)
    general, shallow, margins = parts(duel)
    assert torch.allclose(general, torch.full((N,), 4.0 * share), atol=1e-3)
    assert torch.allclose(shallow, torch.full((N,), 4.0 * (1 - share)), atol=1e-3)
    assert torch.allclose(margins, torch.full((N,), 4.0), atol=1e-3)


def test_memorisers_make_up_for_the_generaliser_on_wrong_labels() -> None:
    duel = registered(label_noise=0.1)
    general, shallow, margins = parts(duel)
    is_wrong = examples().labels(0.1, 0) != examples().targets[:N]
    assert is_wrong.sum() == 8
    assert general[is_wrong].mean() < 0
    assert torch.allclose(margins, torch.full((N,), 4.0), atol=1e-2)
    assert torch.allclose(shallow[~is_wrong], torch.full((N - 8,), 2.0), atol=1e-3)


def test_answers_do_not_depend_on_where_the_scale_is_put() -> None:
    answers = [
        torch.stack([side.of_each(examples().tokens[:N])[0].sum(0) for side in sides(registered(scaling=scaling))])
        for scaling in ("outside", "halfway", "inside")
    ]
    assert torch.allclose(answers[0], answers[1], atol=1e-4)
    assert torch.allclose(answers[0], answers[2], atol=1e-4)
    weights = [sides(registered(scaling=scaling))[0].modules.norms() for scaling in ("outside", "inside")]
    assert not torch.allclose(weights[0], weights[1], rtol=0.01)


def test_the_scale_inside_the_readout_leaves_gains_around_one() -> None:
    for side in sides(registered(scaling="inside")):
        assert float(side.gains.median()) == pytest.approx(1.0)


def test_both_sides_of_a_copy_duel_are_one_function_with_neurons_in_another_order() -> None:
    general, shallow, _ = contestants(registered(duel_kind="copy", parts=1), examples(), modules(), 0)
    assert not torch.equal(general.tensors[0], shallow.tensors[0])
    assert torch.allclose(general.answer(examples().tokens), shallow.answer(examples().tokens), atol=1e-4)


def test_a_duel_has_one_generaliser_against_a_memoriser_of_each_part() -> None:
    general, shallow, covers = contestants(registered(parts=4), examples(), modules(), 0)
    assert (len(general), len(shallow)) == (1, 4)
    assert torch.equal(covers, examples().parts(4, 0))


def test_stacked_sides_answer_as_each_does() -> None:
    alone = [sides(registered(initial_share=share))[1] for share in (0.5, 0.2)]
    stacked = Side.stacked(alone)
    tokens = examples().tokens[:N]
    assert stacked.of_each(tokens).shape == (2, 4, N, 11)
    for number, side in enumerate(alone):
        assert torch.allclose(stacked.of_each(tokens)[number], side.of_each(tokens)[0], atol=1e-4)


def test_changes_are_added_to_the_weights_in_turn() -> None:
    general, _ = sides(registered())
    ones = [torch.ones_like(weight) for weight in general.modules.tensors]
    for before, after in zip(general.modules.tensors, general.moved(ones, ones).modules.tensors, strict=True):
        assert torch.equal(after, before + 1 + 1)
