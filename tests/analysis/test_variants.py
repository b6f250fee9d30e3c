"""Conditions told apart by what they change."""

from __future__ import annotations

import pytest

from general_circuits.analysis.variants import Variants, differences, of_any
from general_circuits.config.load import load
from general_circuits.records import flat

RATE, DECAY = "optimiser.learning_rate", "optimiser.weight_decay"
FAST = {"from": "grokking", "at": "onset", "change": {"learning_rate": "x10"}}


@pytest.fixture(scope="module")
def conditions() -> dict[str, dict]:
    study = load(
        {
            "study": "tiny",
            "conditions": {
                "grokking": {},
                "longer": {"steps": 9000, "measurements": []},
                "fast": {"learning_rate": 1e-2},
                "strong": {"weight_decay": 2.0},
                "both": {"weight_decay": 2.0, "learning_rate": 1e-2},
                "fast_later": {"branch": FAST},
                "fast_for_a_while": {"branch": {**FAST, "for": 100, "then": "anneal"}},
                "kicked": {"branch": {"from": "grokking", "at": "onset", "change": {"kick": 0.1}}},
                "of_another": {"branch": {**FAST, "from": "strong"}},
                "same": {"branch": {"from": "grokking", "at": "step 7"}},
            },
        }
    )
    return {name: flat(settings) for name, settings in study.resolved()["conditions"].items()}


def test_differences_are_the_changed_settings(conditions: dict[str, dict]) -> None:
    assert {name: differences(conditions, name) for name in conditions} == {
        "grokking": {},
        "longer": {},
        "fast": {RATE: 1e-2},
        "strong": {DECAY: 2.0},
        "both": {DECAY: 2.0, RATE: 1e-2},
        "fast_later": {"branch.at": "onset", RATE: 1e-2},
        "fast_for_a_while": {"branch.at": "onset", RATE: 1e-2, "branch.lasts": 100, "branch.then": "anneal"},
        "kicked": {"branch.at": "onset", "branch.intervention.kick": 0.1},
        "of_another": {"branch.parent": "strong", "branch.at": "onset", DECAY: 2.0, RATE: 1e-2},
        "same": {"branch.at": "step 7"},
    }


@pytest.mark.parametrize(
    ("variants", "names"),
    [
        (Variants("", (RATE,)), ["fast"]),
        (Variants("", (RATE,), ("branch.at",)), ["fast", "fast_later"]),
        (Variants("", (RATE,), fixed={"branch.at": "onset"}), ["fast_later"]),
        (
            Variants("", (RATE,), ("branch.at", "branch.lasts", "branch.then")),
            ["fast", "fast_later", "fast_for_a_while"],
        ),
        (Variants("", (RATE,), (DECAY,)), ["fast", "both"]),
        (Variants("", (RATE, DECAY)), ["fast", "strong", "both"]),
        (Variants("", ("branch.intervention.kick",), ("branch.at",)), ["kicked"]),
        (Variants("", (RATE,), fixed={"branch.at": "memorised"}), []),
        (Variants("", (RATE, DECAY), unlike={DECAY: 2.0}), ["fast"]),
        (Variants("", ("optimiser.",)), ["fast", "strong", "both"]),
        (Variants("", ("optimiser.learning_",), (DECAY,)), []),
        (Variants("", (RATE,), ("branch.",)), ["fast", "fast_later", "fast_for_a_while"]),
        (Variants("", (RATE,), ("branch.at",), parents="others"), ["strong", "of_another"]),
        (Variants("", (DECAY,), ("branch.at",), parents="others"), []),
        (
            Variants("", (RATE,), fixed={"branch.at": "onset"}, parents="all"),
            ["grokking", "strong", "fast_later", "of_another"],
        ),
    ],
)
def test_variants_differ_in_the_allowed_settings_and_in_no_others(
    variants: Variants, names: list[str], conditions: dict
) -> None:
    assert variants.of(conditions) == names


def test_without_grokking_there_are_none(conditions: dict[str, dict]) -> None:
    assert Variants("", (RATE,)).of({"fast": conditions["fast"]}) == []


def test_kinds_together_are_in_the_studys_order(conditions: dict[str, dict]) -> None:
    assert of_any([Variants("", (DECAY,)), Variants("", (RATE,))], conditions) == ["fast", "strong"]
