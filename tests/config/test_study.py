"""A study: its blocks, its branches, and the settings that its results depend on."""

from __future__ import annotations

import pytest
from configs import study, undescribed

from general_circuits.config.kinds import Settings
from general_circuits.config.load import load
from general_circuits.config.study import KeepSettings, Study


def test_weights_and_eight_states_are_kept_by_default() -> None:
    assert load(study()).keep == KeepSettings(weights=True, states=8)
    assert load(study(keep={"weights": False, "states": 0})).keep == KeepSettings(weights=False, states=0)


def test_six_replicas_in_blocks_of_two_are_three_blocks() -> None:
    assert load(study(replicas=6, block=2, first_seed=1000)).blocks == 3


def test_settings_cannot_be_changed_after_loading() -> None:
    loaded = load(study())
    with pytest.raises(ValueError, match="frozen"):
        loaded.replicas = 4


def test_a_study_without_duels_depends_on_none_of_their_settings() -> None:
    assert "duels" not in load(study()).resolved()["study"]
    fought = load(study(duels={"toy": {}, "planted": {}}))
    assert set(fought.resolved()["study"]["duels"]) == {"toy", "planted"}


def test_a_study_that_does_not_look_into_training_depends_on_none_of_those_settings() -> None:
    parts = {"progress": {}, "updates": {}, "answers": {}, "spikes": {}}
    without = load(study()).resolved()["study"]["measurements"]
    assert not without.keys() & {"progress", "onset", "updates", "answers", "spikes"}
    assert load(study(measurements=parts)).resolved()["study"]["measurements"].keys() >= {*parts, "onset"}


@pytest.mark.parametrize("part", ["progress", "updates"])
def test_onset_is_a_setting_of_progress_and_of_updates(part: str) -> None:
    assert load(study(measurements={part: {}})).resolved()["study"]["measurements"].keys() >= {part, "onset"}


def test_results_do_not_depend_on_what_is_kept() -> None:
    usual, sparing = load(study()), load(study(keep={"weights": False, "states": 0}))
    assert usual != sparing
    assert usual.resolved() == sparing.resolved()


def test_results_depend_on_a_default_through_every_condition_that_has_it() -> None:
    raw = study(defaults={"steps": 7}, conditions={"one": {}, "two": {"steps": 9}})
    resolved = load(raw).resolved()
    assert {name: settings["schedule"]["steps"] for name, settings in resolved["conditions"].items()} == {
        "one": 7,
        "two": 9,
    }
    assert "defaults" not in resolved["study"]


def test_a_measurement_that_the_study_leaves_out_has_no_conditions() -> None:
    raw = study(conditions={"one": {}, "two": {"measurements": ["progress"]}})
    assert load(raw).measured("progress") == []
    with_progress = load({**raw, "measurements": {"progress": {}}})
    assert with_progress.measured("progress") == ["one", "two"]
    assert with_progress.measured("saliency") == ["one"]


def test_a_branch_is_listed_with_its_parent() -> None:
    loaded = load(study(conditions={"one": {}, "fast": {"branch": {"from": "one", "at": "onset"}}}))
    assert list(loaded.branches) == ["fast"]
    assert loaded.parent("fast") == "one"
    assert (loaded.branches["fast"].parent, loaded.branches["fast"].at) == (loaded.conditions["one"].resolve(), "onset")


@pytest.mark.parametrize("section", [Study, KeepSettings])
def test_every_key_is_described(section: type[Settings]) -> None:
    assert undescribed(section) == ({"measurements", "duels", "keep"} if section is Study else set())
