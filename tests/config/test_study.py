"""Every message a config can be refused with: where, what was found, what would be right. And what a good one is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from general_circuits.config.condition import SECTIONS, Settings, SpacingSettings
from general_circuits.config.duels import DuelSettings, PlantedSettings, RuleSettings, ToySettings
from general_circuits.config.measurements import (
    AblationSettings,
    AnswerSettings,
    OnsetSettings,
    ProgressSettings,
    SaliencySettings,
    SpikeSettings,
    UpdateSettings,
)
from general_circuits.config.study import ConfigError, KeepSettings, Study, load
from general_circuits.models.presets import PRESETS
from general_circuits.records import from_json, to_json
from general_circuits.storage.schemas import registry as schemas
from general_circuits.training.schedule import Spacing
from general_circuits.training.settings import Condition

ROOT = Path(__file__).parents[2]


def study(**changes: Any) -> dict[str, Any]:
    """A config that runs, with some keys changed."""
    return {"study": "tiny", "conditions": {"grokking": {}}, **changes}


def faults(raw: Any) -> list[str]:
    """The lines of the message that refuses this config, below its heading."""
    with pytest.raises(ConfigError) as refused:
        load(raw)
    heading, *lines = str(refused.value).splitlines()
    assert heading == "the config cannot run:"
    return [line.strip() for line in lines]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replica": 3}, "replica: unknown key; did you mean replicas?"),
        ({"defaults": {"operaton": "x+y"}}, "defaults.operaton: unknown key; did you mean operation?"),
        (
            {"conditions": {"grokking": {"weight_decya": 1.0}}},
            "conditions.grokking.weight_decya: unknown key; did you mean weight_decay?",
        ),
        (
            {"conditions": {"grokking": {"checkpoints": {"evry": 100}}}},
            "conditions.grokking.checkpoints.evry: unknown key; did you mean every?",
        ),
        ({"defaults": {"metrics": {"lgo": 4}}}, "defaults.metrics.lgo: unknown key; did you mean log?"),
        ({"measurements": {"ablaton": {}}}, "measurements.ablaton: unknown key; did you mean ablation?"),
        (
            {"measurements": {"saliency": {"integration_step": 5}}},
            "measurements.saliency.integration_step: unknown key; did you mean integration_steps?",
        ),
        ({"keep": {"weight": False}}, "keep.weight: unknown key; did you mean weights?"),
        (
            {"measurements": {"ablation": {"kpoints": 5}}},
            "measurements.ablation.kpoints: unknown key; did you mean k_points?",
        ),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(changes: dict[str, Any], message: str) -> None:
    assert faults(study(**changes)) == [message]


def test_an_unknown_key_like_no_other_is_answered_with_all() -> None:
    assert faults(study(measurements={"qqq": 1})) == [
        "measurements.qqq: unknown key; known: saliency, ablation, specifications, progress, onset, updates,"
        " answers, spikes"
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replicas": "3"}, "replicas = '3': should be a valid integer"),
        ({"replicas": True}, "replicas = True: should be a valid integer"),
        ({"replicas": 0}, "replicas = 0: should be greater than or equal to 1"),
        ({"device": "gpu"}, "device = 'gpu': should be 'cpu' or 'cuda'"),
        ({"defaults": {"steps": 6e3}}, "defaults.steps = 6000.0: should be a valid integer"),
        ({"defaults": {"learning_rate": "fast"}}, "defaults.learning_rate = 'fast': should be a valid number"),
        ({"defaults": {"learning_rate": True}}, "defaults.learning_rate = True: should be a valid number"),
        ({"defaults": {"learning_rate": float("nan")}}, "defaults.learning_rate = nan: should be a finite number"),
        ({"defaults": {"learning_rate": "inf"}}, "defaults.learning_rate = inf: should be a finite number"),
        ({"defaults": {"learning_rate": 0.0}}, "defaults.learning_rate = 0.0: should be greater than 0"),
        ({"defaults": {"weight_decay": -1.0}}, "defaults.weight_decay = -1.0: should be greater than or equal to 0"),
        ({"defaults": {"label_noise": 1.5}}, "defaults.label_noise = 1.5: should be less than or equal to 1"),
        ({"defaults": {"train_fraction": 1.0}}, "defaults.train_fraction = 1.0: should be less than 1"),
        ({"defaults": {"train_fraction": 0.0}}, "defaults.train_fraction = 0.0: should be greater than 0"),
        ({"defaults": {"train_fraction": -0.2}}, "defaults.train_fraction = -0.2: should be greater than 0"),
        ({"defaults": {"grokfast_alpha": 1.0}}, "defaults.grokfast_alpha = 1.0: should be less than 1"),
        (
            {"defaults": {"gradient_noise": -0.1}},
            "defaults.gradient_noise = -0.1: should be greater than or equal to 0",
        ),
        (
            {"defaults": {"loss": "mse"}},
            "defaults.loss = 'mse': should be 'cross_entropy', 'mean_squared_error', 'hinge' or 'stablemax'",
        ),
        ({"defaults": {"arithmetic": "fast"}}, "defaults.arithmetic = 'fast': should be 'reduced' or 'plain'"),
        ({"keep": {"states": -1}}, "keep.states = -1: should be greater than or equal to 0"),
        ({"keep": {"weights": "no"}}, "keep.weights = 'no': should be a valid boolean"),
        ({"keep": False}, "keep = False: should be a mapping of keys to values"),
        ({"defaults": {"split_by": "row"}}, "defaults.split_by = 'row': should be 'pair' or 'example'"),
        ({"defaults": {"modulus": 1}}, "defaults.modulus = 1: should be greater than or equal to 2"),
        ({"defaults": {"checkpoints": 5}}, "defaults.checkpoints = 5: should be a mapping of keys to values"),
        ({"defaults": [1]}, "defaults = [1]: should be a mapping of keys to values"),
        ({"conditions": [1]}, "conditions = [1]: should be a mapping of keys to values"),
        ({"conditions": {"grokking": [1]}}, "conditions.grokking = [1]: should be a mapping of keys to values"),
        (
            {"study": "My study"},
            "study = 'My study': should be lower-case letters, digits and underscores, a letter first",
        ),
        (
            {"conditions": {"2_layers": {}}},
            "conditions.2_layers = '2_layers': should be lower-case letters, digits and underscores, a letter first",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_what_would_be_right(changes: dict[str, Any], message: str) -> None:
    assert faults(study(**changes)) == [message]


def test_a_batch_size_may_be_a_number_or_full() -> None:
    assert set(faults(study(defaults={"batch_size": "half"}))) == {
        "defaults.batch_size = 'half': should be a valid integer",
        "defaults.batch_size = 'half': should be 'full'",
    }
    assert load(study(defaults={"batch_size": "full"})).conditions["grokking"].resolve().optimiser.batch_size == "full"


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
        ({"batch_size": 0}, "defaults.batch_size = 0: should be from 1 to the 2089 training examples, or full"),
        ({"batch_size": -5}, "defaults.batch_size = -5: should be from 1 to the 2089 training examples, or full"),
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
        ({"train_fraction": 1e-4}, "defaults.train_fraction = 0.0001: leaves no training example of 3481"),
        ({"train_fraction": 0.9999}, "defaults.train_fraction = 0.9999: leaves no validation example of 3481"),
        (
            {"optimiser": "adam", "momentum": 0.9},
            "defaults.momentum = 0.9: belongs to optimiser: sgd; leave it out, or see beta1",
        ),
        (
            {"decay": "coupled"},
            "defaults.decay = 'coupled': adamw's is decoupled; for coupled decay set optimiser: adam",
        ),
        (
            {"optimiser": "lbfgs", "batch_size": 64},
            "defaults.batch_size = 64: should be full, since lbfgs compares losses of the same examples",
        ),
        (
            {"optimiser": "line_search", "batch_size": "full", "decay": "decoupled"},
            "defaults.decay = 'decoupled': should be coupled, or left out: line_search's decay is a part of what it"
            " makes small",
        ),
        (
            {"optimiser": "line_search", "batch_size": "full", "gradient_noise": 0.1},
            "defaults.gradient_noise = 0.1: should be 0, since line_search needs the gradient of what it makes small",
        ),
        (
            {"optimiser": "lbfgs", "batch_size": "full", "grokfast_lambda": 2.0},
            "defaults.grokfast_lambda = 2.0: should be 0, since lbfgs needs the gradient of what it makes small",
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


def test_every_fault_is_listed() -> None:
    raw = study(
        replicas="3",
        blocks=1,
        defaults={"modulus": 1},
        conditions={"one": {"steps": -2}, "two": {"weight_decay": -1.0}},
    )
    assert sorted(faults(raw)) == [
        "blocks: unknown key; did you mean block?",
        "conditions.one.steps = -2: should be greater than or equal to 0",
        "conditions.two.weight_decay = -1.0: should be greater than or equal to 0",
        "defaults.modulus = 1: should be greater than or equal to 2",
        "replicas = '3': should be a valid integer",
    ]
    together = study(replicas=3, block=2, conditions={"one": {"n_heads": 3}, "two": {"batch_size": 10_000}})
    assert [line.split(" = ")[0] for line in faults(together)] == [
        "replicas",
        "conditions.one.n_heads",
        "conditions.two.batch_size",
    ]


def test_a_fault_in_defaults_is_reported_once_and_there() -> None:
    raw = study(defaults={"steps": -2}, conditions={"one": {}, "two": None, "three": {"modulus": 13}})
    assert faults(raw) == ["defaults.steps = -2: should be greater than or equal to 0"]


def test_a_fault_that_a_condition_repeats_is_reported_there_too() -> None:
    raw = study(defaults={"steps": -2}, conditions={"one": {"steps": -1}})
    assert faults(raw) == [
        "defaults.steps = -2: should be greater than or equal to 0",
        "conditions.one.steps = -1: should be greater than or equal to 0",
    ]


@pytest.mark.parametrize("raw", [None, [], "study", 3])
def test_what_is_no_mapping_is_refused(raw: Any) -> None:
    with pytest.raises(ConfigError, match="should be a mapping of keys to values"):
        load(raw)


def test_missing_keys_are_described() -> None:
    assert faults({}) == [
        "study: missing; name of the study; its results lie under results/{study}/",
        "conditions: missing; conditions by name, each with the settings that differ from `defaults`, or with a"
        " `branch`",
    ]


def test_a_study_has_at_least_one_condition() -> None:
    (message,) = faults(study(conditions={}))
    assert message.startswith("conditions = {}: ")


def test_text_that_is_a_number_is_read_as_one() -> None:
    raw = yaml.safe_load("{study: tiny, defaults: {learning_rate: 1e-3, weight_decay: 5e-1}, conditions: {one: {}}}")
    assert raw["defaults"]["learning_rate"] == "1e-3"  # what YAML 1.1 makes of it
    optimiser = load(raw).conditions["one"].resolve().optimiser
    assert (optimiser.learning_rate, optimiser.weight_decay) == (0.001, 0.5)


def test_conditions_override_defaults_and_these_the_programmed_ones() -> None:
    loaded = load(
        study(defaults={"modulus": 13, "batch_size": 16}, conditions={"one": {"modulus": 17}, "two": {}, "three": None})
    )
    assert [loaded.conditions[name].modulus for name in ("one", "two", "three")] == [17, 13, 13]
    assert {settings.batch_size for settings in loaded.conditions.values()} == {16}
    assert {settings.train_fraction for settings in loaded.conditions.values()} == {0.6}


def test_the_order_of_conditions_is_the_users() -> None:
    assert list(load(study(conditions={"b": {}, "a": {}, "c": {}})).conditions) == ["b", "a", "c"]


def test_resolving_fills_the_preset_in() -> None:
    model = load(study(defaults={"d_mlp": 64})).conditions["grokking"].resolve().model
    assert (model.n_layers, model.d_model, model.n_heads, model.d_mlp) == (1, 128, 4, 64)
    assert (model.activation, model.normalisation, model.biases, model.positions) == ("relu", "none", "mlp", "learned")


@pytest.mark.parametrize(
    ("settings", "decay"),
    [
        ({}, "decoupled"),
        ({"optimiser": "adamw"}, "decoupled"),
        ({"optimiser": "adam"}, "coupled"),
        ({"optimiser": "sgd"}, "coupled"),
        ({"optimiser": "sgd", "decay": "decoupled"}, "decoupled"),
        ({"optimiser": "line_search", "batch_size": "full"}, "coupled"),
        ({"optimiser": "lbfgs", "batch_size": "full"}, "coupled"),
    ],
)
def test_decay_is_decoupled_for_adamw_alone_unless_told(settings: dict[str, Any], decay: str) -> None:
    assert load(study(defaults=settings)).conditions["grokking"].resolve().optimiser.decay == decay


@pytest.mark.parametrize(
    ("settings", "warm_up"),
    [
        ({}, 10),
        ({"optimiser": "sgd", "warm_up": 5}, 5),
        ({"optimiser": "line_search", "batch_size": "full", "warm_up": 5}, 0),
        ({"optimiser": "lbfgs", "batch_size": "full"}, 0),
    ],
)
def test_rules_that_search_for_their_step_size_do_not_warm_up(settings: dict[str, Any], warm_up: int) -> None:
    assert load(study(defaults=settings)).conditions["grokking"].resolve().optimiser.warm_up == warm_up


def test_nothing_is_added_to_a_gradient_and_the_loss_is_cross_entropy_unless_told() -> None:
    optimiser = load(study()).conditions["grokking"].resolve().optimiser
    assert (optimiser.gradient_noise, optimiser.grokfast_lambda, optimiser.decay_on) == (0.0, 0.0, "all")
    assert optimiser.loss == "cross_entropy"


def test_decay_may_be_on_all_weights_or_on_named_ones() -> None:
    patterns = ["embed.W_E", "blocks.*.mlp.*"]
    resolved = load(study(defaults={"decay_on": patterns})).conditions["grokking"].resolve()
    assert resolved.optimiser.decay_on == tuple(patterns)
    assert from_json(Condition, to_json(resolved)) == resolved
    assert set(faults(study(conditions={"one": {"decay_on": "embed.W_E"}}))) == {
        "conditions.one.decay_on = 'embed.W_E': should be 'all'",
        "conditions.one.decay_on = 'embed.W_E': should be a valid list",
    }
    assert faults(study(defaults={"decay_on": []})) == ["defaults.decay_on = []: should not be empty"]


def test_a_pattern_that_matches_no_weight_is_refused() -> None:
    patterns = ["embed.W_E", "blocks.1.*"]
    (found,) = faults(study(defaults={"decay_on": patterns}))
    assert found.startswith("defaults.decay_on = 'blocks.1.*': matches no weight; they are blocks.0.attn.W_K, blocks.0")
    load(study(defaults={"decay_on": patterns, "n_layers": 2}))


def test_arithmetic_is_reduced_for_transformers_unless_told_and_plain_for_mlps() -> None:
    kinds = {"usual": {}, "reference": {"arithmetic": "plain"}, "mlp": {"preset": "mlp"}}
    resolved = [setting.resolve().optimiser.arithmetic for setting in load(study(conditions=kinds)).conditions.values()]
    assert resolved == ["reduced", "plain", "plain"]


@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "parity_mlp"])
def test_a_preset_by_itself_is_its_network(preset: str) -> None:
    loaded = load(study(defaults={"preset": preset}))
    assert loaded.conditions["grokking"].resolve().model == PRESETS[preset].model


def test_the_parity_preset_is_its_network_where_there_are_two_classes() -> None:
    settings = {"preset": "parity_mlp", "batch_size": "full"}
    assert load(study(defaults={"modulus": 2, **settings})).conditions["grokking"].resolve().model == (
        PRESETS["parity_mlp"].model
    )
    assert faults(study(defaults=settings)) == [
        "conditions.grokking.outputs = 'sign': should be classes, since there are 59 and not two"
    ]


def test_an_mlp_that_reads_no_embedding_has_no_width_of_one() -> None:
    resolved = load(study(defaults={"preset": "mlp", "inputs": "one_hot"})).conditions["grokking"].resolve().model
    assert (resolved.inputs, resolved.d_model) == ("one_hot", 0)


def test_an_mlp_may_be_said_to_have_no_normalisation() -> None:
    load(study(defaults={"preset": "mlp", "normalisation": "none"}))


def test_what_defaults_say_of_a_network_does_not_reach_a_condition_of_another_kind() -> None:
    defaults = {"d_model": 32, "n_heads": 2, "d_mlp": 64, "normalisation": "pre", "initialisation": "normal"}
    conditions = {
        "usual": {},
        "one_hot": {"preset": "quadratic_mlp"},
        "embedded": {"preset": "mlp"},
        "ordinal": {"preset": "mlp", "inputs": "ordinal"},
    }
    loaded = load(study(defaults=defaults, conditions=conditions))
    found = {name: settings.resolve().model for name, settings in loaded.conditions.items()}
    assert [(model.d_model, model.n_heads, model.d_mlp) for model in found.values()] == [
        *((32, 2, 64), (0, 0, 64), (32, 0, 64), (0, 0, 64))
    ]
    assert [model.normalisation for model in found.values()] == ["pre", "none", "none", "none"]
    own = study(defaults=defaults, conditions={"one": {"preset": "mlp", "n_heads": 2}})
    assert faults(own) == ["conditions.one.n_heads = 2: an MLP has none; leave it out"]


BY_HAND = {"d_model": 44, "n_heads": 2, "d_mlp": 120, "modulus": 13, "batch_size": "full", "steps": 0}


@pytest.mark.parametrize("kind", ["fourier", "lookup_table"])
def test_networks_built_by_hand_are_conditions_like_any_other(kind: str) -> None:
    resolved = load(study(defaults={"initialisation": kind, **BY_HAND})).conditions["grokking"].resolve()
    assert resolved.model.initialisation == kind
    assert resolved.schedule.checkpoints.steps(0) == [0]


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
def test_what_a_network_built_by_hand_lacks_is_said(kind: str, changes: dict[str, Any], message: str) -> None:
    (found,) = faults(study(defaults={"initialisation": kind, **BY_HAND, **changes}))
    assert message in found


def test_weights_and_eight_states_are_kept_unless_told() -> None:
    assert load(study()).keep == KeepSettings(weights=True, states=8)
    assert load(study(keep={"weights": False, "states": 0})).keep == KeepSettings(weights=False, states=0)


def test_nothing_is_left_open_and_json_carries_all() -> None:
    raw = study(conditions={"grokking": {"checkpoints": {"log": 3, "every": 7}, "batch_size": "full"}})
    resolved = load(raw).conditions["grokking"].resolve()
    assert resolved.schedule.checkpoints == Spacing(3, 7)
    assert "null" not in to_json(resolved)
    assert from_json(Condition, to_json(resolved)) == resolved


def test_blocks_are_as_many_as_it_takes() -> None:
    assert load(study(replicas=6, block=2, first_seed=1000)).blocks == 3


def test_settings_cannot_be_changed_after_loading() -> None:
    loaded = load(study())
    with pytest.raises(ValueError, match="frozen"):
        loaded.replicas = 4


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_the_projects_own_configs_load(path: Path) -> None:
    loaded = load(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert loaded.conditions
    assert loaded.replicas == loaded.blocks * loaded.block


def test_there_is_a_default_and_a_smoke_config() -> None:
    assert {"config.yaml", "smoke.yaml"} <= {path.name for path in (ROOT / "config").glob("*.yaml")}


@pytest.mark.parametrize(
    "section",
    [
        Study,
        *SECTIONS,
        SaliencySettings,
        AblationSettings,
        ProgressSettings,
        OnsetSettings,
        UpdateSettings,
        AnswerSettings,
        SpikeSettings,
        KeepSettings,
        DuelSettings,
        ToySettings,
        PlantedSettings,
        RuleSettings,
    ],
)
def test_every_key_is_described(section: type[Settings]) -> None:
    nested = {"measurements", "saliency", "ablation", "duels", "keep"} if section is Study else set()
    assert all(field.description for name, field in section.model_fields.items() if name not in nested)


def test_a_condition_overrides_a_nested_setting_key_by_key() -> None:
    loaded = load(
        study(defaults={"checkpoints": {"log": 4, "every": 100}}, conditions={"a": {"checkpoints": {"every": 50}}})
    )
    assert loaded.conditions["a"].checkpoints == SpacingSettings(log=4, every=50)


@pytest.mark.parametrize(
    ("section", "settings", "message"),
    [
        ("saliency", {"checkpoints": 0}, "measurements.saliency.checkpoints = 0"),
        ("saliency", {"methods": ["integrated_gradients"]}, "should include activation_gradient"),
        ("saliency", {"methods": ["activation_gradient"] * 2}, "should name each once"),
        ("ablation", {"checkpoints": -3}, "measurements.ablation.checkpoints = -3"),
        ("ablation", {"deletions": ["mean"]}, "should include zero"),
        ("ablation", {"splits": ["validation"]}, "should include train"),
        ("ablation", {"sites": ["heads"]}, "should include mlp"),
        ("ablation", {"rankings": ["breadth"]}, "should include mean_magnitude"),
        ("ablation", {"rankings": ["mean_magnitude"] * 2}, "should name each once"),
        ("ablation", {"dead_units": ["excluded"]}, "should include included"),
        ("specifications", {"dead_units": ["excluded"]}, "should include included"),
        ("ablation", {"k_points": 1}, "measurements.ablation.k_points = 1"),
        ("ablation", {"k_points": "every"}, "measurements.ablation.k_points = 'every'"),
    ],
)
def test_measurements_that_no_claim_could_use_are_refused(section: str, settings: dict[str, Any], message: str) -> None:
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
        "duels.planted.initialisation = 'fourier': should be drawn",
    ),
]


@pytest.mark.parametrize(("duels", "message"), DUELS)
def test_duels_that_cannot_be_fought_are_refused(duels: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load({"study": "mine", "conditions": {"one": {}}, "duels": duels})
    assert message in str(error.value)


def test_a_study_without_duels_depends_on_none_of_their_settings() -> None:
    raw = {"study": "mine", "conditions": {"one": {}}}
    assert "duels" not in load(raw).resolved()["study"]
    lacking = {"toy": "toy duels", "planted": "planted duels", "modules": "planted duels"}
    assert load(raw).absent.items() >= lacking.items()
    fought = load({**raw, "duels": {"toy": {}, "planted": {}}})
    assert not fought.absent.keys() & lacking
    assert set(fought.resolved()["study"]["duels"]) == {"toy", "planted"}


def test_a_study_that_does_not_look_into_training_depends_on_none_of_those_settings() -> None:
    raw = {"study": "mine", "conditions": {"one": {}}}
    looks = {"progress": {}, "updates": {}, "answers": {}, "spikes": {}}
    asked = load(raw).resolved()["study"]["measurements"]
    assert not asked.keys() & {"progress", "onset", "updates", "answers", "spikes"}
    in_files = {table.name for table in map(schemas.table, schemas.of_blocks())}
    lacking = load(raw).absent.keys() & in_files
    assert lacking == {"progress", "structure", "matrices", "spectrum", "reinforcement", "updates"}
    looked = load({**raw, "measurements": looks})
    assert not looked.absent.keys() & lacking
    assert looked.resolved()["study"]["measurements"].keys() >= {*looks, "onset"}
    of_claims = {"answers", "deciles", "losses", "spikes", "spike_effects"}
    assert load(raw).absent.keys() >= of_claims
    assert not looked.absent.keys() & of_claims


def test_duels_have_the_replicas_and_seeds_of_their_study() -> None:
    study = load({"study": "mine", "replicas": 4, "first_seed": 9, "conditions": {"one": {}}, "duels": {"toy": {}}})
    assert study.duels.toy is not None
    grid = study.duels.toy.resolve(study.replicas, study.first_seed)
    assert (grid.replicas, grid.first_seed, grid.pairs) == (4, 9, 8)
    assert {rule.optimiser for rule in grid.rules} == {"sgd", "momentum", "adam", "adamw"}


@pytest.mark.parametrize("options", [{}, {"preset": "nanda", "d_model": 32, "n_heads": 2}, {"train_count": 100}])
def test_planted_networks_have_the_settings_that_a_condition_would(options: dict[str, Any]) -> None:
    planted = PlantedSettings(**options)
    condition, planting, _ = planted.resolve()
    assert planting.model == condition.model
    assert condition.model.d_mlp == 128
    assert condition.split.train_size == options.get("train_count", 0.65)
