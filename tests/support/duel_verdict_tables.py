"""Small `planted` and `modules` tables of duels with a known outcome, and the verdicts of claims on them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
from duel_builders import toy_table

from general_circuits.analysis import duel_outcomes
from general_circuits.claims.findings import Finding

REPLICAS = range(5)
STEPS = (0, 50, 100)
PLAIN = {
    "duel_kind": "duel",
    "optimiser": "sgd",
    "parts": 4,
    "general_decay": 0.0,
    "shallow_decay": 0.0,
    "batch": 8,
    "initial_margin": 4.0,
    "initial_share": 0.5,
    "scaling": "outside",
    "label_noise": 0.0,
    "order": "shuffled",
}
"""Settings of the registered duel."""


def planted(
    transfers: dict[str, tuple[float, float]] | tuple[float, float] = (1e-3, -1e-3),
    ends: tuple[float, float] = (3.0, 1.0),
    noise: float = 1e-5,
    replicas: range = REPLICAS,
) -> pd.DataFrame:
    """Build a `planted` table of duels with SGD and AdamW; the part of each side starts at 2.

    Args:
        transfers: T of the general and of the shallow side; by scaling, or the same in all.
        ends: each side's part at the end.
        noise: standard deviation of both between replicas.
        replicas: replica numbers.
    """
    by_scaling = transfers if isinstance(transfers, dict) else dict.fromkeys(duel_outcomes.SCALINGS, transfers)
    generator = np.random.default_rng(0)
    duels = [{}, *({"scaling": scaling} for scaling in duel_outcomes.SCALINGS[1:]), {"parts": 1}, {"order": "away"}]
    duels += [{"general_decay": 0.1, "shallow_decay": 0.1}, {"general_decay": 0.1}, {"shallow_decay": 0.1}]
    duels += [{"duel_kind": duel_kind, "parts": 1} for duel_kind in ("generalisers", "memorisers", "copy")]
    rows = []
    for optimiser, duel, replica in itertools.product(("sgd", "adamw"), duels, replicas):
        settings = {**PLAIN, "optimiser": optimiser, **duel}
        both = by_scaling[str(settings["scaling"])]
        end = np.array(ends) + noise * generator.normal(size=2)
        drawn = np.array(both) + noise * generator.normal(size=2)
        for step, examples in itertools.product(STEPS, ("all", "away") if settings["order"] == "away" else ("all",)):
            parts = 2.0 + (end - 2.0) * step / STEPS[-1]
            for number, side in enumerate(duel_outcomes.SIDES):
                rows.append(
                    {
                        **settings,
                        "replica": replica,
                        "step": step,
                        "side": side,
                        "examples": examples,
                        "margin": parts[number],
                        "share": parts[number] / parts.sum(),
                        "transfer": drawn[number],
                        "reinforcement": 0.01,
                        "frequency": 0.8 - 0.2 * number,
                        "loss": 0.1,
                    }
                )
    return pd.DataFrame(rows)


def modules(known: float = 1.0, solved: float = 1.0) -> pd.DataFrame:
    """Build a `modules` table of a generaliser and a memoriser in each replica.

    Args:
        known: accuracy of replica 0's memoriser on its part; 1 in the other replicas.
        solved: validation accuracy of replica 0's generaliser; 1 in the other replicas.
    """
    rows = [
        {
            "replica": replica,
            "kind": kind,
            "accuracy": known if kind == "memoriser" and replica == 0 else 1.0,
            "validation_accuracy": 0.1 if kind == "memoriser" else solved if replica == 0 else 1.0,
        }
        for replica, kind in itertools.product(REPLICAS, ("generaliser", "memoriser"))
    ]
    return pd.DataFrame(rows)


def judged(claim: Any, frame: pd.DataFrame, of: pd.DataFrame | None = None) -> list[Finding]:
    """Return a claim's findings from `planted` and `modules` tables; by default all modules know their examples."""
    findings: list[Finding] = claim.judge(
        {"planted": frame, "modules": modules() if of is None else of, "toy": toy_table()}
    )
    return findings


def first(findings: list[Finding]) -> Finding:
    """Return the registered finding of a claim with one verdict."""
    assert findings[0].contrast == "registered"
    assert not any(finding.verdict for finding in findings[1:])
    return findings[0]
