"""Interventions against their definitions: kicks, masks, changed losses and changed gradients."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from builders import VOCABULARY, addition, branch_of, condition, random_questions
from torch import Tensor, nn

from general_circuits.models import predictions
from general_circuits.training import losses
from general_circuits.training.branch import Branched
from general_circuits.training.interventions import LARGEST, at_temperature, ignoring, kick_until
from general_circuits.training.replica import Replica

LEAVES = 7
"""Step at which a branch leaves its parent."""
DECAY_ALONE = {"optimiser": "sgd", "decay": "decoupled", "batch_size": "full"}


def branched(seed: int = 0, settings: dict[str, Any] | None = None, **how: Any) -> Branched:
    """Branch whose parent has the same settings, but always a weight decay of 0.5."""
    setting = condition(**(settings or {}))
    parent = Replica(condition(**{**(settings or {}), "weight_decay": 0.5}), addition(), VOCABULARY, seed)
    for _ in range(LEAVES):
        parent.update(is_observed=False)
    return Branched(parent, branch_of(setting, **how), setting, addition(), seed)


def weights(replica: Branched) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in replica.model.named_parameters()}


def accuracy(replica: Branched) -> float:
    train = addition()["train"]
    return float((predictions.margins(replica.model.answer(train.tokens), train.labels) > 0).double().mean())


@pytest.mark.parametrize("size", [0.01, 0.5])
def test_a_kick_moves_every_tensor_by_a_share_of_its_norm(size: float) -> None:
    before, after = weights(branched()), weights(branched(kick=size))
    for name, weight in before.items():
        torch.testing.assert_close((after[name] - weight).norm(), size * weight.norm(), rtol=1e-3, atol=1e-7)


def test_the_direction_of_a_kick_belongs_to_the_replica() -> None:
    """The direction is the same for every size, and another one for another replica."""
    start = weights(branched())
    small, large = (weights(branched(kick=size))["embed.W_E"] - start["embed.W_E"] for size in (0.1, 0.2))
    torch.testing.assert_close(2 * small, large, rtol=1e-3, atol=1e-6)
    other = weights(branched(seed=1, kick=0.1))["embed.W_E"] - weights(branched(seed=1))["embed.W_E"]
    assert abs(torch.cosine_similarity(small.flatten(), other.flatten(), dim=0)) < 0.5


@pytest.mark.parametrize("lowest", [0.0, 0.2, 0.5])
def test_a_kick_lowers_accuracy_to_its_target_and_by_at_most_one_example_more(lowest: float) -> None:
    parent = Replica(condition(), addition(), VOCABULARY, 0)
    for _ in range(400):
        parent.update(is_observed=False)
    kicked = Branched(parent, branch_of(condition(), kick="another"), condition(), addition(), 0, lowest)
    assert lowest - 1 / 15 - 1e-9 <= accuracy(kicked) <= lowest


def test_the_size_of_a_kick_is_the_smallest_that_suffices() -> None:
    """The tensor has norm 5, so a distance of 1.5 needs a size of 0.3."""
    start = torch.tensor([3.0, 4.0], dtype=torch.float64)
    moved = {"w": start.clone()}
    size = kick_until(lambda: bool((moved["w"] - start).norm() >= 1.5), moved, seed=0)
    assert 0.3 - 1e-12 <= size <= 0.3 + 1e-6
    assert (moved["w"] - start).norm().item() == pytest.approx(5 * size, rel=1e-12)


def test_a_kick_that_never_suffices_has_the_largest_size() -> None:
    moved = {"w": torch.tensor([3.0, 4.0], dtype=torch.float64)}
    assert kick_until(lambda: False, moved, seed=0) == LARGEST == 16.0


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_a_mask_holds_the_smallest_of_every_matrix_at_zero(share: float) -> None:
    start, ours = weights(branched()), branched(mask=share)
    for steps in range(3):
        for name, weight in weights(ours).items():
            is_zero = weight == 0
            if weight.dim() == 1:
                continue
            assert int(is_zero.sum()) == weight.numel() - round((1 - share) * weight.numel()), name
            assert start[name][is_zero].abs().max() <= start[name][~is_zero].abs().min()
            assert steps == 0 or not torch.equal(weight[~is_zero], start[name][~is_zero]), "the others train"
        ours.update(is_observed=False)


@pytest.mark.parametrize("name", losses.names())
@pytest.mark.parametrize(
    "change",
    [lambda loss: at_temperature(loss, 0.3), lambda loss: ignoring(loss, 0.25)],
    ids=["temperature", "ignoring"],
)
def test_gradients_of_changed_losses_are_autograds(name: str, change: Any) -> None:
    loss = change(losses.named(name))
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(12, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(5, (12,), generator=generator)
    (expected,) = torch.autograd.grad(loss.of_each(logits, labels).sum(), logits)
    torch.testing.assert_close(loss.gradient(logits.detach(), labels), expected)


def test_a_low_temperature_makes_the_same_logits_confident() -> None:
    logits, labels = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([0])
    for temperature in (1.0, 0.5, 0.1):
        expected = losses.named("cross_entropy").mean(logits / temperature, labels)
        assert at_temperature(losses.named("cross_entropy"), temperature).mean(logits, labels) == expected
    assert at_temperature(losses.named("cross_entropy"), 0.1).mean(logits, labels) < 1e-7


def test_learned_examples_have_no_part_in_the_loss() -> None:
    """The label has probability 0.9, 0.5, 0.5 and 0.1. Only the last is below 0.4, and the mean is still over four."""
    p = torch.tensor([0.9, 0.5, 0.5, 0.1], dtype=torch.float64)
    logits = torch.stack([p.log(), (1 - p).log()], dim=1)
    loss = ignoring(losses.named("cross_entropy"), 0.4).mean(logits, torch.zeros(4, dtype=torch.long))
    assert loss.item() == pytest.approx(-torch.tensor(0.1).log().item() / 4, rel=1e-6)


def test_metrics_report_the_unchanged_loss() -> None:
    plain, ours = branched(), branched(temperature=0.1, ignore_above=0.1)
    torch.testing.assert_close(plain.evaluate(), ours.evaluate(), rtol=0, atol=0, equal_nan=True)


def test_without_a_gradient_only_decay_is_left() -> None:
    """Every step multiplies each weight by 1 − rate × decay = 1 − 0.01 × 0.5."""
    ours = branched(settings=DECAY_ALONE, noise_instead=0.0)
    start = weights(ours)
    for _ in range(20):
        ours.update(is_observed=False)
    for name, weight in weights(ours).items():
        torch.testing.assert_close(weight, start[name] * (1 - 0.01 * 0.5) ** 20, rtol=1e-5, atol=1e-9)


def total_displacement(start: dict[str, Tensor], replica: Branched) -> dict[str, Tensor]:
    return {name: (weight - start[name]).norm() for name, weight in weights(replica).items()}


NOISE_ALONE = {**DECAY_ALONE, "weight_decay": 0.0}
MINIBATCH = {"noise_instead": 0.5, "noise_examples": 3, "lasts": 30}


def test_gaussian_noise_moves_every_tensor_exactly_as_far_as_decay_in_all() -> None:
    """The branch begins in the warm-up, so that its rates differ. In each replica, both distances are equal."""
    for seed in range(2):
        by_decay = branched(seed, DECAY_ALONE | {"warm_up": 20}, noise_instead=0.0, lasts=30)
        by_noise = branched(seed, NOISE_ALONE | {"warm_up": 20}, noise_instead=0.5, lasts=30)
        start = weights(by_decay)
        for _ in range(30):
            by_decay.update(is_observed=False)
            by_noise.update(is_observed=False)
        moved, expected = total_displacement(start, by_noise), total_displacement(start, by_decay)
        for name, size in moved.items():
            torch.testing.assert_close(size, expected[name], rtol=1e-3, atol=1e-7, msg=name)


@pytest.mark.parametrize("arithmetic", ["plain", "reduced"])
def test_noise_of_minibatches_moves_all_weights_together_exactly_as_far_as_decay(arithmetic: str) -> None:
    by_decay = branched(settings={**DECAY_ALONE, "arithmetic": arithmetic}, noise_instead=0.0, lasts=30)
    by_noise = branched(settings={**NOISE_ALONE, "arithmetic": arithmetic}, **MINIBATCH)
    start = weights(by_decay)
    for _ in range(30):
        by_decay.update(is_observed=False)
        by_noise.update(is_observed=False)
    lengths = [torch.stack([*total_displacement(start, ours).values()]).norm() for ours in (by_decay, by_noise)]
    torch.testing.assert_close(*lengths, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("how", [{"noise_instead": 0.5, "lasts": 30}, MINIBATCH])
def test_a_walk_goes_on_from_a_state_to_the_same_bytes(how: dict[str, Any]) -> None:
    whole, resumed = (branched(settings=NOISE_ALONE, **how) for _ in range(2))
    for step in range(20):
        if step == 8:
            state = copy.deepcopy(whole.state())
        whole.update(is_observed=False)
    resumed.restore(state)
    for _ in range(12):
        resumed.update(is_observed=False)
    for name, weight in weights(whole).items():
        assert torch.equal(weight, weights(resumed)[name]), name


def test_batch_noise_is_as_large_as_the_difference_between_batches() -> None:
    """The mean squared distance from the full gradient, over many draws, is the same in every tensor."""
    ours = branched(settings={"batch_size": "full"}, batch_noise=4).current
    assert ours.intervening is not None
    train = addition()["train"]

    def gradients() -> dict[str, Tensor]:
        return {name: grad(weight).clone() for name, weight in ours.model.named_parameters()}

    def full() -> dict[str, Tensor]:
        ours.network.gradients(train.tokens, train.labels, torch.float32)
        return gradients()

    expected = full()
    noisy, drawn = (dict.fromkeys(expected, 0.0) for _ in range(2))
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        full()
        ours.intervening.replace(ours._gradients_of, len(train), rate=1.0)
        for name, gradient in gradients().items():
            noisy[name] += float((gradient - expected[name]).square().sum())
        ours._gradients_of(torch.randperm(len(train), generator=generator)[:4])
        for name, gradient in gradients().items():
            drawn[name] += float((gradient - expected[name]).square().sum())
    for name in expected:
        assert noisy[name] == pytest.approx(drawn[name], rel=0.25, abs=1e-12), name


def grad(weight: nn.Parameter) -> Tensor:
    assert weight.grad is not None
    return weight.grad


def test_interventions_act_alike_in_plain_and_reduced_arithmetic() -> None:
    """The answers after five steps are equal to rounding."""
    answers = []
    for arithmetic in ("plain", "reduced"):
        ours = branched(settings={"arithmetic": arithmetic}, temperature=0.5, ignore_above=0.5, mask=0.3)
        for _ in range(5):
            ours.update(is_observed=False)
        answers.append(ours.model.answer(random_questions().tokens).detach())
    torch.testing.assert_close(*answers, rtol=1e-3, atol=1e-4)
