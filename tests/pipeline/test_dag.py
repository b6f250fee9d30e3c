"""Answers of the DAG to the rules: files, missing data, options, memory and code of jobs."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from config_space import valid
from configs import study
from snakemake.exceptions import WorkflowError

from general_circuits.claims.registry import CLAIMS
from general_circuits.config.load import load
from general_circuits.figures.registry import DRAWINGS, FIGURES
from general_circuits.pipeline import dag as dag_module
from general_circuits.pipeline.dag import Dag, options, or_all
from general_circuits.records import from_json, to_json
from general_circuits.storage.schemas import registry as schemas
from general_circuits.training import losses as losses_module
from general_circuits.training.optimisers import updater
from general_circuits.training.settings import Branch, Condition

ROOT = Path(__file__).parents[2]
SMALL = {"modulus": 7, "d_model": 8, "n_heads": 2, "d_mlp": 16, "batch_size": 8, "steps": 20}
PARTS = {"progress": {}, "updates": {}, "answers": {}, "spikes": {}, "specifications": {}}
"""Measurements that a study has only if it names them."""


def branch(parent: str = "grokking", **changes: Any) -> dict[str, Any]:
    """Return a branch that leaves its parent at onset with these changes."""
    return {"branch": {"from": parent, "at": "onset", "change": changes}}


CONDITIONS = {
    "grokking": {},
    "random_labels": {"label_noise": 1.0},
    "division": {"operation": "x/y", "measurements": ["saliency"]},
    "fast": branch(learning_rate="x10"),
    "kicked": branch(kick="fast"),
}


def dag(**changes: Any) -> Dag:
    """Return the DAG of two blocks of two replicas of small networks, with some keys of the config changed."""
    usual = {"replicas": 4, "block": 2, "defaults": SMALL, "conditions": CONDITIONS}
    return Dag(load(study(**usual | changes)))


@pytest.mark.parametrize("number", range(40))
def test_nothing_is_drawn_or_judged_from_tables_without_files(number: int) -> None:
    dag = Dag(load(valid(Random(f"dag {number}"))))
    readers = [(f"figure {name}", dag.figure(name).tables, dag.figure_axes(name)) for name in dag.drawings]
    for claim in dag.measured_claims:
        readers.append((f"claim {claim}", dag.claim_reads(claim), dag.claim_axes(claim)))
        readers.append((f"specifications of {claim}", dag.specified(claim), dag.specified_axes(claim)))
    without = [(reader, table) for reader, names, axes in readers for table in names if not dag.files_of([table], axes)]
    assert without == []


# Contents of the study.


def test_a_study_generates_each_task_once_and_the_task_of_its_planted_duels() -> None:
    assert list(dag().tasks) == ["x_plus_y_mod_7", "x_over_y_mod_7"]
    assert list(dag(duels={"planted": {"modulus": 23}}).tasks) == [
        "x_plus_y_mod_7",
        "x_over_y_mod_7",
        "x_plus_y_mod_23",
    ]
    alike = {"modulus": 7, "parts": [1], "batch_sizes": [0]}
    assert list(dag(duels={"planted": alike}).tasks) == ["x_plus_y_mod_7", "x_over_y_mod_7"]


def test_flat_settings_are_joined_by_dots_and_have_the_number_of_training_examples() -> None:
    flat = dag().flat
    # 7² examples are 7 with a = b and 21 pairs of two: round(0.6 · 7) + 2 · round(0.6 · 21).
    assert flat["grokking"]["examples.training"] == 4 + 2 * 13
    assert flat["grokking"]["model.d_mlp"] == 16
    assert "branch.parent" not in flat["grokking"]
    assert (flat["fast"]["branch.parent"], flat["fast"]["branch.at"]) == ("grokking", "onset")


def test_the_axes_of_a_study_are_its_conditions_blocks_claims_and_rules_of_toys() -> None:
    axes = dag(duels={"toy": {}}).axes
    assert axes["condition"] == list(CONDITIONS)
    assert axes["block"] == [0, 1]
    assert axes["claim"] == [name for name, claim in CLAIMS.items() if claim.is_measured]
    assert axes["optimiser"] == ["sgd", "momentum", "adam", "adamw"]
    assert dag().axes["optimiser"] == []


def test_a_study_without_duels_lacks_their_tables() -> None:
    lacking = {"toy": "toy duels", "planted": "planted duels", "modules": "planted duels"}
    assert dag().absent.items() >= lacking.items()
    assert not dag(duels={"toy": {}, "planted": {}}).absent.keys() & lacking
    assert dag(duels={"toy": {}}).absent.keys() & lacking == {"planted", "modules"}


def test_a_study_that_does_not_look_into_training_lacks_those_tables() -> None:
    without, complete = dag(), dag(measurements=PARTS)
    of_blocks = set(schemas.of_blocks())
    assert without.absent.keys() & of_blocks == {
        "progress",
        "structure",
        "matrices",
        "spectrum",
        "reinforcement",
        "updates",
    }
    of_claims = {"answers", "deciles", "losses", "spikes", "spike_effects"}
    assert without.absent.keys() >= of_claims
    assert not complete.absent.keys() & (of_blocks | of_claims)


def test_a_measurement_that_no_condition_has_is_absent_though_the_study_has_its_settings() -> None:
    bare = dag(conditions={"one": {"measurements": []}}, measurements={"progress": {}})
    assert bare.absent.items() >= {"saliency": "saliency", "progress": "progress measures"}.items()


@pytest.mark.parametrize(
    ("conditions", "shown"),
    [
        (CONDITIONS, ["grokking", "random_labels", "division"]),
        ({"one": {}, "two": {"measurements": ["answers", "spikes"]}}, ["one"]),
        ({"one": {"measurements": []}, "two": {"measurements": ["answers"]}}, ["one", "two"]),
    ],
)
def test_figures_of_the_study_show_no_branches_and_no_conditions_of_single_claims(
    conditions: dict[str, Any], shown: list[str]
) -> None:
    assert dag(conditions=conditions).shown == shown


# Files.


def test_a_condition_trains_on_the_table_of_its_task() -> None:
    assert dag().task_table("division") == "<results>/tasks/x_over_y_mod_7.parquet"
    assert dag().task_table("fast") == dag().task_table("grokking") == "<results>/tasks/x_plus_y_mod_7.parquet"


@pytest.mark.parametrize(
    ("rule", "folder"),
    [
        ("train_block", "runs/{condition}/{block}"),
        ("replay_block", "replays/{condition}/{block}/{replay}"),
        ("replay_moments", "moments/{condition}/{block}"),
        ("watch_spikes", "spikes/{condition}/{block}"),
    ],
)
def test_a_block_has_one_file_of_weights_per_replica(rule: str, folder: str) -> None:
    assert dag().weights(rule) == [f"<results>/{folder}/weights-{position}.safetensors" for position in (0, 1)]


def test_a_branch_begins_from_its_parents_files() -> None:
    files = [f"<results>/runs/grokking/{{block}}/{name}.parquet" for name in ("metrics", "split", "events")]
    assert dag().parent_files("fast") == files
    assert dag().parent_files("kicked") == [*files, "<results>/runs/fast/{block}/metrics.parquet"]
    assert dag(conditions={"grokking": {}, "kicked": branch(kick=0.1)}).parent_files("kicked") == files
    assert dag().parent_files("grokking") == []


def test_a_branch_has_no_moments() -> None:
    of = dag()
    assert of.moments("fast") == []
    assert of.moments("grokking") == ["<results>/moments/{condition}/{block}.parquet", *of.weights("replay_moments")]
    measured = dag(conditions={**CONDITIONS, "fast": {**CONDITIONS["fast"], "measurements": ["saliency"]}})
    assert "fast" in measured.axes_of("saliency", measured.axes)["condition"]
    assert measured.axes_of("moments", measured.axes)["condition"] == ["grokking", "random_labels", "division"]


def test_the_partner_of_every_condition_is_grokking() -> None:
    events = "<results>/runs/grokking/{block}/events.parquet"
    assert {dag().partner_events(name) for name in ("grokking", "random_labels", "division")} == {events}


@pytest.mark.parametrize(
    "conditions",
    [
        {"other": {}, "random_labels": {"label_noise": 1.0}},
        pytest.param({"other": {}, "grokking": branch(parent="other", learning_rate="x10")}, id="grokking is a branch"),
    ],
)
def test_without_grokking_the_partner_is_the_condition_itself(conditions: dict[str, Any]) -> None:
    assert dag(conditions=conditions).partner_events("other") == "<results>/runs/{condition}/{block}/events.parquet"


def test_the_saliency_of_every_example_has_a_file_per_condition_block_and_chosen_checkpoint() -> None:
    spaced = {**SMALL, "checkpoints": {"log": 1, "every": 10}}
    asked = {"defaults": spaced, "measurements": {"saliency": {"by_example": 2}}}
    names = ["grokking", "random_labels", "division"]
    assert dag(**asked).example_saliency() == [
        f"<results>/example_saliency/{name}/{block}/step={step}/saliency.parquet"
        for name in names
        for block in (0, 1)
        for step in (0, 20)
    ]
    measured = {**CONDITIONS, "fast": {**CONDITIONS["fast"], "measurements": ["saliency"]}}
    assert dag(**asked, conditions=measured).example_saliency() == dag(**asked).example_saliency()
    assert dag().example_saliency() == []


def test_a_table_has_files_only_of_conditions_with_its_measurement_and_of_claims_with_its_curve() -> None:
    of = dag(measurements=PARTS)
    assert of.axes_of("metrics", of.axes) == of.axes
    assert of.axes_of("distribution", of.axes)["condition"] == ["grokking", "random_labels", "division"]
    assert of.axes_of("progress", of.axes)["condition"] == ["grokking", "random_labels"]
    assert of.axes_of("specification", of.axes)["claim"] == of.specified_claims
    assert {*of.specified_claims} < {*of.measured_claims}
    assert of.axes["condition"] == list(CONDITIONS), "the axes themselves stay"


def test_the_files_of_tables_run_along_their_axes() -> None:
    of = dag(measurements=PARTS, duels={"toy": {}})
    assert of.files_of(["toy", "conditions"], of.axes) == [
        "<results>/duels/toy-sgd.parquet",
        "<results>/duels/toy-momentum.parquet",
        "<results>/duels/toy-adam.parquet",
        "<results>/duels/toy-adamw.parquet",
        "<results>/conditions.parquet",
    ]
    narrow = of.axes | {"condition": ["division", "grokking"], "block": [1]}
    assert of.files_of(["metrics"], narrow) == [
        "<results>/runs/division/1/metrics.parquet",
        "<results>/runs/grokking/1/metrics.parquet",
    ]
    assert of.files_of(["progress"], narrow) == ["<results>/progress/grokking/1.parquet"]


def test_an_index_stands_for_a_table_of_blocks_and_files_for_any_other() -> None:
    of = dag(duels={"toy": {"rules": {"sgd": {"learning_rate": 0.5, "weight_decays": [0.0]}}}})
    assert of.whole_tables(["toy", "metrics", "conditions"]) == [
        "<results>/index/metrics.sha256",
        "<results>/duels/toy-sgd.parquet",
        "<results>/conditions.parquet",
    ]


def test_a_stage_gets_each_tables_own_axes() -> None:
    of = dag(measurements=PARTS)
    assert json.loads(of.axes_option(["metrics", "progress", "conditions"], of.axes)) == {
        "metrics": {"condition": list(CONDITIONS), "block": [0, 1], "replica": [0, 1, 2, 3]},
        "progress": {"condition": ["grokking", "random_labels"], "block": [0, 1], "replica": [0, 1, 2, 3]},
        "conditions": {},
    }


# Claims.


@pytest.mark.parametrize(
    ("claim", "changes", "words"),
    [
        ("saliency_skew", {}, ""),
        ("saliency_skew", {"conditions": {"grokking": {}}}, "no condition random_labels"),
        ("saliency_skew", {"conditions": {"other": {}}}, "no condition grokking and no condition random_labels"),
        ("weight_decay", {}, "no conditions with another weight decay"),
        ("weight_decay", {"conditions": {**CONDITIONS, "weak": {"weight_decay": 0.1}}}, ""),
        ("takeover", {}, "no planted duels and no toy duels"),
        ("takeover", {"duels": {"toy": {}}}, "no planted duels"),
        ("takeover", {"duels": {"toy": {}, "planted": {}}}, ""),
        ("spikes", {}, "no watched spikes"),
        ("spikes", {"measurements": {"spikes": {}}}, ""),
        (
            "saliency_skew",
            {"conditions": {"grokking": {}, "random_labels": {"measurements": []}}},
            "no saliency of random_labels",
        ),
        ("saliency_skew", {"conditions": {name: {"measurements": []} for name in CONDITIONS}}, "no saliency"),
    ],
)
def test_a_claim_says_in_words_what_the_study_lacks(claim: str, changes: dict[str, Any], words: str) -> None:
    of = dag(**changes)
    assert of.lacks(claim) == words
    assert bool(of.claim_reads(claim)) == (words == "")
    assert bool(of.claim_tables(claim)) == (words == "")


@pytest.mark.parametrize("claim", [name for name, claim in CLAIMS.items() if claim.is_measured])
def test_the_study_that_is_named_for_a_claim_lacks_nothing_of_it(claim: str) -> None:
    config = ROOT / f"config/{CLAIMS[claim].study}.yaml"
    assert Dag(load(yaml.safe_load(config.read_text(encoding="utf-8")))).lacks(claim) == ""


def test_a_claim_reads_the_tables_beside_it_where_one_of_its_conditions_has_them() -> None:
    conditions = {**CONDITIONS, "weak": {"weight_decay": 0.1}}
    assert dag(conditions=conditions).claim_reads("weight_decay") == ["conditions", "events"]
    with_progress = dag(conditions=conditions, measurements={"progress": {}})
    assert with_progress.claim_reads("weight_decay") == ["conditions", "events", "progress", "structure"]
    of_others = {name: {**own, "measurements": []} for name, own in conditions.items() if "branch" not in own}
    of_others["division"]["measurements"] = ["progress"]
    only_beside = dag(conditions=of_others, measurements={"progress": {}})
    assert only_beside.claim_reads("weight_decay") == ["conditions", "events"]


def test_a_claim_reads_the_files_of_its_own_conditions() -> None:
    files = dag().claim_tables("saliency_skew")
    assert files == [
        *(
            f"<results>/{table}/{name}/{block}.parquet"
            for table in ("moments", "distribution")
            for name in ("grokking", "random_labels")
            for block in (0, 1)
        ),
        "<results>/conditions.parquet",
    ]


def test_a_specification_curve_needs_its_measurements_and_its_claim() -> None:
    assert dag().specified("saliency_skew") == ()
    curves = dag(measurements=PARTS)
    assert curves.specified("saliency_skew") == CLAIMS["saliency_skew"].specified
    assert curves.specified_axes("saliency_skew")["condition"] == ["grokking", "random_labels"]
    assert dag(measurements=PARTS, conditions={"grokking": {}}).specified("saliency_skew") == ()
    assert curves.specified_tables("saliency_skew")[0] == "<results>/moments/grokking/0.parquet"


# Figures.


def test_a_study_draws_a_figure_if_it_has_its_tables_and_all_that_its_claim_needs() -> None:
    bare, rich = dag(), dag(measurements=PARTS, duels={"toy": {}, "planted": {}})
    assert rich.drawings.keys() > bare.drawings.keys()
    for of in (bare, rich):
        for drawing, (name, _) in DRAWINGS.items():
            figure = FIGURES[name]
            is_missing = bool(of.absent.keys() & {*figure.tables}) or bool(figure.claim and of.lacks(figure.claim))
            assert (drawing in of.drawings) != is_missing
    assert not [drawing for drawing, (name, _) in bare.drawings.items() if "toy" in FIGURES[name].tables]


def test_a_figure_of_a_claim_is_missing_with_a_condition_of_its_claim() -> None:
    drawing, claim = next(
        (drawing, FIGURES[name].claim) for drawing, (name, _) in DRAWINGS.items() if FIGURES[name].claim == "spikes"
    )
    assert claim == "spikes"
    assert drawing in dag(measurements=PARTS).drawings
    assert drawing not in dag(measurements=PARTS, conditions={"other": {}}).drawings
    assert dag(measurements=PARTS).claim_drawings("spikes") == [
        f"<results>/figures/{drawing}.svg",
        f"<results>/figures/{drawing}.png",
    ]
    assert dag().claim_drawings("spikes") == []


def test_a_figure_shows_the_conditions_of_its_claim_or_of_the_study() -> None:
    of = dag(measurements=PARTS)
    assert of.figure_axes("learning_curves-accuracy")["condition"] == of.shown
    assert of.figure_axes("spike_effects-all")["condition"] == of.claim_conditions("spikes")
    assert of.figure_tables("learning_curves-accuracy") == [
        "<results>/index/metrics.sha256",
        "<results>/index/events.sha256",
    ]


def test_a_front_page_has_only_drawings_of_the_study() -> None:
    assert dag().front_drawings == [
        "learning_curves-accuracy",
        "forest-all",
        "saliency_histogram-excluded",
        "excess_damage-accuracy",
    ]
    unmeasured = dag(conditions={"one": {"measurements": []}})
    assert unmeasured.front_drawings == ["learning_curves-accuracy", "forest-all"]


def test_the_report_labels_a_view_by_the_figures_toggle() -> None:
    title, toggle = FIGURES["learning_curves"].title, FIGURES["learning_curves"].toggle
    assert dag().figure_labels("learning_curves-accuracy") == {"shows": title, toggle: "accuracy"}
    assert dag().figure_labels("forest-all") == {"shows": FIGURES["forest"].title}


# Options of stages.


def words(text: str) -> dict[str, str]:
    """Return the options of a command line by name, as a shell would hand them on."""
    parts = shlex.split(text)
    return {name.removeprefix("--"): value for name, value in zip(parts[::2], parts[1::2], strict=True)}


def test_a_branch_continues_its_parent_by_its_files_states_and_code() -> None:
    of = dag()
    told = words(of.branch_options("fast", "1", ["results/tiny/runs/grokking/1/metrics.parquet", "split", "events"]))
    assert from_json(Branch, told.pop("branch")) == of.branches["fast"]
    assert told == {
        "parent": "results/tiny/runs/grokking/1",
        "parent-states": "results/tiny/.state/grokking/1",
        "parent-code": of.training_code("grokking"),
        "as-kicked": "",
    }


def test_a_branch_with_a_named_kick_reads_the_metrics_of_that_branch() -> None:
    of = dag()
    paths = [path.replace("<results>", str(of.results)).format(block=0) for path in of.parent_files("kicked")]
    assert words(of.branch_options("kicked", "0", paths))["as-kicked"] == "results/tiny/runs/fast/0/metrics.parquet"


def test_a_condition_that_is_no_branch_continues_nothing() -> None:
    assert words(dag().branch_options("grokking", "0", [])) == {
        "branch": "",
        "parent": ".",
        "parent-states": ".",
        "parent-code": "",
        "as-kicked": "",
    }


def test_a_replays_name_says_its_steps() -> None:
    assert dag().replay_options("grokking", "steps-3-17-checkpoints-2-metrics-5") == (
        "--first 3 --last 17 --checkpoints-every 2 --metrics-every 5"
    )


def test_a_replay_of_a_branch_is_refused_with_what_to_do_instead() -> None:
    with pytest.raises(WorkflowError, match="fast: is a branch, and branches cannot be replayed; replay grokking"):
        dag().replay_options("fast", "steps-3-17-checkpoints-2-metrics-5")


def test_a_replay_to_moments_is_told_which_steps_around_onset_to_keep() -> None:
    of = dag(measurements={"onset": {"before": 50, "after": 70, "every": 10}})
    assert of.moments_options == "--before 50 --after 70 --every 10"


def test_settings_reach_stages_as_json() -> None:
    of = dag()
    assert from_json(Condition, of.settings_option("division")) == of.conditions["division"]
    assert of.split_option("division") == to_json(of.conditions["division"].split)
    assert json.loads(of.conditions_option) == of.flat
    assert json.loads(of.study_option) == of.study.resolved()


def test_options_spell_names_with_hyphens() -> None:
    assert options(parent_code="a1", branch='""') == '--parent-code a1 --branch ""'


def test_all_checkpoints_are_the_number_0() -> None:
    assert (or_all("all"), or_all(7)) == (0, 7)


# Memory.


def rules_with_predicted_memory() -> set[str]:
    """Return the rules that ask for a prediction by their name."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "workflow/rules").glob("*.smk")]
    return {rule for text in texts for rule in re.findall(r'mb\("(\w+)"\)', text)}


