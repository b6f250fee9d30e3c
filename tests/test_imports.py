"""The order of rooms, and the walls between them: who may import whom."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import grimp
import pytest

PACKAGE = "general_circuits"
GRAPH = grimp.build_graph(PACKAGE, include_external_packages=True, cache_dir=None)
MODULES = sorted(name for name in GRAPH.modules if name.split(".")[0] == PACKAGE)
ORDER = (
    ("cli",),
    ("pipeline",),
    ("config", "stages"),
    ("measurements", "duels"),
    ("training", "report"),
    ("storage",),
    ("models", "claims", "figures"),
    ("tasks", "analysis"),
    ("seeds", "records", "devices", "registered", "formatting"),
)
"""Rooms from the top down. A room imports rooms below it; rooms on one floor do not know each other."""
FLOOR = {room: floor for floor, rooms in enumerate(ORDER) for room in rooms}
MAY_NOT = {
    "analysis": ("torch", "captum", "safetensors"),
    "claims": ("torch", "captum", "safetensors"),
    "figures": ("torch", "captum", "safetensors"),
    "report": ("torch", "captum", "safetensors", "matplotlib", "yaml", "figures"),
    "stages": ("config",),
    "config": ("claims", "figures", "analysis", "storage", "measurements", "report"),
    "tasks": ("torch.nn", "models"),
    "seeds": ("records", "devices", "registered", "formatting"),
    "records": ("seeds", "devices", "registered", "formatting"),
    "devices": ("seeds", "records", "registered", "formatting"),
    "registered": ("seeds", "records", "devices", "formatting"),
    "formatting": ("seeds", "records", "devices", "registered"),
}
"""Rooms and outside packages that a room reaches neither directly nor through others, beside the order."""
OF_MEASUREMENTS = ("saliency", "ablation", "progress", "updates", "answers")
WORKERS = {
    "tasks": ("generate_task", "split_examples"),
    "training": ("train_block", "replay_block", "watch_spikes"),
    "training.events": ("find_events",),
    "measurements.saliency": ("extract_saliency", "extract_example_saliency", "describe_saliency"),
    "measurements.ablation": ("ablate_neurons",),
    "measurements.progress": ("measure_progress", "measure_spikes"),
    "measurements.updates": ("track_updates",),
    "measurements.answers": ("record_answers",),
    "duels": ("duel_toys", "train_modules", "duel_modules"),
    "claims": ("judge_claim", "specify_claim", "merge_verdicts", "list_conditions"),
    "figures": ("plot_figure",),
    "report": ("write_page", "write_front_page"),
    "storage": ("index_table",),
}
"""The room that does a stage's work."""


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def inside(room: str) -> set[str]:
    """Return the modules of a room, or of a part of one."""
    return {name for name in MODULES if f"{name}.".startswith(f"{PACKAGE}.{room}.")}


def reached_from(room: str) -> set[str]:
    """Return everything that a room imports, directly or not."""
    return set().union(*(GRAPH.find_upstream_modules(module) for module in inside(room))) - inside(room)


def test_the_graph_sees_indirect_imports_and_packages() -> None:
    """All other tests rely on this."""
    assert "torch" in GRAPH.find_upstream_modules(f"{PACKAGE}.stages.train_block")
    assert f"{PACKAGE}.models.transformer" in GRAPH.find_upstream_modules(f"{PACKAGE}.stages.train_block")


def test_every_room_has_its_place_in_the_order() -> None:
    assert {room_of(module) for module in MODULES} - {"__init__"} == set(FLOOR)


@pytest.mark.parametrize("room", FLOOR)
def test_a_room_imports_only_rooms_below_it(room: str) -> None:
    imported = set().union(*(GRAPH.find_modules_directly_imported_by(module) for module in inside(room)))
    rooms = {room_of(name) for name in imported if name in MODULES} - {room, "__init__"}
    assert {other for other in rooms if FLOOR[other] <= FLOOR[room]} == set()


