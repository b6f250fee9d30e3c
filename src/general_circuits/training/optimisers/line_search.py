"""Gradient descent that searches its step size along the gradient."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from general_circuits.training.optimisers.decay import DecayGroup, Objective, add_to_gradients, penalty
from general_circuits.training.settings import Optimiser

SUFFICIENT = 1e-4
"""Smallest accepted share of the decrease that the slope predicts (Nocedal and Wright 2006, section 3.1)."""
HALVINGS = 30
"""Largest number of halvings, down to a billionth of the first try; after that the weights stay."""
LARGEST = torch.finfo(torch.float32).max
"""Largest step size, the largest float32. A loss without a minimum would double the step size without end."""


class LineSearch:
    """Steepest descent with backtracking (Armijo 1966; Nocedal and Wright 2006, algorithm 3.1).

    The rule minimises f = loss + ½ · weight_decay · ‖decaying weights‖². It halves the step size t until
    f(w − t·g) ≤ f(w) − 10⁻⁴ · t · ‖g‖². The first step tries `learning_rate` first; later steps try twice the last
    accepted t.
    """

    def __init__(self, settings: Optimiser, parts: list[DecayGroup]) -> None:
        self.settings, self.parts, self.first = settings, parts, settings.learning_rate

    def step(self, step: int, objective: Objective) -> float:
        """Take one step and return t, or 0 if the weights stay."""
        add_to_gradients(self.parts)
        weights = [weight for part in self.parts for weight in part.tensors]
        gradients = [gradient for part in self.parts for gradient in part.gradients]
        slope = sum(gradient.double().square().sum().item() for gradient in gradients)
        if slope == 0.0:
            return 0.0
        # Each try starts again from copies of the weights: adding a step back would not restore them exactly.
        before, start = self._value(objective), [weight.clone() for weight in weights]
        size = self.first
        for _ in range(HALVINGS + 1):
            torch._foreach_add_(weights, gradients, alpha=-size)
            if self._value(objective) <= before - SUFFICIENT * size * slope:
                self.first = min(2.0 * size, LARGEST)
                return size
            torch._foreach_copy_(weights, start)
            size /= 2.0
        return 0.0

    def tensors(self) -> dict[str, Tensor]:
        return {"first step size": torch.tensor(self.first, dtype=torch.float64)}

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        self.first = tensors["first step size"].item()

    def _value(self, objective: Objective) -> float:
        """Return f at the current weights."""
        return objective(False).item() + penalty(self.parts)


RULE = LineSearch
