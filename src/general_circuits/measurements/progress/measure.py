"""Progress measures of one checkpoint: components, spectrum, structure, matrices, and single examples' gradients."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pandas as pd
import torch
from torch import Tensor

from general_circuits.measurements.progress import forces, structure
from general_circuits.measurements.progress.components import (
    ExamplesByAnswer,
    Floats,
    General,
    energies,
    key_frequencies,
)
from general_circuits.models import predictions
from general_circuits.models.network import Network
from general_circuits.tasks.examples import Examples

FOLLOWED = (
    *("own", "own_restricted", "own_unseen", "others", "others_restricted", "others_unseen"),
    *("helped", "validation"),
)
"""Columns of a single example's gradient: its effects on margins."""


@dataclass(frozen=True)
class Progress:
    """Tables of one checkpoint, without the columns that name it. `spectrum` is empty if no group is known."""

    progress: pd.DataFrame
    structure: pd.DataFrame
    matrices: pd.DataFrame
    spectrum: pd.DataFrame


def measure(
    model: Network,
    examples: ExamplesByAnswer,
    general: General,
    precision: torch.dtype,
    start: Tensor | None = None,
    after: General | None = None,
) -> Progress:
    """Measure everything of a checkpoint but single examples' gradients.

    Args:
        model: the network.
        examples: the replica's examples.
        general: the functions that the general solution is made of.
        precision: the logits' type, in which losses that have gradients are taken.
        start: `weights` of the first checkpoint, from which displacement counts; None for this one.
        after: the functions at a branch's last checkpoint, for the component `unseen_after`; None leaves it out.
    """
    logits = forces.answer(model, examples.tokens)
    energy = energies(examples, logits) if examples.solution else None
    here = weights(model)
    norm, displacement = float(here.norm()), 0.0 if start is None else float((here - start).norm())
    shape = {**_structure(model, examples, logits, energy, norm), "displacement": displacement}
    return Progress(
        _components(model, examples, general, logits, norm, precision, after),
        pd.DataFrame([shape]),
        _matrices(model),
        _spectrum(general, energy, logits.shape[1]),
    )


def weights(model: Network) -> Tensor:
    """Return all weights of a network as one vector, in double precision."""
    return torch.cat([weight.detach().flatten() for weight in model.parameters()]).double()


def single_examples(
    model: Network, examples: ExamplesByAnswer, general: General, precision: torch.dtype, n: int, seed: int
) -> pd.DataFrame:
    """Measure what the gradient of each of n training examples does, one row each.

    Args:
        model: the network.
        examples: the replica's examples.
        general: the functions that the general solution is made of.
        precision: the logits' type, in which losses are taken.
        n: how many examples are drawn.
        seed: the replica, which always draws the same examples.
    """
    train = examples.rows["train"]
    drawn = Examples(examples.tokens[train], examples.labels[train]).drawn(n, seed)
    numbers = examples.numbers[train][drawn]
    logits = forces.answer(model, examples.tokens)
    rows = forces.reinforcements(model, examples, general, logits, drawn, precision)
    return pd.DataFrame(rows, columns=list(FOLLOWED)).assign(example=numbers.cpu().numpy())


def _components(
    model: Network,
    examples: ExamplesByAnswer,
    general: General,
    logits: Tensor,
    norm: float,
    precision: torch.dtype,
    after: General | None,
) -> pd.DataFrame:
    """Return one row per split and component; gradients are of the training loss, so only "train" has them."""
    parts = general.split(logits)
    # Components are linear in the logits: the components of a change are the changes of the components.
    decayed = forces.decayed(model, examples.tokens)
    change = general.split(decayed)
    if after is not None:
        parts["unseen_after"], change["unseen_after"] = after.unseen(logits), after.unseen(decayed)
    others = predictions.rivals(logits, examples.labels)
    passed = forces.passed(model, examples, general, logits, precision)
    pulled = {name: asdict(gradients) for name, gradients in passed.items()}
    rows = []
    for split, places in examples.rows.items():
        labels = examples.labels[places]
        for name, part in parts.items():
            here = part[places].double()
            margins = predictions.margins(here, labels)
            # Against the network's own best wrong class, not the component's, so that parts add up to the margin.
            part_of_margin = predictions.margins_over(here, labels, others[places]).mean()
            lost = predictions.margins_over(change[name][places].double(), labels, others[places]).mean()
            scale = here.square().mean().sqrt()
            rows.append(
                {
                    "split": split,
                    "component": name,
                    "loss": float(predictions.loss(here, labels)),
                    "accuracy": float(torch.where(margins.isfinite(), (margins > 0).double(), torch.nan).mean()),
                    "margin": float(margins.mean()),
                    "part_of_margin": float(part_of_margin),
                    "scale": float(scale),
                    "scale_per_norm": float(scale) / norm if norm > 0 else float("nan"),
                    "decay_effect": float(lost / part_of_margin),
                    **(pulled.get(name, {}) if split == "train" else {}),
                }
            )
    return pd.DataFrame(rows, columns=[*rows[0], *(name for name in pulled["all"] if name not in rows[0])])


def _structure(
    model: Network, examples: ExamplesByAnswer, logits: Tensor, energy: Floats | None, norm: float
) -> dict[str, float]:
    """Return the row of the table `structure`: one number each for the whole network."""
    row = {"weight_norm": norm, "symmetry_violation": structure.symmetry_violation(logits, examples.tokens)}
    row["tuned_share"] = structure.tuned_share(model, examples)
    for name, by_part in (("logits", energy), ("embedding", structure.embedding_energies(model, examples))):
        numbers = {"gini": float("nan"), "inverse_participation": float("nan")}
        if by_part is not None and examples.solution is not None:
            # Energy per dimension: even random logits have more energy in a part of more dimensions.
            numbers = structure.concentration(by_part / [part.basis.shape[1] for part in examples.solution.parts[1:]])
        row |= {f"{measure}_of_{name}": value for measure, value in numbers.items()}
    row["key_frequencies"] = float("nan") if energy is None else len(key_frequencies(energy))
    return row


def _matrices(model: Network) -> pd.DataFrame:
    """Return one row per weight tensor."""
    return pd.DataFrame(
        [
            {
                "weight": name,
                "norm": float(weight.detach().double().norm()),
                "effective_rank": structure.effective_rank(weight) if weight.ndim > 1 else float("nan"),
            }
            for name, weight in model.named_parameters()
        ]
    )


def _spectrum(general: General, energy: Floats | None, n_classes: int) -> pd.DataFrame:
    """Return one row per frequency from 1."""
    examples = general.examples
    if energy is None or examples.solution is None:
        return pd.DataFrame(columns=["frequency", "dimensions", "energy", "is_key"])
    parts = examples.solution.parts[1:]
    return pd.DataFrame(
        {
            "frequency": [part.frequency for part in parts],
            "dimensions": [part.basis.shape[1] for part in parts],
            # A mean square over elements and classes, comparable between tasks of different size.
            "energy": energy / len(examples.classes) / n_classes,
            "is_key": [part.frequency in general.frequencies for part in parts],
        }
    )
