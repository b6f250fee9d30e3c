"""A replica's parts: its steps, batches, networks and measurements, and states that go on with equal bytes."""

from __future__ import annotations

import dataclasses
import itertools

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
from torch import Tensor, nn

from general_circuits.models import predictions
from general_circuits.models.transformer import Transformer
from general_circuits.seeds import stream_seed
from general_circuits.tasks.examples import Examples
from general_circuits.tasks.vocabulary import Vocabulary
from general_circuits.training import losses, replica
from general_circuits.training.batches import Batches
from general_circuits.training.optimisers.updater import Updater
from general_circuits.training.reduced.network import Reduced
from general_circuits.training.replica import COLUMNS, Plain, Replica, build_network

MIRROR = ["validation_mirrored", "validation_unmirrored"]
"""Parts of addition's validation examples."""
ARITHMETIC = pytest.mark.parametrize("arithmetic", ["reduced", "plain"])


def replica_of(seed: int = 0, **changes) -> Replica:
    return Replica(condition(**changes), addition(), VOCABULARY, seed)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def same_bytes(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        first[name].numpy().tobytes() == second[name].numpy().tobytes() for name in first
    )


# Updates


@ARITHMETIC
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_replica_takes_the_steps_of_its_optimiser(optimiser, arithmetic):
    """Against the same update rule on gradients that autograd finds for the same batches."""
    ours = replica_of(optimiser=optimiser, arithmetic=arithmetic)
    model = Transformer(condition().model, VOCABULARY)
    model.load_state_dict(weights_of(ours.model))
    settings = condition(optimiser=optimiser, arithmetic=arithmetic).optimiser
    theirs = Updater(settings, dict(model.named_parameters()), seed=0)
    batches, examples = batches_of(15, 4, seed=0), addition()["train"]
    for step in range(7):
        batch = batches.next()
        model.zero_grad()
        nn.functional.cross_entropy(model.answer(examples.tokens[batch]), examples.labels[batch]).backward()
        theirs.step(step, lambda sets_gradients: pytest.fail("these rules do not ask"))
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
def test_the_gradients_norm_is_taken_before_anything_is_added(arithmetic):
    plain = replica_of(arithmetic=arithmetic)
    noisy = replica_of(arithmetic=arithmetic, gradient_noise=10.0, grokfast_lambda=5.0)
    for ours in (plain, noisy):
        ours.update(is_observed=True)
    assert torch.equal(plain.gradient_norm, noisy.gradient_norm)
    assert not same_bytes(weights_of(plain.model), weights_of(noisy.model))


@ARITHMETIC
def test_noise_differs_between_replicas(arithmetic):
    """Even of equal weights, on equal batches."""
    first, second = (replica_of(seed, arithmetic=arithmetic, gradient_noise=1e6) for seed in (0, 1))
    second.restore(dataclasses.replace(first.state(), tensors=first.state().tensors | second.updater.tensors()))
    for ours in (first, second):
        ours.update(is_observed=False)
    assert not same_bytes(weights_of(first.model), weights_of(second.model))


def test_a_pattern_that_no_weight_has_is_refused_before_training():
    with pytest.raises(ValueError, match=r"decay_on = 'mlp\.\*': matches no weight of the network"):
        replica_of(decay_on=("mlp.*",))


# Batches


def batches_of(n_examples: int, batch_size: int | str, seed: int) -> Batches:
    return Batches(n_examples, batch_size, seed, torch.device("cpu"))


def indices(n_examples: int, batch_size: int | str, seed: int):
    """All batches, without end."""
    batches = batches_of(n_examples, batch_size, seed)
    while True:
        yield batches.next()


