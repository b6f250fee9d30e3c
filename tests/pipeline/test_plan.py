"""Plans: the jobs that a claim needs, and the rates that costs are made of."""

from __future__ import annotations

import dataclasses

import pytest

from general_circuits.config.load import load
from general_circuits.pipeline import plan, timings
from general_circuits.pipeline.dag import Dag

CLAIMED = {
    "study": "claimed",
    "defaults": {"modulus": 11, "d_model": 8, "n_heads": 2, "d_mlp": 16, "batch_size": 8, "steps": 20},
    "conditions": {
        "grokking": {},
        "random_labels": {"label_noise": 1.0},
        "exact": {"loss_precision": "float64"},
        "division": {"operation": "x/y"},
        "fast": {"branch": {"from": "grokking", "at": "onset", "change": {"learning_rate": "x5"}}},
        "divided": {"branch": {"from": "division", "at": "onset", "change": {"learning_rate": "x5"}}},
    },
    "measurements": {
        "saliency": {"methods": ["activation_gradient"]},
        "specifications": {},
        "progress": {},
        "answers": {"checkpoints": 2},
        "spikes": {},
    },
    "duels": {"toy": {}, "planted": {}},
}

AT_MOMENTS = {"replay_moments", "extract_saliency", "describe_saliency", "ablate_neurons"}
IN_EVERY_WAY = {"extract_saliency_all_ways", "describe_saliency_all_ways", "ablate_neurons_all_ways"}


@pytest.mark.parametrize(
    ("claim", "conditions", "rules"),
    [
        ("spikes", ["grokking", "exact"], {"watch_spikes", "measure_spikes"}),
        ("learning_rate", ["grokking", "division", "fast", "divided"], set()),
        ("partial_generalisation", ["grokking", "division"], {"record_answers"}),
        ("gradual", ["grokking", "division"], set()),
        ("weight_decay", ["grokking"], {"replay_moments", "measure_progress"}),
        ("topk_damage", ["grokking", "random_labels"], AT_MOMENTS | IN_EVERY_WAY),
        ("saliency_skew", ["grokking", "random_labels"], AT_MOMENTS - {"ablate_neurons"} | IN_EVERY_WAY),
    ],
)
def test_the_plan_of_a_claim_has_its_conditions_and_the_measurements_that_it_reads(
    claim: str, conditions: list[str], rules: set[str]
) -> None:
    study = plan.of_claim(load(CLAIMED), claim)
    assert list(study.conditions) == conditions
    table = plan.plan(study, seconds=0.0)
    trained = {"generate_task", "split_examples", "train_block", "find_events"}
    readers = ("index", "judge", "list", "merge", "write", "plot", "spec")
    always = {name for name in table.index if name.startswith(readers)}
    assert {*table.index} == trained | always | rules
    assert table.loc["train_block", "jobs"] == len(conditions) * 3
    for rule in rules:
        assert table.loc[rule, "core_hours"] > 0


def test_planned_steps_end_with_the_generalisation_that_ends_a_run_or_with_a_branch() -> None:
    """Whoever ends a run is taken to generalise half-way through its own steps."""
    change = {"learning_rate": "x5"}
    conditions = {
        "grokking": {"steps": 1000},
        "control": {"steps": 1000, "until": 1.5},
        "short": {"steps": 300, "until": 1.5},
        "ends_itself": {"steps": 4000, "until": "1 generalised"},
        "to_the_end": {"branch": {"from": "grokking", "at": "onset", "change": change}},
        "for_a_while": {"branch": {"from": "grokking", "at": "onset", "change": change, "for": 50, "then": "stop"}},
        "and_back": {"branch": {"from": "grokking", "at": "onset", "change": change, "for": 50}},
    }
    dag = Dag(load({"study": "ends", "conditions": conditions}))
    steps = {name: plan.trained_steps(dag, name) for name in conditions}
    assert list(steps.values()) == [1000, 750, 300, 2000, 1000, 50, 1000]


@pytest.mark.parametrize("preset", ["power", "nanda", "pre_norm", "quadratic_mlp", "mlp"])
def test_every_kind_of_network_is_timed_in_training_saliency_and_ablation(preset: str) -> None:
    small = {"preset": preset, "modulus": 11, "d_mlp": 16, "n_layers": 2, "batch_size": 8}
    few = {"saliency": {"methods": ["activation_gradient"]}, "ablation": {"k_points": 2, "random_draws": 2}}
    study = load({"study": "timed", "conditions": {"case": small}, "measurements": few})
    rates = timings.measured(study, study.conditions["case"].resolve(), seconds=0.0)
    assert all(value > 0 for value in dataclasses.astuple(rates))
    assert rates.attribution_rows == 2 * 2 * 2  # two splits, two layers, raw and matched
    assert rates.saliency_rows == 16 * rates.attribution_rows
    assert rates.example_rows == 16 * 121 * 2 * 2
