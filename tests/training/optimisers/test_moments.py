"""Running means of gradients: their names, their memory, and how they are restored."""

from __future__ import annotations

import pytest
import torch
from builders import optimiser_settings
from problems import random_weights

from general_circuits.training.optimisers.decay import decay_groups
from general_circuits.training.optimisers.moments import Moments


def moments(how_many: int, decay_on: str | tuple[str, ...] = "all") -> Moments:
    """Return running means of W (5, 7) and b (3)."""
    return Moments(decay_groups(optimiser_settings(decay_on=decay_on), random_weights(0)), how_many)


@pytest.mark.parametrize("how_many", [0, 1, 2])
def test_every_weight_has_so_many_moments_of_its_shape_which_are_zero(how_many):
    tensors = moments(how_many).tensors()
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        f"moment {i} of {weight}": shape for i in range(how_many) for weight, shape in (("W", (5, 7)), ("b", (3,)))
    }
    assert all((tensor == 0).all() for tensor in tensors.values())


def test_groups_of_decay_do_not_change_the_names():
    apart = moments(2, decay_on=("b",))
    assert [len(tensors) for group in apart.of_group for tensors in group] == [1, 1, 1, 1]
    assert apart.tensors().keys() == moments(2).tensors().keys()


def test_named_tensors_are_the_memory_that_the_rule_changes():
    ours = moments(2, decay_on=("b",))
    ours.of_group[0][1][0].fill_(7.0)  # the group that decays comes first
    assert ours.tensors()["moment 1 of b"].tolist() == [7.0, 7.0, 7.0]
    assert (ours.tensors()["moment 0 of b"] == 0).all()


def test_restoring_copies_into_the_same_memory():
    ours, state = moments(1), {name: torch.ones_like(tensor) for name, tensor in moments(1).tensors().items()}
    places = [tensor.data_ptr() for tensor in ours.tensors().values()]
    ours.restore(state)
    state["moment 0 of W"].fill_(9.0)
    assert [tensor.data_ptr() for tensor in ours.tensors().values()] == places
    assert all((tensor == 1).all() for tensor in ours.tensors().values())
