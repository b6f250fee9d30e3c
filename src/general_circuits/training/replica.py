"""One replica at one step: its network, its optimiser and its stream of batches, and the next update."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from general_circuits.models import ground_truth, predictions
from general_circuits.models.build import build
from general_circuits.models.initialisation import perturb
from general_circuits.models.network import Network
from general_circuits.models.transformer import Transformer
from general_circuits.seeds import Purpose, stream_seed
from general_circuits.storage.training_states import State
from general_circuits.tasks.examples import SPLITS, Examples, is_mirrored
from general_circuits.tasks.vocabulary import Vocabulary
from general_circuits.training import losses
from general_circuits.training.batches import Batches
from general_circuits.training.interventions import Intervening
from general_circuits.training.losses import Loss
from general_circuits.training.optimisers.updater import Updater
from general_circuits.training.reduced.network import Reduced
from general_circuits.training.settings import Condition, Intervention, Optimiser

COLUMNS = (
    *("loss", "accuracy", "margin", "correct_probability", "correct_probability_q10", "correct_probability_q90"),
    *("gradient_norm", "weight_norm", "distance", "learning_rate"),
)
"""Columns of a row of metrics, in the order that `Replica.evaluate` stacks them."""


class Replica:
    """One replica at one step: its network, its optimiser and its stream of batches.

    Args:
        condition: the complete setting.
        splits: the examples under "train" and "validation", labels after label noise.
        vocabulary: symbols that the network reads, and classes that it answers.
        seed: seed of the replica. Initialisation and batch order are separate streams of it.
        intervention: changes to training that no setting describes, for a branch.

    Attributes:
        model: the network, whose weights training changes in place.
        loss: the plain loss, which metrics report. An intervention may train on another one.
        network: arithmetic that computes the network's answers and gradients.
        parts: groups of examples that are evaluated, by name: a split, and a mask of its examples, or None for all.
        step: number of updates made.
        distance: sum of the norms of all updates so far.
        gradient_norm: norm of the gradient of the last observed update; NaN before the first.
        rate: learning rate of the last update.
    """

    def __init__(
        self,
        condition: Condition,
        splits: dict[str, Examples],
        vocabulary: Vocabulary,
        seed: int,
        intervention: Intervention | None = None,
    ) -> None:
        settings, train_set = condition.optimiser, splits["train"]
        self.splits = splits
        self.model = build(condition.model, vocabulary)
        _begin(self.model, train_set, seed)
        if condition.perturbation:
            perturb(self.model, condition.perturbation, _generator(seed, "perturbation"))
        self.model.to(train_set.tokens.device)
        size = len(train_set.labels) if settings.batch_size == "full" else int(settings.batch_size)
        weights = dict(self.model.named_parameters())
        self.loss = losses.named(settings.loss)
        self.intervening = Intervening(intervention, weights, seed) if intervention else None
        minimised = self.intervening.loss(self.loss) if self.intervening else self.loss
        self.network = build_network(settings, self.model, size, minimised)
        self.updater = Updater(settings, weights, seed)
        self.batches = Batches(len(train_set.labels), settings.batch_size, seed, train_set.labels.device)
        self.precision = torch.float64 if settings.loss_precision == "float64" else torch.float32
        self.parts = _parts(splits)
        self.step, self.rate = 0, 0.0
        # Made once: weights before an update, and then the update itself.
        self.before = [torch.empty_like(weight) for weight in self.model.parameters()]
        self.distance = torch.zeros((), dtype=torch.float64, device=train_set.labels.device)
        self.gradient_norm = torch.full((), float("nan"), device=train_set.labels.device)

    def update(self, is_observed: bool) -> None:
        """Make one update, and measure its gradient's norm if it is observed."""
        train_set, batch = self.splits["train"], self.batches.next()
        tokens, labels = train_set.tokens[batch], train_set.labels[batch]
        self.network.gradients(tokens, labels, self.precision)
        # The norm of the loss's gradient: before an intervention, noise or Grokfast change it.
        if is_observed:
            self.gradient_norm = _norm([weight.grad for weight in self.model.parameters() if weight.grad is not None])

        if self.intervening:
            rate = self.updater.rule.settings.rate(self.step)
            self.intervening.replace(self._gradients_of, len(train_set), rate)

        # For rules that search a step size: the loss of this batch at the weights that they try.
        def objective(sets_gradients: bool) -> Tensor:
            if sets_gradients:
                self.network.gradients(tokens, labels, self.precision)
            return self.network.loss.mean(self.network.answer(tokens).to(self.precision), labels)

        with torch.no_grad():
            weights = [weight.detach() for weight in self.model.parameters()]
            torch._foreach_copy_(self.before, weights)
            self.rate = self.updater.step(self.step, objective)
            if self.intervening:
                self.intervening.hold()
            torch._foreach_sub_(self.before, weights)
            # The norm of the update, negated here, over all weights together. It stays on the device: no wait.
            self.distance += torch.stack(torch._foreach_norm(self.before)).norm()
        self.step += 1

    @torch.no_grad()
    def evaluate(self) -> Tensor:
        """Return the metrics (part, column) in the order of `parts` and `COLUMNS`, float64, on the device."""
        weight_norm = _norm(list(self.model.parameters()))
        # Each split is answered once, and parts take rows of it. In float64, losses near 0 keep their digits.
        answers = {name: self.network.answer(self.splits[name].tokens).double() for name in SPLITS}
        rows = []
        for split, mask in self.parts.values():
            logits, labels = answers[split], self.splits[split].labels  # (example, class), (example)
            if mask is not None:
                logits, labels = logits[mask], labels[mask]
            margins = predictions.margins(logits, labels)
            rows.append(
                torch.stack(
                    [
                        self.loss.mean(logits, labels),
                        (margins > 0).double().mean(),
                        margins.mean(),
                        *_quantiles(predictions.correct_probability(logits, labels)),
                        self.gradient_norm.double(),
                        weight_norm.double(),
                        self.distance,
                        torch.tensor(self.rate, dtype=torch.float64, device=labels.device),
                    ]
                )
            )
        return torch.stack(rows)

    def state(self) -> State:
        """Return everything that the next update depends on."""
        tensors = {name: weight.detach() for name, weight in self.model.named_parameters()}
        tensors |= {**self.updater.tensors(), "epoch_start": self.batches.epoch_start, "distance": self.distance}
        tensors |= self.intervening.tensors() if self.intervening else {}
        return State(self.step, {name: tensor.cpu() for name, tensor in tensors.items()}, self.batches.values())

    @torch.no_grad()
    def restore(self, state: State) -> None:
        """Go to a state of the same replica, earlier or later."""
        for name, weight in self.model.named_parameters():
            weight.copy_(state.tensors[name])
        self.updater.restore(state.tensors, state.step)
        self.batches.restore(state.tensors["epoch_start"], state.values)
        if self.intervening:
            self.intervening.restore(state.tensors)
        self.distance.copy_(state.tensors["distance"])
        self.step = state.step

    @torch.no_grad()
    def inherit(self, other: Replica, step: int, lowest: float | None = None, lasts: int | None = None) -> None:
        """Go on from another replica of the same network and seed, in the setting of this one.

        If the settings are equal, every later step has the bytes that the other replica would have had.

        Args:
            other: the other replica.
            step: number of updates that it made.
            lowest: training accuracy that a kick has to reach, if it copies another branch's fall.
            lasts: number of updates in this setting; None to the end.
        """
        for name, weight in self.model.named_parameters():
            weight.copy_(other.model.get_parameter(name))
        self.updater.inherit(other.updater, step)
        self.batches.inherit(other.batches)
        self.step, self.rate, self.gradient_norm = step, other.rate, other.gradient_norm
        self.distance.copy_(other.distance)
        if self.intervening:
            rates = [self.updater.rule.settings.rate(step + made) for made in range(lasts or 0)]
            self.intervening.begin(self._training_accuracy, lowest, rates)

    @torch.no_grad()
    def mean_loss(self, split: str) -> float:
        """Return the loss over all examples of "train" or "validation", with the bits that `evaluate` gives."""
        examples = self.splits[split]
        return float(self.loss.mean(self.network.answer(examples.tokens).double(), examples.labels))

    def _training_accuracy(self) -> float:
        """Return the share of training examples that are answered correctly."""
        train_set = self.splits["train"]
        return float((predictions.margins(self.network.answer(train_set.tokens), train_set.labels) > 0).double().mean())

    def _gradients_of(self, rows: Tensor) -> None:
        """Set every weight's `.grad` to the gradient of these training examples, given by their places."""
        train_set = self.splits["train"]
        rows = rows.to(train_set.labels.device)
        with torch.enable_grad():
            self.network.gradients(train_set.tokens[rows], train_set.labels[rows], self.precision)