OF_STUDY = {"duel_toys", "train_modules", "duel_modules"}
OF_CONDITIONS = rules_with_predicted_memory() - OF_STUDY
LARGE = {**SMALL, "modulus": 97, "d_model": 256, "n_heads": 4, "d_mlp": 1024, "batch_size": 512}


def test_the_workflow_asks_for_the_memory_of_every_job_of_duels() -> None:
    assert rules_with_predicted_memory() > OF_STUDY


@pytest.mark.parametrize("rule", sorted(OF_CONDITIONS))
def test_the_memory_of_a_rule_is_positive_and_grows_with_the_network(rule: str) -> None:
    # Python with torch alone needs more than 300 MB.
    assert 300 < dag().mb(rule, "grokking") < dag(defaults=LARGE).mb(rule, "grokking")


@pytest.mark.parametrize(
    ("rule", "small", "large"),
    [
        ("duel_toys", {"toy": {"pairs": 8}}, {"toy": {"pairs": 32}}),
        ("train_modules", {"planted": {"d_mlp": 64}}, {"planted": {"d_mlp": 512}}),
        ("duel_modules", {"planted": {"d_mlp": 64}}, {"planted": {"d_mlp": 512}}),
    ],
)
def test_the_memory_of_duels_is_positive_and_grows_with_their_size(rule: str, small: Any, large: Any) -> None:
    assert 300 < dag(duels=small).mb(rule) < dag(duels=large).mb(rule)


