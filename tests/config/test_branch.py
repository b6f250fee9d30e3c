"""Branches in a config: what they become, and every message that refuses one."""

from __future__ import annotations

from typing import Any

import pytest

from general_circuits.config.branch import ALL
from general_circuits.config.study import ConfigError, Study, load
from general_circuits.records import from_json, to_json
from general_circuits.training.settings import Branch

DEFAULTS = {"modulus": 13, "train_fraction": 0.7, "batch_size": 64, "steps": 600, "learning_rate": "1e-3"}
HERE = "conditions.fast.branch"
EVENTS = "memorised, validation_loss_peak, onset, generalised"
OTHER = "should be a number, or another branch from grokking at memorised with no such kick"


def raw(branch: Any, others: dict[str, Any] | None = None, **beside: Any) -> dict[str, Any]:
    conditions = {"grokking": {}, "fast": {"branch": branch, **beside}, **(others or {})}
    return {"study": "tiny", "defaults": DEFAULTS, "conditions": conditions}


def branch(**changes: Any) -> dict[str, Any]:
    return {"from": "grokking", "at": "memorised", **changes}


def study(change: dict[str, Any], others: dict[str, Any] | None = None, **more: Any) -> Study:
    return load(raw(branch(change=change, **more), others))


def faults(config: Any) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(config)
    heading, *lines = str(refused.value).splitlines()
    assert heading == "the config cannot run:"
    return [line.strip() for line in lines]


def test_a_branch_that_changes_nothing_has_its_parents_settings() -> None:
    found = study({})
    assert found.conditions["fast"].resolve() == found.conditions["grokking"].resolve()
    assert found.branches["fast"].parent == found.conditions["grokking"].resolve()
    assert list(found.branches) == ["fast"]


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ({"learning_rate": "x10"}, "learning_rate", 1e-2),
        ({"learning_rate": "×0.5"}, "learning_rate", 5e-4),
        ({"learning_rate": "x1e2"}, "learning_rate", 0.1),
        ({"learning_rate": 0.3}, "learning_rate", 0.3),
        ({"weight_decay": "x3"}, "weight_decay", 3.0),
        ({"batch_size": "x0.5"}, "batch_size", 32),
        ({"batch_size": "full"}, "batch_size", "full"),
        ({"loss_precision": "float64"}, "loss_precision", "float64"),
        ({"optimiser": "sgd"}, "decay", "coupled"),
    ],
)
def test_any_setting_of_training_may_change_and_numbers_by_a_factor(change: Any, key: str, value: Any) -> None:
    """Of the parent's value, wherever it comes from: `defaults`, as text, or left out, which weight decay is."""
    found = getattr(study(change).conditions["fast"].resolve().optimiser, key)
    assert found == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value)


def test_a_factor_is_of_the_parents_own_value() -> None:
    others = {"slow": {"learning_rate": 1e-4}}
    found = load(raw({"from": "slow", "at": "onset", "change": {"learning_rate": "x10"}}, others))
    assert found.conditions["fast"].learning_rate == pytest.approx(1e-3)


def test_data_and_schedule_may_change() -> None:
    resolved = (
        study({"label_noise": 0.5, "train_count": 100, "operation": "x*y", "steps": 900}).conditions["fast"].resolve()
    )
    assert (resolved.split.label_noise, resolved.split.train_size, resolved.schedule.steps) == (0.5, 100, 900)
    assert resolved.task.formulas == ("x*y",)


def test_interventions_are_no_settings() -> None:
    change = {"kick": 0.1, "mask": 0.5, "temperature": 0.1, "ignore_above": 0.9, "noise_instead": 1.0}
    found = study(change)
    assert found.conditions["fast"].resolve() == found.conditions["grokking"].resolve()
    intervention = found.branches["fast"].intervention
    assert {name: getattr(intervention, name) for name in change} == change


def test_a_branch_survives_json() -> None:
    record = study({"kick": "other", "learning_rate": "x10"}, {"other": {"branch": branch()}}, **{"for": 500}).branches[
        "fast"
    ]
    assert from_json(Branch, to_json(record)) == record
    assert (record.at, record.lasts, record.then) == ("memorised", 500, "back")


def test_nothing_is_measured_of_a_branch_unless_asked_for() -> None:
    found = load(raw(branch(), {"sparing": {"measurements": ["progress"]}, "measured": {"branch": branch()}}))
    assert {name: settings.measured for name, settings in found.conditions.items()} == {
        "grokking": ALL,
        "fast": (),
        "sparing": ("progress",),
        "measured": (),
    }
    by_replay = {"spikes"}
    assert {*load(raw(branch(), measurements="all")).conditions["fast"].measured} == {*ALL} - by_replay
    assert found.measured("saliency") == ["grokking"]
    assert found.measured("progress") == [], "which the study leaves out"


def test_a_branch_is_not_watched_for_spikes_since_it_is_not_replayed() -> None:
    (message,) = faults(raw(branch(), measurements=["answers", "spikes"]))
    assert message.startswith(
        "conditions.fast.measurements = ['answers', 'spikes']: should be without spikes: is a branch"
    )


