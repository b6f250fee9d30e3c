"""What a branch does to training that no setting says: kicks, masks, losses and gradients of another kind."""

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
"""Of a kick's size, once it is large enough."""
MEAN_TO_DEVIATION = (math.pi / 2) ** 0.5
"""Standard deviation of a Gaussian whose mean size is 1."""
LARGEST = 16.0
"""Kick, relative to a tensor's norm, beyond which nothing of the network is left."""


class Intervening:
    """An intervention at work on one replica.

    Args:
        settings: what to do.
        weights: the network's, by name.
        seed: the replica's.
    """

    def __init__(self, settings: Intervention, weights: Mapping[str, nn.Parameter], seed: int) -> None:
        self.settings, self.weights, self.seed = settings, dict(weights), seed
        self.masks: dict[str, Tensor] = {}
        self.generator = torch.Generator().manual_seed(stream_seed(seed, "interventions"))

    def loss(self, plain: Loss) -> Loss:
        """What trains in place of this loss."""
        loss = plain if self.settings.temperature == 1.0 else at_temperature(plain, self.settings.temperature)
        return loss if self.settings.ignore_above is None else ignoring(loss, self.settings.ignore_above)

    @torch.no_grad()
    def begin(self, accuracy: Callable[[], float], lowest: float | None) -> None:
        """Kick, and choose what is masked.

        Args:
            accuracy: of the network as it is, on training examples.
            lowest: what it shall fall to, where the kick is to equal another branch's fall.
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
            of_batch: sets them to those of so many examples, drawn by the generator.
        """
        gradients = [(weight, weight.grad) for weight in self.weights.values() if weight.grad is not None]
        if self.settings.noise_instead is not None:
            for weight, gradient in gradients:
                size = self.settings.noise_instead * weight.abs().mean()
                gradient.copy_(self._draw(weight) * (size * MEAN_TO_DEVIATION))
        elif self.settings.batch_noise is not None:
            whole = [gradient.clone() for _, gradient in gradients]
            of_batch(self.settings.batch_noise, self.generator)
            for (weight, _), of_whole in zip(gradients, whole, strict=True):
                assert weight.grad is not None
                size = (weight.grad - of_whole).norm() / of_whole.numel() ** 0.5
                weight.grad.copy_(of_whole + self._draw(weight) * size)

    @torch.no_grad()
    def hold(self) -> None:
        """Keep at 0 what is masked."""
        for name, mask in self.masks.items():
            self.weights[name].mul_(mask)

    def tensors(self) -> dict[str, Tensor]:
        """What a state holds of it."""
        return {
            "interventions": self.generator.get_state(),
            **{f"mask of {name}": mask for name, mask in self.masks.items()},
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take what `tensors` gave."""
        self.generator.set_state(tensors["interventions"])
        found = {name.removeprefix("mask of "): mask for name, mask in tensors.items() if name.startswith("mask of ")}
        self.masks = {name: mask.to(self.weights[name].device) for name, mask in found.items()}

    def _draw(self, like: Tensor) -> Tensor:
        """On the CPU, so that it is equal on every device."""
        return torch.randn(like.shape, generator=self.generator, dtype=like.dtype).to(like.device)


@torch.no_grad()
def kick(weights: Mapping[str, Tensor], size: float, seed: int) -> None:
    """Move every tensor by this share of its norm, in place; the direction is the replica's, whatever the size."""
    generator = torch.Generator().manual_seed(stream_seed(seed, "kick"))
    for weight in weights.values():
        direction = torch.randn(weight.shape, generator=generator, dtype=weight.dtype).to(weight.device)
        weight.add_(direction * (size * weight.norm() / direction.norm()))


@torch.no_grad()
def kick_until(is_enough: Callable[[], bool], weights: Mapping[str, Tensor], seed: int) -> float:
    """Kick by the smallest size found, doubling and then halving, after which it is enough; returns that size."""
    before = {name: weight.clone() for name, weight in weights.items()}

    def suffices(size: float) -> bool:
        for name, weight in weights.items():
            weight.copy_(before[name])
        kick(weights, size, seed)
        return is_enough()

    low, high = 0.0, 2.0**-10
    while not suffices(high) and high < LARGEST:
        low, high = high, 2.0 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    suffices(high)
    return high


def at_temperature(loss: Loss, temperature: float) -> Loss:
    """The loss of logits divided by a temperature: the lower it is, the more confident the same logits are."""
    return Loss(
        lambda logits, labels: loss.of_each(logits / temperature, labels),
        lambda logits, labels: loss.gradient(logits / temperature, labels) / temperature,
    )


def ignoring(loss: Loss, probability: float) -> Loss:
    """The loss without examples whose label has this probability or more; they count as examples of loss 0."""

    def is_learned(logits: Tensor, labels: Tensor) -> Tensor:
        return predictions.correct_probability(logits.detach(), labels) < probability

    return Loss(
        lambda logits, labels: loss.of_each(logits, labels) * is_learned(logits, labels),
        lambda logits, labels: loss.gradient(logits, labels) * is_learned(logits, labels).unsqueeze(-1),
    )


def _largest(weight: Tensor, share: float) -> Tensor:
    """Where the largest numbers are, so large a share of them (Frankle and Carbin 2019, one shot)."""
    kept = round(share * weight.numel())
    mask = torch.zeros(weight.numel(), dtype=torch.bool, device=weight.device)
    mask[weight.abs().flatten().argsort(descending=True, stable=True)[:kept]] = True
    return mask.reshape(weight.shape)
