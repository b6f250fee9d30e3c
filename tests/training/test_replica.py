"""Replica: its updates, arithmetics, metrics and parts, and states that go on with equal bytes."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from builders import (
    MODULUS,
    VOCABULARY,
    addition,
    condition,
    optimiser_settings,
    random_perceptron,
    random_questions,
    random_transformer,
)
from runs import replica_of, same_bytes, weights_of
from scipy import stats
from torch import Tensor, nn

from general_circuits.models import predictions
from general_circuits.models.build import build
from general_circuits.models.transformer import Transformer
from general_circuits.seeds import stream_seed
from general_circuits.tasks.examples import Examples
from general_circuits.tasks.vocabulary import Vocabulary
from general_circuits.training import losses, replica
from general_circuits.training.batches import Batches
from general_circuits.training.optimisers.updater import Updater
from general_circuits.training.reduced.network import Reduced
from general_circuits.training.replica import COLUMNS, Plain, Replica, build_network, updates

MIRROR = ["validation_mirrored", "validation_unmirrored"]
"""Parts of the validation examples of `addition`."""
ARITHMETIC = pytest.mark.parametrize("arithmetic", ["reduced", "plain"])


# Updates


@ARITHMETIC
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_every_update_is_the_one_of_the_optimiser_on_the_next_batch(optimiser, arithmetic):
    """The reference is the same update rule, on gradients that autograd finds for the same batches."""
    ours = replica_of(optimiser=optimiser, arithmetic=arithmetic)
    model = Transformer(condition().model, VOCABULARY)
    model.load_state_dict(weights_of(ours.model))
    settings = condition(optimiser=optimiser, arithmetic=arithmetic).optimiser
    theirs = Updater(settings, dict(model.named_parameters()), seed=0)
    batches, examples = Batches(15, 4, 0, torch.device("cpu")), addition()["train"]
    for step in range(7):
        batch = batches.next()
        model.zero_grad()
        nn.functional.cross_entropy(model.answer(examples.tokens[batch]), examples.labels[batch]).backward()
        theirs.step(step, lambda sets_gradients: pytest.fail("these rules never evaluate the loss"))
        ours.update(is_observed=True)
        gradient = torch.cat([weight.grad.flatten() for weight in model.parameters()])
        assert ours.gradient_norm.item() == pytest.approx(gradient.norm().item(), rel=1e-4)
        assert ours.step == step + 1
        for (name, weight), expected in zip(ours.model.named_parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(weight, expected, rtol=0, atol=2e-5, msg=name)


@ARITHMETIC
@pytest.mark.parametrize("optimiser", ["line_search", "lbfgs"])
def test_rules_that_search_find_lower_losses_whatever_the_arithmetic(optimiser, arithmetic):
    settings = {"optimiser": optimiser, "decay": "coupled", "weight_decay": 0.0, "learning_rate": 1.0, "warm_up": 0}
    ours = replica_of(batch_size="full", arithmetic=arithmetic, **settings)
    before = ours.evaluate()[0, 0]
    for _ in range(60):
        ours.update(is_observed=False)
    assert ours.evaluate()[0, 0] < 0.25 * before
    assert ours.evaluate()[0, COLUMNS.index("learning_rate")] == ours.rate > 0


@ARITHMETIC
def test_the_gradients_norm_is_measured_before_noise_and_grokfast_change_it(arithmetic):
    plain = replica_of(arithmetic=arithmetic)
    noisy = replica_of(arithmetic=arithmetic, gradient_noise=10.0, grokfast_lambda=5.0)
    for ours in (plain, noisy):
        ours.update(is_observed=True)
    assert torch.equal(plain.gradient_norm, noisy.gradient_norm)
    assert not same_bytes(weights_of(plain.model), weights_of(noisy.model))


@ARITHMETIC
def test_gradient_noise_differs_between_replicas(arithmetic):
    """Noise differs even with equal weights, on equal batches."""
    first, second = (replica_of(seed, arithmetic=arithmetic, gradient_noise=1e6) for seed in (0, 1))
    second.restore(dataclasses.replace(first.state(), tensors=first.state().tensors | second.updater.tensors()))
    for ours in (first, second):
        ours.update(is_observed=False)
    assert not same_bytes(weights_of(first.model), weights_of(second.model))


def test_a_pattern_of_decaying_weights_that_no_weight_matches_is_refused():
    with pytest.raises(ValueError, match=r"decay_on = 'mlp\.\*': matches no weight of the network"):
        replica_of(decay_on=("mlp.*",))


# Arithmetics


def test_the_setting_arithmetic_chooses_plain_or_reduced():
    model = random_transformer()
    plain = build_network(optimiser_settings(arithmetic="plain"), model, 4)
    reduced = build_network(optimiser_settings(arithmetic="reduced"), model, 4)
    assert isinstance(plain, Plain)
    assert isinstance(reduced, Reduced)
    assert plain.model is reduced.shape.model is model


def test_a_perceptron_has_no_reduced_arithmetic():
    model = random_perceptron()
    assert build_network(optimiser_settings(arithmetic="plain"), model, 4).model is model
    with pytest.raises(ValueError, match="arithmetic = 'reduced': should be plain for a Perceptron"):
        build_network(optimiser_settings(arithmetic="reduced"), model, 4)


@pytest.mark.parametrize(("batch_size", "n_examples"), [(4, 4), ("full", 15)])
def test_reduced_arithmetic_is_told_how_many_examples_a_batch_has(batch_size, n_examples, monkeypatch):
    sizes = []
    monkeypatch.setattr(replica, "Reduced", lambda model, size, loss: sizes.append(size))
    replica_of(batch_size=batch_size)
    assert sizes == [n_examples]


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_plain_gradients_are_autograds_of_the_mean_cross_entropy(precision):
    model, examples = random_transformer(dtype=torch.float32), random_questions(9)
    plain = Plain(model, losses.named("cross_entropy"))
    for _ in range(2):  # the second gradient replaces the first and is not added to it
        plain.gradients(examples.tokens, examples.labels, precision)
    loss = nn.functional.cross_entropy(model.answer(examples.tokens).to(precision), examples.labels)
    for weight, gradient in zip(model.parameters(), torch.autograd.grad(loss, list(model.parameters())), strict=True):
        assert weight.grad.dtype == torch.float32
        torch.testing.assert_close(weight.grad, gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n", [1, 9, 2048, 2049])
@pytest.mark.parametrize("network_of", [random_transformer, random_perceptron])
def test_plain_answers_are_the_networks_for_any_number_of_examples(network_of, n):
    model, examples = network_of(), random_questions(n)
    answers = Plain(model, losses.named("cross_entropy")).answer(examples.tokens)
    assert not answers.requires_grad
    torch.testing.assert_close(answers, model.answer(examples.tokens).detach(), rtol=0, atol=1e-12)


# Metrics


@ARITHMETIC
def test_metrics_have_a_row_per_part_and_a_column_per_quantity(arithmetic):
    ours = replica_of(arithmetic=arithmetic)
    ours.update(is_observed=True)
    metrics = ours.evaluate()
    assert metrics.shape == (len(ours.parts), len(COLUMNS))
    assert metrics.dtype == torch.float64
    for row, examples in zip(metrics[:2], addition().values(), strict=True):
        values = dict(zip(COLUMNS, row.tolist(), strict=True))
        logits = ours.network.answer(examples.tokens).double()
        assert values["loss"] == pytest.approx(predictions.loss(logits, examples.labels).item(), rel=1e-12)
        assert values["accuracy"] == (logits.argmax(dim=1) == examples.labels).double().mean().item()
        assert values["gradient_norm"] == ours.gradient_norm.item()
        assert values["learning_rate"] == ours.rate == pytest.approx(1e-2 / 3)


def test_training_examples_with_wrong_and_with_right_labels_are_two_parts():
    splits = addition()
    labels = splits["train"].labels.clone()
    wrong = torch.arange(len(labels)) % 3 == 0
    labels[wrong] = (labels[wrong] + 1) % MODULUS
    splits["train"] = Examples(splits["train"].tokens, labels, wrong)
    replica = Replica(condition(), splits, VOCABULARY, 0)
    for _ in range(5):
        replica.update(is_observed=False)
    assert list(replica.parts) == ["train", "validation", "train_corrupted", "train_true", *MIRROR]
    train, _, corrupted, right = replica.evaluate()[:4, [0, 1, 2]]
    share = wrong.double().mean()
    torch.testing.assert_close(share * corrupted + (1 - share) * right, train)


def test_training_labels_that_are_all_wrong_make_no_part_of_right_labels():
    splits = addition()
    train = splits["train"]
    splits["train"] = Examples(train.tokens, (train.labels + 1) % MODULUS, torch.ones_like(train.labels).bool())
    assert list(Replica(condition(), splits, VOCABULARY, 0).parts) == [
        "train",
        "validation",
        "train_corrupted",
        *MIRROR,
    ]
    assert list(replica_of().parts) == ["train", "validation", *MIRROR]


def test_validation_examples_whose_mirror_image_trains_are_a_part():
    ours = replica_of()
    tokens = {name: {tuple(pair) for pair in of.tokens[:, :2].tolist()} for name, of in addition().items()}
    is_mirrored = torch.tensor([(b, a) in tokens["train"] for a, b, _ in addition()["validation"].tokens.tolist()])
    assert 0 < is_mirrored.sum() < len(is_mirrored)
    assert torch.equal(ours.parts["validation_mirrored"][1], is_mirrored)
    assert torch.equal(ours.parts["validation_unmirrored"][1], ~is_mirrored)


def test_without_a_mirror_image_that_trains_there_are_only_the_two_splits():
    splits = addition()
    tokens = torch.cat([of.tokens for of in splits.values()])
    labels = torch.cat([of.labels for of in splits.values()])
    trains = (tokens[:, 0] - tokens[:, 1]).abs() < 2
    by_pair = {
        "train": Examples(tokens[trains], labels[trains]),
        "validation": Examples(tokens[~trains], labels[~trains]),
    }
    assert list(Replica(condition(), by_pair, VOCABULARY, 0).parts) == ["train", "validation"]


def test_examples_of_three_inputs_have_no_mirror_image():
    examples = Examples(torch.tensor([[0, 1, 1, 2], [1, 0, 0, 2]]), torch.tensor([0, 1]))
    splits = {"train": examples, "validation": examples}
    setting = condition(arithmetic="plain", batch_size="full")
    assert list(Replica(setting, splits, Vocabulary(3, 2, 2), 0).parts) == ["train", "validation"]


@ARITHMETIC
@pytest.mark.parametrize("loss", losses.names())
def test_the_loss_in_metrics_is_the_loss_that_is_minimised(loss, arithmetic):
    ours = replica_of(arithmetic=arithmetic, loss=loss)
    for values, examples in zip(ours.evaluate()[:2], addition().values(), strict=True):
        logits = ours.network.answer(examples.tokens).double()
        assert values[0].item() == losses.named(loss).mean(logits, examples.labels).item()


@pytest.mark.parametrize("loss", losses.names())
def test_every_loss_falls_alike_with_both_arithmetics(loss):
    metrics = []
    for arithmetic in ("reduced", "plain"):
        ours = replica_of(arithmetic=arithmetic, loss=loss, batch_size="full")
        before = ours.evaluate()[0, 0]
        for _ in range(10):
            ours.update(is_observed=True)
        assert ours.evaluate()[0, 0] < before
        metrics.append(ours.evaluate())
    torch.testing.assert_close(metrics[0], metrics[1], rtol=1e-3, atol=1e-4)


@ARITHMETIC
def test_before_the_first_update_the_gradients_norm_is_nan_and_the_rate_0(arithmetic):
    ours = replica_of(arithmetic=arithmetic)
    assert ours.step == 0
    assert ours.rate == 0.0
    assert ours.gradient_norm.isnan()


@ARITHMETIC
def test_the_gradient_of_an_unobserved_update_is_not_measured(arithmetic):
    ours = replica_of(arithmetic=arithmetic)
    ours.update(is_observed=True)
    before = ours.gradient_norm
    ours.update(is_observed=False)
    assert ours.gradient_norm is before


@ARITHMETIC
def test_observing_changes_no_weight(arithmetic):
    first, second = (replica_of(arithmetic=arithmetic) for _ in range(2))
    for _ in range(5):
        first.update(is_observed=True)
        first.evaluate()
        first.state()
        second.update(is_observed=False)
    assert same_bytes(weights_of(first.model), weights_of(second.model))


@pytest.mark.parametrize("split", ["train", "validation"])
def test_the_mean_loss_has_the_bits_of_the_loss_in_metrics(split):
    ours = replica_of(steps=3)
    row = ours.evaluate()[list(ours.parts).index(split)]
    assert ours.mean_loss(split) == row[COLUMNS.index("loss")].item()


def test_the_distance_is_the_sum_of_the_norms_of_all_updates():
    ours = replica_of()
    distance = 0.0
    for _ in range(4):
        before = weights_of(ours.model)
        ours.update(is_observed=False)
        change = torch.cat([(weight - before[name]).flatten() for name, weight in weights_of(ours.model).items()])
        distance += change.norm().item()
    assert ours.distance.item() == pytest.approx(distance, rel=1e-6)


# Starting weights


def test_without_a_perturbation_the_starting_weights_are_those_of_the_initialisation():
    model = build(condition().model, VOCABULARY)
    model.initialise(torch.Generator().manual_seed(stream_seed(3, "initialisation")))
    assert same_bytes(weights_of(replica_of(3).model), weights_of(model))


def test_a_perturbation_of_1e_7_moves_float32_weights_by_a_few_numbers():
    """The tail: of a thousand weights none has |z| > 5, and 5e-7 are at most 8.4 steps of 6e-8."""
    before, after = weights_of(replica_of(3).model), weights_of(replica_of(3, perturbation=1e-7).model)
    moves = torch.cat([(after[name].view(torch.int32) - before[name].view(torch.int32)).flatten() for name in before])
    weights = torch.cat([weight.flatten() for weight in before.values()])
    moves = moves[weights != 0].abs()
    assert moves.max() <= 8
    assert 0.25 < (moves == 0).float().mean() < 0.42
    assert (moves[moves > 0] <= 3).float().mean() > 0.95


def perturbed_by(seed: int) -> Tensor:
    """Return z of every weight that is not 0, from a large perturbation w → w (1 + 0.01 z)."""
    before, after = weights_of(replica_of(seed).model), weights_of(replica_of(seed, perturbation=1e-2).model)
    return torch.cat([((after[name] / weight - 1) / 1e-2)[weight != 0] for name, weight in before.items()])


def test_a_perturbation_is_normal_and_has_the_replicas_own_stream():
    z = perturbed_by(3)
    assert stats.kstest(z.numpy(), "norm").pvalue > 1e-3
    assert torch.equal(z, perturbed_by(3))
    assert abs(torch.corrcoef(torch.stack([z, perturbed_by(4)]))[0, 1]) < 4 * len(z) ** -0.5


# Going on to a step


def test_updates_yield_every_step_up_to_the_last_once_it_is_reached():
    ours = replica_of(steps=2)
    steps = [(step, ours.step) for step in updates(ours, 5)]
    assert steps == [(3, 3), (4, 4), (5, 5)]


@pytest.mark.parametrize("last", [0, 2])
def test_a_replica_at_the_last_step_or_after_it_makes_no_update(last):
    ours = replica_of(steps=2)
    before = weights_of(ours.model)
    assert list(updates(ours, last)) == []
    assert same_bytes(weights_of(ours.model), before)


def test_the_gradient_is_measured_at_observed_steps_alone():
    ours = replica_of()
    is_known = {step: not ours.gradient_norm.isnan().item() for step in updates(ours, 3, lambda step: step == 2)}
    assert is_known == {1: False, 2: True, 3: True}  # step 3 still has the norm of step 2
    assert ours.gradient_norm.item() == pytest.approx(norm_at(2), rel=0)


def norm_at(step: int) -> float:
    """Return the gradient's norm of the update that leads to this step."""
    ours = replica_of(steps=step - 1)
    ours.update(is_observed=True)
    return ours.gradient_norm.item()


