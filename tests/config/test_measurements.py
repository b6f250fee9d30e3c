"""Settings of measurements: the JSON that stages take, and counts that memory is predicted from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from configs import undescribed

from general_circuits.config.kinds import Settings
from general_circuits.config.measurements import (
    AblationSettings,
    AnswerSettings,
    AttributionSettings,
    MeasurementSettings,
    OnsetSettings,
    ProgressSettings,
    SaliencySettings,
    SpecificationSettings,
    SpikeSettings,
    UpdateSettings,
)
from general_circuits.measurements.ablation.measure import DeletionSettings
from general_circuits.measurements.saliency.measure import Questions
from general_circuits.records import from_json
from general_circuits.registered import REGISTERED


@pytest.mark.parametrize(
    "section",
    [
        AttributionSettings,
        SaliencySettings,
        AblationSettings,
        SpecificationSettings,
        ProgressSettings,
        OnsetSettings,
        UpdateSettings,
        AnswerSettings,
        SpikeSettings,
    ],
)
def test_every_key_is_described(section: type[Settings]) -> None:
    assert undescribed(section) == set()


def test_combinations_are_methods_times_targets_times_normalisations() -> None:
    settings = SaliencySettings(
        methods=["activation_gradient", "shapley"], targets=["margin", "right_logit", "log_probability"]
    )
    assert settings.combinations == 2 * 3 * 2
    assert SaliencySettings().combinations == 2  # raw and matched


def test_the_option_of_saliency_holds_what_is_attributed_but_no_numbers_of_checkpoints() -> None:
    option = json.loads(SaliencySettings(checkpoints=5, by_example=2, examples="all").as_option())
    assert option == {
        "methods": ["activation_gradient"],
        "targets": ["right_minus_mean"],
        "normalisations": ["raw", "matched"],
        "sites": ["mlp"],
        "examples": 0,
        "effort": {
            "integration_steps": 50,
            "most_integration_steps": 400,
            "completeness_error": 1e-3,
            "permutations": 32,
        },
    }


def test_equal_settings_give_equal_bytes_of_their_option() -> None:
    for settings in (SaliencySettings, SpecificationSettings):
        assert settings().as_option() == settings().as_option()
        assert from_json(Questions, settings().as_option()).examples == 256


@pytest.mark.parametrize(("attributions", "areas_only"), [("registered", False), ("all", True)])
def test_the_option_of_ablation_keeps_only_areas_where_every_saliency_ranks(
    attributions: Any, areas_only: bool
) -> None:
    option = json.loads(AblationSettings(checkpoints="all").as_option(attributions))
    assert option["settings"]["areas_only"] is areas_only
    assert (option["attributions"], option["checkpoints"], option["splits"]) == (
        attributions,
        0,
        ["train", "validation"],
    )
    assert from_json(DeletionSettings, json.dumps(option["settings"])).random_draws == 20


@pytest.mark.parametrize(
    ("changes", "combinations", "curves"),
    [
        # Each order is deleted in 2 ways: 3 statistics and 2 norms, bottom and matched, 20 random orders.
        ({}, 1, 2 * (3 + 2 + 2 + 20)),
        # Norms rank neurons once, however many saliencies there are.
        ({}, 4, 2 * (3 * 4 + 2 + 2 + 20)),
        ({"rankings": ["mean_magnitude"], "random_draws": 1, "deletions": ["zero"]}, 1, 1 + 2 + 1),
        ({"dead_units": ["included", "excluded"], "sites": ["mlp", "heads"]}, 1, 2 * 2 * 2 * (3 + 2 + 2 + 20)),
    ],
)
def test_curves_are_counted(changes: dict[str, Any], combinations: int, curves: int) -> None:
    assert AblationSettings(**changes).curves(combinations) == curves


def test_specification_curves_delete_on_the_examples_of_ablation() -> None:
    asked = MeasurementSettings(
        ablation=AblationSettings(examples=77, random_draws=3, k_points=9),
        specifications=SpecificationSettings(damage_sites=["mlp"], statistics=["mean_magnitude"], splits=["train"]),
    )
    deletion = asked.specification_ablation
    assert (deletion.examples, deletion.random_draws, deletion.k_points) == (77, 3, 9)
    assert (deletion.sites, deletion.rankings, deletion.splits) == (["mlp"], ["mean_magnitude"], ["train"])
    assert deletion.dead_units == ["included", "excluded"]
    assert deletion.checkpoints == "all"


def test_parts_that_a_study_leaves_out_have_their_defaults() -> None:
    measurements = MeasurementSettings()
    assert measurements.progress is None
    assert measurements.progress_and_updates == (ProgressSettings(), OnsetSettings(), UpdateSettings())
    assert measurements.answers_and_spikes == (AnswerSettings(), SpikeSettings())
    assert measurements.specification == SpecificationSettings()


def test_the_default_measurements_include_the_registered_choice() -> None:
    for settings in (SaliencySettings(), SpecificationSettings()):
        for name in ("method", "target", "normalisation", "site"):
            assert REGISTERED[name] in getattr(settings, f"{name}s")
    assert REGISTERED["split"] in AblationSettings().splits
