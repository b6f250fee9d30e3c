"""Planted duels: equal at the start, additive, and what a step does measured against doing it."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from duel_builders import ground, modules, planted_table, small

from general_circuits.duels import planted_training
from general_circuits.duels.planted_grid import PlantedDuel, planted_duels
from general_circuits.duels.sides import Side, contestants, set_up
from general_circuits.models import predictions
from general_circuits.storage.schemas.planted import TABLE

N = 80
"""Training examples."""
KEYS = ["replica", "step", "side", "examples"]


def registered(**changes: object) -> PlantedDuel:
    how, duels = small()
    return planted_duels(how, duels, duels.rules[0])[0]._replace(**changes)  # type: ignore[arg-type]


def sides(arm: PlantedDuel) -> tuple[Side, Side]:
    return set_up(arm, ground(), ground().labels(arm.label_noise, 0), *contestants(arm, ground(), modules(), 0))


def parts(arm: PlantedDuel) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What each side gives to every training example's margin, and the margins of the sum."""
    labels, tokens = ground().labels(arm.label_noise, 0), ground().tokens[:N]
    logits = [side.of_each(tokens)[0].sum(0) for side in sides(arm)]
    others = predictions.rivals(logits[0] + logits[1], labels)
    given = [predictions.margins_over(of_side, labels, others) for of_side in logits]
    return given[0], given[1], predictions.margins(logits[0] + logits[1], labels)


@pytest.mark.parametrize("duel_kind", ["duel", "generalisers", "memorisers", "copy"])
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_margins_are_matched_on_every_example(duel_kind: str, share: float) -> None:
    arm = registered(duel_kind=duel_kind, initial_share=share, parts=4 if duel_kind == "duel" else 1)
    general, shallow, whole = parts(arm)
    assert torch.allclose(general, torch.full((N,), 4.0 * share), atol=1e-3)
    assert torch.allclose(shallow, torch.full((N,), 4.0 * (1 - share)), atol=1e-3)
    assert torch.allclose(whole, torch.full((N,), 4.0), atol=1e-3)


def test_where_a_label_is_wrong_the_memorisers_make_up_for_the_generaliser() -> None:
    arm = registered(label_noise=0.1)
    general, shallow, whole = parts(arm)
    is_wrong = ground().labels(0.1, 0) != ground().targets[:N]
    assert is_wrong.sum() == 8
    assert general[is_wrong].mean() < 0
    assert torch.allclose(whole, torch.full((N,), 4.0), atol=1e-2)
    assert torch.allclose(shallow[~is_wrong], torch.full((N - 8,), 2.0), atol=1e-3)


def test_a_scale_is_the_same_wherever_it_is_put() -> None:
    answers = [
        torch.stack([side.of_each(ground().tokens[:N])[0].sum(0) for side in sides(registered(scaling=scaling))])
        for scaling in ("outside", "halfway", "inside")
    ]
    assert torch.allclose(answers[0], answers[1], atol=1e-4)
    assert torch.allclose(answers[0], answers[2], atol=1e-4)
    weights = [sides(registered(scaling=scaling))[0].modules.norms() for scaling in ("outside", "inside")]
    assert not torch.allclose(weights[0], weights[1], rtol=0.01)


def test_parts_add_up_to_the_margin_through_a_duel() -> None:
    rows = planted_table()
    given = rows[rows["duel_kind"] == "duel"].set_index([*KEYS, *(set(PlantedDuel._fields) - {"order"}), "order"])
    assert np.isfinite(given["margin"]).all()
    whole = given["margin"].groupby([name for name in given.index.names if name != "side"]).transform("sum")
    assert np.allclose(given["share"], given["margin"] / whole, atol=1e-5)


