"""Restricted, excluded and unseen logits: they add up, and they tell a general circuit from a table."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from progress_builders import (
    MODULUS,
    examples_by_answer,
    general_network,
    permutations,
    random_logits,
    sums,
    table_network,
)

from general_circuits.measurements.progress.components import (
    ExamplesByAnswer,
    General,
    centred,
    energies,
    key_frequencies,
)
from general_circuits.measurements.progress.forces import answer
from general_circuits.models import predictions
from general_circuits.tasks.modular import Modular


def test_parts_add_up_and_are_orthogonal() -> None:
    examples = examples_by_answer()
    logits = random_logits(len(examples), MODULUS)
    parts = General.of(examples, logits).split(logits)
    assert torch.allclose(parts["restricted"] + parts["excluded"], parts["all"])
    assert torch.allclose((parts["restricted"] * parts["excluded"]).sum(), torch.zeros(()).double(), atol=1e-9)
    assert torch.allclose(parts["all"].mean(dim=1), torch.zeros(len(examples)).double())


def test_projecting_twice_is_projecting_once() -> None:
    for examples in (examples_by_answer(), examples_by_answer(*permutations())):
        logits = random_logits(len(examples), len(examples.classes))
        general = General.of(examples, logits)
        for part in (general.restricted, general.trig):
            assert torch.allclose(part(part(logits)), part(logits))


def test_the_restricted_part_is_a_least_squares_fit_of_fourier_waves() -> None:
    """Waves cos and sin of 2πk(x + y)/p explain exactly the restricted part of each class's logits."""
    examples = examples_by_answer()
    logits = random_logits(len(examples), MODULUS)
    general = General.of(examples, logits)
    total = (examples.tokens[:, 0] + examples.tokens[:, 1]).numpy()
    angle = 2 * np.pi * np.outer(total, general.frequencies) / MODULUS
    waves = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    fitted = waves @ np.linalg.lstsq(waves, centred(logits).numpy(), rcond=None)[0]
    assert np.allclose(general.restricted(logits).numpy(), fitted)


def test_trig_is_a_least_squares_fit_of_cosines_of_the_difference() -> None:
    examples = examples_by_answer()
    logits = random_logits(len(examples), MODULUS)
    general = General.of(examples, logits)
    difference = examples.tokens[:, :2].sum(dim=1, keepdim=True).numpy() - np.arange(MODULUS)  # (example, class)
    waves = np.stack([np.cos(2 * np.pi * k * difference / MODULUS).ravel() for k in general.frequencies], axis=1)
    fitted = waves @ np.linalg.lstsq(waves, centred(logits).numpy().ravel(), rcond=None)[0]
    assert np.allclose(general.trig(logits).numpy().ravel(), fitted)


def test_a_general_circuit_has_the_key_frequencies_that_it_was_built_with() -> None:
    examples, network = examples_by_answer(), general_network(frequencies=2)
    logits = answer(network, examples.tokens)
    general = General.of(examples, logits)
    assert general.frequencies == [1, 6]
    parts = general.split(logits)
    for name in ("restricted", "unseen", "trig"):
        assert (parts[name].argmax(dim=1) == examples.labels).all()
    assert energies(examples, logits)[1:-1].sum() < 1e-3 * energies(examples, logits).sum()


def test_a_table_has_a_restricted_part_but_none_on_unseen_examples() -> None:
    splits = sums()
    examples = examples_by_answer(splits)
    logits = answer(table_network(splits), examples.tokens)
    general = General.of(examples, logits)
    parts = general.split(logits)
    validation = examples.rows["validation"]
    assert (parts["restricted"][validation].argmax(dim=1) == examples.labels[validation]).all()
    assert parts["unseen"].abs().max() < 1e-9
    loss = predictions.loss(parts["unseen"][validation], examples.labels[validation])
    assert float(loss) == pytest.approx(math.log(MODULUS))
    assert len(general.frequencies) == 6  # all alike: no frequency is key