def test_a_branch_needs_more_memory_than_its_parent_since_it_trains_both() -> None:
    of = dag(defaults=LARGE)
    assert of.mb("train_block", "fast") > of.mb("train_block", "grokking")


def test_a_replay_to_moments_needs_more_memory_the_more_steps_around_onset_it_keeps() -> None:
    few, many = (
        dag(defaults=LARGE, measurements={"onset": {"before": before, "after": 100, "every": 10}})
        for before in (100, 1000)
    )
    added = 3 * 90 * few.sizes["grokking"].parameters * 4 / 1e6
    assert many.mb("replay_moments", "grokking") - few.mb("replay_moments", "grokking") == pytest.approx(added, abs=1)
    assert many.mb("train_block", "grokking") == few.mb("train_block", "grokking")


def test_a_rule_without_a_prediction_is_refused() -> None:
    with pytest.raises(ValueError, match="plot_figure: there is no prediction of this rule's memory"):
        dag().mb("plot_figure", "grokking")
    with pytest.raises(ValueError, match=r"duel_toys: .* without a condition"):
        dag().mb("duel_toys")


# Code.

RULES = {
    "grokking": {},
    "slower": {"learning_rate": 1e-4},
    "squared": {"loss": "mean_squared_error"},
    "descent": {"optimiser": "sgd"},
    "fast": branch(learning_rate="x10"),
    "into_descent": branch(optimiser="sgd"),
    "squared_there": branch(loss="mean_squared_error"),
    "from_descent": branch(parent="descent", optimiser="adamw"),
}


