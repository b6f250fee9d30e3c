"""The order of rooms, and the imports that are forbidden between them."""

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
    ("documentation",),
    ("running",),
    ("pipeline",),
    ("config", "stages"),
    ("measurements", "duels"),
    ("training", "report"),
    ("storage",),
    ("models", "claims", "figures"),
    ("tasks", "analysis"),
    ("seeds", "records", "devices", "registered", "formatting", "machine", "console"),
)
"""Rooms from the top down. A room imports only rooms below it, and none on its own floor."""
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
    "machine": ("seeds", "records", "devices", "registered", "formatting"),
    "console": ("seeds", "records", "devices", "registered", "formatting", "machine"),
}
"""Rooms and outside packages that a room imports neither directly nor through others, in addition to the order."""
OF_MEASUREMENTS = ("saliency", "ablation", "progress", "updates", "answers")
WORKERS = {
    "tasks": ("generate_task", "split_examples"),
    "training": ("train_block", "replay_block", "replay_moments", "watch_spikes"),
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
"""Stages by the room that does their work."""


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
def test_a_room_imports_nothing_that_is_forbidden_to_it(room: str) -> None:
    reached = reached_from(room)
    for forbidden in MAY_NOT[room]:
        assert not reached & (inside(forbidden) | {forbidden}), forbidden


def test_no_import_goes_in_a_circle() -> None:
    for module in MODULES:
        assert module not in GRAPH.find_upstream_modules(module)


def test_only_the_rooms_above_the_stages_import_the_config() -> None:
    importers = {room_of(name) for name in GRAPH.find_downstream_modules(f"{PACKAGE}.config.study")}
    assert importers <= {"config", "pipeline", "running", "documentation", "cli"}


@pytest.mark.parametrize("part", OF_MEASUREMENTS)
def test_a_measurement_imports_no_other_measurement(part: str) -> None:
    others = set().union(*(inside(f"measurements.{other}") for other in OF_MEASUREMENTS if other != part))
    assert not reached_from(f"measurements.{part}") & others


def test_measurements_import_only_settings_and_schedule_from_training() -> None:
    reached = reached_from("measurements") & inside("training")
    assert reached <= {f"{PACKAGE}.training", f"{PACKAGE}.training.settings", f"{PACKAGE}.training.schedule"}


def test_measurements_and_duels_read_and_write_no_file() -> None:
    """Their stages read and write the files. One exception: duels read and write the weights of modules."""
    for room in ("measurements", "duels"):
        importers = GRAPH.find_upstream_modules(f"{PACKAGE}.{room}") | reached_from(room)
        assert not importers & (inside("storage.blocks") | inside("storage.schemas") | inside("storage.checkpoints"))


@pytest.mark.parametrize("part", ["saliency", "ablation", "updates"])
def test_a_measurement_imports_the_interface_of_networks_and_no_kind_of_network(part: str) -> None:
    reached = reached_from(f"measurements.{part}")
    assert f"{PACKAGE}.models.network" in reached
    assert not reached & {f"{PACKAGE}.models.{name}" for name in ("build", "perceptron", "transformer")}


@pytest.mark.parametrize("folder", ["claims", "figures"])
def test_a_claim_imports_no_other_claim_and_a_figure_no_other_figure(folder: str) -> None:
    shared = {
        "claims": {"baselines", "findings", "mechanism", "registry", "specifications", "speed"},
        "figures": {"style", "captions", "steps_left"},
    }[folder]
    for module in inside(folder):
        imported = GRAPH.find_modules_directly_imported_by(module) & inside(folder)
        assert {name.rsplit(".", 1)[1] for name in imported} <= shared


@pytest.mark.parametrize("stage", sorted(inside("stages") - {f"{PACKAGE}.stages"}))
def test_a_stage_imports_no_other_stage_and_no_registry_of_tasks_or_figures(stage: str) -> None:
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
def test_a_room_is_imported_only_by_the_stages_whose_work_it_does(room: str) -> None:
    stages = {f"{PACKAGE}.stages.{name}" for name in WORKERS[room]}
    importers = set().union(*(GRAPH.find_downstream_modules(module) for module in inside(room))) & inside("stages")
    assert importers <= stages


@pytest.mark.parametrize("stage", sorted(inside("stages") - {f"{PACKAGE}.stages"}))
def test_a_stage_imports_at_most_one_of_the_rooms_that_do_the_work(stage: str) -> None:
    reached = GRAPH.find_upstream_modules(stage)
    rooms = ("tasks.splits", "training.loop", "training.events", "duels")
    rooms += tuple(f"measurements.{part}" for part in OF_MEASUREMENTS)
    assert sum(bool(reached & inside(room)) for room in rooms) <= 1


@pytest.mark.parametrize("part", ["replica", "loop", "reduced.network"])
def test_only_training_and_its_timings_import_the_training_step(part: str) -> None:
    importers = GRAPH.find_downstream_modules(f"{PACKAGE}.training.{part}")
    stages = {f"{PACKAGE}.stages.{name}" for name in WORKERS["training"]}
    assert {room_of(name) for name in importers - stages} <= {"training", "pipeline", "documentation", "cli"}
    assert importers & inside("stages") <= stages


def test_the_reduced_network_imports_only_the_plain_one_and_the_losses() -> None:
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


def test_tables_import_only_the_version_and_the_rules_of_files_from_the_package() -> None:
    reached = GRAPH.find_upstream_modules(f"{PACKAGE}.storage.tables")
    assert {name for name in reached if name in MODULES} <= {PACKAGE, f"{PACKAGE}.storage", f"{PACKAGE}.storage.files"}
    assert "torch" not in reached


def test_blocks_import_seeds_tables_and_tasks_and_no_network() -> None:
    reached = {name for name in GRAPH.find_upstream_modules(f"{PACKAGE}.storage.blocks") if name in MODULES}
    assert {room_of(name) for name in reached} - {"__init__"} == {"seeds", "storage", "tasks"}


def test_a_layer_imports_the_interface_of_networks_and_no_kind_of_network() -> None:
    reached = {name for name in GRAPH.find_upstream_modules(f"{PACKAGE}.models.layer") if name in MODULES}
    assert {room_of(name) for name in reached} - {"__init__"} == {"models", "tasks"}
    assert not reached & {f"{PACKAGE}.models.{name}" for name in ("build", "perceptron", "transformer")}


def test_no_stage_reads_the_options_of_a_literal() -> None:
    """Fingerprints of code leave the options out, so the work of a job must not depend on them."""
    for stage in inside("stages"):
        for module in {stage, *GRAPH.find_upstream_modules(stage)} & {*MODULES}:
            path = importlib.util.find_spec(module).origin
            assert "get_args" not in Path(path).read_text(encoding="utf-8"), module


def test_the_dag_is_built_without_torch() -> None:
    """Every Snakemake builds it, on a cluster once more for each job."""
    assert "torch" not in GRAPH.find_upstream_modules(f"{PACKAGE}.pipeline.dag")
