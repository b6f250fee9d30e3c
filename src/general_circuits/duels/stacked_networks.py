"""Networks of one shape side by side: their weights stacked in one tensor each, and their answers.

Stacking is exact. No operation mixes the module axis: `vmap` runs each network on its own slice of every weight. A sum
of the networks' losses therefore has, in each slice, the gradient of that network's loss alone. Update rules act weight
by weight, so many networks train at once as each would alone, up to the rounding of batched matrix products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from general_circuits.models.network import Network

READOUT = ("unembed.W_U", "unembed.b_U")
"""Names of the readout weights; a factor of all of them is a factor of the logits."""


@dataclass(frozen=True)
class Modules:
    """Networks of one shape.

    Attributes:
        network: a network of that shape; its weights are not read.
        weights: tensors (module, …) by TransformerLens name.
    """

    network: Network
    weights: dict[str, Tensor]

    @classmethod
    def drawn(cls, network: Network, seeds: Sequence[int], device: torch.device) -> Modules:
        """Draw one network for each seed, initialised as its settings say."""
        drawn = []
        for seed in seeds:
            network.initialise(torch.Generator().manual_seed(seed))
            drawn.append({name: weight.detach().clone() for name, weight in network.named_parameters()})
        weights = {name: torch.stack([one[name] for one in drawn]).to(device) for name in drawn[0]}
        return cls(network.to(device), weights)

    def some(self, numbers: Sequence[int]) -> Modules:
        """Select the networks with these numbers."""
        return replace(self, weights={name: weight[list(numbers)] for name, weight in self.weights.items()})

    def __len__(self) -> int:
        return len(self.tensors[0])

    @property
    def tensors(self) -> list[Tensor]:
        return list(self.weights.values())

    def answer(self, tokens: Tensor) -> Tensor:
        """Tokens (example, n_inputs + 1) → logits (module, example, class)."""
        return vmap(lambda weights: _Answer.of(self.network, weights, tokens))(self.weights)

    def with_weights(self, tensors: Sequence[Tensor]) -> Modules:
        """Return the same networks with other weights, in the order of `tensors`."""
        return replace(self, weights=dict(zip(self.weights, tensors, strict=True)))

    def scaled(self, factor: float) -> Modules:
        """Multiply all logits by a factor, in the readout weights."""
        scaled = {name: weight * factor if name in READOUT else weight for name, weight in self.weights.items()}
        return replace(self, weights=scaled)

    def norms(self, changes: Sequence[Tensor] | None = None) -> Tensor:
        """Return the Euclidean norm of each network's weights, or of changes of them: (module)."""
        tensors = self.tensors if changes is None else changes
        return torch.stack([tensor.flatten(1).square().sum(dim=1) for tensor in tensors]).sum(dim=0).sqrt()

    def permuted(self, generator: torch.Generator) -> Modules:
        """Put the units of every MLP in another order, which leaves the networks' functions as they are.

        A layer sums over its units. So one order for the weights into them, their biases and the weights out of them
        only changes the order of that sum.
        """
        weights, layers = dict(self.weights), self.network.settings.n_layers
        for layer in range(layers):
            here = f"blocks.{layer}.mlp"
            order = torch.randperm(self.network.settings.d_mlp, generator=generator).to(self.tensors[0].device)
            # A perceptron has no W_out: its units feed the next layer's W_in, or the readout.
            following = f"blocks.{layer + 1}.mlp.W_in" if layer + 1 < layers else "unembed.W_U"
            outward = f"{here}.W_out" if f"{here}.W_out" in weights else following
            weights[f"{here}.W_in"] = weights[f"{here}.W_in"][:, :, order]  # (module, input, unit)
            weights[outward] = weights[outward][:, order]  # (module, unit, output)
            if f"{here}.b_in" in weights:
                weights[f"{here}.b_in"] = weights[f"{here}.b_in"][:, order]
        return replace(self, weights=weights)


class _Answer(torch.nn.Module):
    """`Network.answer` as a module's forward, since `functional_call` runs nothing else."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor) -> Tensor:
        return self.network.answer(tokens)

    @classmethod
    def of(cls, network: Network, weights: Mapping[str, Tensor], tokens: Tensor) -> Tensor:
        named = {f"network.{name}": weight for name, weight in weights.items()}
        # No weights are tied. Looking for tied ones would take a tenth of a duel's time.
        answers: Tensor = functional_call(cls(network), named, (tokens,), tie_weights=False)
        return answers
