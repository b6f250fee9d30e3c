"""The rows that the registered definitions read."""

from __future__ import annotations

import pandas as pd

from general_circuits.registered import registered_rows


def frame(**columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"condition": "grokking", "split": "train", "layer": 0, **columns})


def test_training_examples_and_the_registered_method_are_kept() -> None:
    rows = frame(
        split=["train", "validation", "train"],
        method=["activation_gradient", "activation_gradient", "integrated_gradients"],
    )
    assert registered_rows(rows).index.tolist() == [0]


def test_a_table_without_methods_is_read_whole() -> None:
    assert len(registered_rows(frame(step=[0, 1, 2]))) == 3


def test_the_last_layer_is_each_conditions_own() -> None:
    rows = frame(condition=["deep", "deep", "shallow", "grokking"], layer=[0, 1, 0, 0])
    for given in (rows, rows.astype({"condition": "category"})):
        assert registered_rows(given).index.tolist() == [1, 2, 3]
