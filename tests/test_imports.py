"""Who may know whom: the import graph holds the house rules."""

from __future__ import annotations

import grimp
import pytest

PACKAGE = "general_circuits"
GRAPH = grimp.build_graph(PACKAGE, include_external_packages=True, cache_dir=None)
MODULES = sorted(name for name in GRAPH.modules if name.split(".")[0] == PACKAGE)
ROOMS = (
    *("splits", "training", "events"),
    *("saliency", "distributions", "ablation", "progress", "updates", "answers"),
    "duels",
)
"""Each does the work of one stage; they meet in files. A module, or a package of them."""
TEXT = ("numbers", "markdown")
"""What a reader sees, as text."""
READINGS = ("damage", "contests", "growth", "sweeps", "rises", "loss_floors", "variants", "survival", "patchwork")
"""What claims and figures both read off tables."""
OF_TRAINING = (
    "spike_replays",
    "replica",
    "branches",
    "forks",
    "interventions",
    "reduced",
    "losses",
    "optimisers",
    "states",
)
"""What training is made of; nobody else trains."""
OF_THE_REPORT = ("write_page", "write_front_page")
"""The stages that write its pages."""


def below(folder: str) -> list[str]:
    return [name for name in MODULES if name.startswith(f"{PACKAGE}.{folder}.")]


def of_room(room: str) -> set[str]:
    """The modules of a room."""
    return {f"{PACKAGE}.{room}", *below(room)}


def reached_by(room: str) -> set[str]:
    """All that a room imports, directly or not, outside it."""
    return set().union(*(GRAPH.find_upstream_modules(module) for module in of_room(room))) - of_room(room)


def test_the_graph_sees_indirect_imports_and_packages() -> None:
    """What the other tests rely on."""
    assert "torch" in GRAPH.find_upstream_modules(f"{PACKAGE}.stages.train_block")
    assert f"{PACKAGE}.models.transformer" in GRAPH.find_upstream_modules(f"{PACKAGE}.stages.train_block")


@pytest.mark.parametrize("module", [*below("claims"), *below("figures"), *(f"{PACKAGE}.{name}" for name in READINGS)])
def test_claims_and_figures_see_only_frames(module: str) -> None:
    reached = GRAPH.find_upstream_modules(module)
    assert not reached & {"torch", "captum", "safetensors"}
    inside = {name.split(".")[1] for name in reached if name.startswith(f"{PACKAGE}.")}
    shared = {"estimates", "statistics", "windows", "frames", *READINGS}
    assert inside <= {*shared, *TEXT, "claims", "figures"}


@pytest.mark.parametrize("folder", ["claims", "figures"])
def test_claims_and_figures_do_not_know_each_other(folder: str) -> None:
    other = {"claims": "figures", "figures": "claims"}[folder]
    for module in below(folder):
        assert not GRAPH.find_upstream_modules(module) & set(below(other))


@pytest.mark.parametrize("folder", ["claims", "figures"])
def test_a_claim_or_figure_knows_no_other_one(folder: str) -> None:
    shared = {
        "claims": {"findings", "registry", "specifications", "mechanisms"},
        "figures": {"style", "captions", "times"},
    }[folder]
    for module in below(folder):
        known = {
            name.rsplit(".", 1)[1] for name in GRAPH.find_modules_directly_imported_by(module) & set(below(folder))
        }
        assert known <= shared


def test_nothing_but_the_command_line_knows_the_config() -> None:
    """And what plans for it, and what writes the config's own documentation."""
    importers = GRAPH.find_downstream_modules(f"{PACKAGE}.config")
    assert importers <= {f"{PACKAGE}.{name}" for name in ("catalogue", "cli", "plan", "readme", "reference", "timings")}


@pytest.mark.parametrize("stage", below("stages"))
def test_stages_know_no_other_stage_nor_config_nor_a_list_of_tasks_or_figures(stage: str) -> None:
    assert GRAPH.find_modules_directly_imported_by(stage) & set(below("stages")) <= {f"{PACKAGE}.stages.command"}
    reached = GRAPH.find_upstream_modules(stage)
    assert not reached & {f"{PACKAGE}.{name}" for name in ("config", "tasks.registry", "figures.registry", "cli")}
    of_all_claims = {f"{PACKAGE}.stages.{name}" for name in ("merge_verdicts", *OF_THE_REPORT)}
    assert stage in of_all_claims or f"{PACKAGE}.claims.registry" not in reached


@pytest.mark.parametrize("stage", below("stages"))
def test_a_stage_knows_at_most_the_one_room_that_does_its_work(stage: str) -> None:
    reached = GRAPH.find_upstream_modules(stage)
    assert sum(bool(reached & of_room(room)) for room in ROOMS) <= 1


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_do_not_know_each_other(room: str) -> None:
    forbidden = {f"{PACKAGE}.{name}" for name in ("tables", "config", "blocks", "interruptions")}
    if room == "training":
        forbidden -= {f"{PACKAGE}.tables"}  # states are replaced whole, as tables are
    others = set().union(*(of_room(other) for other in ROOMS if other != room))
    assert not reached_by(room) & (forbidden | others | set(below("stages")))


