"""Contradictions: values that are each possible, but not together."""

from __future__ import annotations

from typing import Any

import pytest
from configs import faults, study

from general_circuits.config.checks import contradictions
from general_circuits.config.errors import ConfigError
from general_circuits.config.load import load
from general_circuits.config.study import Study


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"operation": "x/y", "modulus": 60},
            "defaults.modulus = 60: should be prime, since x/y divides; nearest: 59 or 61",
        ),
        (
            {"operation": "x/y", "modulus": 4},
            "defaults.modulus = 4: should be prime, since x/y divides; nearest: 3 or 5",
        ),
        (
            {"operation": "x//y"},
            "defaults.operation = 'x//y': no such operation; your own goes under expression; did you mean x/y?",
        ),
        (
            {"operation": "S5"},
            "defaults.operation = 'S5': no such operation; your own goes under expression; known: x+y, x-y,"
            " x*y, x/y, x/y if y is odd else x-y, x^2+y^2, x^2+x*y+y^2, x^2+x*y+y^2+x, x^3+x*y, x^3+x*y^2+y,"
            " sparse_parity, boolean, digits",
        ),
        # By pair, 13² examples are 13 of a = b and 78 pairs: round(6.5) up + 2 · 39.
        (
            {"modulus": 13, "train_fraction": 0.5, "batch_size": 86},
            "defaults.batch_size = 86: should be from 1 to the 85 training examples, or full",
        ),
        ({"batch_size": 0}, "defaults.batch_size = 0: should be greater than or equal to 1"),
        ({"batch_size": -5}, "defaults.batch_size = -5: should be greater than or equal to 1"),
        ({"n_heads": 3}, "defaults.n_heads = 3: should divide d_model = 128"),
        ({"preset": "mlp", "n_heads": 4}, "defaults.n_heads = 4: an MLP has none; leave it out"),
        (
            {"preset": "mlp", "positions": "learned"},
            "defaults.positions = 'learned': an MLP has none; leave it out",
        ),
        (
            {"preset": "mlp", "normalisation": "pre"},
            "defaults.normalisation = 'pre': should be none for an MLP",
        ),
        (
            {"preset": "quadratic_mlp", "biases": "blocks"},
            "defaults.biases = 'blocks': should be none or mlp or all for an MLP",
        ),
        (
            {"preset": "mlp", "inputs": "tokens"},
            "defaults.inputs = 'tokens': should be one_hot or embedding or ordinal for an MLP",
        ),
        (
            {"preset": "mlp", "initialisation": "multihead"},
            "defaults.initialisation = 'multihead': should be linear or mean_field for an MLP",
        ),
        (
            {"preset": "quadratic_mlp", "d_model": 64},
            "defaults.d_model = 64: belongs to inputs: embedding; leave it out",
        ),
        (
            {"preset": "quadratic_mlp", "inputs": "embedding"},
            "defaults.inputs = 'embedding': needs d_model, the width of the embedding",
        ),
        (
            {"preset": "mlp", "arithmetic": "reduced"},
            "defaults.arithmetic = 'reduced': should be plain, since an MLP has no reduced form",
        ),
        (
            {"preset": "mlp", "outputs": "sign"},
            "defaults.outputs = 'sign': should be classes, since there are 59 and not two",
        ),
        ({"inputs": "one_hot"}, "defaults.inputs = 'one_hot': should be tokens for a transformer"),
        (
            {"initialisation": "mean_field"},
            "defaults.initialisation = 'mean_field': should be normal or linear or multihead or fourier or lookup_table"
            " for a transformer",
        ),
        (
            {"outputs": "sign", "modulus": 2, "batch_size": "full"},
            "defaults.outputs = 'sign': should be classes for a transformer",
        ),
        (
            {"operation": "boolean", "bits": 3, "function": "majority", "arithmetic": "plain", "batch_size": "full"}
            | {"label_noise": 1.0, "label_noise_by": "pair"},
            "defaults.label_noise_by = 'pair': should be example, since there are 3 inputs and not a pair",
        ),
        (
            {"label_noise": 0.5, "label_noise_by": "latin_square"},
            "defaults.label_noise = 0.5: should be 1, since latin_square draws all training labels",
        ),
        (
            {"operation": "x/y", "label_noise": 1.0, "label_noise_by": "latin_square"},
            "defaults.label_noise_by = 'latin_square': should be example or pair: a Latin square of 59 symbols needs"
            " all 3,481 pairs and 59 answers, and there are 3,422 examples and 59 answers",
        ),
        ({"perturbation": -1e-7}, "defaults.perturbation = -1e-07: should be greater than or equal to 0"),
        ({"perturbation": 0.1}, "defaults.perturbation = 0.1: should be less than or equal to 0.01"),
        ({"train_fraction": 1e-4}, "defaults.train_fraction = 0.0001: leaves no training example of 3481"),
        ({"train_fraction": 0.9999}, "defaults.train_fraction = 0.9999: leaves no validation example of 3481"),
        (
            {"optimiser": "adam", "momentum": 0.9},
            "defaults.momentum = 0.9: belongs to optimiser: sgd; leave it out, or see beta1",
        ),
        (
            {"decay": "coupled"},
            "defaults.decay = 'coupled': adamw has decoupled decay; for coupled decay set optimiser: adam",
        ),
        (
            {"optimiser": "lbfgs", "batch_size": 64},
            "defaults.batch_size = 64: should be full, since lbfgs compares losses of the same examples",
        ),
        (
            {"optimiser": "line_search", "batch_size": "full", "decay": "decoupled"},
            "defaults.decay = 'decoupled': should be coupled, or left out: line_search adds the decay to the loss",
        ),
        (
            {"optimiser": "line_search", "batch_size": "full", "gradient_noise": 0.1},
            "defaults.gradient_noise = 0.1: should be 0, since line_search needs the exact gradient of the loss",
        ),
        (
            {"optimiser": "lbfgs", "batch_size": "full", "grokfast_lambda": 2.0},
            "defaults.grokfast_lambda = 2.0: should be 0, since lbfgs needs the exact gradient of the loss",
        ),
        (
            {"optimiser": "lbfgs", "batch_size": "full", "momentum": 0.9},
            "defaults.momentum = 0.9: belongs to optimiser: sgd; leave it out, or see beta1",
        ),
    ],
)
def test_values_that_cannot_go_together_are_refused(settings: dict[str, Any], message: str) -> None:
    assert faults(study(defaults=settings, conditions={"one": {}, "two": {}})) == [message]