def test_training_code_changes_with_the_loss_and_with_the_update_rule_alone() -> None:
    code = dag(conditions=RULES).training_code
    assert code("grokking") == code("slower") == code("fast")
    assert len({code(name) for name in ("grokking", "squared", "descent")}) == 3


def test_the_training_code_of_a_branch_covers_the_code_of_its_parent() -> None:
    code = dag(conditions=RULES).training_code
    assert code("into_descent") == code("from_descent"), "both need the code of both rules"
    assert code("into_descent") not in (code("grokking"), code("descent"))
    assert code("squared_there") not in (code("grokking"), code("squared"))


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], set[str]]:
    """Modules that a fingerprint covers: in one test, fingerprints are the names of their modules."""
    monkeypatch.setattr(dag_module, "fingerprint", lambda *names: " ".join(sorted(set(names))))
    return lambda code: set(code.split())


def test_the_modules_of_training_are_those_that_training_imports() -> None:
    """The DAG spells their names out, so that it need not import torch."""
    of = dag(conditions=RULES)
    for name, condition in of.conditions.items():
        settings = condition.optimiser
        assert of.training_modules(name) == [
            losses_module.module_of(settings.loss),
            updater.module_of(settings.optimiser),
        ]
    ends = {"grokking": {}, "control": {"until": 1.5}, "ends_itself": {"until": "1 generalised"}}
    of = dag(conditions=ends)
    assert [name for name in ends if "general_circuits.training.events" in of.training_modules(name)] == ["ends_itself"]