def test_what_a_step_does_is_what_doing_it_does() -> None:
    """The first step of SGD, by hand: autograd on both networks, one example's margin at a time."""
    _, duels = small()
    arm = registered(general_decay=0.01, shallow_decay=0.01)
    rows = planted_training.fight([arm], duels.rules[0], duels, ground(), modules(), 0)
    labels, tokens, both = ground().labels(0.0, 0), ground().tokens[:N], sides(arm)
    generator = torch.Generator().manual_seed(planted_training.stream_seed(0, "batches"))
    batch = torch.randperm(N, generator=generator)[:8]
    leaves = [[weight.clone().requires_grad_() for weight in side.modules.tensors] for side in both]

    def logits(weights: list[list[torch.Tensor]], chosen: torch.Tensor) -> list[torch.Tensor]:
        """Each module's on these examples, by side."""
        return [
            torch.stack([_alone(side, of_side, number, tokens[chosen]) for number in range(len(side.modules))])
            * side.gains[0, chosen, None]
            for side, of_side in zip(both, weights, strict=True)
        ]

    whole = sum(of_side.sum(0) for of_side in logits(leaves, batch))
    loss = torch.nn.functional.cross_entropy(whole, labels[batch])
    rate, every = duels.rules[0].learning_rate, torch.arange(N)
    flat = torch.autograd.grad(loss, [weight for side in leaves for weight in side])
    moved, place = [], 0
    for side in leaves:
        moved.append([weight.detach() - rate * flat[place + i] for i, weight in enumerate(side)])
        place += len(side)
    leaves = [[weight.detach() for weight in side] for side in leaves]
    before, after = logits(leaves, every), logits(moved, every)
    others = predictions.rivals(before[0].sum(0) + before[1].sum(0), labels)
    outside = torch.ones(N, dtype=torch.bool)
    outside[batch] = False
    start = rows[rows["step"] == 0].set_index("side")
    for number, name in enumerate(planted_training.SIDES):
        covers = both[number].covers
        own = predictions.margins_over(before[number][covers, every], labels, others)
        change = predictions.margins_over(after[number][covers, every], labels, others) - own
        assert float((change / own)[outside].median()) == pytest.approx(start["transfer"][name], rel=1e-3)
        assert float((change / own)[batch].median()) == pytest.approx(start["reinforcement"][name], rel=1e-3)
        assert float((change > 0).double().mean()) == pytest.approx(start["frequency"][name])
        # Decay of a network whose logits are of the third degree in its weights: 1 − (1 − rate · λ)³.
        assert start["decay_effect"][name] == pytest.approx((1 - rate * 0.01) ** 3 - 1, rel=1e-3)


def _alone(side: Side, weights: list[torch.Tensor], number: int, tokens: torch.Tensor) -> torch.Tensor:
    """One quadratic perceptron on one-hot inputs, without the stack."""
    named = dict(zip(side.modules.weights, weights, strict=True))
    inputs = torch.nn.functional.one_hot(tokens[:, :2], 11).flatten(1).float()
    return (inputs @ named["blocks.0.mlp.W_in"][number]).square() @ named["unembed.W_U"][number]


@pytest.mark.parametrize("rule", [0, 1])
def test_duels_fought_together_are_those_fought_alone(rule: int) -> None:
    how, duels = small()
    every = planted_duels(how, duels, duels.rules[rule])
    stacks = planted_training.stacks(every, ground(), modules(), 0)
    assert sorted(itertools.chain(*stacks)) == sorted(every)
    assert len(stacks) < len(every) / 3
    keys = [*PlantedDuel._fields, "step", "side", "examples"]
    for stack in stacks:
        rows = planted_training.fight(stack, duels.rules[rule], duels, ground(), modules(), 0).set_index(keys)
        alone = [planted_training.fight([arm], duels.rules[rule], duels, ground(), modules(), 0) for arm in stack]
        expected = pd.concat(alone).set_index(keys).reindex(rows.index)
        pd.testing.assert_frame_equal(rows, expected, rtol=1e-3, atol=1e-5)


def test_large_networks_are_fought_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    how, duels = small()
    every = planted_duels(how, duels, duels.rules[0])
    monkeypatch.setattr(planted_training, "NUMBERS_PER_STACK", 1)
    assert {len(stack) for stack in planted_training.stacks(every, ground(), modules(), 0)} == {1}


def test_a_network_does_not_win_against_its_own_copy() -> None:
    rows = planted_table()
    copies = rows[rows["duel_kind"] == "copy"]
    assert np.allclose(copies["share"], 0.5, atol=1e-3)
    wide = copies.set_index([*PlantedDuel._fields, *KEYS])[["margin", "transfer", "reinforcement", "weight_norm"]]
    general, shallow = (wide.xs(side, level="side") for side in planted_training.SIDES)
    assert np.allclose(general, shallow, rtol=1e-4, atol=1e-5)


def test_examples_that_are_away_are_in_no_batch_of_the_first_half() -> None:
    away = torch.zeros(20, dtype=torch.bool)
    away[[3, 7]] = True
    for size in (4, 0):
        batches = list(planted_training._batches(20, size, away, 10, torch.Generator().manual_seed(0)))
        assert len(batches) == 11
        assert not set(torch.cat(batches[:5]).tolist()) & {3, 7}
        assert {3, 7} <= set(torch.cat(batches[5:]).tolist())


def test_a_batch_of_all_leaves_nobody_to_forget() -> None:
    rows = planted_table()
    assert rows.loc[rows["batch"] == 0, "transfer"].isna().all()
    assert rows.loc[(rows["batch"] > 0) & (rows["examples"] == "all"), "transfer"].notna().all()


def test_rows_are_those_of_the_table() -> None:
    rows = planted_table()
    assert set(rows.columns) == set(TABLE.schema.names)
    assert not rows.duplicated(list(TABLE.key)).any()
    pd.testing.assert_series_equal(
        rows.groupby("examples")["order"].agg(set),
        pd.Series({"all": {"shuffled", "away"}, "away": {"away"}}),
        check_names=False,
    )
