"""Modules trained apart: what each knows, and that it is kept as it is."""

from __future__ import annotations

import numpy as np
import torch
from duel_builders import ground, modules, small

from general_circuits.duels import module_training
from general_circuits.duels.module_training import ModuleGroup
from general_circuits.duels.stacked_networks import Modules


def test_memorisers_know_their_part_and_nothing_else() -> None:
    rows = module_training.quality(modules(), ground(), 0)
    memorisers = rows[rows["kind"] != "generaliser"]
    assert (memorisers["accuracy"] == 1).all()
    assert (memorisers["elsewhere"] < 0.3).all()  # of eleven classes
    assert memorisers["elsewhere"].mean() < 0.2
    assert memorisers["validation_accuracy"].mean() < 0.35
    assert memorisers.groupby(["kind", "parts", "label_noise"])["examples"].sum().eq(80).all()


def test_generalisers_solve_everything() -> None:
    rows = module_training.quality(modules(), ground(), 0)
    generalisers = rows[rows["kind"] == "generaliser"]
    assert len(generalisers) == 2
    assert (generalisers["accuracy"] == 1).all()
    assert (generalisers["validation_accuracy"] == 1).all()


def test_a_memoriser_of_one_of_k_parts_has_a_kth_of_the_root_of_the_neurons() -> None:
    assert [module_training.width(128, parts) for parts in (1, 4, 16, 64)] == [128, 64, 32, 16]
    rows = module_training.quality(modules(), ground(), 0).set_index(["kind", "parts"])["neurons"]
    assert set(rows.loc["memoriser", 4]) == {32}


def test_wrong_labels_are_wrong_and_more_noise_adds_to_less() -> None:
    clean, some, more = (ground().labels(noise, 3) for noise in (0.0, 0.25, 0.5))
    assert torch.equal(clean, ground().targets[:80])
    assert [int((labels != clean).sum()) for labels in (some, more)] == [20, 40]
    assert torch.equal(more[some != clean], some[some != clean])


def test_parts_are_of_equal_size_and_one_for_each_example() -> None:
    counts = torch.bincount(ground().parts(3, 0))
    assert counts.sum() == 80
    assert set(counts.tolist()) == {26, 27}


def test_stacked_networks_answer_as_each_does_alone() -> None:
    memorisers = modules()[ModuleGroup("memoriser", 4, 0.0)]
    stacked = memorisers.answer(ground().tokens)
    for number in range(4):
        network = memorisers.network
        network.load_state_dict({name: weight[number] for name, weight in memorisers.weights.items()})
        with torch.no_grad():
            assert torch.allclose(network.answer(ground().tokens), stacked[number], atol=1e-5)


def test_neurons_in_another_order_are_the_same_function() -> None:
    general = modules()[ModuleGroup("generaliser", 1, 0.0)]
    other = general.permuted(torch.Generator().manual_seed(0))
    assert not torch.equal(general.tensors[0], other.tensors[0])
    assert torch.allclose(general.answer(ground().tokens), other.answer(ground().tokens), atol=1e-4)
    assert torch.allclose(general.norms(), other.norms(), rtol=1e-6)


def test_a_scale_in_the_readout_scales_the_answer() -> None:
    general = modules()[ModuleGroup("generaliser", 1, 0.0)]
    tokens = ground().tokens
    assert torch.allclose(general.scaled(3.0).answer(tokens), 3 * general.answer(tokens), rtol=1e-4, atol=1e-3)


def test_modules_can_be_any_network() -> None:
    """Drawn, stacked, permuted and stepped: a transformer and a perceptron with biases."""
    for preset, options in (("nanda", {"d_model": 16, "n_heads": 2}), ("mlp", {"n_layers": 2})):
        how, _ = small(preset=preset, d_mlp=16, memory_steps=2, general_steps=2, **options)
        found = module_training.plant(how, ground(), 0, lambda line: None)
        generaliser = found[ModuleGroup("generaliser", 1, 0.0)]
        assert isinstance(generaliser, Modules)
        answers = generaliser.answer(ground().tokens)
        permuted = generaliser.permuted(torch.Generator().manual_seed(1)).answer(ground().tokens)
        assert answers.shape == (2, 121, 11)
        assert np.allclose(answers, permuted, atol=1e-4)
