"""Training loop: the meaning of a step, equal bytes from equal settings, and going on after a stop."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from builders import VOCABULARY, addition, condition, mlp_settings, model_settings
from runs import EVERY_STEP, LONG, assert_same_run, same_bytes, trained
from torch import nn

from general_circuits.models import predictions
from general_circuits.models.transformer import Transformer
from general_circuits.seeds import stream_seed
from general_circuits.storage.training_states import States
from general_circuits.tasks.examples import SPLITS
from general_circuits.training import loop
from general_circuits.training.events import events_of_run
from general_circuits.training.loop import Observed, Stopped
from general_circuits.training.replica import COLUMNS, Replica, build_network
from general_circuits.training.schedule import Spacing

ARITHMETIC = pytest.mark.parametrize("arithmetic", ["reduced", "plain"])

PARTS = ("train", "validation", "validation_mirrored", "validation_unmirrored")
"""Parts of the examples of `addition` that are evaluated."""


# Equal settings, equal bytes


@ARITHMETIC
@pytest.mark.parametrize("batch_size", [4, "full"])
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_the_same_condition_and_seed_give_the_same_bytes_whatever_the_global_seed(optimiser, batch_size, arithmetic):
    setting = condition(optimiser=optimiser, batch_size=batch_size, arithmetic=arithmetic)
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


def test_another_seed_gives_another_initialisation():
    first, second = trained(condition(), seed=0), trained(condition(), seed=1)
    assert not torch.equal(first.weights["embed.W_E"][0], second.weights["embed.W_E"][0])


def test_initialisation_does_not_depend_on_how_the_network_is_trained():
    runs = [
        trained(setting)
        for setting in (
            condition(),
            condition(batch_size="full"),
            condition(optimiser="sgd", steps=3),
            condition(arithmetic="plain"),
        )
    ]
    first, *others = [{name: weight[0] for name, weight in run.weights.items()} for run in runs]
    assert all(same_bytes(first, other) for other in others)


# Updates


@ARITHMETIC
def test_two_updates_are_two_steps_of_gradient_descent_with_warm_up_and_decay(arithmetic):
    """The gradients are those that autograd finds for the plain loss on all training examples."""
    setting = condition(
        steps=2,
        checkpoints=EVERY_STEP,
        optimiser="sgd",
        decay="decoupled",
        learning_rate=0.1,
        warm_up=2,
        batch_size="full",
        arithmetic=arithmetic,
    )
    run = trained(setting)
    examples = addition()["train"]
    model = Transformer(setting.model, VOCABULARY)
    for step, rate in ((0, 0.05), (1, 0.1)):
        model.load_state_dict({name: weight[step] for name, weight in run.weights.items()})
        loss = nn.functional.cross_entropy(model.answer(examples.tokens), examples.labels)
        for (name, weight), gradient in zip(
            model.named_parameters(), torch.autograd.grad(loss, list(model.parameters())), strict=True
        ):
            expected = weight * (1 - rate * 0.5) - rate * gradient
            torch.testing.assert_close(run.weights[name][step + 1], expected.detach(), rtol=1e-5, atol=1e-6)


@ARITHMETIC
def test_both_loss_precisions_give_almost_the_same_first_step(arithmetic):
    setting = condition(steps=1, checkpoints=EVERY_STEP, optimiser="sgd", arithmetic=arithmetic)
    runs = [
        trained(replace(setting, optimiser=replace(setting.optimiser, loss_precision=precision)))
        for precision in ("float32", "float64")
    ]
    for name, weight in runs[0].weights.items():
        assert weight.dtype == runs[1].weights[name].dtype == torch.float32
        torch.testing.assert_close(weight, runs[1].weights[name], rtol=1e-5, atol=1e-7)


# Checkpoints and metrics


def test_checkpoint_zero_is_the_initialisation():
    run = trained(condition(), seed=7)
    model = Transformer(condition().model, VOCABULARY)
    model.initialise(torch.Generator().manual_seed(stream_seed(7, "initialisation")))
    assert same_bytes({name: weight[0] for name, weight in run.weights.items()}, model.state_dict())


def test_a_checkpoint_at_step_s_holds_the_weights_after_s_updates():
    run = trained(condition(steps=12))
    assert run.steps == [0, 1, 3, 5, 10, 12]
    for place, step in enumerate(run.steps[1:], start=1):
        there = {name: weight[place] for name, weight in run.weights.items()}
        shorter = trained(condition(steps=step))
        assert same_bytes(there, shorter.model.state_dict())
        assert same_bytes(there, {name: weight[-1] for name, weight in shorter.weights.items()})


def test_observing_more_steps_changes_no_weight():
    often = trained(condition(checkpoints=EVERY_STEP, metrics=EVERY_STEP))
    rarely = trained(condition(checkpoints=Spacing(1, 1000), metrics=Spacing(1, 1000)))
    assert same_bytes(often.model.state_dict(), rarely.model.state_dict())


def test_every_part_has_one_row_of_metrics_at_each_scheduled_step():
    metrics = trained(condition(steps=12)).metrics
    expected = [(step, split) for step in (0, 1, 2, 4, 5, 8, 12) for split in PARTS]
    assert list(zip(metrics["step"], metrics["split"], strict=True)) == expected
    assert set(metrics.columns) == {
        *("step", "split", "loss", "accuracy", "margin"),
        *("correct_probability", "correct_probability_q10", "correct_probability_q90"),
        *("gradient_norm", "weight_norm", "distance", "learning_rate", "diverged"),
    }


@ARITHMETIC
@pytest.mark.parametrize("step", [0, 12])
def test_metrics_describe_the_network_with_the_weights_of_that_step(step, arithmetic):
    setting = condition(steps=12, arithmetic=arithmetic)
    run = trained(setting)
    place = run.steps.index(step)
    model = Transformer(condition().model, VOCABULARY)
    model.load_state_dict({name: weight[place] for name, weight in run.weights.items()})
    network = build_network(setting.optimiser, model, batch_size=4)
    for split, examples in addition().items():
        row = run.metrics[(run.metrics["step"] == step) & (run.metrics["split"] == split)].iloc[0]
        logits = network.answer(examples.tokens).double()
        assert row["loss"] == pytest.approx(nn.functional.cross_entropy(logits, examples.labels).item(), rel=1e-9)
        assert row["accuracy"] == (logits.argmax(dim=1) == examples.labels).double().mean().item()
        assert row["margin"] == pytest.approx(predictions.margins(logits, examples.labels).mean().item(), rel=1e-9)
        probability = logits.softmax(dim=1)[torch.arange(len(logits)), examples.labels]
        assert row["correct_probability"] == pytest.approx(probability.median().item(), rel=1e-9)
        norm = torch.cat([weight.detach().flatten() for weight in model.parameters()]).norm().item()
        assert row["weight_norm"] == pytest.approx(norm, rel=1e-5)
        assert not row["diverged"]


@ARITHMETIC
def test_rate_and_gradient_norm_describe_the_update_that_led_to_the_step(arithmetic):
    setting = condition(
        steps=4,
        checkpoints=EVERY_STEP,
        metrics=EVERY_STEP,
        batch_size="full",
        learning_rate=0.03,
        warm_up=3,
        arithmetic=arithmetic,
    )
    run = trained(setting)
    rows = run.metrics[run.metrics["split"] == "train"]
    np.testing.assert_allclose(rows["learning_rate"], [0.0, 0.01, 0.02, 0.03, 0.03])
    assert math.isnan(rows["gradient_norm"].iloc[0])
    examples, model = addition()["train"], Transformer(setting.model, VOCABULARY)
    for step in range(1, 5):
        model.load_state_dict({name: weight[step - 1] for name, weight in run.weights.items()})
        loss = nn.functional.cross_entropy(model.answer(examples.tokens), examples.labels)
        gradient = torch.autograd.grad(loss, list(model.parameters()))
        norm = torch.cat([part.flatten() for part in gradient]).norm().item()
        assert rows["gradient_norm"].iloc[step] == pytest.approx(norm, rel=1e-5)


@ARITHMETIC
def test_a_transformer_learns_all_training_examples_of_the_tiny_task(arithmetic):
    setting = condition(300, model=model_settings(d_mlp=32), weight_decay=0.0, batch_size="full", arithmetic=arithmetic)
    run = trained(setting)
    last = run.metrics[run.metrics["split"] == "train"].iloc[-1]
    assert last["accuracy"] == 1.0
    assert last["loss"] < 0.1


@pytest.mark.parametrize("inputs", ["one_hot", "embedding", "ordinal"])
def test_a_perceptron_learns_all_training_examples_of_the_tiny_task(inputs):
    model = mlp_settings(d_mlp=64, inputs=inputs)
    run = trained(condition(600, model=model, weight_decay=0.0, batch_size="full", arithmetic="plain"))
    last = run.metrics[run.metrics["split"] == "train"].iloc[-1]
    assert last["accuracy"] == 1.0
    assert last["loss"] < 0.1


# Divergence


@ARITHMETIC
def test_a_run_that_overflows_goes_on_and_its_rows_are_flagged(arithmetic):
    run = trained(
        condition(12, metrics=EVERY_STEP, optimiser="sgd", learning_rate=1e30, warm_up=0, arithmetic=arithmetic)
    )
    assert len(run.metrics) == 13 * len(PARTS)
    for _, rows in run.metrics.groupby("split"):
        diverged = rows.sort_values("step")["diverged"]
        assert not diverged.iloc[0]
        assert diverged.iloc[-1]
        assert diverged.is_monotonic_increasing
        finite = np.isfinite(rows["loss"]) & np.isfinite(rows["weight_norm"])
        assert (rows["diverged"] | finite).all()


def test_a_run_that_has_diverged_stays_diverged_on_both_splits():
    rows = [torch.ones(2, len(COLUMNS), dtype=torch.float64) for _ in range(4)]
    rows[1][:, COLUMNS.index("gradient_norm")] = float("nan")  # missing at step 0 too: it does not count
    rows[2][1, 0] = float("inf")  # validation loss alone
    frame = loop._metrics_frame(rows, [0, 5, 10, 15], SPLITS)
    assert frame.groupby("step")["diverged"].unique().map(list).to_dict() == {
        0: [False],
        5: [False],
        10: [True],
        15: [True],
    }


# Observed


@pytest.mark.parametrize(
    ("first", "last", "metrics"),
    [
        (0, None, {0, 1, 2, 4, 5, 8, 12}),
        (3, None, {3, 4, 5, 8, 12}),
        (4, 9, {4, 5, 8, 9}),
        (4, 99, {4, 5, 8, 12}),
        (12, None, {12}),
        (20, None, {20}),
        (20, 30, {20}),
    ],
)
def test_a_part_of_a_run_is_observed_at_both_ends_and_as_scheduled_between(
    first: int, last: int | None, metrics: set
) -> None:
    observed = Observed.of(condition(steps=12), first, last)
    assert observed.metrics == metrics
    assert observed.last == max(metrics)


def test_a_whole_run_is_observed_at_the_steps_of_its_schedule():
    observed = Observed.of(condition(12))
    assert observed.last == 12
    assert observed.checkpoints == {0, 1, 3, 5, 10, 12}
    assert observed.metrics == {0, 1, 2, 4, 5, 8, 12}


@pytest.mark.parametrize(
    ("arguments", "checkpoints", "metrics"),
    [
        ((10, 20, 5, 3), {10, 15, 20}, {10, 13, 16, 19, 20}),
        ((10, 12, 100, 1), {10, 12}, {10, 11, 12}),
        ((4, 4, 1, 1), {4}, {4}),
    ],
)
def test_steps_between_two_steps_always_contain_both(arguments, checkpoints, metrics):
    observed = Observed.between(*arguments)
    assert (observed.last, set(observed.checkpoints), set(observed.metrics)) == (arguments[1], checkpoints, metrics)


# Progress


def test_the_last_line_of_progress_has_the_steps_losses_and_accuracies():
    lines: list[str] = []
    run = trained(condition(steps=12), report=lines.append)
    train, validation = (run.metrics[run.metrics["split"] == split].iloc[-1] for split in ("train", "validation"))
    match = re.match(
        r"step 12 of 12 · train loss (\S+), accuracy (\S+) · validation loss (\S+), accuracy (\S+) · ", lines[-1]
    )
    assert match
    assert match.groups() == (
        f"{train['loss']:.3g}",
        f"{train['accuracy']:.3f}",
        f"{validation['loss']:.3g}",
        f"{validation['accuracy']:.3f}",
    )


# Going on


def after(n_steps: int):
    """Return a function that asks training to stop when it is called the n-th time: after n steps."""
    answers = iter([False] * (n_steps - 1))
    return lambda: next(answers, True)


@pytest.mark.usefixtures("a_state_every_seven")
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("batch_size", [4, "full"])
@ARITHMETIC
def test_a_run_that_is_stopped_twice_ends_as_one_that_ran_through(arithmetic, batch_size, optimiser, tmp_path: Path):
    setting = condition(30, optimiser=optimiser, momentum=0.9, batch_size=batch_size, arithmetic=arithmetic)
    states = States(tmp_path / "states")
    for n_steps, place in ((9, 9), (10, 19)):
        with pytest.raises(Stopped, match=f"stopped at step {place}, which is kept"):
            trained(setting, states=states, is_stopped=after(n_steps))
    lines: list[str] = []
    assert_same_run(trained(setting, states=states, report=lines.append), trained(setting))
    assert lines[0] == "goes on from step 19"


@pytest.mark.usefixtures("a_state_every_seven")
@pytest.mark.parametrize(
    "changes",
    [
        {"optimiser": "line_search", "decay": "coupled", "batch_size": "full", "warm_up": 0},
        {"optimiser": "lbfgs", "decay": "coupled", "batch_size": "full", "warm_up": 0, "learning_rate": 1.0},
        {"grokfast_lambda": 2.0},
        {"gradient_noise": 0.1},
        {"decay_on": ("blocks.*",), "loss": "stablemax"},
    ],
    ids=str,
)
@ARITHMETIC
def test_a_stopped_run_ends_the_same_with_every_kind_of_memory(arithmetic, changes, tmp_path: Path):
    setting = condition(30, arithmetic=arithmetic, **changes)
    states = States(tmp_path / "states")
    for n_steps in (9, 10):
        with pytest.raises(Stopped):
            trained(setting, states=states, is_stopped=after(n_steps))
    assert_same_run(trained(setting, states=states), trained(setting))


@pytest.mark.parametrize("optimiser", ["line_search", "lbfgs"])
@ARITHMETIC
def test_a_search_for_a_step_size_ends_even_from_weights_that_are_nan(arithmetic, optimiser):
    setting = condition(
        3, metrics=EVERY_STEP, optimiser=optimiser, decay="coupled", warm_up=0, batch_size="full", arithmetic=arithmetic
    )
    replica = loop.Replica(setting, addition(), VOCABULARY, 0)
    with torch.no_grad():
        replica.model.embed.W_E.fill_(float("nan"))
    for _ in range(3):
        replica.update(is_observed=True)
    assert replica.evaluate()[:, 0].isnan().all()


@pytest.mark.usefixtures("a_state_every_seven")
@pytest.mark.parametrize("lost", range(5))
def test_a_killed_run_goes_on_from_its_last_whole_state(lost, tmp_path: Path):
    states = States(tmp_path / "states", report=lambda line: None)
    complete = trained(LONG, states=states)
    for path in sorted(states.folder.glob("state-*"))[5 - lost :]:
        path.write_bytes(path.read_bytes()[:-1])
    lines: list[str] = []
    assert_same_run(trained(LONG, states=states, report=lines.append), complete)
    assert lines[0] == f"goes on from step {[30, 28, 21, 14, 7][lost]}"


@pytest.mark.usefixtures("a_state_every_seven")
def test_states_are_kept_at_fixed_steps_and_at_the_last_step(tmp_path: Path):
    states = States(tmp_path / "states")
    assert_same_run(trained(LONG, states=states), trained(LONG))
    kept = [
        sorted(int(path.name.split("-")[1]) for path in states.folder.glob(f"{kind}-*")) for kind in ("state", "record")
    ]
    assert kept == [[7, 14, 21, 28, 30]] * 2


@pytest.mark.usefixtures("a_state_every_seven")
def test_every_observation_is_in_exactly_one_record(tmp_path: Path):
    states = States(tmp_path / "states")
    run = trained(LONG, states=states)
    _, records = states.resume()
    names = [name for record in records for name in record.tensors]
    assert len(set(names)) == len(names)
    assert set(names) == {
        *(f"metrics.{step}" for step in run.metrics["step"].unique()),
        *(f"checkpoint.{step}.{name}" for step in run.steps for name in run.weights),
    }
    assert [record.values["after"] for record in records] == [None, 7, 14, 21, 28]


@pytest.mark.usefixtures("a_state_every_seven")
def test_a_finished_run_is_read_from_its_states_without_an_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    states = States(tmp_path / "states")
    complete = trained(LONG, states=states)
    monkeypatch.setattr(loop.Replica, "update", lambda self, is_observed: pytest.fail("an update"))
    assert_same_run(trained(LONG, states=states), complete)


def test_a_request_to_stop_at_the_last_step_changes_nothing(tmp_path: Path):
    states = States(tmp_path / "states")
    assert_same_run(trained(LONG, states=states, is_stopped=after(30)), trained(LONG))
    assert states.nearest(30).step == 30


def test_a_diverged_run_that_goes_on_stays_diverged(tmp_path: Path):
    setting = condition(12, metrics=EVERY_STEP, optimiser="sgd", learning_rate=1e30, warm_up=0)
    states = States(tmp_path / "states")
    with pytest.raises(Stopped):
        trained(setting, states=states, is_stopped=after(6))
    run = trained(setting, states=states)
    assert_same_run(run, trained(setting))
    assert run.metrics["diverged"].iloc[-1]


# Ending at the replica's own t_g


def with_known_validation(setting, **more):
    """Train a replica whose validation examples are its training examples, so that it generalises as it memorises."""
    examples = addition()["train"]
    return loop.train(setting, dict.fromkeys(SPLITS, examples), VOCABULARY, 0, **more)


WHOLE = condition(200, Spacing(1, 30), Spacing(1, 10), learning_rate=0.01, weight_decay=0.5, batch_size="full")


def ending(until: float):
    return replace(WHOLE, schedule=replace(WHOLE.schedule, until=until, whose="own"))


@pytest.mark.parametrize("until", [1.0, 1.25, 1.5, 2.0, 100.0])
def test_a_run_that_ends_itself_is_the_beginning_of_the_whole_run(until):
    """It ends at so many times t_g; t_g is known two evaluations after t_m, which is t_g here."""
    whole, run = with_known_validation(WHOLE), with_known_validation(ending(until))
    generalised = events_of_run(whole.metrics)["generalised"]
    assert generalised is not None
    assert events_of_run(run.metrics)["generalised"] == generalised
    last = min(200, max(math.floor(until * generalised), generalised + 20))
    assert run.metrics["step"].max() == last
    assert run.steps == [*(step for step in whole.steps if step < last), last]
    same = run.metrics[run.metrics["step"].isin(whole.metrics["step"])].reset_index(drop=True)
    expected = whole.metrics[whole.metrics["step"].isin(same["step"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, expected, check_exact=True)
    shared = [step for step in run.steps if step in whole.steps]
    for name, weight in run.weights.items():
        assert len(weight) == len(run.steps)
        for step in shared:
            assert torch.equal(weight[run.steps.index(step)], whole.weights[name][whole.steps.index(step)])
        assert torch.equal(weight[-1], run.model.state_dict()[name])


@pytest.mark.usefixtures("a_state_every_seven")
@pytest.mark.parametrize("stop_after", [5, 68, 75, 93, 100, 101])
def test_a_run_that_ends_itself_goes_on_to_the_same_end(stop_after, tmp_path: Path):
    """Stops come before t_m, before t_g is known, and on the way to the end."""
    expected, states = with_known_validation(ending(1.5)), States(tmp_path)
    with pytest.raises(Stopped):
        with_known_validation(ending(1.5), states=states, is_stopped=after(stop_after))
    assert_same_run(with_known_validation(ending(1.5), states=states), expected)
    assert_same_run(with_known_validation(ending(1.5), states=states), expected)


@pytest.mark.parametrize("stop_after", [85, 91, 95])
def test_a_run_that_forgets_at_once_ends_where_it_would_have_ended_without_a_stop(
    stop_after, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It generalises at t_m. Before that is known, two evaluations later, its validation accuracy falls again."""
    whole = with_known_validation(WHOLE)
    generalised = events_of_run(whole.metrics)["generalised"]
    evaluate = Replica.evaluate

    def forgetting(self) -> torch.Tensor:
        row = evaluate(self)
        if self.step > generalised:
            row[PARTS.index("validation"), COLUMNS.index("accuracy")] = 0.5
        return row

    monkeypatch.setattr(Replica, "evaluate", forgetting)
    run = with_known_validation(ending(1.0))
    assert run.metrics["step"].max() == generalised + 20
    states = States(tmp_path)
    if stop_after < generalised + 20:
        with pytest.raises(Stopped):
            with_known_validation(ending(1.0), states=states, is_stopped=after(stop_after))
    assert_same_run(with_known_validation(ending(1.0), states=states), run)


def test_a_run_that_never_generalises_trains_all_of_its_steps():
    assert_same_run(trained(replace(LONG, schedule=replace(LONG.schedule, until=1.5, whose="own"))), trained(LONG))