@pytest.mark.parametrize("part", ["replica", "reduced.network"])
def test_only_training_knows_how_a_step_is_taken(part: str) -> None:
    """And the plan of a study, which times one, for the command line and the README."""
    knowing = GRAPH.find_downstream_modules(f"{PACKAGE}.{part}") - {f"{PACKAGE}.replica"}
    training = ("training", "branches", "forks", "spike_replays")
    training += tuple(f"stages.{name}" for name in ("train_block", "replay_block", "watch_spikes"))
    assert knowing == {f"{PACKAGE}.{name}" for name in (*training, "timings", "plan", "cli", "readme")}


@pytest.mark.parametrize("room", sorted({*ROOMS} - {"training"}))
def test_rooms_do_not_know_what_training_is_made_of(room: str) -> None:
    reached = {name.split(".")[1] for name in reached_by(room) if PACKAGE in name}
    assert not reached & set(OF_TRAINING)


def test_the_reduced_network_knows_the_plain_one_and_losses_and_no_more() -> None:
    known = set().union(*(GRAPH.find_upstream_modules(module) for module in below("reduced")))
    inside = {name for name in known if name.startswith(f"{PACKAGE}.")} - {f"{PACKAGE}.reduced", *below("reduced")}
    plain = {f"{PACKAGE}.models.{name}" for name in ("transformer", "network", "parts", "initialisation")}
    assert inside == {*plain, *(f"{PACKAGE}.{name}" for name in ("conditions", "losses", "scores"))}


@pytest.mark.parametrize("room", ["saliency", "ablation", "updates"])
def test_a_measurement_knows_what_every_network_has_and_not_which_kinds_there_are(room: str) -> None:
    reached = reached_by(room)
    assert f"{PACKAGE}.models.network" in reached
    assert not reached & {f"{PACKAGE}.models.{name}" for name in ("build", "mlp", "transformer")}


def test_a_layer_knows_what_every_network_has_and_no_more() -> None:
    known = {name for name in GRAPH.find_upstream_modules(f"{PACKAGE}.layer") if name.startswith(f"{PACKAGE}.")}
    inside = {"models", "models.network", "models.initialisation", "models.parts", "conditions", "scores"}
    assert known <= {f"{PACKAGE}.{name}" for name in inside}


def test_a_block_knows_tables_and_examples_and_no_room() -> None:
    inside = {name for name in GRAPH.find_upstream_modules(f"{PACKAGE}.blocks") if name.startswith(f"{PACKAGE}.")}
    assert {name.split(".")[1] for name in inside} == {"conditions", "examples", "randomness", "schemas", "tables"}


def test_tables_know_no_room() -> None:
    reached = GRAPH.find_upstream_modules(f"{PACKAGE}.tables")
    assert {name for name in reached if name.startswith(PACKAGE)} <= {PACKAGE}
    assert "torch" not in reached


@pytest.mark.parametrize(
    "stage",
    [
        "generate_task",
        "split_examples",
        "find_events",
        "describe_saliency",
        "judge_claim",
        "merge_verdicts",
        "plot_figure",
        *OF_THE_REPORT,
    ],
)
def test_stages_that_run_no_network_start_without_torch(stage: str) -> None:
    assert "torch" not in GRAPH.find_upstream_modules(f"{PACKAGE}.stages.{stage}")


@pytest.mark.parametrize("module", below("report"))
def test_pages_are_made_of_tables_and_settings_that_they_are_given(module: str) -> None:
    reached = GRAPH.find_upstream_modules(module)
    assert not reached & {"torch", "captum", "safetensors", "matplotlib", "yaml"}
    inside = {name.split(".")[1] for name in reached if name.startswith(f"{PACKAGE}.")}
    assert inside <= {"variants", "claims", "estimates", "report", "schemas", "tables", *TEXT}


def test_only_the_stages_that_write_pages_know_the_report() -> None:
    """And the DAG, which is no module, and a study's plan what pages there are."""
    stages = {f"{PACKAGE}.stages.{name}" for name in OF_THE_REPORT}
    planning = {f"{PACKAGE}.{name}" for name in ("plan", "cli", "readme")}
    for module in below("report"):
        known = GRAPH.find_downstream_modules(module) - set(below("report"))
        assert known - (planning if module.endswith(".registry") else set()) == stages


@pytest.mark.parametrize("stage", OF_THE_REPORT)
def test_a_page_knows_no_room_and_no_figure(stage: str) -> None:
    reached = GRAPH.find_upstream_modules(f"{PACKAGE}.stages.{stage}")
    assert not reached & set(below("figures")).union(*(of_room(room) for room in ROOMS))


def test_statistics_and_conditions_know_nothing_of_the_package() -> None:
    for name in ("statistics", "estimates", "conditions", "frames", "randomness", "interruptions"):
        assert not {m for m in GRAPH.find_upstream_modules(f"{PACKAGE}.{name}") if m.startswith(f"{PACKAGE}.")}


def test_no_import_goes_in_a_circle() -> None:
    for module in MODULES:
        assert module not in GRAPH.find_upstream_modules(module)
