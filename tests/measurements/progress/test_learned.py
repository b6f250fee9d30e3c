"""The general solution of a replica, read from networks built by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from builders import condition
from progress_builders import MODULUS, general_network, sums, table_network

from general_circuits.measurements.progress import learned
from general_circuits.models.network import Network
from general_circuits.tasks.examples import Examples
from general_circuits.tasks.modular import Modular
from general_circuits.tasks.vocabulary import Vocabulary
from general_circuits.training.settings import Condition

VOCABULARY = Vocabulary(2, MODULUS, MODULUS)


def adding(formula: str = "x+y") -> Condition:
    return dataclasses.replace(condition(), task=Modular((formula,), MODULUS))


def diverged() -> Network:
    """A network whose logits are all NaN."""
    network = general_network()
    with torch.no_grad():
        network.unembed.W_U.fill_(torch.nan)
    return network


def test_a_general_circuit_has_the_frequencies_that_it_was_built_with() -> None:
    general = learned.general(adding(), sums(), VOCABULARY, [(10, general_network(frequencies=2))])
    assert general.frequencies == [1, 6]
    assert general.basis.shape == (MODULUS, 4)  # a cosine and a sine of each
    assert len(general.examples) == MODULUS**2


def test_checkpoints_after_training_diverged_are_passed_over() -> None:
    splits = sums()
    backwards = [(30, diverged()), (20, diverged()), (10, general_network()), (0, table_network(splits))]
    assert learned.general(adding(), splits, VOCABULARY, backwards).frequencies == [1, 6]


def test_no_checkpoint_before_the_last_finite_one_is_read() -> None:
    steps: list[int] = []

    def backwards() -> Iterator[tuple[int, Network]]:
        for step, network in ((20, diverged()), (10, general_network()), (0, general_network())):
            steps.append(step)
            yield step, network

    learned.general(adding(), sums(), VOCABULARY, backwards())
    assert steps == [20, 10]


def test_a_run_that_always_diverged_has_one_frequency_by_default() -> None:
    general = learned.general(adding(), sums(), VOCABULARY, [(10, diverged()), (0, diverged())])
    assert len(general.frequencies) == 1


def squares(part: Examples) -> Examples:
    """The same operands with the answers of x² + xy + y²."""
    x, y = part.tokens[:, 0], part.tokens[:, 1]
    answers = (x * x + x * y + y * y) % MODULUS
    return dataclasses.replace(part, labels=answers, targets=answers)


def test_a_task_without_a_group_has_all_functions_of_the_answer_but_the_constant() -> None:
    splits = {name: squares(part) for name, part in sums().items()}
    general = learned.general(adding("x^2+x*y+y^2"), splits, VOCABULARY, [(10, general_network())])
    answers = splits["train"].targets.unique().tolist() + splits["validation"].targets.unique().tolist()
    assert general.frequencies == []
    assert general.examples.solution is None
    assert general.basis.shape == (len(set(answers)), len(set(answers)) - 1)
    assert general.basis.sum(dim=0).abs().max() < 1e-12


def test_forwards_a_branch_begins_with_frequencies_that_it_then_loses() -> None:
    networks = [(10, general_network(frequencies=2)), (60, general_network(frequencies=1))]
    assert learned.general(adding(), sums(), VOCABULARY, networks).frequencies == [1, 6]
    assert learned.general(adding(), sums(), VOCABULARY, networks[::-1]).frequencies == [1]