# Inheriting


def test_a_replica_that_inherits_has_the_bytes_of_the_other_at_every_later_step():
    other, ours = replica_of(steps=5), replica_of()
    other.update(is_observed=True)
    ours.inherit(other, 6)
    assert torch.equal(ours.evaluate(), other.evaluate())
    for _ in range(5):
        for each in (ours, other):
            each.update(is_observed=True)
        assert torch.equal(ours.evaluate(), other.evaluate())
    assert same_bytes(weights_of(ours.model), weights_of(other.model))


# States

EVERY_OPTIMISER = pytest.mark.parametrize(
    "changes",
    [
        {"optimiser": "adamw"},
        {"optimiser": "adam", "decay": "coupled"},
        {"optimiser": "sgd"},
        {"optimiser": "sgd", "momentum": 0.9},
        {"optimiser": "sgd", "momentum": 0.9, "decay": "coupled"},
        {"optimiser": "adamw", "batch_size": "full"},
        {"optimiser": "adamw", "decay_on": ("blocks.*", "embed.W_E")},
        {"optimiser": "adamw", "gradient_noise": 0.1},
        {"optimiser": "sgd", "grokfast_lambda": 2.0, "gradient_noise": 0.1},
        {"optimiser": "line_search", "decay": "coupled", "batch_size": "full", "warm_up": 0},
        {"optimiser": "lbfgs", "decay": "coupled", "batch_size": "full", "warm_up": 0, "learning_rate": 1.0},
    ],
    ids=str,
)


