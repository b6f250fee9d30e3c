"""Interventions of a branch in training: kicks, masks, changed losses and changed gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from general_circuits.models import predictions
from general_circuits.seeds import stream_seed
from general_circuits.training.losses import Loss
from general_circuits.training.noise import Walk, decayed_share, epoch_of_batches, of_first_batch
from general_circuits.training.settings import Intervention

HALVINGS = 20
"""Bisections of the interval that holds the smallest sufficient kick."""
LARGEST = 16.0
"""Largest kick, relative to a tensor's norm; nothing of the network is left beyond it."""


class Intervening:
    """An intervention that acts on one replica.

    Args:
        settings: settings of the intervention.
        weights: weights of the network, by name; they change in place.
        seed: seed of the replica.
    """

    def __init__(self, settings: Intervention, weights: Mapping[str, nn.Parameter], seed: int) -> None:
        self.settings, self.weights, self.seed = settings, dict(weights), seed
        self.masks: dict[str, Tensor] = {}
        self.walk: Walk | None = None
        self.generator = torch.Generator().manual_seed(stream_seed(seed, "interventions"))

    def loss(self, plain: Loss) -> Loss:
        """Return the loss that training minimises in place of the plain one."""
        loss = plain if self.settings.temperature == 1.0 else at_temperature(plain, self.settings.temperature)
        return loss if self.settings.ignore_above is None else ignoring(loss, self.settings.ignore_above)

    @torch.no_grad()
    def begin(self, accuracy: Callable[[], float], lowest: float | None, rates: Sequence[float] = ()) -> None:
        """Kick the weights, choose the masked weights and set them to 0, and begin the walk of noise.

        Args:
            accuracy: returns the training accuracy of the network at its current weights.
            lowest: training accuracy that the kick has to reach, if it copies another branch's fall.
            rates: learning rate of each update that the branch lasts; empty if it lasts to the end.
        """
        if lowest is not None:
            kick_until(lambda: accuracy() <= lowest, self.weights, self.seed)
        elif self.settings.kick:
            kick(self.weights, float(self.settings.kick), self.seed)
        if self.settings.mask:
            matrices = {name: weight for name, weight in self.weights.items() if weight.dim() > 1}
            self.masks = {name: _largest(weight, 1.0 - self.settings.mask) for name, weight in matrices.items()}
            self.hold()
        if self.settings.noise_instead:
            # Gaussian noise moves each tensor as far as decay would. Minibatches' noise keeps its proportions.
            alone = [{name: weight} for name, weight in self.weights.items()]
            groups = alone if self.settings.noise_examples is None else [self.weights]
            self.walk = Walk(groups, decayed_share(rates, self.settings.noise_instead), len(rates))

    @torch.no_grad()
    def replace(self, gradients_of: Callable[[Tensor], None], n_examples: int, rate: float) -> None:
        """Change every weight's `.grad`, in place.

        Args:
            gradients_of: sets every `.grad` to the gradient of these training examples.
            n_examples: number of training examples.
            rate: learning rate of the update to come.
        """
        if self.settings.noise_instead is not None:
            # The update rule goes against the gradient, at the learning rate.
            moves = self._moves(gradients_of, n_examples)
            for name, weight in self.weights.items():
                if weight.grad is not None:
                    weight.grad.copy_(-moves[name] / rate if name in moves else torch.zeros_like(weight))
        elif self.settings.batch_noise is not None:
            plain = {name: weight.grad.clone() for name, weight in self.weights.items() if weight.grad is not None}
            gradients_of(torch.randperm(n_examples, generator=self.generator)[: self.settings.batch_noise])
            for name, gradient in plain.items():
                weight = self.weights[name]
                assert weight.grad is not None
                # Root mean square over the tensor, so Gaussian noise of this deviation has the difference's norm.
                size = (weight.grad - gradient).norm() / gradient.numel() ** 0.5
                weight.grad.copy_(gradient + self._draw(weight) * size)

    def _moves(self, gradients_of: Callable[[Tensor], None], n_examples: int) -> dict[str, Tensor]:
        """Return how far noise moves each weight, by name; empty if nothing moves them."""
        if self.walk is None:
            return {}
        if self.settings.noise_examples is None:
            return self.walk.step({name: self._draw(weight) for name, weight in self.weights.items()})
        batches = epoch_of_batches(n_examples, self.settings.noise_examples, self.generator)
        return self.walk.step(of_first_batch(batches, gradients_of, self.weights))

    @torch.no_grad()
    def hold(self) -> None:
        """Set masked weights to 0."""
        for name, mask in self.masks.items():
            self.weights[name].mul_(mask)

    def tensors(self) -> dict[str, Tensor]:
        """Return what a training state has to hold, by name: the generator's state, the masks and the walk."""
        return {
            "interventions": self.generator.get_state(),
            **{f"mask of {name}": mask for name, mask in self.masks.items()},
            **(self.walk.tensors() if self.walk else {}),
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `tensors` returned."""
        self.generator.set_state(tensors["interventions"])
        masks = {name.removeprefix("mask of "): mask for name, mask in tensors.items() if name.startswith("mask of ")}
        self.masks = {name: mask.to(self.weights[name].device) for name, mask in masks.items()}
        if self.walk:
            self.walk.restore(tensors)

    def _draw(self, like: Tensor) -> Tensor:
        """Draw standard Gaussian noise of this shape, on the CPU, so it is the same for every device."""
        return torch.randn(like.shape, generator=self.generator, dtype=like.dtype).to(like.device)


@torch.no_grad()
def kick(weights: Mapping[str, Tensor], size: float, seed: int) -> None:
    """Move every tensor in a random direction by this share of its norm, in place.

    The direction depends on the replica's seed alone, so kicks of different sizes share it.
    """
    generator = torch.Generator().manual_seed(stream_seed(seed, "kick"))
    for weight in weights.values():
        direction = torch.randn(weight.shape, generator=generator, dtype=weight.dtype).to(weight.device)
        weight.add_(direction * (size * weight.norm() / direction.norm()))


@torch.no_grad()
def kick_until(is_enough: Callable[[], bool], weights: Mapping[str, Tensor], seed: int) -> float:
    """Kick by about the smallest size for which `is_enough` holds afterwards, and return this size.

    The size doubles until the kick suffices, then bisection narrows it down. If even `LARGEST` does not suffice, the
    size is `LARGEST`.
    """
    before = {name: weight.clone() for name, weight in weights.items()}

    def suffices(size: float) -> bool:
        for name, weight in weights.items():
            weight.copy_(before[name])
        kick(weights, size, seed)
        return is_enough()

    low, high = 0.0, 2.0**-10  # `low` never suffices; `high` does, unless it is LARGEST
    while not suffices(high) and high < LARGEST:
        low, high = high, 2.0 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    suffices(high)  # the last size tried may have been another one
    return high


def at_temperature(loss: Loss, temperature: float) -> Loss:
    """Return the loss of logits divided by a temperature.

    A lower temperature makes the same logits more confident.
    """
    return Loss(
        lambda logits, labels: loss.of_each(logits / temperature, labels),
        lambda logits, labels: loss.gradient(logits / temperature, labels) / temperature,  # chain rule
    )


def ignoring(loss: Loss, probability: float) -> Loss:
    """Return the loss without the examples whose label has this probability or more.

    These examples still count in the mean, with a loss of 0.
    """

    def is_counted(logits: Tensor, labels: Tensor) -> Tensor:
        return predictions.correct_probability(logits.detach(), labels) < probability

    return Loss(
        lambda logits, labels: loss.of_each(logits, labels) * is_counted(logits, labels),
        lambda logits, labels: loss.gradient(logits, labels) * is_counted(logits, labels).unsqueeze(-1),
    )


def _largest(weight: Tensor, share: float) -> Tensor:
    """Return a mask of a tensor's numbers that is True for the largest in size, a given share of them.

    This is the one-shot pruning of Frankle and Carbin 2019.
    """
    kept = round(share * weight.numel())
    mask = torch.zeros(weight.numel(), dtype=torch.bool, device=weight.device)
    mask[weight.abs().flatten().argsort(descending=True, stable=True)[:kept]] = True
    return mask.reshape(weight.shape)