@pytest.mark.parametrize("room", MAY_NOT)
def test_a_room_does_not_reach_what_it_must_not_know(room: str) -> None:
    reached = reached_from(room)
    for forbidden in MAY_NOT[room]:
        assert not reached & (inside(forbidden) | {forbidden}), forbidden


def test_no_import_goes_in_a_circle() -> None:
    for module in MODULES:
        assert module not in GRAPH.find_upstream_modules(module)


def test_nothing_but_the_pipeline_and_the_command_line_knows_the_config() -> None:
    importers = {room_of(name) for name in GRAPH.find_downstream_modules(f"{PACKAGE}.config.study")}
    assert importers <= {"config", "pipeline", "cli"}


@pytest.mark.parametrize("part", OF_MEASUREMENTS)
def test_a_measurement_knows_no_other_one(part: str) -> None:
    others = set().union(*(inside(f"measurements.{other}") for other in OF_MEASUREMENTS if other != part))
    assert not reached_from(f"measurements.{part}") & others


def test_measurements_know_of_training_its_settings_and_schedule_and_no_more() -> None:
    reached = reached_from("measurements") & inside("training")
    assert reached <= {f"{PACKAGE}.training", f"{PACKAGE}.training.settings", f"{PACKAGE}.training.schedule"}


def test_measurements_and_duels_read_and_write_no_file() -> None:
    """Their stages do, but for the weights of modules, which a duel reads and writes itself."""
    for room in ("measurements", "duels"):
        importers = GRAPH.find_upstream_modules(f"{PACKAGE}.{room}") | reached_from(room)
        assert not importers & (inside("storage.blocks") | inside("storage.schemas") | inside("storage.checkpoints"))


@pytest.mark.parametrize("part", ["saliency", "ablation", "updates"])
def test_a_measurement_knows_every_network_by_what_all_networks_have(part: str) -> None:
    reached = reached_from(f"measurements.{part}")
    assert f"{PACKAGE}.models.network" in reached
    assert not reached & {f"{PACKAGE}.models.{name}" for name in ("build", "perceptron", "transformer")}


@pytest.mark.parametrize("folder", ["claims", "figures"])
def test_a_claim_or_a_figure_knows_no_other_one(folder: str) -> None:
    shared = {
        "claims": {"findings", "registry", "specifications", "speed_and_mechanism"},
        "figures": {"style", "captions", "steps_left"},
    }[folder]
    for module in inside(folder):
        known = GRAPH.find_modules_directly_imported_by(module) & inside(folder)
        assert {name.rsplit(".", 1)[1] for name in known} <= shared


@pytest.mark.parametrize("stage", sorted(inside("stages") - {f"{PACKAGE}.stages"}))
def test_a_stage_knows_no_other_stage_and_no_list_of_tasks_or_figures(stage: str) -> None:
    helpers = {f"{PACKAGE}.stages.{name}" for name in ("command", "interruption")}
    assert GRAPH.find_modules_directly_imported_by(stage) & inside("stages") <= helpers
    reached = GRAPH.find_upstream_modules(stage)
    assert not reached & {f"{PACKAGE}.{name}" for name in ("tasks.registry", "figures.registry", "cli")}
    of_all_claims = {f"{PACKAGE}.stages.{name}" for name in ("merge_verdicts", *WORKERS["report"])}
    assert stage in of_all_claims or f"{PACKAGE}.claims.registry" not in reached


def test_every_stage_has_a_room_that_does_its_work() -> None:
    stages = {name.rsplit(".", 1)[1] for name in inside("stages") - {f"{PACKAGE}.stages"}}
    assert sorted(stage for names in WORKERS.values() for stage in names) == sorted(
        stages - {"command", "interruption"}
    )


