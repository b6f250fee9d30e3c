"""Settings as JSON, and the steps a spacing means."""

from __future__ import annotations

import dataclasses
import itertools
import json

import pytest
from builders import condition, model_settings, optimiser_settings
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from general_circuits.models.settings import Model
from general_circuits.records import from_json, to_json
from general_circuits.tasks.bits import Boolean, Parity
from general_circuits.tasks.digits import Digits
from general_circuits.tasks.groups import GroupTask
from general_circuits.tasks.modular import Modular
from general_circuits.tasks.settings import Split
from general_circuits.training.schedule import Schedule, Spacing, evenly_chosen
from general_circuits.training.settings import Condition, Optimiser

POSITIVE = st.floats(0, 1e6, allow_nan=False)
NAMES = st.text(min_size=1)
TASKS = st.one_of(
    st.builds(Modular, formulas=st.lists(NAMES, min_size=1).map(tuple), modulus=st.integers(2, 1024)),
    st.builds(GroupTask, operation=NAMES, group=NAMES | st.just(((0, 1), (1, 0)))),
    st.builds(Parity, bits=st.integers(1), relevant_bits=st.integers(1), examples=st.integers(2)),
    st.builds(Boolean, bits=st.integers(1), function=NAMES),
    st.just(Digits()),
)
CONDITIONS = st.builds(
    Condition,
    task=TASKS,
    split=st.builds(
        Split,
        train_size=st.floats(0, 1, exclude_min=True, exclude_max=True) | st.integers(1),
        split_by=st.sampled_from(["pair", "example"]),
        split_seed=st.just("replica") | st.integers(0),
        label_noise=POSITIVE,
        label_seed=st.just("replica") | st.integers(0),
    ),
    model=st.builds(Model),
    optimiser=st.builds(
        Optimiser,
        learning_rate=POSITIVE,
        weight_decay=POSITIVE,
        beta1=POSITIVE,
        beta2=POSITIVE,
        epsilon=POSITIVE,
        momentum=POSITIVE,
        gradient_noise=POSITIVE,
        grokfast_alpha=POSITIVE,
        grokfast_lambda=POSITIVE,
        batch_size=st.one_of(st.integers(1, 10**6), st.just("full")),
    ),
    schedule=st.builds(
        Schedule,
        steps=st.integers(1, 10**6),
        checkpoints=st.builds(Spacing),
        metrics=st.builds(Spacing),
    ),
)


@given(CONDITIONS)
def test_a_condition_comes_back_from_json(setting):
    text = to_json(setting)
    assert from_json(Condition, text) == setting
    assert to_json(from_json(Condition, text)) == text


def test_json_is_flat_records_with_sorted_keys():
    found = to_json(model_settings())
    assert found == (
        '{"activation": "relu", "architecture": "transformer", "biases": "mlp", "d_mlp": 12, "d_model": 8, '
        '"initialisation": "normal", "inputs": "tokens", "n_heads": 2, "n_layers": 1, "normalisation": "none", '
        '"outputs": "classes", "positions": "learned"}'
    )
    assert list(json.loads(to_json(condition()))) == ["model", "optimiser", "schedule", "split", "task"]


def test_json_of_another_kind_or_an_unknown_option_is_refused():
    with pytest.raises(ValidationError):
        from_json(Optimiser, to_json(model_settings()))
    with pytest.raises(ValidationError, match="activation"):
        from_json(Model, to_json(dataclasses.replace(model_settings(), activation="tanh")))
    with pytest.raises(ValidationError, match="arithmetic"):
        from_json(Optimiser, to_json(optimiser_settings(arithmetic="fast")))


def test_json_without_a_key_is_refused():
    """A record has no defaults."""
    settings = json.loads(to_json(optimiser_settings()))
    del settings["arithmetic"]
    with pytest.raises(ValidationError, match="arithmetic"):
        from_json(Optimiser, json.dumps(settings))


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        condition().model.d_mlp = 3


def test_steps_at_a_worked_example():
    # 8⁰, 8^⅓, 8^⅔ = 1, 2, 4; every third below 8 = 0, 3, 6; and the last
    assert Spacing(log=3, every=3).steps(8) == [0, 1, 2, 3, 4, 6, 8]


@pytest.mark.parametrize(
    ("spacing", "last", "expected"),
    [
        (Spacing(log=1, every=100), 10, [0, 1, 10]),
        (Spacing(log=1, every=4), 8, [0, 1, 4, 8]),
        (Spacing(log=4, every=1000), 10_000, [0, 1, 10, 100, *range(1000, 10_001, 1000)]),
        (Spacing(log=30, every=50), 1, [0, 1]),
        (Spacing(log=1, every=1), 3, [0, 1, 2, 3]),
    ],
)
def test_steps_at_the_edges(spacing, last, expected):
    assert spacing.steps(last) == expected


@given(st.integers(1, 60), st.integers(1, 500), st.integers(1, 100_000))
def test_steps_ascend_from_zero_to_the_last_through_every_multiple(log, every, last):
    steps = Spacing(log, every).steps(last)
    assert steps[0] == 0
    assert steps[-1] == last
    assert all(before < after for before, after in itertools.pairwise(steps))
    assert set(range(0, last + 1, every)) <= set(steps)
    assert len(set(steps) - set(range(0, last, every)) - {last}) <= log


@pytest.mark.parametrize(
    ("how_many", "expected"),
    [
        (None, [0, 1, 3, 5, 10, 12, 20]),
        (1, [20]),
        (2, [0, 20]),
        (3, [0, 5, 20]),
        (4, [0, 3, 10, 20]),
        (7, [0, 1, 3, 5, 10, 12, 20]),
        (100, [0, 1, 3, 5, 10, 12, 20]),
    ],
)
def test_chosen_steps_are_even_by_position_with_both_ends(how_many, expected):
    assert evenly_chosen([0, 1, 3, 5, 10, 12, 20], how_many) == expected


def test_chosen_is_as_many_as_asked_without_repeats():
    for n in range(2, 60):
        steps = list(range(0, 7 * n, 7))
        for how_many in range(2, n + 1):
            found = evenly_chosen(steps, how_many)
            assert len(found) == len(set(found)) == how_many
            assert (found[0], found[-1]) == (steps[0], steps[-1])
            assert found == sorted(found)
