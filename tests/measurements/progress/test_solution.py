"""Groups that tasks' answers are in, and the operands' places in them."""

from __future__ import annotations

import numpy as np
import pytest

from general_circuits.measurements.progress.solution import NONE, Solution, find
from general_circuits.tasks import bits, groups, modular
from general_circuits.tasks.bits import Parity
from general_circuits.tasks.groups import GroupTask
from general_circuits.tasks.modular import Modular
from general_circuits.tasks.settings import Task


def found(task: Task) -> tuple[Solution | None, np.ndarray, np.ndarray]:
    make = {"modular": modular.generate, "groups": groups.generate, "bits": bits.generate}[task.family]
    table = make(task)  # type: ignore[operator]
    inputs, target = table.inputs.astype(np.int64), table.target.astype(np.int64)
    return find(task, inputs, target), inputs, target


@pytest.mark.parametrize("formula", ["x+y", "x-y", "3*x+2*y+1", "x^3+y"])
def test_sums_are_in_the_additive_group(formula: str) -> None:
    solution, inputs, target = found(Modular((formula,), 11))
    assert solution is not None
    assert solution.element.tolist() == list(range(11))
    assert solution.operands is not None
    u, v = solution.operands
    assert ((u[inputs[:, 0]] + v[inputs[:, 1]]) % 11 == target).all()


@pytest.mark.parametrize("formula", ["x*y", "x/y", "x*y^3"])
def test_products_are_in_the_multiplicative_group_without_0(formula: str) -> None:
    solution, inputs, target = found(Modular((formula,), 11))
    assert solution is not None
    assert solution.element[0] == NONE
    assert len(solution.parts[0].basis) == 10
    assert solution.operands is not None
    u, v = solution.operands
    known = target != 0
    product = (u[inputs[known, 0]] + 1) * (v[inputs[known, 1]] + 1) % 11
    assert (product == target[known]).all()


def test_squares_add_but_are_not_one_to_one() -> None:
    solution, _, _ = found(Modular(("x^2+y^2",), 11))
    assert solution is not None
    assert solution.operands is None


@pytest.mark.parametrize("formulas", [("x^2+x*y+y^2",), ("x^3+x*y",), ("x+y", "x-y")])
def test_answers_that_no_group_makes_have_none(formulas: tuple[str, ...]) -> None:
    assert found(Modular(formulas, 11))[0] is None


@pytest.mark.parametrize("formula", ["x^2*y^2", "x^2"])
def test_a_group_of_which_some_element_is_never_the_answer_is_none(formula: str) -> None:
    assert found(Modular((formula,), 11))[0] is None


@pytest.mark.parametrize("formula", ["1/x+y", "x+1/y"])
def test_operands_that_miss_an_element_have_no_place_in_the_group(formula: str) -> None:
    solution, _, _ = found(Modular((formula,), 11))
    assert solution is not None
    assert solution.operands is None


def test_products_modulo_a_composite_number_are_in_no_group() -> None:
    assert found(Modular(("x*y",), 12))[0] is None


def test_composition_is_in_its_group_and_conjugation_has_no_operands() -> None:
    for operation, has_operands in (("x*y", True), ("x*y*x^-1", False)):
        solution, inputs, target = found(GroupTask(operation, "S3"))
        assert solution is not None
        assert (solution.operands is not None) == has_operands
    composed, inputs, target = found(GroupTask("x*y", "S4"))
    assert composed is not None
    assert composed.operands is not None
    u, v = composed.operands
    assert (groups.multiplication("S4")[u[inputs[:, 0]], v[inputs[:, 1]]] == target).all()


def test_tasks_without_operands_have_no_group() -> None:
    assert found(Parity(6, 2, 30))[0] is None
