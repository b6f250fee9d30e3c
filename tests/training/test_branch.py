"""A replica of a branch: memory that goes on or begins anew, its return to the parent's setting, and its states."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import pytest
import torch
from builders import VOCABULARY, addition, branch_of, condition
from torch import Tensor

from general_circuits.tasks.examples import Examples
from general_circuits.training.branch import Branched
from general_circuits.training.optimisers.adam import Adam
from general_circuits.training.replica import COLUMNS, Replica
from general_circuits.training.settings import Condition

LEAVES = 7
"""Step at which branches leave their parent here. An epoch is three batches."""
COUPLED = {"decay": "coupled", "weight_decay": 1e-3}
RULES: dict[str, dict[str, Any]] = {
    "adamw": {},
    "adam": {"optimiser": "adam", **COUPLED},
    "full batch": {"batch_size": "full"},
    "plain arithmetic": {"arithmetic": "plain"},
    "sgd": {"optimiser": "sgd", **COUPLED},
    "sgd with momentum": {"optimiser": "sgd", "momentum": 0.9, **COUPLED},
    "line search": {"optimiser": "line_search", "batch_size": "full", **COUPLED},
    "lbfgs": {"optimiser": "lbfgs", "batch_size": "full", **COUPLED},
    "noise": {"gradient_noise": 0.1},
    "grokfast": {"grokfast_lambda": 2.0},
    "decay of some weights": {"decay_on": ("*.W_E",)},
}


def trained(settings: Condition, steps: int = LEAVES, splits: dict[str, Examples] | None = None) -> Replica:
    """Return a replica of the parent, trained to the step of the branch."""
    replica = Replica(settings, splits or addition(), VOCABULARY, seed=0)
    for _ in range(steps):
        replica.update(is_observed=True)
    return replica


def branched(
    settings: Condition, changed: Condition | None = None, splits: dict[str, Examples] | None = None, **how: Any
) -> Branched:
    """Return a replica of a branch at its start: with another setting or other examples, or with no change."""
    branch = branch_of(settings, **how)
    return Branched(trained(settings), branch, changed or settings, splits or addition(), seed=0)


def changed(settings: Condition, **optimiser: Any) -> Condition:
    """Return the settings with changes to their optimiser."""
    return replace(settings, optimiser=replace(settings.optimiser, **optimiser))


def same_path(ours: Branched | Replica, theirs: Branched | Replica, steps: int) -> bool:
    """Tell whether these updates give the same bytes, in metrics after each and in the weights after the last."""
    for _ in range(steps):
        for replica in (ours, theirs):
            replica.update(is_observed=True)
        if not _equal(ours.evaluate(), theirs.evaluate()):
            return False
    return all(torch.equal(a, b) for a, b in zip(ours.model.parameters(), theirs.model.parameters(), strict=True))


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.numpy().tobytes() == b.numpy().tobytes()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("lasts", [None, 4])
def test_a_branch_that_changes_nothing_has_its_parents_bytes(rule: str, lasts: int | None) -> None:
    settings = condition(**RULES[rule])
    ours, theirs = branched(settings, lasts=lasts), trained(settings)
    assert ours.step == LEAVES
    assert _equal(ours.evaluate(), theirs.evaluate())
    assert same_path(ours, theirs, 12)


@pytest.mark.parametrize("rule", RULES)
def test_another_learning_rate_scales_the_next_update_and_leaves_memory_alone(rule: str) -> None:
    """The memory is the parent's. So with momentum too, a rate ten times as large makes a step ten times as large."""
    settings = condition(**RULES[rule])
    if settings.optimiser.optimiser in ("line_search", "lbfgs"):
        pytest.skip("this rule searches for its step size")
    ours, theirs = branched(settings, changed(settings, learning_rate=0.1)), trained(settings)
    before = [weight.detach().clone() for weight in theirs.model.parameters()]
    for replica in (ours, theirs):
        replica.update(is_observed=False)
    for old, fast, slow in zip(before, ours.model.parameters(), theirs.model.parameters(), strict=True):
        torch.testing.assert_close(fast - old, 10 * (slow - old), rtol=1e-3, atol=1e-6)


def test_a_rule_with_another_kind_of_memory_begins_anew() -> None:
    """Every weight moves by the learning rate in the first step of Adam, whatever its gradient."""
    sgd = condition(optimiser="sgd", momentum=0.9, arithmetic="plain", **COUPLED)
    ours = branched(
        sgd, changed(sgd, optimiser="adam", learning_rate=1e-3, momentum=0.0, weight_decay=0.0, epsilon=0.0)
    )
    before = [weight.detach().clone() for weight in ours.model.parameters()]
    ours.update(is_observed=False)
    moved = torch.cat([(new - old).abs().flatten() for new, old in zip(ours.model.parameters(), before, strict=True)])
    moved = moved[moved > 0]
    torch.testing.assert_close(moved, torch.full_like(moved, 1e-3), rtol=1e-2, atol=0.0)
    rule = ours.current.updater.rule
    assert isinstance(rule, Adam)
    assert {count.item() for counts in rule.counts for count in counts} == {1.0}


