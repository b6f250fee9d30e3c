"""Small `planted` and `modules` tables of duels with a known outcome, and the verdicts of claims on them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
from duel_builders import toy_table

from general_circuits.analysis import duel_outcomes
from general_circuits.claims.findings import Finding, judged_for

REPLICAS = range(5)
STEPS = (0, 40, 80, 100)
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
    at_one: tuple[float, float] = (1e-3, 0.0),
    ends: tuple[float, float] = (3.0, 1.0),
    ends_at_one: tuple[float, float] = (3.0, 2.0),
    with_decay: tuple[float, float] | None = None,
    drift: float = 0.0,
    noise: float = 1e-5,
    replicas: range = REPLICAS,
) -> pd.DataFrame:
    """Build a `planted` table of duels with SGD and AdamW; the part of each side starts at 2.

    Whole steps have one tenth of the effect of the batches' gradients alone with AdamW.

    Args:
        transfers: T of the general and of the shallow side at four parts; by scaling, or the same in all.
        at_one: the same at one part, in every scaling.
        ends: each side's part at the end, at four parts.
        ends_at_one: the same at one part.
        with_decay: the same at four parts with decay of both sides; None for `ends`.
        drift: how much the general share changes per 100 steps over the last fifth of a duel of 100 steps.
        noise: standard deviation of T and of ends between replicas.
        replicas: replica numbers.
    """
    by_scaling = transfers if isinstance(transfers, dict) else dict.fromkeys(duel_outcomes.SCALINGS, transfers)
    generator = np.random.default_rng(0)
    scalings = duel_outcomes.SCALINGS
    duels: list[dict[str, Any]] = [{"parts": parts, "scaling": scaling} for parts in (4, 1) for scaling in scalings]
    duels += [{"order": "away"}, {"parts": 2}, {"general_decay": 0.1}, {"shallow_decay": 0.1}]
    duels += [{"general_decay": 0.1, "shallow_decay": 0.1, "parts": parts} for parts in (4, 2, 1)]
    duels += [{"duel_kind": duel_kind, "parts": 1} for duel_kind in ("generalisers", "memorisers", "copy")]
    rows = []
    for optimiser, duel, replica in itertools.product(("sgd", "adamw"), duels, replicas):
        settings = {**PLAIN, "optimiser": optimiser, **duel}
        is_control = settings["parts"] == 1
        both = at_one if is_control else by_scaling[str(settings["scaling"])]
        end = ends_at_one if is_control else ends
        if with_decay and settings["general_decay"] == settings["shallow_decay"] == 0.1 and not is_control:
            end = with_decay
        last = np.array(end) + noise * generator.normal(size=2)
        drawn = np.array(both) + noise * generator.normal(size=2)
        groups = ("all", "away") if settings["order"] == "away" else ("all",)
        for step, examples in itertools.product(STEPS, groups):
            parts = 2.0 + (last - 2.0) * min(1.0, step / STEPS[-2])
            share = parts[0] / parts.sum() + drift * (step == STEPS[-1]) * (STEPS[-1] - STEPS[-2]) / 100
            for number, side in enumerate(duel_outcomes.SIDES):
                rows.append(
                    {
                        **settings,
                        "replica": replica,
                        "step": step,
                        "steps": STEPS[-1],
                        "side": side,
                        "examples": examples,
                        "margin": parts[number],
                        "share": share if number == 0 else 1 - share,
                        "transfer": drawn[number] / (10 if optimiser == "adamw" else 1),
                        "fresh_transfer": drawn[number],
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


def parts_of(findings: list[Finding]) -> dict[str, Finding]:
    """Return the findings that carry a verdict, by the part of the claim that they judge."""
    return {judged_for(finding.contrast): finding for finding in findings if finding.verdict}


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    """Return the findings by contrast; no two have one name."""
    found = {finding.contrast: finding for finding in findings}
    assert len(found) == len(findings)
    return found
