"""Modules trained apart: memorisers know their part, generalisers know everything."""

from __future__ import annotations

import numpy as np
import torch
from duel_builders import examples, modules, small

from general_circuits.duels import module_training
from general_circuits.duels.module_training import ModuleGroup
from general_circuits.duels.stacked_networks import Modules


def test_memorisers_know_their_part_and_nothing_else() -> None:
    rows = module_training.quality(modules(), examples(), 0)
    memorisers = rows[rows["kind"] != "generaliser"]
    assert (memorisers["accuracy"] == 1).all()
    assert (memorisers["elsewhere"] < 0.3).all()  # of eleven classes
    assert memorisers["elsewhere"].mean() < 0.2
    assert memorisers["validation_accuracy"].mean() < 0.35
    assert memorisers.groupby(["kind", "parts", "label_noise"])["examples"].sum().eq(80).all()


def test_generalisers_solve_everything() -> None:
    rows = module_training.quality(modules(), examples(), 0)
    generalisers = rows[rows["kind"] == "generaliser"]
    assert len(generalisers) == 2
    assert (generalisers["accuracy"] == 1).all()
    assert (generalisers["validation_accuracy"] == 1).all()


def test_a_memoriser_of_one_of_k_parts_has_one_over_root_k_of_the_neurons() -> None:
    assert [module_training.width(128, parts) for parts in (1, 4, 16, 64)] == [128, 64, 32, 16]
    rows = module_training.quality(modules(), examples(), 0).set_index(["kind", "parts"])["neurons"]
    assert set(rows.loc["memoriser", 4]) == {32}


def test_more_label_noise_keeps_all_wrong_labels_of_less_noise() -> None:
    clean, some, more = (examples().labels(noise, 3) for noise in (0.0, 0.25, 0.5))
    assert torch.equal(clean, examples().targets[:80])
    assert [int((labels != clean).sum()) for labels in (some, more)] == [20, 40]
    assert torch.equal(more[some != clean], some[some != clean])


def test_parts_differ_in_size_by_one_example_at_most() -> None:
    counts = torch.bincount(examples().parts(3, 0))
    assert counts.sum() == 80
    assert set(counts.tolist()) == {26, 27}


def test_modules_can_be_any_network() -> None:
    """Draw, stack, permute and step a transformer, and a perceptron with biases."""
    for preset, options in (("nanda", {"d_model": 16, "n_heads": 2}), ("mlp", {"n_layers": 2})):
        how, _ = small(preset=preset, d_mlp=16, memory_steps=2, general_steps=2, **options)
        planted = module_training.plant(how, examples(), 0, lambda line: None)
        generaliser = planted[ModuleGroup("generaliser", 1, 0.0)]
        assert isinstance(generaliser, Modules)
        answers = generaliser.answer(examples().tokens)
        permuted = generaliser.permuted(torch.Generator().manual_seed(1)).answer(examples().tokens)
        assert answers.shape == (2, 121, 11)
        assert np.allclose(answers, permuted, atol=1e-4)


def test_groups_are_each_trained_once_and_have_memorisers_of_every_number_of_parts() -> None:
    how, _ = small(parts=[1, 4], label_noises=[0.0, 0.1])
    groups = [tuple(group) for group in module_training.module_groups(how)]
    assert groups == [
        ("generaliser", 1, 0.0),
        ("memoriser", 1, 0.0),
        ("memoriser", 4, 0.0),
        ("memoriser", 4, 0.1),
        ("rival_memoriser", 1, 0.0),
    ]
