"""The training loop: updates by hand, what the clock of steps means, and that equal settings give equal bytes."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re

import numpy as np
import pandas as pd
import pytest
import torch
from builders import MODULUS, addition, condition, model_settings, optimiser_settings
from torch import Tensor, nn

from general_circuits import scores, training
from general_circuits.conditions import Condition, Spacing
from general_circuits.models import Transformer
from general_circuits.randomness import stream_seed

EVERY_STEP = Spacing(log=1, every=1)


def trained(setting: Condition, seed: int = 0, **more: object) -> training.Run:
    return training.train(setting, addition(), n_symbols=MODULUS, n_classes=MODULUS, seed=seed, **more)


def same_bytes(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        first[name].numpy().tobytes() == second[name].numpy().tobytes() for name in first
    )


# Equal settings, equal bytes


@pytest.mark.parametrize("batch_size", [4, "full"])
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_the_same_condition_and_seed_give_the_same_bytes_whatever_the_global_seed(optimiser, batch_size):
    setting = condition(optimiser=optimiser, batch_size=batch_size)
    torch.manual_seed(1)
    first = trained(setting)
    torch.manual_seed(2)
    second = trained(setting)
    assert same_bytes(first.weights, second.weights)
    pd.testing.assert_frame_equal(first.metrics, second.metrics, check_exact=True)


def test_training_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    trained(condition())
    assert torch.equal(torch.get_rng_state(), before)


def test_another_seed_is_another_initialisation_and_another_order():
    first, second = trained(condition(), seed=0), trained(condition(), seed=1)
    assert not torch.equal(first.weights["embed.W_E"][0], second.weights["embed.W_E"][0])
    orders = [torch.cat(list(itertools.islice(indices(15, 5, seed), 3))) for seed in (0, 1)]
    assert not torch.equal(*orders)


def test_initialisation_does_not_depend_on_how_the_network_is_trained():
    runs = [
        trained(setting) for setting in (condition(), condition(batch_size="full"), condition(optimiser="sgd", steps=3))
    ]
    beginnings = [{name: weight[0] for name, weight in run.weights.items()} for run in runs]
    assert same_bytes(beginnings[0], beginnings[1])
    assert same_bytes(beginnings[0], beginnings[2])


# Updates


class Quadratic(nn.Module):
    """½ (w − 1)², whose gradient is w − 1; w starts at 2."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))

    def forward(self) -> Tensor:
        return 0.5 * (self.w - 1.0).square().sum()


def path(settings, steps: int) -> list[float]:
    """w after each step, as the code takes it."""
    module = Quadratic()
    optimiser = training.build_optimiser(settings, module)
    found = []
    for step in range(steps):
        optimiser.zero_grad(set_to_none=True)
        module().backward()
        training._step(optimiser, settings, step)
        found.append(module.w.item())
    return found


def adam_by_hand(settings, steps: int) -> list[float]:
    """Kingma and Ba 2015; decoupled decay after Loshchilov and Hutter 2019, times the rate as in torch."""
    w, mean, square, found = 2.0, 0.0, 0.0, []
    for t in range(1, steps + 1):
        rate = settings.learning_rate * min(1.0, t / settings.warm_up)
        gradient = w - 1.0
        if settings.decay == "coupled":
            gradient += settings.weight_decay * w
        else:
            w -= rate * settings.weight_decay * w
        mean = settings.beta1 * mean + (1 - settings.beta1) * gradient
        square = settings.beta2 * square + (1 - settings.beta2) * gradient**2
        w -= rate * (mean / (1 - settings.beta1**t)) / (math.sqrt(square / (1 - settings.beta2**t)) + settings.epsilon)
        found.append(w)
    return found


def sgd_by_hand(settings, steps: int) -> list[float]:
    w, velocity, found = 2.0, 0.0, []
    for t in range(1, steps + 1):
        rate = settings.learning_rate * min(1.0, t / settings.warm_up)
        gradient = w - 1.0
        if settings.decay == "coupled":
            gradient += settings.weight_decay * w
        else:
            w -= rate * settings.weight_decay * w
        velocity = settings.momentum * velocity + gradient
        w -= rate * velocity
        found.append(w)
    return found


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        # gradient 1; 2 · (1 − 0.1 · 0.5) − 0.1 · 1 / (1 + 0.25)
        ({"optimiser": "adamw", "decay": "decoupled"}, 1.82),
        # gradient 1 + 0.5 · 2; 2 − 0.1 · 2 / (2 + 0.25)
        ({"optimiser": "adam", "decay": "coupled"}, 2 - 0.2 / 2.25),
        # as adamw: beside the gradient, whichever name it goes by
        ({"optimiser": "adam", "decay": "decoupled"}, 1.82),
    ],
)
def test_adams_first_step_at_worked_values(changes, first):
    settings = optimiser_settings(learning_rate=0.1, warm_up=0, weight_decay=0.5, epsilon=0.25, **changes)
    assert path(settings, 1) == pytest.approx([first], rel=1e-12)


