"""Forces on a network's components: gradients through each of them, weight decay, and single examples' gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from general_circuits.measurements.progress.components import ExamplesByAnswer, General, centred
from general_circuits.models import predictions
from general_circuits.models.network import Network, Place
from general_circuits.models.settings import EXAMPLES_PER_PASS

Direction = dict[str, Tensor]
"""Change of every weight, by the weight's name."""


class Answers(nn.Module):
    """Module that returns a network's logits. Its last layer computes the last position alone, which is enough."""

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.model, self.place = model, Place(model.settings.n_layers - 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (example, class) of tokens (example, n_inputs + 1)."""
        return self.model.answer_from(*self.model.run_to(self.model.read(tokens), self.place), self.place)


@torch.no_grad()
def answer(model: Network, tokens: Tensor) -> Tensor:
    """Return logits (example, class) for any number of examples, without gradients."""
    return torch.cat([Answers(model)(part) for part in tokens.split(EXAMPLES_PER_PASS)])


@dataclass(frozen=True)
class Passed:
    """Gradient of the training loss that passes through one component, and gradient of the component's own loss.

    Attributes:
        loss_gradient_norm: norm of the gradient of the cross-entropy that the component's logits would have alone.
        gradient_share: share of the training loss's gradient that passes through the component, measured along that
            gradient. Shares of components that add up to the logits add up to 1.
        gradient_norm: norm of the gradient that passes through the component.
    """

    loss_gradient_norm: float
    gradient_share: float
    gradient_norm: float


def passed(
    model: Network, examples: ExamplesByAnswer, general: General, logits: Tensor, precision: torch.dtype
) -> dict[str, Passed]:
    """Measure the gradients through `all`, `restricted`, `excluded` and, if unseen examples give all means, `unseen`.

    The loss's gradient in the weights is Jᵀ·g, with its gradient g in the logits and the logits' Jacobian J. Each
    component is a linear map P of the logits, so the gradient through it is Jᵀ·Pᵀ·g. All Pᵀ·g are made without the
    network, and `gradients` then takes them back to the weights together.

    Args:
        model: the network.
        examples: the replica's examples.
        general: the functions that the general solution is made of.
        logits: the network's, (example, class).
        precision: the logits' type, in which losses are taken.

    Returns:
        Component → its gradients.
    """
    train = examples.rows["train"]
    labels = examples.labels[train]
    # The graph starts at the logits: the network is not part of it.
    whole = logits.detach().clone().requires_grad_()
    restricted = general.restricted(whole)
    parts = {"all": whole, "restricted": restricted, "excluded": whole - restricted}
    if examples.has_unseen:
        parts["unseen"] = general.unseen(whole)
    losses = {name: predictions.loss(part[train].to(precision), labels) for name, part in parts.items()}
    # Each component's own loss: its gradient in the logits, (example, class).
    pulls = {name: torch.autograd.grad(loss, whole, retain_graph=True)[0] for name, loss in losses.items()}
    # The network's loss through a part: the gradient of ⟨part(logits), pull⟩ is the part's transposed projection of
    # the pull. `excluded` is left out, since all that does not pass through `restricted` passes through it.
    through = {
        name: torch.autograd.grad((parts[name] * pulls["all"]).sum(), whole, retain_graph=True)[0]
        for name in parts
        if name not in ("all", "excluded")
    }
    in_weights = gradients(model, examples.tokens, [*pulls.values(), *through.values()])
    # The first results belong to the pulls, the others to what passes through.
    of_losses = dict(zip(pulls, in_weights, strict=False))
    passing = {"all": of_losses["all"], **dict(zip(through, in_weights[len(pulls) :], strict=True))}
    total = passing["all"]
    passing["excluded"] = total - passing["restricted"]
    square = float(total.square().sum())
    return {
        name: Passed(
            float(of_losses[name].norm()),
            float((part * total).sum()) / square if square > 0 else float("nan"),
            float(part.norm()),
        )
        for name, part in passing.items()
    }


def gradients(model: Network, tokens: Tensor, pulls: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradient of Σ pull · logits in all weights, (weight), float64, for each of several pulls.

    Args:
        model: the network.
        tokens: (example, n_inputs + 1).
        pulls: gradients in the logits, each (example, class).
    """
    weights = list(model.parameters())
    totals = [torch.zeros(sum(w.numel() for w in weights), dtype=torch.float64, device=tokens.device) for _ in pulls]
    network = Answers(model)
    for rows in torch.arange(len(tokens), device=tokens.device).split(EXAMPLES_PER_PASS):
        logits = network(tokens[rows])
        for total, pull in zip(totals, pulls, strict=True):
            # The same as `grad_outputs=pull`, but for that torch would import its compiler, which takes a second.
            pulled = (logits * pull[rows]).sum()
            of_weights = torch.autograd.grad(
                pulled, weights, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            total += torch.cat([gradient.flatten() for gradient in of_weights])
    return totals


def moved(model: Network, tokens: Tensor, direction: Direction) -> Tensor:
    """Return the first-order change of logits, (example, class), when the weights move in a direction.

    Forward differentiation gives all logits' changes in one pass. Backward, it would take a pass for each logit.
    """
    network = Answers(model)
    # `Answers` holds the network as its attribute `model`, which names its weights.
    weights = {f"model.{name}": weight.detach() for name, weight in model.named_parameters()}
    towards = {f"model.{name}": direction[name] for name, _ in model.named_parameters()}
    with torch.no_grad():
        return torch.cat(
            [
                jvp(lambda w, part=part: functional_call(network, w, (part,)), (weights,), (towards,))[1]
                for part in tokens.split(EXAMPLES_PER_PASS)
            ]
        )


def decayed(model: Network, tokens: Tensor) -> Tensor:
    """Return the change of logits, (example, class), when every weight shrinks by the same small share, per share."""
    return moved(model, tokens, {name: -weight.detach() for name, weight in model.named_parameters()})


def reinforcements(
    model: Network, examples: ExamplesByAnswer, general: General, logits: Tensor, drawn: Tensor, precision: torch.dtype
) -> Iterator[dict[str, float]]:
    """Measure what one step of gradient descent on a single training example does to margins, per learning rate.

    All changes are to first order. A margin is the right logit less that of a fixed wrong class, the best one now. So
    it is linear in the logits, and components' parts add up.

    Args:
        model: the network.
        examples: the replica's examples.
        general: the functions that the general solution is made of.
        logits: the network's, (example, class).
        drawn: places among the training examples of the ones to step on, (drawn).
        precision: the logits' type, in which the loss is taken.

    Yields:
        A row for each drawn example:

        - `own`: change of the example's own margin.
        - `own_restricted`, `own_unseen`: change of these components' parts in that margin.
        - `others`, `others_restricted`, `others_unseen`: the same for all other training examples, summed.
        - `helped`: share of the other training examples whose margin grows.
        - `validation`: mean change of the validation examples' margins.
    """
    train, validation = examples.rows["train"], examples.rows["validation"]
    others = predictions.rivals(logits, examples.labels)
    for place in drawn.tolist():
        example = train[place]
        answers = Answers(model)(examples.tokens[example : example + 1]).to(precision)
        loss = predictions.loss(answers, examples.labels[example : example + 1])
        in_weights = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True, materialize_grads=True)
        names = [name for name, _ in model.named_parameters()]
        change = moved(
            model,
            examples.tokens,
            {name: -gradient for name, gradient in zip(names, in_weights, strict=True)},
        )
        parts = {"": centred(change), "_restricted": general.restricted(change), "_unseen": general.unseen(change)}
        moves = {name: predictions.margins_over(part, examples.labels, others).double() for name, part in parts.items()}
        # A column's name ends in the component; the network's own margin has no suffix.
        margin, rest = moves[""], torch.cat([train[:place], train[place + 1 :]])
        yield {
            **{f"own{name}": float(move[example]) for name, move in moves.items()},
            **{f"others{name}": float(move[rest].sum()) for name, move in moves.items()},
            "helped": float(torch.where(margin[rest].isfinite(), (margin[rest] > 0).double(), torch.nan).mean()),
            "validation": float(margin[validation].mean()),
        }