@pytest.mark.parametrize(
    "room", [name for name in WORKERS if name.split(".")[0] in ("measurements", "duels", "report")]
)
def test_only_its_own_stages_know_a_worker_room(room: str) -> None:
    own = {f"{PACKAGE}.stages.{name}" for name in WORKERS[room]}
    known = set().union(*(GRAPH.find_downstream_modules(module) for module in inside(room))) & inside("stages")
    assert known <= own


@pytest.mark.parametrize("stage", sorted(inside("stages") - {f"{PACKAGE}.stages"}))
def test_a_stage_knows_at_most_the_one_room_that_does_its_work(stage: str) -> None:
    reached = GRAPH.find_upstream_modules(stage)
    rooms = ("tasks.splits", "training.loop", "training.events", "duels")
    rooms += tuple(f"measurements.{part}" for part in OF_MEASUREMENTS)
    assert sum(bool(reached & inside(room)) for room in rooms) <= 1


@pytest.mark.parametrize("part", ["replica", "loop", "reduced.network"])
def test_only_training_and_what_times_it_know_how_a_step_is_taken(part: str) -> None:
    knowing = GRAPH.find_downstream_modules(f"{PACKAGE}.training.{part}")
    stages = {f"{PACKAGE}.stages.{name}" for name in WORKERS["training"]}
    assert {room_of(name) for name in knowing - stages} <= {"training", "pipeline", "cli"}
    assert knowing & inside("stages") <= stages


def test_the_reduced_network_knows_the_plain_one_and_losses_and_no_more() -> None:
    plain = {f"{PACKAGE}.models.{name}" for name in ("transformer", "network", "parts", "initialisation", "settings")}
    reached = {name for name in reached_from("training.reduced") if name in MODULES}
    packages = {PACKAGE, f"{PACKAGE}.models", f"{PACKAGE}.training", f"{PACKAGE}.tasks"}
    beside = {f"{PACKAGE}.{name}" for name in ("training.losses", "models.predictions", "tasks.vocabulary")}
    assert reached - packages <= plain | beside


@pytest.mark.parametrize(
    "stage", [*WORKERS["tasks"], *WORKERS["training.events"], "describe_saliency", *WORKERS["claims"]]
)
def test_stages_that_run_no_network_start_without_torch(stage: str) -> None:
    assert "torch" not in GRAPH.find_upstream_modules(f"{PACKAGE}.stages.{stage}")


@pytest.mark.parametrize("stage", [*WORKERS["figures"], *WORKERS["report"]])
def test_figures_and_pages_start_without_torch(stage: str) -> None:
    assert "torch" not in GRAPH.find_upstream_modules(f"{PACKAGE}.stages.{stage}")


def test_tables_know_nothing_of_the_package_but_its_version() -> None:
    reached = GRAPH.find_upstream_modules(f"{PACKAGE}.storage.tables")
    assert {name for name in reached if name in MODULES} <= {PACKAGE}
    assert "torch" not in reached


def test_a_block_knows_tables_and_examples_and_no_network() -> None:
    reached = {name for name in GRAPH.find_upstream_modules(f"{PACKAGE}.storage.blocks") if name in MODULES}
    assert {room_of(name) for name in reached} - {"__init__"} == {"seeds", "storage", "tasks"}


def test_a_layer_knows_what_every_network_has_and_no_kind_of_network() -> None:
    reached = {name for name in GRAPH.find_upstream_modules(f"{PACKAGE}.models.layer") if name in MODULES}
    assert {room_of(name) for name in reached} - {"__init__"} == {"models", "tasks"}
    assert not reached & {f"{PACKAGE}.models.{name}" for name in ("build", "perceptron", "transformer")}


def test_no_stage_computes_with_the_options_of_a_literal() -> None:
    """Fingerprints leave these options out: they say what is allowed, so nothing that a job does may depend on them."""
    for stage in inside("stages"):
        for module in {stage, *GRAPH.find_upstream_modules(stage)} & {*MODULES}:
            path = importlib.util.find_spec(module).origin
            assert "get_args" not in Path(path).read_text(encoding="utf-8"), module
