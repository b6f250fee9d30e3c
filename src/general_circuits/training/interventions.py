"""Interventions of a branch in training: kicks, masks, changed losses and changed gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from general_circuits.models import predictions
from general_circuits.seeds import stream_seed
from general_circuits.training.losses import Loss
from general_circuits.training.settings import Intervention

HALVINGS = 20
"""Bisections of the interval that holds the smallest sufficient kick."""
MEAN_TO_DEVIATION = (math.pi / 2) ** 0.5
"""Standard deviation of a Gaussian with mean 0 and mean absolute value 1."""
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
        self.generator = torch.Generator().manual_seed(stream_seed(seed, "interventions"))

    def loss(self, plain: Loss) -> Loss:
        """Return the loss that training minimises in place of the plain one."""
        loss = plain if self.settings.temperature == 1.0 else at_temperature(plain, self.settings.temperature)
        return loss if self.settings.ignore_above is None else ignoring(loss, self.settings.ignore_above)

    @torch.no_grad()
    def begin(self, accuracy: Callable[[], float], lowest: float | None) -> None:
        """Kick the weights, then choose the masked weights and set them to 0.

        Args:
            accuracy: returns the training accuracy of the network at its current weights.
            lowest: training accuracy that the kick has to reach, if it copies another branch's fall.
        """
        if lowest is not None:
            kick_until(lambda: accuracy() <= lowest, self.weights, self.seed)
        elif self.settings.kick:
            kick(self.weights, float(self.settings.kick), self.seed)
        if self.settings.mask:
            matrices = {name: weight for name, weight in self.weights.items() if weight.dim() > 1}
            self.masks = {name: _largest(weight, 1.0 - self.settings.mask) for name, weight in matrices.items()}
            self.hold()

    @torch.no_grad()
    def replace(self, of_batch: Callable[[int, torch.Generator], None]) -> None:
        """Change every weight's `.grad`, in place.

        Args:
            of_batch: sets every `.grad` to the gradient of a number of random examples, which the generator draws.
        """
        gradients = [(weight, weight.grad) for weight in self.weights.values() if weight.grad is not None]
        if self.settings.noise_instead is not None:
            for weight, gradient in gradients:
                size = self.settings.noise_instead * weight.abs().mean()
                gradient.copy_(self._draw(weight) * (size * MEAN_TO_DEVIATION))
        elif self.settings.batch_noise is not None:
            plain = [gradient.clone() for _, gradient in gradients]
            of_batch(self.settings.batch_noise, self.generator)
            for (weight, _), gradient in zip(gradients, plain, strict=True):
                assert weight.grad is not None
                # Root mean square over the tensor, so Gaussian noise of this deviation has the difference's norm.
                size = (weight.grad - gradient).norm() / gradient.numel() ** 0.5
                weight.grad.copy_(gradient + self._draw(weight) * size)

    @torch.no_grad()
    def hold(self) -> None:
        """Set masked weights to 0."""
        for name, mask in self.masks.items():
            self.weights[name].mul_(mask)

    def tensors(self) -> dict[str, Tensor]:
        """Return what a training state has to hold: the generator's state and the masks, by name."""
        return {
            "interventions": self.generator.get_state(),
            **{f"mask of {name}": mask for name, mask in self.masks.items()},
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `tensors` returned."""
        self.generator.set_state(tensors["interventions"])
        masks = {name.removeprefix("mask of "): mask for name, mask in tensors.items() if name.startswith("mask of ")}
        self.masks = {name: mask.to(self.weights[name].device) for name, mask in masks.items()}

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
