"""Movement between two checkpoints, divided into updates and decay, against the steps of real training."""

from __future__ import annotations

import pytest
import torch
from builders import VOCABULARY, addition, condition, model_settings, optimiser_settings, random_transformer
from torch import Tensor

from general_circuits.measurements.updates import movement
from general_circuits.models.network import Network, Place
from general_circuits.training.optimisers.updater import Updater
from general_circuits.training.replica import Replica
from general_circuits.training.settings import Optimiser

APART = [
    {"optimiser": "adamw"},
    {"optimiser": "adam", "decay": "decoupled"},
    {"optimiser": "sgd", "momentum": 0.9},
    {"optimiser": "sgd", "decay": "coupled"},
]
NOT_APART = [
    {"optimiser": "adam", "decay": "coupled"},
    {"optimiser": "sgd", "decay": "coupled", "momentum": 0.9},
    {"optimiser": "line_search", "decay": "coupled"},
    {"optimiser": "lbfgs", "decay": "coupled"},
]


def no_loss(sets_gradients: bool) -> Tensor:
    raise AssertionError("the loss was evaluated again")


class Given:
    """A network that an updater trains on given gradients, as `Replica` does on its own."""

    def __init__(self, settings: Optimiser) -> None:
        self.model = random_transformer(n_layers=2)
        self.updater = Updater(settings, dict(self.model.named_parameters()), seed=0)
        self.step = 0

    def take(self, seed: int | None) -> None:
        """Take one step on random gradients, or on zeros if there is no seed."""
        generator = torch.Generator().manual_seed(seed or 0)
        for weight in self.model.parameters():
            gradient = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
            weight.grad = torch.zeros_like(weight) if seed is None else gradient
        self.updater.step(self.step, no_loss)
        self.step += 1


def by_neuron(model: Network, place: Place) -> Tensor:
    """Return copies of all weights of each neuron in a row, (neuron, weight)."""
    mlp = model.blocks[place.layer].mlp
    return torch.cat([mlp.W_in.T, mlp.b_in[:, None], mlp.W_out], dim=1).detach().clone()


def norms(settings: Optimiser, model: Network, before: movement.Weights, place: Place, start: int, end: int):
    decayed = settings.decays(name for name, _ in model.named_parameters())
    return movement.norms(before, movement.weights_of(model, place), decayed, settings, start, end)


@pytest.mark.parametrize("changes", APART)
@pytest.mark.parametrize("layer", [0, 1])
def test_without_gradients_there_is_decay_alone(changes, layer):
    """Through a warm-up of 3 steps, decay leaves (1 − ηλ/3)(1 − 2ηλ/3)(1 − ηλ)² of the weights."""
    settings, place = optimiser_settings(**changes), Place(layer)
    run = Given(settings)
    before, weights = movement.weights_of(run.model, place), by_neuron(run.model, place)
    for _ in range(4):
        run.take(seed=None)
    update, decay = norms(settings, run.model, before, place, 0, 4)
    assert update.max() < 1e-14
    shrink = settings.learning_rate * settings.weight_decay
    left = (1 - shrink / 3) * (1 - 2 * shrink / 3) * (1 - shrink) ** 2
    torch.testing.assert_close(decay, (1 - left) * weights.norm(dim=1), rtol=1e-11, atol=0)


@pytest.mark.parametrize("changes", APART)
def test_updates_are_the_steps_made_without_decay_each_shrunk_by_later_decay(changes):
    """A twin without decay gets the same gradients, from step 2 of the warm-up on."""
    settings, place = optimiser_settings(**changes), Place(1)
    run, twin = Given(settings), Given(optimiser_settings(**changes, weight_decay=0.0))
    seeds = range(1, 6)
    start, expected = 2, torch.zeros_like(by_neuron(run.model, place))
    for seed in seeds:
        if run.step == start:
            before = movement.weights_of(run.model, place)
        last = by_neuron(twin.model, place)
        for one in (run, twin):
            one.take(seed)
        if run.step > start:
            shrunk = 1 - settings.rate(run.step - 1) * settings.weight_decay
            expected = shrunk * expected + by_neuron(twin.model, place) - last
    update, _ = norms(settings, run.model, before, place, start, run.step)
    torch.testing.assert_close(update, expected.norm(dim=1), rtol=1e-10, atol=0)


@pytest.mark.parametrize("changes", [{}, {"decay_on": ("*.W_out", "embed.*")}, {"gradient_noise": 0.1}])
def test_after_one_step_of_a_replica_the_update_is_what_it_would_have_been_without_decay(changes):
    """Both continue from one state of AdamW, and differ only by how float32 rounds the weights."""
    plain = {"arithmetic": "plain", "model": model_settings(n_layers=2), **changes}
    run, twin = (
        Replica(condition(**plain, weight_decay=decay), addition(), VOCABULARY, seed=0) for decay in (0.5, 0.0)
    )
    for _ in range(5):
        run.update(is_observed=False)
    twin.restore(run.state())
    settings, places = condition(**plain, weight_decay=0.5).optimiser, run.model.places(["mlp"])
    starts = {place: (movement.weights_of(run.model, place), by_neuron(run.model, place)) for place in places}
    run.update(is_observed=False)
    twin.update(is_observed=False)
    for place, (before, start) in starts.items():
        update, decay = norms(settings, run.model, before, place, 5, 6)
        without = (by_neuron(twin.model, place) - start).double()
        torch.testing.assert_close(update, without.norm(dim=1), rtol=1e-4, atol=1e-6)
        decaying = settings.decays(name for name, _ in run.model.named_parameters())
        shrunk = torch.cat([weight for name, weight in before.items() if name in decaying], dim=1).double()
        shrink = settings.rate(5) * settings.weight_decay
        torch.testing.assert_close(decay, shrink * shrunk.norm(dim=1), rtol=1e-10, atol=0)


@pytest.mark.parametrize("changes", NOT_APART)
def test_updates_and_decay_are_missing_if_they_cannot_be_told_apart(changes):
    settings, model = optimiser_settings(**changes), random_transformer(n_layers=2)
    before = movement.weights_of(model, Place(0))
    assert all(found.isnan().all() for found in norms(settings, model, before, Place(0), 0, 5))


@pytest.mark.parametrize("changes", NOT_APART)
@pytest.mark.parametrize("kind", [{"weight_decay": 0.0}, {"decay_on": ("unembed.*", "blocks.1.*")}])
def test_if_none_of_a_neurons_weights_decays_its_movement_is_all_updates(changes, kind):
    settings, model = optimiser_settings(**changes, **kind), random_transformer(n_layers=2)
    before, start = movement.weights_of(model, Place(0)), by_neuron(model, Place(0))
    with torch.no_grad():
        for weight in model.parameters():
            weight += torch.linspace(-1, 1, weight.numel(), dtype=weight.dtype).view_as(weight)
    update, decay = norms(settings, model, before, Place(0), 0, 5)
    torch.testing.assert_close(update, (by_neuron(model, Place(0)) - start).norm(dim=1))
    assert not decay.any()


def test_copies_stay_as_they_are_when_the_network_is_filled_anew():
    model = random_transformer()
    before, weights = movement.weights_of(model, Place(0)), by_neuron(model, Place(0))
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    assert torch.equal(torch.cat(list(before.values()), dim=1), weights)
