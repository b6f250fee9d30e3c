"""Messages that refuse a config: the place of each fault, the value found, and what would be right."""

from __future__ import annotations

import time
from typing import Any

import pytest
from configs import faults, study

from general_circuits.config import errors
from general_circuits.config.load import load


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replica": 3}, "replica: unknown key; did you mean replicas?"),
        ({"defaults": {"operaton": "x+y"}}, "defaults.operaton: unknown key; did you mean operation?"),
        (
            {"conditions": {"grokking": {"weight_decya": 1.0}}},
            "conditions.grokking.weight_decya: unknown key; did you mean weight_decay?",
        ),
        (
            {"conditions": {"grokking": {"checkpoints": {"evry": 100}}}},
            "conditions.grokking.checkpoints.evry: unknown key; did you mean every?",
        ),
        ({"defaults": {"metrics": {"lgo": 4}}}, "defaults.metrics.lgo: unknown key; did you mean log?"),
        ({"measurements": {"ablaton": {}}}, "measurements.ablaton: unknown key; did you mean ablation?"),
        (
            {"measurements": {"saliency": {"integration_step": 5}}},
            "measurements.saliency.integration_step: unknown key; did you mean integration_steps?",
        ),
        ({"keep": {"weight": False}}, "keep.weight: unknown key; did you mean weights?"),
        (
            {"measurements": {"ablation": {"kpoints": 5}}},
            "measurements.ablation.kpoints: unknown key; did you mean k_points?",
        ),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(changes: dict[str, Any], message: str) -> None:
    assert faults(study(**changes)) == [message]