@pytest.mark.parametrize(
    ("decay", "momentum", "expected"),
    [
        # Without momentum the two are one update: w − rate · (gradient + decay · w).
        ("coupled", 0.0, [1.8, 1.63]),
        ("decoupled", 0.0, [1.8, 1.63]),
        # Gradients 2 and 1.7, velocities 2 and 3.5: decay has momentum too.
        ("coupled", 0.9, [1.8, 1.45]),
        # Gradients 1 and 0.8, velocities 1 and 1.7: it has none.
        ("decoupled", 0.9, [1.8, 1.54]),
    ],
)
def test_sgds_first_steps_at_worked_values(decay, momentum, expected):
    settings = optimiser_settings(
        optimiser="sgd", decay=decay, momentum=momentum, learning_rate=0.1, warm_up=0, weight_decay=0.5
    )
    assert path(settings, 2) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("decay", ["decoupled", "coupled"])
@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_later_steps_follow_the_recurrences(optimiser, decay):
    settings = optimiser_settings(
        optimiser=optimiser,
        decay=decay,
        learning_rate=0.3,
        warm_up=4,
        weight_decay=0.5,
        beta1=0.7,
        beta2=0.8,
        epsilon=0.25,
        momentum=0.9 if optimiser == "sgd" else 0.0,
    )
    by_hand = sgd_by_hand if optimiser == "sgd" else adam_by_hand
    assert path(settings, 10) == pytest.approx(by_hand(settings, 10), rel=1e-10)


def test_without_decay_decoupled_and_coupled_are_the_same_update():
    for optimiser in ("adam", "sgd"):
        both = [
            path(optimiser_settings(optimiser=optimiser, decay=decay, weight_decay=0.0), 5)
            for decay in ("decoupled", "coupled")
        ]
        assert both[0] == both[1]


def test_the_rate_warms_up_linearly_and_then_stays():
    settings = optimiser_settings(learning_rate=0.8, warm_up=4)
    rates = [training.learning_rate(settings, step) for step in range(7)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.8])
    at_once = dataclasses.replace(settings, warm_up=0)
    assert [training.learning_rate(at_once, step) for step in range(3)] == [0.8, 0.8, 0.8]


def test_training_takes_the_steps_it_says():
    """Two full-batch SGD steps with decay, by autograd's gradients of the plain loss."""
    setting = condition(
        steps=2,
        checkpoints=EVERY_STEP,
        optimiser="sgd",
        decay="decoupled",
        learning_rate=0.1,
        warm_up=2,
        batch_size="full",
    )
    run = trained(setting)
    examples = addition()["train"]
    model = Transformer(setting.model, MODULUS + 1, MODULUS)
    for step, rate in ((0, 0.05), (1, 0.1)):
        model.load_state_dict({name: weight[step] for name, weight in run.weights.items()})
        loss = nn.functional.cross_entropy(model.answer(examples.tokens), examples.labels)
        for (name, weight), gradient in zip(
            model.named_parameters(), torch.autograd.grad(loss, list(model.parameters())), strict=True
        ):
            expected = weight * (1 - rate * 0.5) - rate * gradient
            torch.testing.assert_close(run.weights[name][step + 1], expected.detach(), rtol=1e-5, atol=1e-6)


def test_loss_precision_hardly_matters_at_the_start():
    runs = [
        trained(condition(steps=1, checkpoints=EVERY_STEP, optimiser="sgd", loss_precision=precision))
        for precision in ("float32", "float64")
    ]
    for name, weight in runs[0].weights.items():
        assert weight.dtype == runs[1].weights[name].dtype == torch.float32
        torch.testing.assert_close(weight, runs[1].weights[name], rtol=1e-5, atol=1e-7)


# Batches


def indices(n_examples: int, batch_size: int | str, seed: int):
    return training.batch_indices(n_examples, batch_size, seed, torch.device("cpu"))


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


# Checkpoints and metrics


def test_checkpoint_zero_is_the_initialisation():
    run = trained(condition(), seed=7)
    model = Transformer(condition().model, MODULUS + 1, MODULUS)
    model.initialise(torch.Generator().manual_seed(stream_seed(7, "initialisation")))
    assert same_bytes({name: weight[0] for name, weight in run.weights.items()}, model.state_dict())


def test_a_checkpoint_holds_the_weights_after_so_many_updates():
    run = trained(condition(steps=12))
    assert run.steps == [0, 1, 3, 5, 10, 12]
    for place, step in enumerate(run.steps[1:], start=1):
        there = {name: weight[place] for name, weight in run.weights.items()}
        shorter = trained(condition(steps=step))
        assert same_bytes(there, shorter.model.state_dict())
        assert same_bytes(there, {name: weight[-1] for name, weight in shorter.weights.items()})


def test_looking_more_often_changes_no_weight():
    often = trained(condition(checkpoints=EVERY_STEP, metrics=EVERY_STEP))
    rarely = trained(condition(checkpoints=Spacing(1, 1000), metrics=Spacing(1, 1000)))
    assert same_bytes(often.model.state_dict(), rarely.model.state_dict())


