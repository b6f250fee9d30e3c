"""Restricted and excluded logits: they add up, and tell a general circuit from a table."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from progress_builders import MODULUS, general_network, ground, permutations, random_logits, sums, table_network

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
    here = ground()
    logits = random_logits(len(here), MODULUS)
    parts = General.of(here, logits).split(logits)
    assert torch.allclose(parts["restricted"] + parts["excluded"], parts["all"])
    assert torch.allclose((parts["restricted"] * parts["excluded"]).sum(), torch.zeros(()).double(), atol=1e-9)
    assert torch.allclose(parts["all"].mean(dim=1), torch.zeros(len(here)).double())


def test_projecting_twice_is_projecting_once() -> None:
    for here in (ground(), ground(*permutations())):
        logits = random_logits(len(here), len(here.classes))
        general = General.of(here, logits)
        for part in (general.restricted, general.trig):
            assert torch.allclose(part(part(logits)), part(logits))


def test_the_fourier_transform_says_the_same() -> None:
    """Of x + y, the restricted part is what cos and sin of 2πk(x + y)/p explain of each class' logits."""
    here = ground()
    logits = random_logits(len(here), MODULUS)
    general = General.of(here, logits)
    total = (here.tokens[:, 0] + here.tokens[:, 1]).numpy()
    angle = 2 * np.pi * np.outer(total, general.frequencies) / MODULUS
    waves = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    fitted = waves @ np.linalg.lstsq(waves, centred(logits).numpy(), rcond=None)[0]
    assert np.allclose(general.restricted(logits).numpy(), fitted)


def test_trig_is_what_cosines_of_the_difference_explain() -> None:
    here = ground()
    logits = random_logits(len(here), MODULUS)
    general = General.of(here, logits)
    difference = here.tokens[:, :2].sum(dim=1, keepdim=True).numpy() - np.arange(MODULUS)  # (example, class)
    waves = np.stack([np.cos(2 * np.pi * k * difference / MODULUS).ravel() for k in general.frequencies], axis=1)
    fitted = waves @ np.linalg.lstsq(waves, centred(logits).numpy().ravel(), rcond=None)[0]
    assert np.allclose(general.trig(logits).numpy().ravel(), fitted)


def test_a_general_circuit_is_its_key_frequencies() -> None:
    here, network = ground(), general_network(frequencies=2)
    logits = answer(network, here.tokens)
    general = General.of(here, logits)
    assert general.frequencies == [1, 6]  # those it was built with
    parts = general.split(logits)
    for name in ("restricted", "unseen", "trig"):
        assert (parts[name].argmax(dim=1) == here.labels).all()
    assert energies(here, logits)[1:-1].sum() < 1e-3 * energies(here, logits).sum()


def test_a_table_has_a_restricted_part_but_none_on_unseen_examples() -> None:
    splits = sums()
    here = ground(splits)
    logits = answer(table_network(splits), here.tokens)
    general = General.of(here, logits)
    parts = general.split(logits)
    validation = here.rows["validation"]
    assert (parts["restricted"][validation].argmax(dim=1) == here.labels[validation]).all()
    assert parts["unseen"].abs().max() < 1e-9
    loss = predictions.loss(parts["unseen"][validation], here.labels[validation])
    assert float(loss) == pytest.approx(math.log(MODULUS))
    assert len(general.frequencies) == 6  # all alike: no frequency is key


def test_random_labels_leave_nothing_that_depends_on_right_answers() -> None:
    """A table of wrong labels, drawn evenly: what its mean says of the right answers is noise."""
    splits = sums()
    train = splits["train"]
    labels = torch.randint(MODULUS, train.labels.shape, generator=torch.Generator().manual_seed(0))
    splits["train"] = replace(train, labels=labels)
    here = ground(splits)
    logits = answer(table_network(splits), here.tokens)
    parts = General.of(here, logits).split(logits)
    share = parts["restricted"].square().sum() / parts["all"].square().sum()
    assert float(share) < 0.15  # 12 of 169 dimensions are 0.07; of right labels it would be over 0.6


def test_multiplication_leaves_examples_with_answer_0_out() -> None:
    p = 7
    splits = sums(p)
    product = {
        name: replace(
            part, labels=part.tokens[:, 0] * part.tokens[:, 1] % p, targets=part.tokens[:, 0] * part.tokens[:, 1] % p
        )
        for name, part in splits.items()
    }
    here = ground(product, Modular(("x*y",), p))
    assert len(here) == (p - 1) ** 2
    assert (here.labels != 0).all()
    assert (here.classes[here.element] == here.labels).all()
    assert {name: len(rows) for name, rows in here.rows.items()} == {
        name: int((part.labels != 0).sum()) for name, part in product.items()
    }


def test_where_no_group_is_known_the_general_part_is_all_that_depends_on_the_answer() -> None:
    here = ground()
    unknown = ExamplesByAnswer.of(sums(), None, MODULUS)
    logits = random_logits(len(here), MODULUS)
    parts = General.of(unknown, logits).split(logits)
    means = unknown.by_answer(centred(logits))
    assert torch.allclose(parts["restricted"], (means - means.mean(dim=0))[unknown.element])
    assert "trig" not in parts


def test_key_frequencies_are_the_fewest_that_hold_95_percent() -> None:
    assert key_frequencies(np.array([1.0, 60.0, 0.0, 36.0, 3.0])) == [2, 4]
    assert key_frequencies(np.array([1.0, 60.0, 0.0, 34.0, 5.0])) == [2, 4, 5]
    assert key_frequencies(np.ones(20)) == list(range(1, 20))
    for odd in (np.zeros(3), np.full(3, np.nan)):
        assert len(key_frequencies(odd)) == 1  # of a network that says nothing, or has diverged


def test_a_table_split_by_example_knows_mirror_images_and_unseen_leaves_them_out() -> None:
    """Of x + y in a table of unordered pairs: validation examples whose mirror image trains are no unseen ones."""
    here = ground(sums(by_pair=False))
    train, validation = ({tuple(pair) for pair in here.tokens[rows][:, :2].tolist()} for rows in here.rows.values())
    unseen = {tuple(pair) for pair in here.tokens[here.unseen][:, :2].tolist()}
    assert unseen == {(a, b) for a, b in validation if (b, a) not in train}
    assert 0 < len(unseen) < len(validation)


def test_unseen_is_missing_where_an_answer_has_no_unseen_example() -> None:
    splits = sums()
    kept = splits["validation"].labels != 3
    few = {**splits, "validation": splits["validation"].some(torch.nonzero(kept).squeeze(1))}
    here = ground(few)
    logits = random_logits(len(here), MODULUS)
    assert General.of(here, logits).split(logits)["unseen"].isnan().all()


def test_classes_that_are_no_answer_leave_no_constant_in_the_general_part() -> None:
    """x² + xy + y² and others have answers that never occur: what all logits share is no part of the solution."""
    p = 7
    splits = {
        name: replace(part, labels=part.tokens[:, 0] ** 2 % p, targets=part.tokens[:, 0] ** 2 % p)
        for name, part in sums(p).items()
    }
    here = ExamplesByAnswer.of(splits, None, p)
    assert here.classes.tolist() == [0, 1, 2, 4]
    logits = torch.arange(p).double().expand(len(here), p)
    assert General.of(here, random_logits(len(here), p)).restricted(logits).abs().max() < 1e-12