def test_an_unknown_key_that_resembles_none_is_answered_with_all_known_keys() -> None:
    assert faults(study(measurements={"qqq": 1})) == [
        "measurements.qqq: unknown key; known: saliency, ablation, specifications, progress, onset, updates,"
        " answers, spikes"
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replicas": "3"}, "replicas = '3': should be a whole number"),
        ({"replicas": True}, "replicas = True: should be a whole number"),
        ({"replicas": 0}, "replicas = 0: should be greater than or equal to 1"),
        ({"device": "gpu"}, "device = 'gpu': should be 'cpu' or 'cuda'"),
        ({"defaults": {"steps": 6e3}}, "defaults.steps = 6000.0: should be a whole number"),
        ({"defaults": {"learning_rate": "fast"}}, "defaults.learning_rate = 'fast': should be a number"),
        ({"defaults": {"learning_rate": True}}, "defaults.learning_rate = True: should be a number"),
        ({"defaults": {"learning_rate": float("nan")}}, "defaults.learning_rate = nan: should be a finite number"),
        ({"defaults": {"learning_rate": "inf"}}, "defaults.learning_rate = inf: should be a finite number"),
        ({"defaults": {"learning_rate": 0.0}}, "defaults.learning_rate = 0.0: should be greater than 0"),
        ({"defaults": {"weight_decay": -1.0}}, "defaults.weight_decay = -1.0: should be greater than or equal to 0"),
        ({"defaults": {"label_noise": 1.5}}, "defaults.label_noise = 1.5: should be less than or equal to 1"),
        ({"defaults": {"train_fraction": 1.0}}, "defaults.train_fraction = 1.0: should be less than 1"),
        ({"defaults": {"train_fraction": 0.0}}, "defaults.train_fraction = 0.0: should be greater than 0"),
        ({"defaults": {"train_fraction": -0.2}}, "defaults.train_fraction = -0.2: should be greater than 0"),
        ({"defaults": {"grokfast_alpha": 1.0}}, "defaults.grokfast_alpha = 1.0: should be less than 1"),
        (
            {"defaults": {"gradient_noise": -0.1}},
            "defaults.gradient_noise = -0.1: should be greater than or equal to 0",
        ),
        (
            {"defaults": {"loss": "mse"}},
            "defaults.loss = 'mse': should be 'cross_entropy', 'mean_squared_error', 'hinge' or 'stablemax'",
        ),
        ({"defaults": {"arithmetic": "fast"}}, "defaults.arithmetic = 'fast': should be 'reduced' or 'plain'"),
        ({"keep": {"states": -1}}, "keep.states = -1: should be greater than or equal to 0"),
        ({"keep": {"weights": "no"}}, "keep.weights = 'no': should be true or false"),
        ({"keep": False}, "keep = False: should be a mapping of keys to values"),
        ({"defaults": {"split_by": "row"}}, "defaults.split_by = 'row': should be 'pair' or 'example'"),
        ({"defaults": {"modulus": 1}}, "defaults.modulus = 1: should be greater than or equal to 2"),
        ({"defaults": {"checkpoints": 5}}, "defaults.checkpoints = 5: should be a mapping of keys to values"),
        ({"defaults": [1]}, "defaults = [1]: should be a mapping of keys to values"),
        ({"conditions": [1]}, "conditions = [1]: should be a mapping of keys to values"),
        ({"conditions": {"grokking": [1]}}, "conditions.grokking = [1]: should be a mapping of keys to values"),
        (
            {"study": "My study"},
            "study = 'My study': should have lower-case letters, digits and underscores, and begin with a letter",
        ),
        (
            {"conditions": {"2_layers": {}}},
            "conditions.2_layers = '2_layers': should have lower-case letters, digits and underscores, and begin with"
            " a letter",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_what_would_be_right(changes: dict[str, Any], message: str) -> None:
    assert faults(study(**changes)) == [message]


def test_a_batch_size_may_be_a_number_or_full() -> None:
    assert faults(study(defaults={"batch_size": "half"})) == [
        "defaults.batch_size = 'half': should be a whole number or 'full'"
    ]
    assert load(study(defaults={"batch_size": "full"})).conditions["grokking"].resolve().optimiser.batch_size == "full"


def test_every_fault_is_listed() -> None:
    raw = study(
        replicas="3",
        blocks=1,
        defaults={"modulus": 1},
        conditions={"one": {"steps": -2}, "two": {"weight_decay": -1.0}},
    )
    assert sorted(faults(raw)) == [
        "blocks: unknown key; did you mean block?",
        "conditions.one.steps = -2: should be greater than or equal to 0",
        "conditions.two.weight_decay = -1.0: should be greater than or equal to 0",
        "defaults.modulus = 1: should be greater than or equal to 2",
        "replicas = '3': should be a whole number",
    ]
    together = study(replicas=3, block=2, conditions={"one": {"n_heads": 3}, "two": {"batch_size": 10_000}})
    assert [line.split(" = ")[0] for line in faults(together)] == [
        "replicas",
        "conditions.one.n_heads",
        "conditions.two.batch_size",
    ]


def test_a_fault_in_defaults_is_reported_once_and_there() -> None:
    raw = study(defaults={"steps": -2}, conditions={"one": {}, "two": None, "three": {"modulus": 13}})
    assert faults(raw) == ["defaults.steps = -2: should be greater than or equal to 0"]


def test_a_fault_in_defaults_and_in_a_condition_is_reported_in_both_places() -> None:
    raw = study(defaults={"steps": -2}, conditions={"one": {"steps": -1}})
    assert faults(raw) == [
        "defaults.steps = -2: should be greater than or equal to 0",
        "conditions.one.steps = -1: should be greater than or equal to 0",
    ]


def test_missing_keys_are_described() -> None:
    assert faults({}) == [
        "study: missing; name of the study; its results lie under results/{study}/",
        "conditions: missing; conditions by name. Each has the settings that differ from `defaults`, or a `branch`",
    ]


RAW = {
    "defaults": {"steps": 10, "checkpoints": {"log": 3}},
    "conditions": {
        "one": {"modulus": 7},
        "two": None,
        "fast": {"branch": {"from": "one", "at": "onset", "change": {"learning_rate": 0.1}}},
        "lost": {"branch": {"from": "nobody", "at": "onset"}},
    },
}


@pytest.mark.parametrize(
    ("location", "place"),
    [
        (("replicas",), "replicas"),
        (("conditions", "one", "modulus"), "conditions.one.modulus"),
        (("conditions", "one", "steps"), "defaults.steps"),
        (("conditions", "two", "checkpoints", "log"), "defaults.checkpoints.log"),
        (("conditions", "two", "checkpoints", "every"), "conditions.two.checkpoints.every"),
        (("conditions", "fast", "learning_rate"), "conditions.fast.branch.change.learning_rate"),
        (("conditions", "fast", "modulus"), "conditions.one.modulus"),
        (("conditions", "fast", "steps"), "defaults.steps"),
        (("conditions", "fast", "branch", "at"), "conditions.fast.branch.at"),
        (("conditions", "lost", "steps"), "defaults.steps"),
    ],
)
def test_a_fault_is_placed_where_the_user_wrote_the_value(location: tuple[str, ...], place: str) -> None:
    """The place is the condition, the change of its branch, its parent, or `defaults`."""
    assert errors.place(location, RAW) == place


def test_equal_faults_are_listed_once_in_the_order_of_their_first_appearance() -> None:
    assert errors.listed(iter(["b", "a", "b"])) == "the config cannot run:\n  b\n  a"


def test_of_many_faults_the_first_are_listed_and_the_others_counted() -> None:
    found = errors.listed(f"fault {number}" for number in range(1_500))
    assert found.splitlines()[1:] == [*(f"  fault {number}" for number in range(20)), "  and 1,480 more"]
    assert errors.listed(["a"] * 20 + ["b"], "wrong:") == "wrong:\n  a\n  b"


def test_of_many_possible_values_the_first_are_named() -> None:
    assert errors.some("abc") == "a, b, c"
    assert errors.some((f"c{number}" for number in range(99)), "; see there").endswith("c10, c11, …; see there")


MANY = {
    "wrong parents": {"conditions": {f"c{n}": {"branch": {"from": "x", "at": "onset"}} for n in range(20_000)}},
    "wrong parents of many": {
        "conditions": {f"c{n}": {"branch": {"from": "x", "at": "onset"}} if n % 2 else {} for n in range(20_000)}
    },
    "unknown keys": {f"key{n}": 1 for n in range(20_000)},
    "unknown keys of conditions": {"conditions": {f"c{n}": {"stepz": 1} for n in range(15_000)}},
    "wrong values": {"conditions": {f"c{n}": {"measurements": ["salience"]} for n in range(15_000)}},
    "wrong changes": {
        "conditions": {
            f"c{n}": {"branch": {"from": "g", "at": "onset", "change": {f"stepz{n}": 1}}} for n in range(9_000)
        }
    },
}


@pytest.mark.parametrize("kind", MANY)
def test_a_large_config_with_a_fault_everywhere_is_refused_briefly_and_soon(kind: str) -> None:
    start = time.process_time()
    lines = faults(study(**MANY[kind]))
    assert time.process_time() - start < 10
    assert len(lines) <= 21
    assert lines[-1].startswith("and ")
    assert all(len(line) < 300 for line in lines)


@pytest.mark.parametrize(
    "settings",
    [
        {"branch": {"at": "onset"}},
        {"branch": {"from": "x", "at": "onset"}, "steps": 1},
        {"branch": {"from": "x", "at": "onset", "change": {"y" * 9_000: 1}}},
        {"operation": "x+y", "expression": "x"},
        {"y" * 9_000: 1},
    ],
)
def test_long_names_are_cut_in_every_message(settings: dict[str, Any]) -> None:
    assert all(len(line) < 400 for line in faults(study(conditions={"x" * 9_000: settings})))


def test_a_branch_in_a_study_of_branches_is_told_that_there_is_no_parent() -> None:
    lonely = study(conditions={"fast": {"branch": {"from": "x", "at": "onset"}}})
    assert faults(lonely) == [
        "conditions.fast.branch.from = 'x': should be a condition that is no branch, and the study has none"
    ]


def test_a_wrong_value_is_shown_as_python_writes_it() -> None:
    assert errors.at("defaults.steps", "10", "should be a whole number") == (
        "defaults.steps = '10': should be a whole number"
    )
