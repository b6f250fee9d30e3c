"""Numbers of inputs, symbols and classes of tasks, worked out by hand."""

from __future__ import annotations

import pytest

from general_circuits.tasks import registry
from general_circuits.tasks.bits import Boolean, Parity
from general_circuits.tasks.digits import Digits
from general_circuits.tasks.groups import GroupTask
from general_circuits.tasks.modular import Modular
from general_circuits.tasks.settings import Task
from general_circuits.tasks.vocabulary import Vocabulary


@pytest.mark.parametrize(
    ("task", "vocabulary"),
    [
        (Modular(("x+y",), 97), Vocabulary(n_inputs=2, n_symbols=97, n_classes=97)),
        (Modular(("x*y", "x-y"), 12), Vocabulary(n_inputs=2, n_symbols=12, n_classes=12)),
        (Modular(("x/y",), 5), Vocabulary(n_inputs=2, n_symbols=5, n_classes=5)),  # 0 is no divisor, but a symbol
        (GroupTask("x*y", "S4"), Vocabulary(n_inputs=2, n_symbols=24, n_classes=24)),
        (GroupTask("x*y", "D7"), Vocabulary(n_inputs=2, n_symbols=14, n_classes=14)),
        (Parity(40, 3, 50), Vocabulary(n_inputs=40, n_symbols=2, n_classes=2)),
        (Boolean(3, "and"), Vocabulary(n_inputs=3, n_symbols=2, n_classes=2)),
        (Digits(), Vocabulary(n_inputs=64, n_symbols=17, n_classes=10)),  # 8 × 8 pixels from 0 to 16
    ],
    ids=repr,
)
def test_a_tasks_vocabulary(task: Task, vocabulary: Vocabulary) -> None:
    assert registry.generate(task).vocabulary == vocabulary
    assert registry.n_inputs(task) == vocabulary.n_inputs
