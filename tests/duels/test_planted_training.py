"""Planted duels: parts add up to margins, and effects of a step are those of doing it by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from duel_builders import examples, modules, planted_table, registered, sides, small

from general_circuits.analysis import duel_outcomes
from general_circuits.duels import planted_training
from general_circuits.duels.module_training import DuelExamples, ModuleGroup
from general_circuits.duels.planted_grid import PlantedDuel, planted_duels
from general_circuits.duels.sides import Side
from general_circuits.models import predictions
from general_circuits.registered import rows_of
from general_circuits.storage.schemas.planted import TABLE

N = 80
"""Number of training examples."""
KEYS = ["replica", "step", "side", "examples"]


def test_parts_add_up_to_the_margin_through_a_duel() -> None:
    rows = planted_table()
    given = rows[rows["duel_kind"] == "duel"].set_index([*KEYS, *(set(PlantedDuel._fields) - {"order"}), "order"])
    assert np.isfinite(given["margin"]).all()
    margins = given["margin"].groupby([name for name in given.index.names if name != "side"]).transform("sum")
    assert np.allclose(given["share"], given["margin"] / margins, atol=1e-5)


def test_effects_of_a_step_are_those_of_taking_it_by_hand() -> None:
    """Take the first step of SGD by autograd on both networks, without stacks."""
    _, duels = small()
    duel = registered(general_decay=0.01, shallow_decay=0.01)
    rows = planted_training.fight([duel], duels.rules[0], duels, examples(), modules(), 0)
    labels, tokens, both = examples().labels(0.0, 0), examples().tokens[:N], sides(duel)
    generator = torch.Generator().manual_seed(planted_training.stream_seed(0, "batches"))
    batch = torch.randperm(N, generator=generator)[:8]
    leaves = [[weight.clone().requires_grad_() for weight in side.modules.tensors] for side in both]

    def logits(weights: list[list[torch.Tensor]], chosen: torch.Tensor) -> list[torch.Tensor]:
        """Return each module's logits on these examples, by side."""
        return [
            torch.stack([_alone(side, of_side, number, tokens[chosen]) for number in range(len(side.modules))])
            * side.gains[0, chosen, None]
            for side, of_side in zip(both, weights, strict=True)
        ]

    total = sum(of_side.sum(0) for of_side in logits(leaves, batch))
    loss = torch.nn.functional.cross_entropy(total, labels[batch])
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
        part = predictions.margins_over(before[number][covers, every], labels, others)
        change = predictions.margins_over(after[number][covers, every], labels, others) - part
        assert float((change / part)[outside].median()) == pytest.approx(start["transfer"][name], rel=1e-3)
        assert float((change / part)[batch].median()) == pytest.approx(start["reinforcement"][name], rel=1e-3)
        assert float((change > 0).double().mean()) == pytest.approx(start["frequency"][name])
        # Decay of a network whose logits are of the third degree in its weights: 1 − (1 − rate · λ)³.
        assert start["decay_effect"][name] == pytest.approx((1 - rate * 0.01) ** 3 - 1, rel=1e-3)


def _alone(side: Side, weights: list[torch.Tensor], number: int, tokens: torch.Tensor) -> torch.Tensor:
    """Run one quadratic perceptron on one-hot inputs, without the stack."""
    named = dict(zip(side.modules.weights, weights, strict=True))
    inputs = torch.nn.functional.one_hot(tokens[:, :2], 11).flatten(1).float()
    return (inputs @ named["blocks.0.mlp.W_in"][number]).square() @ named["unembed.W_U"][number]


@pytest.mark.parametrize("rule", [0, 1, 2])
def test_duels_fought_together_end_as_duels_fought_alone(rule: int) -> None:
    how, duels = small()
    every = planted_duels(how, duels, duels.rules[rule])
    stacks = planted_training.stacks(every, examples(), modules(), 0)
    assert sorted(itertools.chain(*stacks)) == sorted(every)
    assert len(stacks) < len(every) / 3
    keys = [*PlantedDuel._fields, "step", "side", "examples"]
    for stack in stacks:
        rows = planted_training.fight(stack, duels.rules[rule], duels, examples(), modules(), 0).set_index(keys)
        alone = [planted_training.fight([duel], duels.rules[rule], duels, examples(), modules(), 0) for duel in stack]
        expected = pd.concat(alone).set_index(keys).reindex(rows.index)
        pd.testing.assert_frame_equal(rows, expected, rtol=1e-3, atol=1e-5)


def test_large_networks_are_fought_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    how, duels = small()
    every = planted_duels(how, duels, duels.rules[0])
    monkeypatch.setattr(planted_training, "NUMBERS_PER_STACK", 1)
    assert {len(stack) for stack in planted_training.stacks(every, examples(), modules(), 0)} == {1}