def test_random_labels_leave_a_restricted_part_no_larger_than_noise() -> None:
    """A table of random labels: its means over right answers are noise."""
    splits = sums()
    train = splits["train"]
    labels = torch.randint(MODULUS, train.labels.shape, generator=torch.Generator().manual_seed(0))
    splits["train"] = replace(train, labels=labels)
    examples = examples_by_answer(splits)
    logits = answer(table_network(splits), examples.tokens)
    parts = General.of(examples, logits).split(logits)
    share = parts["restricted"].square().sum() / parts["all"].square().sum()
    assert float(share) < 0.15  # noise in 12 of 169 dimensions is 0.07; with right labels it would be over 0.6


def test_multiplication_leaves_examples_with_answer_0_out() -> None:
    p = 7
    splits = sums(p)
    product = {
        name: replace(
            part, labels=part.tokens[:, 0] * part.tokens[:, 1] % p, targets=part.tokens[:, 0] * part.tokens[:, 1] % p
        )
        for name, part in splits.items()
    }
    examples = examples_by_answer(product, Modular(("x*y",), p))
    assert len(examples) == (p - 1) ** 2
    assert (examples.labels != 0).all()
    assert (examples.classes[examples.element] == examples.labels).all()
    assert {name: len(rows) for name, rows in examples.rows.items()} == {
        name: int((part.labels != 0).sum()) for name, part in product.items()
    }


def test_without_a_group_the_general_part_is_everything_that_depends_on_the_answer() -> None:
    examples = examples_by_answer()
    unknown = ExamplesByAnswer.of(sums(), None, MODULUS)
    logits = random_logits(len(examples), MODULUS)
    parts = General.of(unknown, logits).split(logits)
    means = unknown.by_answer(centred(logits))
    assert torch.allclose(parts["restricted"], (means - means.mean(dim=0))[unknown.element])
    assert "trig" not in parts


def test_key_frequencies_are_the_fewest_that_hold_95_percent() -> None:
    assert key_frequencies(np.array([1.0, 60.0, 0.0, 36.0, 3.0])) == [2, 4]
    assert key_frequencies(np.array([1.0, 60.0, 0.0, 34.0, 5.0])) == [2, 4, 5]
    assert key_frequencies(np.ones(20)) == list(range(1, 20))
    for odd in (np.zeros(3), np.full(3, np.nan)):
        assert len(key_frequencies(odd)) == 1  # a network that says nothing, or has diverged


def test_unseen_examples_have_no_mirror_image_that_trains() -> None:
    """A table of x + y answers by unordered pair: validation examples whose mirror image trains are not unseen."""
    examples = examples_by_answer(sums(by_pair=False))
    train, validation = (
        {tuple(pair) for pair in examples.tokens[rows][:, :2].tolist()} for rows in examples.rows.values()
    )
    unseen = {tuple(pair) for pair in examples.tokens[examples.unseen][:, :2].tolist()}
    assert unseen == {(a, b) for a, b in validation if (b, a) not in train}
    assert 0 < len(unseen) < len(validation)


def test_unseen_is_missing_where_an_answer_has_no_unseen_example() -> None:
    splits = sums()
    kept = splits["validation"].labels != 3
    few = {**splits, "validation": splits["validation"].some(torch.nonzero(kept).squeeze(1))}
    examples = examples_by_answer(few)
    logits = random_logits(len(examples), MODULUS)
    assert General.of(examples, logits).split(logits)["unseen"].isnan().all()


def test_classes_that_are_no_answer_leave_no_constant_in_the_general_part() -> None:
    """Some tasks have classes that are no answer, such as x². What all answers share is no part of the solution."""
    p = 7
    splits = {
        name: replace(part, labels=part.tokens[:, 0] ** 2 % p, targets=part.tokens[:, 0] ** 2 % p)
        for name, part in sums(p).items()
    }
    examples = ExamplesByAnswer.of(splits, None, p)
    assert examples.classes.tolist() == [0, 1, 2, 4]
    logits = torch.arange(p).double().expand(len(examples), p)
    assert General.of(examples, random_logits(len(examples), p)).restricted(logits).abs().max() < 1e-12