@ARITHMETIC
@EVERY_OPTIMISER
@pytest.mark.parametrize("steps", [0, 1, 3, 8])
def test_a_replica_goes_on_from_its_state_with_equal_bytes(steps, changes, arithmetic):
    first = replica_of(arithmetic=arithmetic, **changes)
    for _ in range(steps):
        first.update(is_observed=False)
    state = first.state()
    kept = {name: tensor.clone() for name, tensor in state.tensors.items()}
    second = replica_of(arithmetic=arithmetic, **changes)
    second.update(is_observed=False)  # so that the state lies before this step, or after it
    second.restore(dataclasses.replace(state, tensors=kept))
    assert second.step == steps
    for _ in range(6):
        for ours in (first, second):
            ours.update(is_observed=True)
        assert same_bytes(weights_of(first.model), weights_of(second.model))
    assert torch.equal(first.evaluate(), second.evaluate())
    final = first.state(), second.state()
    assert same_bytes(dict(final[0].tensors), dict(final[1].tensors))
    assert (final[0].step, final[0].values) == (final[1].step, final[1].values)


@ARITHMETIC
def test_a_state_holds_weights_moments_and_the_position_in_the_epoch(arithmetic):
    ours = replica_of(arithmetic=arithmetic)
    for _ in range(5):  # an epoch is three batches
        ours.update(is_observed=False)
    state = ours.state()
    names = [name for name, _ in ours.model.named_parameters()]
    assert state.step == 5
    assert state.values == {"position": 8}
    assert set(state.tensors) == {
        *names,
        *(f"moment {i} of {name}" for i in (0, 1) for name in names),
        "epoch_start",
        "distance",
    }
    assert not any(tensor.requires_grad for tensor in state.tensors.values())