def test_the_largest_batch_that_fits_is_accepted() -> None:
    load(study(defaults={"modulus": 13, "train_fraction": 0.5, "batch_size": 85}))


def test_only_division_needs_a_prime() -> None:
    for operation in ("x+y", "x-y", "x*y"):
        load(study(defaults={"operation": operation, "modulus": 60}))


def test_replicas_are_a_multiple_of_the_block() -> None:
    assert faults(study(replicas=5, block=2)) == ["replicas = 5: should be a multiple of block = 2"]


def test_a_pattern_that_matches_no_weight_is_refused() -> None:
    patterns = ["embed.W_E", "blocks.1.*"]
    (fault,) = faults(study(defaults={"decay_on": patterns}))
    assert fault.startswith("defaults.decay_on = 'blocks.1.*': matches no weight; they are blocks.0.attn.W_K, blocks.0")
    load(study(defaults={"decay_on": patterns, "n_layers": 2}))


BY_HAND = {"d_model": 44, "n_heads": 2, "d_mlp": 120, "modulus": 13, "batch_size": "full", "steps": 0}


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("fourier", {"operation": "x*y"}, "fourier': adds modulo an odd number: set operation: x+y and an odd modulus"),
        ("fourier", {"modulus": 14}, "fourier': adds modulo an odd number: set operation: x+y and an odd modulus"),
        (
            "fourier",
            {"normalisation": "pre"},
            "normalisation = 'pre': should be none, since fourier needs it",
        ),
        ("fourier", {"n_layers": 2}, "n_layers = 2: should be 1, since fourier needs it"),
        ("fourier", {"d_mlp": 8}, "d_mlp = 8: should be at least 9: one frequency"),
        ("fourier", {"preset": "mlp", "n_heads": None}, "should be linear or mean_field for an MLP"),
        ("lookup_table", {"d_mlp": 50}, "d_mlp = 50: should be at least 102: a neuron per example"),
        ("lookup_table", {"d_model": 40}, "d_model = 40: should be at least 42: both operands and the answer"),
        ("lookup_table", {"n_heads": 4}, "n_heads = 4: should be 2 or more, with d_model / n_heads at least 13"),
        ("lookup_table", {"positions": "sinusoidal"}, "positions = 'sinusoidal': should be learned"),
        ("lookup_table", {"operation": "boolean", "bits": 5, "function": "or"}, "two operands, and there are 5 inputs"),
    ],
)
def test_a_network_built_by_hand_is_refused_with_what_it_needs(
    kind: str, changes: dict[str, Any], message: str
) -> None:
    (fault,) = faults(study(defaults={"initialisation": kind, **BY_HAND, **changes}))
    assert message in fault