def test_training_reads_the_stage_a_loss_and_a_rule(modules: Callable[[str], set[str]]) -> None:
    of = dag(conditions=RULES)
    losses, rules = "general_circuits.training.losses", "general_circuits.training.optimisers"
    parent = {"stages.train_block", f"{losses}.cross_entropy", f"{rules}.adamw"}
    assert modules(of.training_code("grokking")) == parent
    assert modules(of.training_code("into_descent")) == {*parent, f"{rules}.sgd"}
    assert modules(of.training_code("squared_there")) == {*parent, f"{losses}.mean_squared_error"}
    assert modules(of.retraining_code("replay_block", "descent")) == {
        "stages.replay_block",
        f"{losses}.cross_entropy",
        f"{rules}.sgd",
    }


def test_a_task_is_generated_by_its_familys_code(modules: Callable[[str], set[str]]) -> None:
    of = dag(conditions={"one": {}, "two": {"operation": "x*y", "group": "S3"}})
    families = {task: modules(of.task_code(task)) - {"stages.generate_task"} for task in of.tasks}
    assert families == {
        "x_plus_y_mod_7": {"general_circuits.tasks.modular"},
        "x_times_y_in_s3": {"general_circuits.tasks.groups"},
    }


def test_a_reader_depends_on_the_schemas_of_its_tables(modules: Callable[[str], set[str]]) -> None:
    assert modules(dag().reader_code("judge_claim", "claims.gradual", ["metrics", "events"])) == {
        "stages.judge_claim",
        "claims.gradual",
        "storage.schemas.metrics",
        "storage.schemas.events",
    }


def test_a_condition_that_ends_with_grokking_has_no_saliency_of_single_examples() -> None:
    """The last checkpoints of such a condition are known only when grokking has been trained."""
    of = dag(conditions={"grokking": {}, "control": {"until": 1.5}}, measurements={"saliency": {"by_example": 1}})
    assert {path.split("/")[2] for path in of.example_saliency()} == {"grokking"}
