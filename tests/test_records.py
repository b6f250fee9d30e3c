"""Frozen records as JSON and back: equal settings give equal bytes, and wrong settings are refused."""

from __future__ import annotations

import dataclasses
import json

import pytest
from builders import condition, model_settings
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from general_circuits.models.settings import Model
from general_circuits.records import flat, from_json, to_json
from general_circuits.tasks.bits import Parity
from general_circuits.tasks.settings import Split


@dataclasses.dataclass(frozen=True)
class Walk:
    """A record that holds another one, a tuple and a value that may be missing."""

    split: Split
    steps: tuple[int, ...]
    name: str | None


SPLITS = st.builds(
    Split,
    train_size=st.floats(0, 1, exclude_min=True, exclude_max=True) | st.integers(1),
    split_by=st.sampled_from(["pair", "example"]),
    split_seed=st.just("replica") | st.integers(0),
    label_noise=st.floats(0, 1),
    label_noise_by=st.sampled_from(["example", "pair", "latin_square"]),
    label_seed=st.just("replica") | st.integers(0),
)
WALKS = st.builds(Walk, split=SPLITS, steps=st.lists(st.integers()).map(tuple), name=st.none() | st.text())


@given(WALKS)
def test_a_record_with_records_and_tuples_in_it_comes_back_from_json(walk):
    text = to_json(walk)
    assert from_json(Walk, text) == walk
    assert to_json(from_json(Walk, text)) == text


def test_json_has_sorted_keys_at_every_level():
    assert to_json(model_settings()) == (
        '{"activation": "relu", "architecture": "transformer", "biases": "mlp", "d_mlp": 12, "d_model": 8, '
        '"initialisation": "normal", "inputs": "tokens", "n_heads": 2, "n_layers": 1, "normalisation": "none", '
        '"outputs": "classes", "positions": "learned"}'
    )
    assert list(json.loads(to_json(condition()))) == ["model", "optimiser", "perturbation", "schedule", "split", "task"]


def test_records_that_are_equal_have_equal_json_whatever_made_them():
    read = from_json(Parity, '{"relevant_bits": 3, "family": "bits", "examples": 20, "bits": 5}')
    assert to_json(read) == to_json(Parity(5, 3, 20))


def test_json_of_another_kind_or_an_unknown_option_is_refused():
    with pytest.raises(ValidationError):
        from_json(Split, to_json(model_settings()))
    with pytest.raises(ValidationError, match="activation"):
        from_json(Model, to_json(dataclasses.replace(model_settings(), activation="tanh")))


def test_nested_settings_become_keys_with_dots():
    settings = {"model": {"d_mlp": 3, "norm": {"kind": "pre"}}, "steps": [1, 2]}
    assert flat(settings) == {"model.d_mlp": 3, "model.norm.kind": "pre", "steps": [1, 2]}


def test_flat_settings_stay_as_they_are_and_empty_ones_vanish():
    assert flat({"a": None, "b": 0}) == {"a": None, "b": 0}
    assert flat({"a": {}, "b": {"c": {}}}) == {}