def test_what_results_depend_on_names_a_branch_by_its_parent() -> None:
    resolved = study({"learning_rate": "x10"}).resolved()["conditions"]
    assert "branch" not in resolved["grokking"]
    assert resolved["fast"]["branch"]["parent"] == "grokking"
    assert resolved["fast"]["optimiser"]["learning_rate"] == pytest.approx(1e-2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (branch(**{"from": "groking"}), ".from = 'groking': should be a condition that is no branch: grokking"),
        (branch(**{"from": "fast"}), ".from = 'fast': should be a condition that is no branch: grokking"),
        ({"at": "onset"}, ".from: missing; the condition that the branch continues, which is no branch itself"),
        (
            {"from": "grokking"},
            f".at: missing; where the branch leaves it: {EVENTS}, each replica at its own step; or a fixed step, such"
            " as `step 1000`",
        ),
        (branch(att="onset"), ".att: unknown key; did you mean at?"),
        (branch(at="memorized"), f".at = 'memorized': should be {EVENTS}, or a step as in 'step 1000'"),
        (branch(at="step 601"), ".at = 'step 601': should be a step from 0 to 600"),
        (branch(change={"learnin_rate": 1}), ".change.learnin_rate: unknown key; did you mean learning_rate?"),
        (branch(change={"learning_rate": "y10"}), ".change.learning_rate = 'y10': should be a valid number"),
        (branch(change={"learning_rate": -1}), ".change.learning_rate = -1: should be greater than 0"),
        (
            branch(change={"optimiser": "x2"}),
            ".change.optimiser = 'x2': should be 'adamw', 'adam', 'sgd', 'line_search' or 'lbfgs'",
        ),
        (
            branch(change={"batch_size": "x2"}),
            ".change.batch_size = 128: should be from 1 to the 119 training examples, or full",
        ),
        (
            branch(change={"d_mlp": 64}),
            ".change.d_mlp = 64: cannot be changed: a branch continues its parent's network",
        ),
        (
            branch(change={"modulus": 11}),
            ".change.modulus = 11: should leave the parent's 2 inputs of 13 symbols and 13 classes,"
            " but has 2 of 11 and 11",
        ),
        (branch(change={"mask": 1.0}), ".change.mask = 1.0: should be less than 1"),
        (
            branch(change={"batch_noise": 4, "noise_instead": 1.0}),
            ".change = ['noise_instead', 'batch_noise']: should be one of them",
        ),
        (
            branch(change={"batch_noise": 120}),
            ".change.batch_noise = 120: should be at most the 119 training examples",
        ),
        (
            branch(change={"optimiser": "lbfgs", "batch_size": "full", "mask": 0.5}),
            ".change.mask = 0.5: cannot be: lbfgs needs the gradient of what it makes small",
        ),
        (branch(change={"kick": "fast"}), f".change.kick = 'fast': {OTHER}"),
        (branch(change={"kick": "grokking"}), f".change.kick = 'grokking': {OTHER}"),
        (
            branch(change={"learning_rate": 1.0}, then="anneal"),
            ".then = 'anneal': needs `for`, the steps that the change lasts",
        ),
        (branch(then="stop"), ".then = 'stop': needs `for`, the steps that the change lasts"),
        (
            branch(then="anneal", **{"for": 5}),
            ".then = 'anneal': should be back: neither learning_rate nor weight_decay is changed",
        ),
        (branch(then="hold"), ".then = 'hold': should be 'back', 'anneal' or 'stop'"),
        (branch(**{"for": 0}), ".for = 0: should be greater than or equal to 1"),
        (branch(change=["x"]), ".change = ['x']: should be a mapping of keys to values"),
        ("grokking", " = 'grokking': should be a mapping of keys to values"),
    ],
)
def test_a_branch_that_cannot_be_is_refused_where_it_is_written(given: Any, message: str) -> None:
    assert faults(raw(given)) == [f"{HERE}{message}"]


def test_settings_beside_a_branch_are_refused() -> None:
    assert faults(raw(branch(), learning_rate=0.1)) == [
        "conditions.fast.learning_rate: should be under branch: change, since a branch has its parent's settings"
    ]


def test_a_branch_of_a_branch_is_refused() -> None:
    others = {"again": {"branch": {"from": "fast", "at": "onset"}}}
    assert faults(raw(branch(), others)) == [
        "conditions.again.branch.from = 'fast': should be a condition that is no branch: grokking"
    ]


def test_a_fault_of_the_parent_is_told_once_and_where_it_is() -> None:
    config = raw(branch())
    config["conditions"]["grokking"] = {"batch_size": 500}
    assert faults(config) == [
        "conditions.grokking.batch_size = 500: should be from 1 to the 119 training examples, or full"
    ]


def test_defaults_have_no_branch() -> None:
    assert faults({"study": "tiny", "defaults": {"branch": branch()}, "conditions": {"a": {}}})[0].startswith(
        "defaults.branch: unknown key"
    )


def test_ablation_needs_saliency() -> None:
    assert faults({"study": "tiny", "conditions": {"a": {"measurements": ["ablation"]}}}) == [
        "conditions.a.measurements = ['ablation']: should have saliency, which ablation needs"
    ]