@pytest.mark.parametrize(("n_examples", "batch_size"), [(15, 4), (15, 5), (16, 4), (7, 7), (3, 1), (9, 5)])
def test_an_epoch_repeats_nothing_and_has_whole_batches_only(n_examples, batch_size):
    batches = indices(n_examples, batch_size, seed=0)
    epochs = []
    for _ in range(4):
        epoch = list(itertools.islice(batches, n_examples // batch_size))
        assert [len(batch) for batch in epoch] == [batch_size] * (n_examples // batch_size)
        drawn = torch.cat(epoch).tolist()
        assert len(set(drawn)) == len(drawn)
        assert set(drawn) <= set(range(n_examples))
        epochs.append(drawn)
    assert len({tuple(epoch) for epoch in epochs}) > 1 or n_examples == 1


def test_what_one_epoch_leaves_out_another_takes():
    drawn = torch.cat(list(itertools.islice(indices(15, 4, seed=0), 30)))
    assert set(drawn.tolist()) == set(range(15))


def test_full_is_every_example_every_time():
    for batch in itertools.islice(indices(15, "full", seed=0), 3):
        assert torch.equal(batch, torch.arange(15))


def test_the_seed_decides_the_order():
    first, second = (list(itertools.islice(indices(15, 4, seed=3), 12)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_order_is_a_stream_of_its_own():
    expected = torch.randperm(15, generator=torch.Generator().manual_seed(stream_seed(3, "batches")))
    assert torch.equal(torch.cat(list(itertools.islice(indices(15, 5, seed=3), 3))), expected)
    start = torch.Generator().manual_seed(stream_seed(3, "initialisation"))
    assert not torch.equal(torch.randperm(15, generator=start), expected)


@pytest.mark.parametrize("batch_size", [4, 5, 15, "full"])
@pytest.mark.parametrize("taken", [0, 1, 3, 7, 11])
def test_batches_go_on_from_where_they_were(taken, batch_size):
    first, second = batches_of(15, batch_size, seed=0), batches_of(15, batch_size, seed=1)
    for _ in range(taken):
        first.next()
    epoch_start, values = first.epoch_start.clone(), first.values()
    expected = [first.next() for _ in range(9)]
    second.restore(epoch_start, values)
    assert all(torch.equal(second.next(), batch) for batch in expected)


@pytest.mark.parametrize("batch_size", [0, -1, 16])
def test_a_batch_is_not_larger_than_the_training_set_nor_empty(batch_size):
    with pytest.raises(ValueError, match=f"batch_size = {batch_size}: should be from 1 to the 15 training examples"):
        batches_of(15, batch_size, seed=0)


# Networks


def test_arithmetic_decides_the_network():
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
def test_the_reduced_network_knows_how_many_examples_a_batch_has(batch_size, n_examples, monkeypatch):
    sizes = []
    monkeypatch.setattr(replica, "Reduced", lambda model, size, loss: sizes.append(size))
    replica_of(batch_size=batch_size)
    assert sizes == [n_examples]


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_plain_gradients_are_autograds_of_the_mean_cross_entropy(precision):
    model, examples = random_transformer(dtype=torch.float32), random_questions(9)
    plain = Plain(model, losses.named("cross_entropy"))
    for _ in range(2):  # which replaces and does not add
        plain.gradients(examples.tokens, examples.labels, precision)
    loss = nn.functional.cross_entropy(model.answer(examples.tokens).to(precision), examples.labels)
    for weight, gradient in zip(model.parameters(), torch.autograd.grad(loss, list(model.parameters())), strict=True):
        assert weight.grad.dtype == torch.float32
        torch.testing.assert_close(weight.grad, gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n", [1, 9, 2048, 2049])
@pytest.mark.parametrize("network_of", [random_transformer, random_perceptron])
def test_plain_answers_are_the_networks_however_many(network_of, n):
    model, examples = network_of(), random_questions(n)
    answers = Plain(model, losses.named("cross_entropy")).answer(examples.tokens)
    assert not answers.requires_grad
    torch.testing.assert_close(answers, model.answer(examples.tokens).detach(), rtol=0, atol=1e-12)


# Measurements


@ARITHMETIC
def test_a_row_has_a_line_per_split_and_a_column_per_measure(arithmetic):
    ours = replica_of(arithmetic=arithmetic)
    ours.update(is_observed=True)
    row = ours.evaluate()
    assert row.shape == (len(ours.parts), len(COLUMNS))
    assert row.dtype == torch.float64
    for values, examples in zip(row[:2], addition().values(), strict=True):
        found = dict(zip(COLUMNS, values.tolist(), strict=True))
        logits = ours.network.answer(examples.tokens).double()
        assert found["loss"] == pytest.approx(predictions.loss(logits, examples.labels).item(), rel=1e-12)
        assert found["accuracy"] == (logits.argmax(dim=1) == examples.labels).double().mean().item()
        assert found["gradient_norm"] == ours.gradient_norm.item()
        assert found["learning_rate"] == ours.rate == pytest.approx(1e-2 / 3)


def test_wrong_and_right_training_labels_are_scored_apart():
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


def test_labels_that_are_all_wrong_have_no_part_of_right_ones():
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


def test_validation_examples_whose_mirror_image_trains_are_scored_apart():
    ours = replica_of()
    tokens = {name: {tuple(pair) for pair in of.tokens[:, :2].tolist()} for name, of in addition().items()}
    is_mirrored = torch.tensor([(b, a) in tokens["train"] for a, b, _ in addition()["validation"].tokens.tolist()])
    assert 0 < is_mirrored.sum() < len(is_mirrored)
    assert torch.equal(ours.parts["validation_mirrored"][1], is_mirrored)
    assert torch.equal(ours.parts["validation_unmirrored"][1], ~is_mirrored)


def test_where_no_mirror_image_trains_there_are_no_such_parts():
    splits = addition()
    tokens = torch.cat([of.tokens for of in splits.values()])
    labels = torch.cat([of.labels for of in splits.values()])
    trains = (tokens[:, 0] - tokens[:, 1]).abs() < 2
    by_pair = {
        "train": Examples(tokens[trains], labels[trains]),
        "validation": Examples(tokens[~trains], labels[~trains]),
    }
    assert list(Replica(condition(), by_pair, VOCABULARY, 0).parts) == ["train", "validation"]


def test_inputs_that_are_not_two_have_no_mirror_image():
    examples = Examples(torch.tensor([[0, 1, 1, 2], [1, 0, 0, 2]]), torch.tensor([0, 1]))
    splits = {"train": examples, "validation": examples}
    setting = condition(arithmetic="plain", batch_size="full")
    assert list(Replica(setting, splits, Vocabulary(3, 2, 2), 0).parts) == ["train", "validation"]


@ARITHMETIC
@pytest.mark.parametrize("loss", losses.names())
def test_the_loss_in_a_row_is_what_is_trained_on(loss, arithmetic):
    ours = replica_of(arithmetic=arithmetic, loss=loss)
    for values, examples in zip(ours.evaluate()[:2], addition().values(), strict=True):
        logits = ours.network.answer(examples.tokens).double()
        assert values[0].item() == losses.named(loss).mean(logits, examples.labels).item()


@pytest.mark.parametrize("loss", losses.names())
def test_every_loss_is_learned_alike_by_both_networks(loss):
    found = []
    for arithmetic in ("reduced", "plain"):
        ours = replica_of(arithmetic=arithmetic, loss=loss, batch_size="full")
        before = ours.evaluate()[0, 0]
        for _ in range(10):
            ours.update(is_observed=True)
        assert ours.evaluate()[0, 0] < before
        found.append(ours.evaluate())
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-4)


@ARITHMETIC
def test_before_the_first_update_there_is_no_gradient_nor_rate(arithmetic):
    ours = replica_of(arithmetic=arithmetic)
    assert ours.step == 0
    assert ours.rate == 0.0
    assert ours.gradient_norm.isnan()


@ARITHMETIC
def test_a_gradient_that_nobody_looks_at_is_not_measured(arithmetic):
    ours = replica_of(arithmetic=arithmetic)
    ours.update(is_observed=True)
    before = ours.gradient_norm
    ours.update(is_observed=False)
    assert ours.gradient_norm is before


@ARITHMETIC
def test_looking_changes_nothing(arithmetic):
    first, second = (replica_of(arithmetic=arithmetic) for _ in range(2))
    for _ in range(5):
        first.update(is_observed=True)
        first.evaluate()
        first.state()
        second.update(is_observed=False)
    assert same_bytes(weights_of(first.model), weights_of(second.model))


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
    second.update(is_observed=False)  # back, or on
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
def test_a_state_holds_weights_moments_and_the_place_in_the_epoch(arithmetic):
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
