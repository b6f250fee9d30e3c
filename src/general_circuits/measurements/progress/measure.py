"""One checkpoint's progress in numbers: components, spectrum, structure, matrices, and what single examples do."""

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
"""What is known of a single example's gradient."""


@dataclass(frozen=True)
class Progress:
    """The tables of one checkpoint, without the columns that name it; no `spectrum` where no group is known."""

    progress: pd.DataFrame
    structure: pd.DataFrame
    matrices: pd.DataFrame
    spectrum: pd.DataFrame


def measure(model: Network, examples: ExamplesByAnswer, general: General, precision: torch.dtype) -> Progress:
    """Everything of a checkpoint but single examples' gradients.

    Args:
        model: the network.
        examples: all examples.
        general: what the general solution is made of.
        precision: the logits', in which losses that have gradients are taken.
    """
    logits = forces.answer(model, examples.tokens)
    energy = energies(examples, logits) if examples.solution else None
    norm = float(torch.cat([weight.detach().flatten() for weight in model.parameters()]).double().norm())
    return Progress(
        _components(model, examples, general, logits, norm, precision),
        pd.DataFrame([_structure(model, examples, logits, energy, norm)]),
        _matrices(model),
        _spectrum(general, energy, logits.shape[1]),
    )


def single_examples(
    model: Network, examples: ExamplesByAnswer, general: General, precision: torch.dtype, n: int, seed: int
) -> pd.DataFrame:
    """What the gradient of each of n training examples does, drawn once per replica: one row each."""
    train = examples.rows["train"]
    drawn = Examples(examples.tokens[train], examples.labels[train]).drawn(n, seed)
    numbers = examples.numbers[train][drawn]
    logits = forces.answer(model, examples.tokens)
    rows = forces.reinforcements(model, examples, general, logits, drawn, precision)
    return pd.DataFrame(rows, columns=list(FOLLOWED)).assign(example=numbers.cpu().numpy())


def _components(
    model: Network, examples: ExamplesByAnswer, general: General, logits: Tensor, norm: float, precision: torch.dtype
) -> pd.DataFrame:
    parts = general.split(logits)
    change = general.split(forces.decayed(model, examples.tokens))
    others = predictions.rivals(logits, examples.labels)
    pulled = {name: asdict(found) for name, found in forces.passed(model, examples, general, logits, precision).items()}
    rows = []
    for split, places in examples.rows.items():
        labels = examples.labels[places]
        for name, part in parts.items():
            here = part[places].double()
            margins = predictions.margins(here, labels)
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
    found = {"weight_norm": norm, "symmetry_violation": structure.symmetry_violation(logits, examples.tokens)}
    found["tuned_share"] = structure.tuned_share(model, examples)
    for name, of in (("logits", energy), ("embedding", structure.embedding_energies(model, examples))):
        of_it = {"gini": float("nan"), "inverse_participation": float("nan")}
        if of is not None and examples.solution is not None:
            # Of each dimension, since parts of more hold more of whatever there is.
            of_it = structure.concentration(of / [part.basis.shape[1] for part in examples.solution.parts[1:]])
        found |= {f"{measure}_of_{name}": value for measure, value in of_it.items()}
    found["key_frequencies"] = float("nan") if energy is None else len(key_frequencies(energy))
    return found


def _matrices(model: Network) -> pd.DataFrame:
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
    examples = general.examples
    if energy is None or examples.solution is None:
        return pd.DataFrame(columns=["frequency", "dimensions", "energy", "is_key"])
    parts = examples.solution.parts[1:]
    return pd.DataFrame(
        {
            "frequency": [part.frequency for part in parts],
            "dimensions": [part.basis.shape[1] for part in parts],
            "energy": energy / len(examples.classes) / n_classes,
            "is_key": [part.frequency in general.frequencies for part in parts],
        }
    )