def updates(replica: Trainable, last: int, is_observed: Callable[[int], bool] = lambda step: False) -> Iterator[int]:
    """Make one update after another up to step `last`, and yield each step once it is reached.

    Args:
        replica: the replica, trained in place.
        last: step to stop at. A replica at this step or after it makes no update.
        is_observed: function that tells whether a step is observed, so that its gradient's norm has to be measured.
    """
    while replica.step < last:
        replica.update(is_observed(replica.step + 1))
        yield replica.step


class Trainable(Protocol):
    """A replica, or a replica of a branch, at one step."""

    @property
    def step(self) -> int:
        """Number of updates made so far."""

    def update(self, is_observed: bool) -> None:
        """Make one update."""


class Arithmetic(Protocol):
    """A way to compute a network's answers and gradients.

    Attributes:
        loss: loss whose gradients are computed.
    """

    loss: Loss

    def answer(self, tokens: Tensor) -> Tensor:
        """Return the logits (example, class) of tokens (example, n_inputs + 1)."""

    def gradients(self, tokens: Tensor, labels: Tensor, precision: torch.dtype) -> None:
        """Set every weight's `.grad` to the gradient of the mean loss, with logits in this precision."""


class Plain:
    """The network as it is written, with gradients by autograd: the reference for `Reduced`."""

    def __init__(self, model: Network, loss: Loss) -> None:
        self.model, self.loss = model, loss

    def answer(self, tokens: Tensor) -> Tensor:
        return self.model.answer_all(tokens)

    def gradients(self, tokens: Tensor, labels: Tensor, precision: torch.dtype) -> None:
        self.model.zero_grad(set_to_none=True)
        self.loss.mean(self.model.answer(tokens).to(precision), labels).backward()