def test_metrics_are_at_the_scheduled_steps_for_both_splits():
    metrics = trained(condition(steps=12)).metrics
    expected = [(step, split) for step in (0, 1, 2, 4, 5, 8, 12) for split in ("train", "validation")]
    assert list(zip(metrics["step"], metrics["split"], strict=True)) == expected
    assert set(metrics.columns) == {
        *("step", "split", "loss", "accuracy", "margin", "correct_probability"),
        *("gradient_norm", "weight_norm", "learning_rate", "diverged"),
    }


@pytest.mark.parametrize("step", [0, 12])
def test_metrics_are_those_of_the_network_at_that_step(step):
    run = trained(condition(steps=12))
    place = run.steps.index(step)
    model = Transformer(condition().model, MODULUS + 1, MODULUS)
    model.load_state_dict({name: weight[place] for name, weight in run.weights.items()})
    for split, examples in addition().items():
        row = run.metrics[(run.metrics["step"] == step) & (run.metrics["split"] == split)].iloc[0]
        with torch.no_grad():
            logits = model.answer(examples.tokens).double()
        assert row["loss"] == pytest.approx(nn.functional.cross_entropy(logits, examples.labels).item(), rel=1e-9)
        assert row["accuracy"] == (logits.argmax(dim=1) == examples.labels).double().mean().item()
        assert row["margin"] == pytest.approx(scores.margins(logits, examples.labels).mean().item(), rel=1e-9)
        probability = logits.softmax(dim=1)[torch.arange(len(logits)), examples.labels]
        assert row["correct_probability"] == pytest.approx(probability.median().item(), rel=1e-9)
        norm = torch.cat([weight.detach().flatten() for weight in model.parameters()]).norm().item()
        assert row["weight_norm"] == pytest.approx(norm, rel=1e-5)
        assert not row["diverged"]


def test_rate_and_gradient_norm_are_those_of_the_update_that_led_to_the_step():
    setting = condition(
        steps=4, checkpoints=EVERY_STEP, metrics=EVERY_STEP, batch_size="full", learning_rate=0.03, warm_up=3
    )
    run = trained(setting)
    rows = run.metrics[run.metrics["split"] == "train"]
    np.testing.assert_allclose(rows["learning_rate"], [0.0, 0.01, 0.02, 0.03, 0.03])
    assert math.isnan(rows["gradient_norm"].iloc[0])
    examples, model = addition()["train"], Transformer(setting.model, MODULUS + 1, MODULUS)
    for step in range(1, 5):
        model.load_state_dict({name: weight[step - 1] for name, weight in run.weights.items()})
        loss = nn.functional.cross_entropy(model.answer(examples.tokens), examples.labels)
        gradient = torch.autograd.grad(loss, list(model.parameters()))
        norm = torch.cat([part.flatten() for part in gradient]).norm().item()
        assert rows["gradient_norm"].iloc[step] == pytest.approx(norm, rel=1e-5)


def test_the_tiny_task_is_learned():
    run = trained(condition(steps=300, model=model_settings(d_mlp=32), weight_decay=0.0, batch_size="full"))
    last = run.metrics[run.metrics["split"] == "train"].iloc[-1]
    assert last["accuracy"] == 1.0
    assert last["loss"] < 0.1


# Divergence


def test_a_run_that_overflows_goes_on_and_its_rows_say_so():
    run = trained(condition(steps=12, metrics=EVERY_STEP, optimiser="sgd", learning_rate=1e30, warm_up=0))
    assert len(run.metrics) == 26
    for _, rows in run.metrics.groupby("split"):
        diverged = rows.sort_values("step")["diverged"]
        assert not diverged.iloc[0]
        assert diverged.iloc[-1]
        assert diverged.is_monotonic_increasing
        finite = np.isfinite(rows["loss"]) & np.isfinite(rows["weight_norm"])
        assert (rows["diverged"] | finite).all()


def test_once_diverged_stays_diverged_on_both_splits():
    rows = [torch.ones(2, 7, dtype=torch.float64) for _ in range(4)]
    rows[1][:, 4] = float("nan")  # the gradient's norm, which step 0 lacks too
    rows[2][1, 0] = float("inf")  # validation loss alone
    frame = training._metrics_frame(rows, [0, 5, 10, 15])
    assert frame.groupby("step")["diverged"].unique().map(list).to_dict() == {
        0: [False],
        5: [False],
        10: [True],
        15: [True],
    }


# Progress


def test_the_last_report_gives_steps_loss_and_accuracy():
    lines: list[str] = []
    run = trained(condition(steps=12), report=lines.append)
    train, validation = (run.metrics[run.metrics["split"] == split].iloc[-1] for split in ("train", "validation"))
    found = re.match(
        r"step 12 of 12 · train loss (\S+), accuracy (\S+) · validation loss (\S+), accuracy (\S+) · ", lines[-1]
    )
    assert found
    assert found.groups() == (
        f"{train['loss']:.3g}",
        f"{train['accuracy']:.3f}",
        f"{validation['loss']:.3g}",
        f"{validation['accuracy']:.3f}",
    )
