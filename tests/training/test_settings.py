"""Settings of training: records without defaults that survive JSON, rates, decaying weights, and ends of branches."""

from __future__ import annotations

import dataclasses
import json

import pytest
from builders import branch_of, condition, model_settings, optimiser_settings
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
from general_circuits.training.schedule import Schedule, Spacing
from general_circuits.training.settings import STEP, Branch, Condition, Optimiser

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
        label_noise_by=st.sampled_from(["example", "pair", "latin_square"]),
        label_seed=st.just("replica") | st.integers(0),
    ),
    model=st.builds(Model),
    perturbation=POSITIVE,
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


def test_a_branch_comes_back_from_json_with_its_parent():
    branch = branch_of(condition(), at="onset", lasts=5, then="stop", kick=0.1)
    assert from_json(Branch, to_json(branch)) == branch


def test_an_option_that_no_optimiser_has_is_refused():
    with pytest.raises(ValidationError):
        from_json(Optimiser, to_json(model_settings()))
    with pytest.raises(ValidationError, match="arithmetic"):
        from_json(Optimiser, to_json(optimiser_settings(arithmetic="fast")))


def test_settings_without_a_key_are_refused_since_records_have_no_defaults():
    settings = json.loads(to_json(optimiser_settings()))
    del settings["arithmetic"]
    with pytest.raises(ValidationError, match="arithmetic"):
        from_json(Optimiser, json.dumps(settings))


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        condition().model.d_mlp = 3


def test_without_a_warm_up_the_first_step_has_the_whole_rate():
    for warm_up in (0, 1):
        assert optimiser_settings(learning_rate=0.3, warm_up=warm_up).rate(0) == 0.3
    assert optimiser_settings(learning_rate=0.3, warm_up=3).rate(0) == pytest.approx(0.1)


def test_patterns_choose_decaying_weights_by_name_and_a_star_also_stands_for_dots():
    names = ["embed.W_E", "blocks.0.mlp.W_in", "blocks.0.mlp.b_in", "unembed.W_U"]
    assert optimiser_settings().decays(names) == set(names)
    assert optimiser_settings(decay_on=("*.W_in",)).decays(names) == {"blocks.0.mlp.W_in"}
    assert optimiser_settings(decay_on=("blocks.*", "embed.*")).decays(names) == set(names[:3])


def test_a_pattern_that_matches_no_weight_is_refused_though_another_one_matches():
    with pytest.raises(ValueError, match=r"decay_on = '\*.W_V': matches no weight of the network; it has W_U"):
        optimiser_settings(decay_on=("W_U", "*.W_V")).decays(["W_U"])


@pytest.mark.parametrize(
    ("then", "lasts", "last"), [("stop", 50, 150), ("stop", None, None), ("back", 50, None), ("anneal", 50, None)]
)
def test_only_a_branch_that_stops_ends_before_its_schedule_does(then, lasts, last):
    assert branch_of(condition(), lasts=lasts, then=then).last(start=100) == last


def test_a_place_in_a_run_is_a_step_by_number_and_nothing_else():
    assert STEP.fullmatch("step 1200")[1] == "1200"
    for text in ("step", "step -1", "step 1.5", "onset"):
        assert STEP.fullmatch(text) is None
