"""Toys of a study: which settings are trained, how often, and at which steps they are recorded."""

from __future__ import annotations

from duel_builders import grid

from general_circuits.duels.toy_grid import RuleSettings, Toy, evaluation_steps, toys


def test_every_plain_toy_is_trained() -> None:
    settings = grid(attentions=("linear", "softmax"), decays=(0.0, 0.1))
    plain = toys(settings, settings.rules[0])
    assert len(plain) == len(set(plain)) == 2 * 2 * 2 * 2  # attention × sharing × coverage × decay
    assert {(toy.batch, toy.order, toy.initial_share, toy.frequency) for toy in plain} == {(0, "shuffled", 0.5, 1)}


def test_a_variant_changes_one_setting_of_a_plain_toy() -> None:
    settings = grid(
        coverages=(4,), sharings=("shared",), batch_sizes=(2,), initial_shares=(0.2, 0.5), frequencies=(1, 4)
    )
    plain = Toy("linear", "shared", 4, 0.0)
    variants = [{"batch": 2}, {"initial_share": 0.2}, {"frequency": 4}]
    once = [toy for toy in toys(settings, settings.rules[0]) if toy.replica == 0]
    assert once == [plain, *(plain._replace(**change) for change in variants)]


def test_only_toys_with_chance_are_trained_for_every_replica() -> None:
    settings = grid(batch_sizes=(1, 2, 4), orders=("shuffled", "blocked"), replicas=3, first_seed=7)
    trained = toys(settings, settings.rules[0])
    assert {toy.replica for toy in trained if toy.batch in (1, 2)} == {7, 8, 9}
    assert {toy.replica for toy in trained if toy.batch == 0} == {7}
    assert len(set(trained)) == len(trained) == 4 * (1 + 2 * 3 + 1)


def test_recorded_steps_include_both_ends_and_the_ends_of_blocks() -> None:
    settings = grid(orders=("blocked",), rules=(RuleSettings("sgd", 0.5, (0.0,)),))
    steps = evaluation_steps(settings)
    assert {0, 5, 10, 15, 20} <= set(steps)
    assert steps == sorted(set(steps))
    assert steps[-1] == settings.steps
