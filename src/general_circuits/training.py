"""The training loop: one replica of one condition, from its seed to its metrics and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from general_circuits import scores
from general_circuits.conditions import Condition, Optimiser
from general_circuits.examples import SPLITS, Examples
from general_circuits.models import Transformer
from general_circuits.randomness import stream_seed

_COLUMNS = ("loss", "accuracy", "margin", "correct_probability", "gradient_norm", "weight_norm", "learning_rate")
"""Of a row of metrics, in the order that `_evaluate` stacks them."""


@dataclass(frozen=True)
class Run:
    """What training leaves.

    Attributes:
        metrics: one row per evaluated step and split.
        weights: by TransformerLens name, every checkpoint stacked on a leading step axis.
        steps: the step of each checkpoint.
        model: the network after the last step.
    """

    metrics: pd.DataFrame
    weights: dict[str, Tensor]
    steps: list[int]
    model: Transformer


def train(
    condition: Condition,
    splits: dict[str, Examples],
    n_symbols: int,
    n_classes: int,
    seed: int,
    report: Callable[[str], None] = lambda line: None,
) -> Run:
    """Train one replica.

    Args:
        condition: the complete setting.
        splits: the examples under "train" and "validation", labels after label noise.
        n_symbols: input tokens; "=" is one more.
        n_classes: output classes.
        seed: the replica; initialisation and batch order are separate streams of it.
        report: receives a line of progress now and then.

    A checkpoint at step s holds the weights after s updates; step 0 is the initialisation. A run that is no longer
    finite goes on, its rows flagged `diverged`: a diverged run is data.
    """
    schedule = condition.schedule
    train_set = splits["train"]
    model = Transformer(condition.model, d_vocab=n_symbols + 1, d_vocab_out=n_classes)
    model.initialise(torch.Generator().manual_seed(stream_seed(seed, "initialisation")))
    model.to(train_set.tokens.device)
    optimiser = build_optimiser(condition.optimiser, model)
    batches = batch_indices(len(train_set.labels), condition.optimiser.batch_size, seed, train_set.labels.device)
    precision = torch.float64 if condition.optimiser.loss_precision == "float64" else torch.float32

    checkpoint_steps = set(schedule.checkpoints.steps(schedule.steps))
    metric_steps = set(schedule.metrics.steps(schedule.steps))
    checkpoints: list[dict[str, Tensor]] = []
    rows: list[Tensor] = []
    progress = _Progress(schedule.steps, report)
    gradient_norm = torch.full((), float("nan"), device=train_set.labels.device)
    rate = 0.0
    for step in range(schedule.steps + 1):
        if step in checkpoint_steps:
            checkpoints.append({name: weight.detach().cpu().clone() for name, weight in model.state_dict().items()})
        if step in metric_steps:
            rows.append(_evaluate(model, splits, gradient_norm, rate))
            progress.update(step, rows[-1])
        if step == schedule.steps:
            break
        batch = next(batches)
        logits = model.answer(train_set.tokens[batch]).to(precision)
        optimiser.zero_grad(set_to_none=True)
        scores.loss(logits, train_set.labels[batch]).backward()
        if step + 1 in metric_steps:
            gradient_norm = _norm([weight.grad for weight in model.parameters() if weight.grad is not None])
        rate = _step(optimiser, condition.optimiser, step)
    return Run(
        metrics=_metrics_frame(rows, sorted(metric_steps)),
        weights={name: torch.stack([weights[name] for weights in checkpoints]) for name in checkpoints[0]},
        steps=sorted(checkpoint_steps),
        model=model,
    )


def build_optimiser(settings: Optimiser, model: torch.nn.Module) -> torch.optim.Optimizer:
    """torch's optimiser. Decoupled decay is AdamW's own; for SGD, which has none in torch, `_step` applies it."""
    coupled = settings.weight_decay if settings.decay == "coupled" else 0.0
    if settings.optimiser == "sgd":
        return torch.optim.SGD(
            model.parameters(), lr=settings.learning_rate, momentum=settings.momentum, weight_decay=coupled
        )
    family = torch.optim.Adam if settings.decay == "coupled" else torch.optim.AdamW
    return family(
        model.parameters(),
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
        weight_decay=settings.weight_decay,
    )


def learning_rate(settings: Optimiser, step: int) -> float:
    """The rate of update `step` (from 0): a linear warm-up, then constant."""
    return settings.learning_rate * min(1.0, (step + 1) / max(1, settings.warm_up))


def batch_indices(n_examples: int, batch_size: int | str, seed: int, device: torch.device) -> Iterator[Tensor]:
    """Endless index tensors (batch). Each epoch is a fresh permutation cut into whole batches; the rest is left out."""
    if batch_size == "full":
        everything = torch.arange(n_examples, device=device)
        while True:
            yield everything
    size = int(batch_size)
    if not 0 < size <= n_examples:
        raise ValueError(f"batch_size = {size}: should be from 1 to the {n_examples} training examples")
    generator = torch.Generator().manual_seed(stream_seed(seed, "batches"))
    while True:
        order = torch.randperm(n_examples, generator=generator).to(device)
        yield from order[: n_examples - n_examples % size].split(size)


def _step(optimiser: torch.optim.Optimizer, settings: Optimiser, step: int) -> float:
    """One update at the scheduled rate, which is returned."""
    rate = learning_rate(settings, step)
    for group in optimiser.param_groups:
        group["lr"] = rate
    if settings.optimiser == "sgd" and settings.decay == "decoupled":
        with torch.no_grad():
            for weight in optimiser.param_groups[0]["params"]:
                weight.mul_(1.0 - rate * settings.weight_decay)
    optimiser.step()
    return rate


@torch.no_grad()
def _evaluate(model: Transformer, splits: dict[str, Examples], gradient_norm: Tensor, rate: float) -> Tensor:
    """One row (split, column) of `_COLUMNS`, left on the device."""
    weight_norm = _norm(list(model.parameters()))
    rows = []
    for name in SPLITS:
        labels = splits[name].labels
        chunks = [model.answer(tokens) for tokens in splits[name].tokens.split(2048)]
        logits = torch.cat(chunks).double()
        margins = scores.margins(logits, labels)
        rows.append(
            torch.stack(
                [
                    scores.loss(logits, labels),
                    (margins > 0).double().mean(),
                    margins.mean(),
                    scores.correct_probability(logits, labels).median(),
                    gradient_norm.double(),
                    weight_norm.double(),
                    torch.tensor(rate, dtype=torch.float64, device=labels.device),
                ]
            )
        )
    return torch.stack(rows)


def _norm(tensors: list[Tensor]) -> Tensor:
    return torch.stack([tensor.detach().norm() for tensor in tensors]).norm()


def _metrics_frame(rows: list[Tensor], steps: list[int]) -> pd.DataFrame:
    values = torch.stack(rows).cpu().numpy()  # (step, split, column)
    frame = pd.concat(
        [
            pd.DataFrame(values[:, i], columns=list(_COLUMNS)).assign(step=steps, split=name)
            for i, name in enumerate(SPLITS)
        ],
        ignore_index=True,
    )
    decisive = [_COLUMNS.index("loss"), _COLUMNS.index("weight_norm")]
    is_lost = ~np.isfinite(values[:, :, decisive]).all(axis=(1, 2))
    frame["diverged"] = frame["step"].map(pd.Series(is_lost, index=steps).cummax())
    return frame.sort_values(["step", "split"], ignore_index=True)


class _Progress:
    """A line every ten seconds: steps, loss, accuracy, time left."""

    def __init__(self, steps: int, report: Callable[[str], None], seconds: float = 10.0) -> None:
        self.steps, self.report, self.seconds = steps, report, seconds
        self.start = self.last = time.monotonic()

    def update(self, step: int, row: Tensor) -> None:
        now = time.monotonic()
        if now - self.last < self.seconds and step < self.steps:
            return
        self.last = now
        (train_loss, train_accuracy), (validation_loss, validation_accuracy) = row[:, :2].tolist()
        minutes, seconds = divmod(round((now - self.start) / max(step, 1) * (self.steps - step)), 60)
        self.report(
            f"step {step:,} of {self.steps:,} · train loss {train_loss:.3g}, accuracy {train_accuracy:.3f}"
            f" · validation loss {validation_loss:.3g}, accuracy {validation_accuracy:.3f}"
            f" · {minutes} min {seconds:02} s left"
        )
