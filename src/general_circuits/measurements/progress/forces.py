"""What moves a network's components: gradients through each of them, decay, and the gradient of a single example."""

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
"""A change of the weights, by name."""


class Answers(nn.Module):
    """A network's logits at the last position, which is all that its last layer computes."""

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.model, self.place = model, Place(model.settings.n_layers - 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (example, n_inputs + 1) → logits (example, class)."""
        return self.model.answer_from(*self.model.run_to(self.model.read(tokens), self.place), self.place)


@torch.no_grad()
def answer(model: Network, tokens: Tensor) -> Tensor:
    """Logits (example, class) for any number of examples."""
    return torch.cat([Answers(model)(part) for part in tokens.split(EXAMPLES_PER_PASS)])


@dataclass(frozen=True)
class Passed:
    """The gradient of training cross-entropy through one component, and that of the component's own cross-entropy.

    Attributes:
        loss_gradient_norm: of the component's own loss, if its logits were all there is.
        gradient_share: of the gradient, the part that passes through the component, along the whole: shares of
            components that add up to the logits add up to 1.
        gradient_norm: of that part.
    """

    loss_gradient_norm: float
    gradient_share: float
    gradient_norm: float


def passed(
    model: Network, examples: ExamplesByAnswer, general: General, logits: Tensor, precision: torch.dtype
) -> dict[str, Passed]:
    """Of `all`, `restricted`, `excluded` and, where there is one, `unseen`.

    Args:
        logits: (example, class), the network's.
        precision: the logits', in which losses are taken.
    """
    train = examples.rows["train"]
    labels = examples.labels[train]
    whole = logits.detach().clone().requires_grad_()
    restricted = general.restricted(whole)
    parts = {"all": whole, "restricted": restricted, "excluded": whole - restricted}
    if examples.has_unseen:
        parts["unseen"] = general.unseen(whole)
    losses = {name: predictions.loss(part[train].to(precision), labels) for name, part in parts.items()}
    pulls = {name: torch.autograd.grad(loss, whole, retain_graph=True)[0] for name, loss in losses.items()}
    # What passes through a part; through the rest passes what is left.
    through = {
        name: torch.autograd.grad((parts[name] * pulls["all"]).sum(), whole, retain_graph=True)[0]
        for name in parts
        if name not in ("all", "excluded")
    }
    found = gradients(model, examples.tokens, [*pulls.values(), *through.values()])
    own = dict(zip(pulls, found, strict=False))
    shares = {"all": own["all"], **dict(zip(through, found[len(pulls) :], strict=True))}
    total = shares["all"]
    shares["excluded"] = total - shares["restricted"]
    square = float(total.square().sum())
    return {
        name: Passed(
            float(own[name].norm()),
            float((part * total).sum()) / square if square > 0 else float("nan"),
            float(part.norm()),
        )
        for name, part in shares.items()
    }


def gradients(model: Network, tokens: Tensor, pulls: Sequence[Tensor]) -> list[Tensor]:
    """Gradients in all weights of Σ pull · logits, each in float64 (weight), for several pulls (example, class)."""
    weights = list(model.parameters())
    found = [torch.zeros(sum(w.numel() for w in weights), dtype=torch.float64, device=tokens.device) for _ in pulls]
    network = Answers(model)
    for rows in torch.arange(len(tokens), device=tokens.device).split(EXAMPLES_PER_PASS):
        logits = network(tokens[rows])
        for total, pull in zip(found, pulls, strict=True):
            # Of a sum: given the pull itself, torch would import what its compiler needs, for over a second.
            pulled = (logits * pull[rows]).sum()
            of_weights = torch.autograd.grad(
                pulled, weights, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            total += torch.cat([gradient.flatten() for gradient in of_weights])
    return found


def moved(model: Network, tokens: Tensor, direction: Direction) -> Tensor:
    """How logits (example, class) change, to first order, when the weights move."""
    network = Answers(model)
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
    """How logits (example, class) change when every weight shrinks by the same small share, per share."""
    return moved(model, tokens, {name: -weight.detach() for name, weight in model.named_parameters()})


def reinforcements(
    model: Network, examples: ExamplesByAnswer, general: General, logits: Tensor, drawn: Tensor, precision: torch.dtype
) -> Iterator[dict[str, float]]:
    """What one step of gradient descent on a single training example does to margins, per unit of its rate.

    Args:
        logits: (example, class), the network's.
        drawn: places among the training examples, (drawn).
        precision: the logits', in which the loss is taken.

    Yields:
        For each, `own`: the change of its own margin, and `own_restricted`, `own_unseen`: of these components' parts in
        it; `others` and so on: the same of the other training examples, summed; `helped`: the share of those whose
        margin grows; `validation`: mean over validation examples. Margins are against the class that has the largest
        other logit now.
    """
    train, validation = examples.rows["train"], examples.rows["validation"]
    others = predictions.rivals(logits, examples.labels)
    for place in drawn.tolist():
        example = train[place]
        answers = Answers(model)(examples.tokens[example : example + 1]).to(precision)
        loss = predictions.loss(answers, examples.labels[example : example + 1])
        pull = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True, materialize_grads=True)
        names = [name for name, _ in model.named_parameters()]
        change = moved(model, examples.tokens, {name: -gradient for name, gradient in zip(names, pull, strict=True)})
        parts = {"": centred(change), "_restricted": general.restricted(change), "_unseen": general.unseen(change)}
        moves = {name: predictions.margins_over(part, examples.labels, others).double() for name, part in parts.items()}
        whole, rest = moves[""], torch.cat([train[:place], train[place + 1 :]])
        yield {
            **{f"own{name}": float(move[example]) for name, move in moves.items()},
            **{f"others{name}": float(move[rest].sum()) for name, move in moves.items()},
            "helped": float(torch.where(whole[rest].isfinite(), (whole[rest] > 0).double(), torch.nan).mean()),
            "validation": float(whole[validation].mean()),
        }
