"""L-BFGS: torch's class, one iteration per step, with its memory as tensors that a state can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from general_circuits.training.optimisers import HISTORY
from general_circuits.training.optimisers.decay import DecayGroup, Objective, add_to_gradients, penalty
from general_circuits.training.settings import Optimiser

TRIALS = 25
"""Step sizes that a line search tries at most; torch's own bound."""
HISTORIES = ("old_dirs", "old_stps", "ro")
"""torch's names for changes of the gradient, changes of the weights, and 1 / their products."""


class LBFGS:
    """Liu and Nocedal 1989, with a line search for the strong Wolfe conditions (Nocedal and Wright 2006, 3.5 and 7.5).

    What decreases is loss + ½ · weight_decay · ‖decaying weights‖². Each search tries `learning_rate` first, of which 1
    is usual; the very first tries `learning_rate` × min(1, 1 / Σ|g|).
    """

    def __init__(self, settings: Optimiser, parts: list[DecayGroup]) -> None:
        self.settings, self.parts = settings, parts
        # No tolerance: an iteration that hardly moves is a step all the same, and the next begins from what it leaves.
        self.optimiser = torch.optim.LBFGS(  # made here only, since its class imports torch's compiler: 1.4 s, 80 MB
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
        """Returns the multiple of the direction that was taken, 0 where the gradient vanishes."""
        has_gradients = True

        def evaluate() -> float:
            nonlocal has_gradients
            loss = objective(not has_gradients)  # the first gradient is there already
            has_gradients = False
            add_to_gradients(self.parts)
            return loss.item() + penalty(self.parts)

        before = self._memory.get("n_iter", 0)
        self.optimiser.step(evaluate)
        return float(self._memory["t"]) if self._memory["n_iter"] > before else 0.0

    def tensors(self) -> dict[str, Tensor]:
        """Nothing before the first step. Directions, gradients and changes are flat, over all weights."""
        memory = self._memory
        if not memory.get("n_iter"):
            return {}
        found = {
            "iterations": torch.tensor(memory["n_iter"]),
            "direction": memory["d"],
            "size": torch.as_tensor(memory["t"], dtype=torch.float64),
            "gradient": memory["prev_flat_grad"],
            "scale": torch.as_tensor(memory["H_diag"], dtype=torch.float64),
        }
        for key in HISTORIES:
            found |= {f"{key} {i}": tensor for i, tensor in enumerate(memory[key])}
        return {f"lbfgs {name}": tensor for name, tensor in found.items()}

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        memory: dict[str, Any] = {}
        if "lbfgs iterations" in tensors:
            # Copies, each in memory of its own: a dot product may round by where its operands lie.
            device = self.optimiser.param_groups[0]["params"][0].device
            own = {
                name.removeprefix("lbfgs "): tensor.to(device, copy=True)
                for name, tensor in tensors.items()
                if name.startswith("lbfgs ")
            }
            memory = {
                "n_iter": int(own["iterations"]),
                "d": own["direction"],
                "t": float(own["size"]),
                "prev_flat_grad": own["gradient"],
                "H_diag": float(own["scale"]),
            }
            for key in HISTORIES:
                memory[key] = [own[f"{key} {i}"] for i in range(HISTORY) if f"{key} {i}" in own]
        self._memory.clear()
        self._memory.update(memory)

    @property
    def _memory(self) -> dict[str, Any]:
        """torch's, which it keeps under the first weight."""
        return self.optimiser.state[self.optimiser.param_groups[0]["params"][0]]


RULE = LBFGS
