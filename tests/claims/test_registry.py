"""The list of claims is the source's, and each measured one has a file that can be run from it."""

from __future__ import annotations

import importlib
import inspect

import pytest

from general_circuits.claims.registry import CLAIMS
from general_circuits.storage.schemas import registry as schemas

IDS = [
    "saliency_skew",
    "topk_damage",
    "update_share",
    "takeover",
    "forgetting",
    "weight_decay",
    "stochasticity",
    "spikes",
    "validation_leads",
    "gradual",
    "partial_generalisation",
    "learning_rate",
    "commutativity",
    "no_regularisation",
    "imperfect_confidence",
    "complexity",
    "combination",
    "barrier",
    "lottery_ticket",
    "prior_sampling",
]
MEASURED = [name for name, claim in CLAIMS.items() if claim.is_measured]


def test_the_claims_are_the_sources_in_its_order() -> None:
    assert list(CLAIMS) == IDS


def test_every_claim_says_what_is_claimed_and_where() -> None:
    statements = [claim.statement for claim in CLAIMS.values()]
    assert all(statements)
    assert len(set(statements)) == len(statements)
    assert all(claim.said_by for claim in CLAIMS.values())


def test_the_post_s_own_three_investigations_are_measured() -> None:
    assert {"saliency_skew", "topk_damage", "update_share"} <= set(MEASURED)


@pytest.mark.parametrize("name", MEASURED)
def test_a_measured_claim_has_a_file_that_judges_tables_of_every_block_or_of_duels(name: str) -> None:
    module = importlib.import_module(f"general_circuits.claims.{name}")
    assert list(inspect.signature(module.judge).parameters) == ["tables"]
    for table in CLAIMS[name].tables:
        assert schemas.table(table).axes in (["condition", "block"], ["block"], ["optimiser"], [])


@pytest.mark.parametrize("name", MEASURED)
def test_a_claim_measured_in_training_needs_grokking_and_keeps_needs_and_controls_apart(name: str) -> None:
    claim = CLAIMS[name]
    assert ("grokking" in claim.needs) == any("condition" in schemas.table(table).axes for table in claim.tables)
    assert not set(claim.needs) & set(claim.beside)


@pytest.mark.parametrize("name", [name for name in CLAIMS if name not in MEASURED])
def test_a_claim_that_is_not_measured_needs_nothing_and_has_no_file(name: str) -> None:
    assert (CLAIMS[name].needs, CLAIMS[name].beside) == ((), ())
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"general_circuits.claims.{name}")