def test_a_network_does_not_win_against_its_own_copy() -> None:
    rows = planted_table()
    copies = rows[rows["duel_kind"] == "copy"]
    assert np.allclose(copies["share"], 0.5, atol=1e-3)
    wide = copies.set_index([*PlantedDuel._fields, *KEYS])[["margin", "transfer", "reinforcement", "weight_norm"]]
    general, shallow = (wide.xs(side, level="side") for side in planted_training.SIDES)
    assert np.allclose(general, shallow, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("rule", "is_equal"), [("sgd", True), ("momentum", False), ("adamw", False)])
def test_a_whole_step_of_sgd_is_that_of_its_batch_alone(rule: str, is_equal: bool) -> None:
    """Momentum, and the mean of AdamW, carry earlier batches into a step."""
    rows = planted_table()
    rows = rows[(rows["optimiser"] == rule) & rows["transfer"].notna() & (rows["step"] > 0)]
    assert (rows["fresh_transfer"].to_numpy() == rows["transfer"].to_numpy()).all() == is_equal


def test_a_first_step_of_momentum_has_nothing_carried_so_ten_of_it_are_all_that_its_batch_adds() -> None:
    """Ten is 1 / (1 − 0.9) for momentum 0.9, and the rate is small enough for effects to be linear."""
    rows = planted_table()
    rows = rows[(rows["optimiser"] == "momentum") & rows["transfer"].notna() & (rows["step"] == 0)]
    assert np.allclose(rows["fresh_transfer"], 10 * rows["transfer"], rtol=0.05, atol=1e-4)


def test_later_steps_of_long_duels_have_margins_and_no_effects() -> None:
    rows = planted_table()
    is_later = rows["step"] > 8
    assert set(rows.loc[is_later, "steps"]) == {16, 24}
    effects = ["transfer", "fresh_transfer", "reinforcement", "decay_effect", "frequency", "update_norm", "decay_norm"]
    assert rows.loc[is_later, effects].isna().all(axis=None)
    assert rows.loc[is_later, ["margin", "share", "loss", "weight_norm"]].notna().all(axis=None)
    assert rows.loc[~is_later, ["update_norm", "frequency"]].notna().all(axis=None)


def test_silent_memorisers_add_no_coverage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three memorisers stay 0 beside one of all examples, so four parts are one part in truth.

    In a quadratic perceptron without weights, every gradient is 0.
    """
    _, duels = small()
    of_one = modules()[ModuleGroup("memoriser", 1, 0.0)]
    padded = [torch.cat([weight, torch.zeros_like(weight).expand(3, *weight.shape[1:])]) for weight in of_one.tensors]
    planted = {**modules(), ModuleGroup("memoriser", 4, 0.0): of_one.with_weights(padded)}
    monkeypatch.setattr(DuelExamples, "parts", lambda self, how_many, seed: torch.zeros(N, dtype=torch.long))
    rows = [
        planted_training.fight([registered(parts=parts)], duels.rules[0], duels, examples(), planted, 0)
        for parts in (4, 1)
    ]
    four, one = (duel_outcomes.transfers(of_duel.assign(replica=0)) for of_duel in rows)
    difference = (four["general"] - four["shallow"]) - (one["general"] - one["shallow"])
    assert one["general"][0] - one["shallow"][0] > 0.05
    assert np.allclose(difference, 0, atol=1e-4)


def test_a_memoriser_of_all_and_a_memoriser_of_all_are_equal() -> None:
    """The null control of two memorisers is a duel at one part; a network and its copy differ in nothing."""
    copies = rows_of(planted_table(), duel_kind="copy", general_decay=0.0, optimiser="momentum")
    values = duel_outcomes.transfers(copies)
    assert np.allclose(values["general"] - values["shallow"], 0, atol=1e-3 * values.abs().max(axis=None))


def test_examples_that_are_away_are_in_no_batch_of_the_first_half() -> None:
    away = torch.zeros(20, dtype=torch.bool)
    away[[3, 7]] = True
    for size in (4, 0):
        batches = list(planted_training._batches(20, size, away, 10, torch.Generator().manual_seed(0)))
        assert len(batches) == 11
        assert not set(torch.cat(batches[:5]).tolist()) & {3, 7}
        assert {3, 7} <= set(torch.cat(batches[5:]).tolist())


def test_transfer_is_missing_where_the_batch_has_all_examples() -> None:
    rows = planted_table()
    assert rows.loc[rows["batch"] == 0, "transfer"].isna().all()
    is_early = rows["step"] <= 8
    assert rows.loc[is_early & (rows["batch"] > 0) & (rows["examples"] == "all"), "transfer"].notna().all()


def test_rows_have_the_columns_and_the_key_of_the_table() -> None:
    rows = planted_table()
    assert set(rows.columns) == set(TABLE.schema.names)
    assert not rows.duplicated(list(TABLE.key)).any()
    pd.testing.assert_series_equal(
        rows.groupby("examples", observed=True)["order"].agg(set),
        pd.Series({"all": {"shuffled", "away"}, "away": {"away"}}),
        check_names=False,
    )
