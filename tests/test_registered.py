"""Rows that the registered definitions read."""

from __future__ import annotations

import pandas as pd

from general_circuits.registered import REGISTERED, SHARE, registered_rows, rows_of


def frame(**columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"condition": "grokking", "split": "train", "layer": 0, **columns})


def test_training_examples_and_the_registered_method_are_kept() -> None:
    rows = frame(
        split=["train", "validation", "train"],
        method=["activation_gradient", "activation_gradient", "integrated_gradients"],
    )
    assert registered_rows(rows).index.tolist() == [0]


def test_all_rows_of_a_table_without_methods_are_kept() -> None:
    assert len(registered_rows(frame(step=[0, 1, 2]))) == 3


def test_only_each_conditions_last_layer_is_kept() -> None:
    rows = frame(condition=["deep", "deep", "shallow", "grokking"], layer=[0, 1, 0, 0])
    for given in (rows, rows.astype({"condition": "category"})):
        assert registered_rows(given).index.tolist() == [1, 2, 3]


def test_rows_are_kept_if_all_their_values_match() -> None:
    rows = frame(site=["mlp", "mlp", "heads", "mlp"], step=[0, 10, 10, 10])
    assert rows_of(rows, site="mlp", step=10).index.tolist() == [1, 3]
    assert rows_of(rows).index.tolist() == [0, 1, 2, 3]


def test_the_registered_choices_are_pinned() -> None:
    """Claims were registered with these: a change here makes every verdict another one."""
    assert REGISTERED == {
        "split": "train",
        "site": "mlp",
        "method": "activation_gradient",
        "target": "right_minus_mean",
        "normalisation": "raw",
    }
    assert SHARE == 0.25
