"""L-BFGS, through torch's class, with one iteration per step.

torch keeps the memory of L-BFGS as lists and numbers. Here it becomes named tensors, which a training state can hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from general_circuits.training.optimisers import HISTORY
from general_circuits.training.optimisers.decay import DecayGroup, Objective, add_to_gradients, penalty
from general_circuits.training.settings import Optimiser

TRIALS = 25
"""Largest number of step sizes that one line search tries; torch's default."""
HISTORIES = ("old_dirs", "old_stps", "ro")
"""torch's names for the lists it keeps: gradient changes y, weight changes s, and 1 / (y · s).

Despite its name, `old_dirs` holds gradient changes.
"""


class LBFGS:
    """L-BFGS (Liu and Nocedal 1989) with a line search for the strong Wolfe conditions.

    The algorithms are 3.5 and 7.5 of Nocedal and Wright 2006. The rule minimises loss + ½ · weight_decay · ‖decaying
    weights‖². Each search tries the step size `learning_rate` first; 1 is usual. The first search of a run tries
    `learning_rate` × min(1, 1 / Σ|g|).
    """

    def __init__(self, settings: Optimiser, parts: list[DecayGroup]) -> None:
        self.settings, self.parts = settings, parts
        # Both tolerances are 0 because torch would otherwise skip the line search where the gradient is small.
        # This class imports torch's compiler (1.4 s, 80 MB), so only jobs that use L-BFGS construct it.
        self.optimiser = torch.optim.LBFGS(
            [weight for part in parts for weight in part.weights.values()],
            lr=settings.learning_rate,
            max_iter=1,
            max_eval=1 + TRIALS,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            history_size=HISTORY,
            line_search_fn="strong_wolfe",
        )

    def step(self, step: int, objective: Objective) -> float:
        """Take one iteration and return its step size, a multiple of the direction; 0 if the gradient vanishes."""
        has_gradients = True

        def evaluate() -> float:
            nonlocal has_gradients
            loss = objective(not has_gradients)  # at the first call every `.grad` is already set
            has_gradients = False
            add_to_gradients(self.parts)
            return loss.item() + penalty(self.parts)

        before = self._memory.get("n_iter", 0)
        self.optimiser.step(evaluate)
        # torch counts no iteration if the gradient is zero, and then "t" is still the step size of the last one.
        return float(self._memory["t"]) if self._memory["n_iter"] > before else 0.0

    def tensors(self) -> dict[str, Tensor]:
        """Return what torch remembers, by name; nothing before the first iteration.

        Directions, gradients and changes are flat: (number of all weights).
        """
        memory = self._memory
        if not memory.get("n_iter"):
            return {}
        remembered = {
            "iterations": torch.tensor(memory["n_iter"]),
            "direction": memory["d"],
            "size": torch.as_tensor(memory["t"], dtype=torch.float64),
            "gradient": memory["prev_flat_grad"],
            "scale": torch.as_tensor(memory["H_diag"], dtype=torch.float64),
        }
        for key in HISTORIES:
            remembered |= {f"{key} {i}": tensor for i, tensor in enumerate(memory[key])}
        return {f"lbfgs {name}": tensor for name, tensor in remembered.items()}

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        memory: dict[str, Any] = {}
        if "lbfgs iterations" in tensors:
            # Each tensor is copied to its own memory: the rounding of a dot product may depend on memory alignment.
            device = self.optimiser.param_groups[0]["params"][0].device
            remembered = {
                name.removeprefix("lbfgs "): tensor.to(device, copy=True)
                for name, tensor in tensors.items()
                if name.startswith("lbfgs ")
            }
            memory = {
                "n_iter": int(remembered["iterations"]),
                "d": remembered["direction"],
                "t": float(remembered["size"]),
                "prev_flat_grad": remembered["gradient"],
                "H_diag": float(remembered["scale"]),
            }
            for key in HISTORIES:
                memory[key] = [remembered[f"{key} {i}"] for i in range(HISTORY) if f"{key} {i}" in remembered]
        self._memory.clear()
        self._memory.update(memory)

    @property
    def _memory(self) -> dict[str, Any]:
        """Memory of torch's class, which torch stores under the first weight."""
        return self.optimiser.state[self.optimiser.param_groups[0]["params"][0]]


RULE = LBFGS