@pytest.mark.parametrize(
    "changes", [{"optimiser": "sgd", **COUPLED}, {"grokfast_lambda": 1.0}, {"gradient_noise": 0.1}, {"batch_size": 5}]
)
@pytest.mark.parametrize("made", [2, 5, 9])
def test_a_branch_that_goes_on_from_its_state_has_equal_bytes(changes: dict[str, Any], made: int) -> None:
    """The state lies before or after the return, with rules that count their own updates."""
    settings = condition()
    pair = [branched(settings, changed(settings, **changes), lasts=4, then="back") for _ in range(2)]
    for _ in range(made):
        pair[0].update(is_observed=True)
    state = pair[0].state()
    kept = {name: tensor.clone() for name, tensor in state.tensors.items()}
    pair[1].restore(dataclasses.replace(state, tensors=kept))
    assert pair[1].step == LEAVES + made
    assert same_path(*pair, steps=8)


def test_another_batch_size_begins_an_epoch_of_the_parents_stream() -> None:
    settings = condition()
    parent, ours = trained(settings), branched(settings, changed(settings, batch_size=5))
    expected = torch.Generator()
    expected.set_state(parent.batches.generator.get_state())
    order = torch.randperm(15, generator=expected)
    assert torch.equal(torch.cat([ours.current.batches.next() for _ in range(3)]), order)


def test_a_branch_that_goes_back_has_the_parents_rate_at_once() -> None:
    settings = condition()
    ours = branched(settings, changed(settings, learning_rate=0.1), lasts=3)
    rates = []
    for _ in range(6):
        ours.update(is_observed=False)
        rates.append(ours.current.rate)
    assert rates == [0.1] * 3 + [0.01] * 3


def test_annealing_is_linear_and_takes_as_many_steps_as_the_change() -> None:
    """The rate falls from 0.05 to the parent's 0.01 in four steps: 0.04, 0.03, 0.02 and 0.01."""
    settings = condition()
    ours = branched(settings, changed(settings, learning_rate=0.05, weight_decay=0.0), lasts=4, then="anneal")
    rates, decays = [], []
    for _ in range(10):
        ours.update(is_observed=False)
        rule = ours.current.updater.rule
        rates.append(ours.current.rate)
        decays.append(rule.parts[0].decay)
    assert rates == pytest.approx([0.05] * 4 + [0.04, 0.03, 0.02] + [0.01] * 3, rel=1e-12)
    assert decays == pytest.approx([0.0] * 4 + [0.125, 0.25, 0.375] + [0.5] * 3, rel=1e-12)
    assert (rates[-1], decays[-1]) == (0.01, 0.5)


def test_annealing_the_decay_leaves_weights_without_decay_alone() -> None:
    settings = condition(decay_on=("embed.W_E",))
    ours = branched(settings, changed(settings, weight_decay=0.0), lasts=2, then="anneal")
    for _ in range(6):
        ours.update(is_observed=False)
    assert [part.decay for part in ours.current.updater.rule.parts] == [0.5, 0.0]


def test_a_part_that_only_one_of_the_two_settings_has_is_nan_in_the_other() -> None:
    splits = addition()
    corrupted = torch.arange(15) < 5
    noisy = {**splits, "train": Examples(splits["train"].tokens, splits["train"].labels, corrupted)}
    ours = branched(condition(), splits=noisy, lasts=2)
    mirror = ["validation_mirrored", "validation_unmirrored"]
    assert list(ours.parts) == ["train", "validation", "train_corrupted", "train_true", *mirror]
    is_missing = []
    for _ in range(4):
        ours.update(is_observed=True)
        is_missing.append(ours.evaluate()[:, COLUMNS.index("learning_rate")].isnan().tolist())
    assert is_missing == [[False] * 6] * 2 + [[False, False, True, True, False, False]] * 2


@pytest.mark.parametrize(("made", "has_returned"), [(3, False), (4, False), (5, True)])
def test_a_branch_returns_with_the_first_update_after_its_change(made: int, has_returned: bool) -> None:
    settings = condition()
    ours = branched(settings, changed(settings, learning_rate=0.1), lasts=4)
    for _ in range(made):
        ours.update(is_observed=False)
    assert ours.has_returned == has_returned
    assert ours.step == LEAVES + made
