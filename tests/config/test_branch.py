"""Branches in a config: the records that they become, and every message that refuses one."""

from __future__ import annotations

from typing import Any

import pytest
from configs import faults, undescribed

from general_circuits.config.branch import ALL, BranchSettings, ChangeSettings, StudyCondition, multiplied
from general_circuits.config.kinds import Settings
from general_circuits.config.load import load
from general_circuits.config.study import Study
from general_circuits.records import from_json, to_json
from general_circuits.training.settings import Branch

DEFAULTS = {"modulus": 13, "train_fraction": 0.7, "batch_size": 64, "steps": 600, "learning_rate": "1e-3"}
HERE = "conditions.fast.branch"
EVENTS = "memorised, validation_loss_peak, onset, generalised"
NO_SETTING = "should be {}, since a branch changes settings alone"
OTHER = "should be a number, or another branch from grokking at memorised whose own kick is not a name"


def raw(branch: Any, others: dict[str, Any] | None = None, **beside: Any) -> dict[str, Any]:
    """Return a config with the branch `fast` of `grokking`, settings beside it, and other conditions."""
    conditions = {"grokking": {}, "fast": {"branch": branch, **beside}, **(others or {})}
    return {"study": "tiny", "defaults": DEFAULTS, "conditions": conditions}


def branch(**changes: Any) -> dict[str, Any]:
    """Return a branch of `grokking`, with some keys changed."""
    return {"from": "grokking", "at": "memorised", **changes}


def study(change: dict[str, Any], others: dict[str, Any] | None = None, **more: Any) -> Study:
    """Return a study whose branch `fast` makes this change."""
    return load(raw(branch(change=change, **more), others))


def test_a_branch_that_changes_nothing_has_its_parents_settings() -> None:
    loaded = study({})
    assert loaded.conditions["fast"].resolve() == loaded.conditions["grokking"].resolve()
    assert loaded.branches["fast"].parent == loaded.conditions["grokking"].resolve()
    assert list(loaded.branches) == ["fast"]


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
def test_any_setting_of_training_may_change_and_numbers_also_by_a_factor(change: Any, key: str, value: Any) -> None:
    """The parent's value may come from `defaults`, be text, or be left out, as weight decay is here."""
    setting = getattr(study(change).conditions["fast"].resolve().optimiser, key)
    assert setting == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value)


def test_a_factor_multiplies_the_parents_own_value() -> None:
    others = {"slow": {"learning_rate": 1e-4}}
    loaded = load(raw({"from": "slow", "at": "onset", "change": {"learning_rate": "x10"}}, others))
    assert loaded.conditions["fast"].learning_rate == pytest.approx(1e-3)


def test_data_and_schedule_may_change() -> None:
    resolved = (
        study({"label_noise": 0.5, "train_count": 100, "operation": "x*y", "steps": 900}).conditions["fast"].resolve()
    )
    assert (resolved.split.label_noise, resolved.split.train_size, resolved.schedule.steps) == (0.5, 100, 900)
    assert resolved.task.formulas == ("x*y",)


def test_interventions_leave_the_settings_of_the_parent() -> None:
    change = {"kick": 0.1, "mask": 0.5, "temperature": 0.1, "ignore_above": 0.9, "noise_instead": 1.0}
    change["noise_examples"] = 8
    loaded = study(change, **{"for": 50})
    assert loaded.conditions["fast"].resolve() == loaded.conditions["grokking"].resolve()
    intervention = loaded.branches["fast"].intervention
    assert {name: getattr(intervention, name) for name in change} == change


def test_a_branch_survives_json() -> None:
    record = study({"kick": "other", "learning_rate": "x10"}, {"other": {"branch": branch()}}, **{"for": 500}).branches[
        "fast"
    ]
    assert from_json(Branch, to_json(record)) == record
    assert (record.at, record.lasts, record.then) == ("memorised", 500, "back")


def test_a_branch_has_no_measurements_by_default() -> None:
    loaded = load(raw(branch(), {"sparing": {"measurements": ["progress"]}, "measured": {"branch": branch()}}))
    assert {name: settings.measured for name, settings in loaded.conditions.items()} == {
        "grokking": ALL,
        "fast": (),
        "sparing": ("progress",),
        "measured": (),
    }
    by_replay = {"spikes"}
    assert {*load(raw(branch(), measurements="all")).conditions["fast"].measured} == {*ALL} - by_replay
    assert loaded.measured("saliency") == ["grokking"]
    assert loaded.measured("progress") == [], "the study leaves progress out"


def test_a_branch_is_not_watched_for_spikes_since_it_is_not_replayed() -> None:
    (message,) = faults(raw(branch(), measurements=["answers", "spikes"]))
    assert message.startswith(
        "conditions.fast.measurements = ['answers', 'spikes']: should be without spikes: is a branch, and branches"
        " cannot be replayed"
    )