@pytest.mark.parametrize(
    ("section", "settings", "message"),
    [
        ("saliency", {"checkpoints": 0}, "measurements.saliency.checkpoints = 0"),
        ("saliency", {"methods": ["integrated_gradients"]}, "should include activation_gradient"),
        ("saliency", {"methods": ["activation_gradient"] * 2}, "should name each choice once"),
        ("ablation", {"checkpoints": -3}, "measurements.ablation.checkpoints = -3"),
        ("ablation", {"deletions": ["mean"]}, "should include zero"),
        ("ablation", {"splits": ["validation"]}, "should include train"),
        ("ablation", {"sites": ["heads"]}, "should include mlp"),
        ("ablation", {"rankings": ["breadth"]}, "should include mean_magnitude"),
        ("ablation", {"rankings": ["mean_magnitude"] * 2}, "should name each choice once"),
        ("ablation", {"dead_units": ["excluded"]}, "should include included"),
        ("specifications", {"dead_units": ["excluded"]}, "should include included"),
        ("ablation", {"k_points": 1}, "measurements.ablation.k_points = 1"),
        ("ablation", {"k_points": "every"}, "measurements.ablation.k_points = 'every'"),
    ],
)
def test_measurements_without_the_registered_choice_are_refused(
    section: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load(study(measurements={section: settings}))


DUELS: list[tuple[dict[str, Any], str]] = [
    ({"toy": {"pairs": 4, "coverages": [1, 8]}}, "duels.toy.coverages = [1, 8]: should be at most pairs = 4"),
    ({"toy": {"pairs": 4, "batch_sizes": [5]}}, "duels.toy.batch_sizes = [5]: should be at most pairs = 4"),
    ({"toy": {"coverage": [1]}}, "duels.toy.coverage: unknown key; did you mean coverages?"),
    (
        {"toy": {"rules": {"sgd": {"rate": 1.0}}}},
        "duels.toy.rules.sgd.rate: unknown key; known: learning_rate, weight_decays",
    ),
    ({"toy": {"rules": {"lion": {}}}}, "duels.toy.rules.lion"),
    ({"toy": {"orders": ["random"]}}, "duels.toy.orders"),
    ({"planted": {"parts": [1, 500]}}, "duels.planted.parts = [1, 500]: should be at most the 343 training examples"),
    ({"planted": {"batch_sizes": [400]}}, "duels.planted.batch_sizes = [400]: should be at most the 343"),
    ({"planted": {"label_noise": 0.1}}, "duels.planted.label_noise = 0.1: should be 0: label_noises has the rates"),
    ({"planted": {"perturbation": 1e-7}}, "duels.planted.perturbation = 1e-07: should be 0, since it moves"),
    ({"planted": {"label_noises": [0.1]}}, "duels.planted.label_noises = [0.1]: should begin with 0"),
    ({"planted": {"initial_shares": [0.4, 0.5]}}, "duels.planted.initial_shares = [0.4, 0.5]: should begin with 0.5"),
    (
        {"planted": {"rules": {"adamw": {"learning_rate": 1e-3, "weight_decays": [1.0]}}}},
        "duels.planted.rules = ['adamw']: should include sgd",
    ),
    ({"planted": {"preset": "nanda", "n_heads": 3}}, "duels.planted.n_heads = 3: should divide d_model = 128"),
    ({"planted": {"operation": "x%y"}}, "duels.planted.operation"),
    ({"planted": {"modulus": 4, "operation": "x/y"}}, "duels.planted.modulus"),
    (
        {"planted": {"preset": "nanda", "d_mlp": 256, "initialisation": "fourier"}},
        "duels.planted.initialisation = 'fourier': should be random, since modules are trained",
    ),
]


@pytest.mark.parametrize(("duels", "message"), DUELS)
def test_duels_that_cannot_be_fought_are_refused(duels: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load({"study": "mine", "conditions": {"one": {}}, "duels": duels})
    assert message in str(error.value)


def test_specifications_delete_neurons_only_at_sites_that_they_measure() -> None:
    curves = {"sites": ["mlp"], "damage_sites": ["mlp", "heads"]}
    assert faults(study(measurements={"specifications": curves})) == [
        "measurements.specifications.damage_sites = ['mlp', 'heads']: should be among sites = ['mlp']"
    ]


def test_a_study_that_can_run_contradicts_itself_nowhere() -> None:
    raw = study(conditions={"grokking": {}, "fast": {"branch": {"from": "grokking", "at": "onset"}}})
    assert list(contradictions(load({**raw, "duels": {"toy": {}, "planted": {}}}))) == []


def test_each_contradiction_has_a_place_a_value_and_what_would_be_right() -> None:
    """The models alone accept such a study, since each of its values is possible by itself."""
    study = Study.model_validate({"study": "tiny", "replicas": 3, "block": 2, "conditions": {"one": {"momentum": 0.9}}})
    assert list(contradictions(study)) == [
        (("replicas",), 3, "should be a multiple of block = 2"),
        (("conditions", "one", "momentum"), 0.9, "belongs to optimiser: sgd; leave it out, or see beta1"),
    ]


def test_conditions_of_a_study_with_an_impossible_branch_are_not_checked() -> None:
    raw = study(conditions={"one": {"momentum": 0.9}, "fast": {"branch": {"from": "nobody", "at": "onset"}}})
    assert faults(raw) == ["conditions.fast.branch.from = 'nobody': should be a condition that is no branch: one"]


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (
            {"grokking": {"until": 1.5}},
            "conditions.grokking.until = 1.5: should be set only in conditions beside one named",
        ),
        ({"other": {"until": 1.5}}, "conditions.other.until = 1.5: should be set only in conditions beside one named"),
        (
            {"grokking": {}, "fast": {"branch": {"from": "grokking", "at": "onset", "change": {"until": 1.5}}}},
            "conditions.fast.branch.change.until = 1.5: should not be set for a branch",
        ),
        ({"grokking": {}, "other": {"until": 0}}, "conditions.other.until = 0: should be greater than 0"),
        ({"grokking": {"until": "0.5 generalised"}}, "'0.5 generalised': should be .* with 1 to 1000"),
        ({"grokking": {"until": "1.5 memorised"}}, "'1.5 memorised': should be a number above 0, or as in"),
        ({"grokking": {"until": ["1.5 generalised"]}}, r"grokking.until = \['1.5 generalised'\]: "),
    ],
)
def test_training_ends_with_grokkings_only_where_there_is_another_such_condition(
    conditions: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load(study(conditions=conditions))


def test_a_control_may_end_with_grokking() -> None:
    loaded = load(study(conditions={"grokking": {}, "control": {"until": 1.5}}))
    assert loaded.conditions["control"].resolve().schedule.until == 1.5


def test_grokking_may_end_itself_and_its_branches_then_train_on() -> None:
    fast = {"branch": {"from": "grokking", "at": "onset", "change": {"learning_rate": "x2"}}}
    loaded = load(study(conditions={"grokking": {"until": "1.5 generalised"}, "fast": fast}))
    schedule = loaded.conditions["grokking"].resolve().schedule
    assert (schedule.until, schedule.whose) == (1.5, "own")
    assert loaded.conditions["fast"].until is None