def build_network(settings: Optimiser, model: Network, batch_size: int, loss: Loss | None = None) -> Arithmetic:
    """Return the arithmetic that computes a network's answers and gradients.

    Args:
        settings: settings that choose the arithmetic and the loss.
        model: the network.
        batch_size: examples per batch. Reduced arithmetic reserves its memory for them.
        loss: loss that replaces the one of the settings.

    Raises:
        ValueError: if reduced arithmetic is wanted for a network that is no transformer.
    """
    loss = loss or losses.named(settings.loss)
    if settings.arithmetic == "plain":
        return Plain(model, loss)
    if not isinstance(model, Transformer):
        raise ValueError(f"arithmetic = {settings.arithmetic!r}: should be plain for a {type(model).__name__}")
    return Reduced(model, batch_size, loss)


def _begin(model: Network, train_set: Examples, seed: int) -> None:
    """Set the initial weights: drawn at random, or built by hand."""
    if not isinstance(model, Transformer) or model.settings.initialisation not in ("fourier", "lookup_table"):
        model.initialise(_generator(seed, "initialisation"))
    elif model.settings.initialisation == "fourier":
        ground_truth.fourier(model)
    else:
        ground_truth.lookup_table(model, train_set.tokens.cpu(), train_set.labels.cpu())


def _generator(seed: int, purpose: Purpose) -> torch.Generator:
    return torch.Generator().manual_seed(stream_seed(seed, purpose))


def _parts(splits: dict[str, Examples]) -> dict[str, tuple[str, Tensor | None]]:
    """Return the groups of examples that are evaluated: both splits, and up to four parts of them.

    - If some training labels are wrong: the training examples with wrong labels, and those with right ones.
    - If the mirror images (b, a) of some validation examples train: these validation examples, and the others.
    """
    parts: dict[str, tuple[str, Tensor | None]] = {name: (name, None) for name in SPLITS}
    corrupted = splits["train"].is_corrupted
    if corrupted is not None:
        apart = {"train_corrupted": corrupted, "train_true": ~corrupted}
        parts |= {name: ("train", mask) for name, mask in apart.items() if mask.any()}
    mirrored = is_mirrored(splits["validation"].tokens, splits["train"].tokens)
    if mirrored.any():
        apart = {"validation_mirrored": mirrored, "validation_unmirrored": ~mirrored}
        parts |= {name: ("validation", mask) for name, mask in apart.items() if mask.any()}
    return parts


def _quantiles(probabilities: Tensor) -> list[Tensor]:
    """Return the median, the 10 % quantile and the 90 % quantile.

    Each is one of the values and no average of two: the value at position share · (n − 1), rounded down.
    """
    ascending = probabilities.sort().values
    return [ascending[int(share * (len(ascending) - 1))] for share in (0.5, 0.1, 0.9)]


def _norm(tensors: list[Tensor]) -> Tensor:
    """Return the Euclidean norm of all numbers of the tensors together."""
    return torch.stack([tensor.detach().norm() for tensor in tensors]).norm()