def test_the_settings_of_results_name_a_branch_by_its_parent() -> None:
    resolved = study({"learning_rate": "x10"}).resolved()["conditions"]
    assert "branch" not in resolved["grokking"]
    assert resolved["fast"]["branch"]["parent"] == "grokking"
    assert resolved["fast"]["optimiser"]["learning_rate"] == pytest.approx(1e-2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (branch(**{"from": "groking"}), ".from = 'groking': should be a condition that is no branch: grokking"),
        (branch(**{"from": "fast"}), ".from = 'fast': should be a condition that is no branch: grokking"),
        ({"at": "onset"}, ".from: missing; the condition that the branch continues; it cannot be a branch itself"),
        (
            {"from": "grokking"},
            f".at: missing; where the branch begins: at an event ({EVENTS}), each replica at its own step; or at a"
            " fixed step, such as `step 1000`",
        ),
        (branch(att="onset"), ".att: unknown key; did you mean at?"),
        (branch(at="memorized"), f".at = 'memorized': should be {EVENTS}, or a step as in 'step 1000'"),
        (branch(at="step 601"), ".at = 'step 601': should be a step from 0 to 600"),
        (branch(change={"learnin_rate": 1}), ".change.learnin_rate: unknown key; did you mean learning_rate?"),
        (branch(change={"kik": 1}), ".change.kik: unknown key; did you mean kick?"),
        (branch(change={"masks": 0.5}), ".change.masks: unknown key; did you mean mask?"),
        (branch(change={"branch": None}), f".change.branch: {NO_SETTING.format('a condition of its own')}"),
        (branch(change={"branch": branch()}), f".change.branch: {NO_SETTING.format('a condition of its own')}"),
        (branch(change={"measurements": "all"}), f".change.measurements: {NO_SETTING.format('beside branch')}"),
        (branch(change={"for": 5}), ".change.for: should be beside change"),
        (branch(change={"change": {}}), ".change.change: should be beside change"),
        (
            branch(change={"until": None}),
            ".change.until = None: should not be set for a branch: its `for` says how long it lasts",
        ),
        (branch(change={"learning_rate": "y10"}), ".change.learning_rate = 'y10': should be a number"),
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
            branch(change={"batch_noise": 4, "noise_instead": 1.0}, **{"for": 5}),
            ".change = ['noise_instead', 'batch_noise']: should be one of them",
        ),
        (
            branch(change={"noise_instead": 1.0}),
            ".change.noise_instead = 1.0: needs `for`, the steps in which noise goes that far",
        ),
        (
            branch(change={"noise_instead": 0.0, "noise_examples": 4}),
            ".change.noise_examples = 4: needs noise_instead above 0",
        ),
        (
            branch(change={"noise_instead": 1.0, "noise_examples": 60}, **{"for": 5}),
            ".change.noise_examples = 60: should be at most half of the 119 training examples, so that batches differ",
        ),
        (
            branch(change={"batch_noise": 120}),
            ".change.batch_noise = 120: should be at most the 119 training examples",
        ),
        (
            branch(change={"optimiser": "lbfgs", "batch_size": "full", "mask": 0.5}),
            ".change.mask = 0.5: does not work with lbfgs, which needs the exact gradient of the loss",
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
        "conditions.fast.learning_rate: should be under branch: change, since a branch inherits its parent's settings"
    ]


def test_a_branch_of_a_branch_is_refused() -> None:
    others = {"again": {"branch": {"from": "fast", "at": "onset"}}}
    assert faults(raw(branch(), others)) == [
        "conditions.again.branch.from = 'fast': should be a condition that is no branch: grokking"
    ]


def test_a_fault_of_the_parent_is_reported_once_and_at_the_parent() -> None:
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


@pytest.mark.parametrize(
    ("change", "parent", "value"),
    [
        ("x10", 0.5, 5.0),
        ("x 2", 8, 16),
        ("x0.3", 8, 2.4),  # no whole number: the model refuses it in its own words
        ("x10", "1e-3", 0.01),
        ("x10", "full", "x10"),
        ("10x", 8, "10x"),
        (3, 8, 3),
    ],
)
def test_a_factor_multiplies_numbers_and_leaves_everything_else(change: Any, parent: Any, value: Any) -> None:
    (result,) = multiplied({"batch_size": change}, {"batch_size": parent}).values()
    assert (result, type(result)) == (pytest.approx(value) if isinstance(value, float) else value, type(value))


@pytest.mark.parametrize("section", [BranchSettings, ChangeSettings, StudyCondition])
def test_every_key_is_described(section: type[Settings]) -> None:
    assert undescribed(section) == set()
