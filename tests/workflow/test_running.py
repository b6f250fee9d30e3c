"""What a Snakemake user expects of the workflow."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from checkouts import BRIEF, TINY, TINY_DRAWINGS, TINY_FIGURES, Project, checkout

from general_circuits.claims.registry import CLAIMS
from general_circuits.figures.registry import FIGURES
from general_circuits.report.registry import PAGES
from general_circuits.storage.schemas import registry as schemas
from general_circuits.storage.schemas.verdicts import TABLE as VERDICTS
from general_circuits.storage.tables import read


def test_every_table_keeps_its_contract(finished: Project) -> None:
    for name in schemas.names():
        table = schemas.table(name)
        if not table.is_of_all:
            continue  # of specification curves, which this study does without
        patterns = {"condition": "*", "block": "[0-9]", "task": "*", "claim": "s*", "step": "*", "optimiser": "*"}
        files = sorted(finished.results.glob(table.path.format_map(patterns)))
        assert files, name
        for file in files:
            frame = read(file, table)
            keys = list(table.key)
            assert not frame.duplicated(keys).any(), file
            text = frame.astype({key: str for key in keys if frame[key].dtype == "category"})
            assert text.sort_values(keys).index.equals(frame.index), f"{file} is not sorted by its key"
            compression = pq.ParquetFile(file).metadata.row_group(0).column(0).compression
            assert compression == "ZSTD", file


def test_every_claim_has_a_verdict(finished: Project) -> None:
    verdicts = read(finished.results / "claims/verdicts.parquet", VERDICTS).set_index("claim")
    assert set(verdicts.index) == set(CLAIMS)
    assert verdicts.loc["takeover", "contrast"] == "registered, sgd"
    unmeasured = [name for name, claim in CLAIMS.items() if not claim.is_measured]
    assert len(unmeasured) == 5
    assert (verdicts.loc[unmeasured, "verdict"] == "not testable in this study").all()
    assert verdicts.loc[unmeasured, "sentence"].str.contains("not measured yet").all()


def test_metadata_carries_the_resolved_condition(finished: Project) -> None:
    metadata = pq.read_schema(finished.results / "runs/random_labels/0/metrics.parquet").metadata
    assert b'"label_noise": 1.0' in metadata[b"condition"]
    assert set(metadata) == {b"condition", b"general_circuits"}


def test_figures_are_drawn_as_svg_and_png_and_put_in_words(finished: Project) -> None:
    for kind in ("svg", "png", "txt"):
        assert {file.stem for file in finished.results.glob(f"figures/*.{kind}")} == set(TINY_DRAWINGS)


def test_every_page_of_the_report_is_written(finished: Project) -> None:
    assert {file.stem for file in finished.results.glob("report/*.html")} == {"front", *PAGES}


def test_one_figure_or_one_claim_can_be_asked_for(finished: Project) -> None:
    planned = finished.planned("--forceall", "results/tiny/figures/learning_curves-loss.svg")
    assert planned["plot_figure"] == 1
    assert not planned.keys() & {"extract_saliency", "judge_claim"}
    planned = finished.planned("--forceall", "results/tiny/claims/topk_damage.parquet")
    assert planned["judge_claim"] == 1
    assert "plot_figure" not in planned


def test_snakemake_looks_for_jobs_when_one_ends_and_at_no_other_time(project: Project) -> None:
    """Jobs take over half a second each here: looks that breed others, one a second each, are twice as many."""
    pages = [f"results/tiny/report/{page}.html" for page in PAGES]
    run = project.snakemake("--cores", "1", "--verbose", "--force", *pages)
    assert run.returncode == 0, run.stderr
    said = run.stdout + run.stderr
    assert said.count("Ready jobs: ") == len(pages)


def test_settings_longer_than_a_command_line_reach_their_page(project: Project) -> None:
    """Linux takes no argument over 128 KB."""
    conditions = {f"decay_{i}": {"weight_decay": i / 300} for i in range(300)}
    project.configure(conditions=conditions)
    run = project.snakemake("--cores", "1", "results/tiny/report/settings.html")
    assert run.returncode == 0, run.stderr
    page = (project.results / "report/settings.html").read_text()
    assert len(page) > 2**17
    assert all(name in page for name in conditions)


def test_the_rule_graph_runs_downhill(finished: Project) -> None:
    graph = finished.snakemake("--rulegraph", "--forceall").stdout
    for rule in ("generate_task", "split_examples", "train_block", "extract_saliency", "ablate_neurons", "judge_claim"):
        assert rule in graph
    for rule in ("duel_toys", "split_modules", "train_modules", "duel_modules"):
        assert rule in graph
    for rule in ("replay_onset", "measure_progress", "track_updates"):
        assert rule in graph


def test_lint_finds_nothing(finished: Project) -> None:
    lint = finished.snakemake("--lint")
    assert lint.returncode == 0
    assert "good condition" in lint.stdout + lint.stderr


def test_the_report_is_one_file_with_every_figure_and_page(report: Path) -> None:
    text = report.read_text()
    for entry in (*TINY_FIGURES.values(), *PAGES.values()):
        assert entry.title in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"defaults": {**TINY["defaults"], "modulos": 7}}, ["defaults.modulos", "did you mean modulus?"]),
        (
            {"conditions": {"grokking": {"operation": "x/y", "modulus": 9}}},
            ["conditions.grokking.modulus = 9", "7 or 11"],
        ),
        ({"replicas": 5, "block": 2}, ["replicas = 5", "multiple of block = 2"]),
    ],
)
def test_a_config_that_cannot_run_stops_before_any_job(project: Project, changes: dict, words: list[str]) -> None:
    project.configure(**changes)
    run = project.snakemake("--cores", "1")
    said = run.stdout + run.stderr
    assert run.returncode != 0
    assert all(word in said for word in words), said
    assert "Traceback" not in said
    assert "steps (" not in said


def test_a_claim_whose_control_is_missing_says_so(project: Project) -> None:
    project.configure(conditions={"grokking": {}}, duels={})
    lacking = {"saliency_skew": "no condition random_labels", "takeover": "no planted duels and no toy duels"}
    files = {claim: project.results / f"claims/{claim}.parquet" for claim in lacking}
    run = project.snakemake("--cores", "2", *(str(path.relative_to(project.root)) for path in files.values()))
    assert run.returncode == 0, run.stderr
    for claim, path in files.items():
        row = pd.read_parquet(path).iloc[0]
        assert row["verdict"] == "not testable in this study"
        sentence = (
            f"Not testable in this study: it has {lacking[claim]}. What config/full.yaml, which has it, would take:"
        )
        assert row["sentence"] == f"{sentence} general-circuits plan --study full --claim {claim}."


def test_a_study_that_looks_at_no_updates_nor_progress_has_none_of_their_jobs_and_figures(project: Project) -> None:
    project.configure(measurements=BRIEF["measurements"])
    planned = project.planned("--forceall")
    assert not planned.keys() & {"replay_onset", "measure_progress", "track_updates"}
    assert planned["plot_figure"] == sum(
        not {"progress", "updates", "reinforcement"} & set(FIGURES[name].tables) for name, _ in TINY_DRAWINGS.values()
    )


def test_a_study_without_duels_has_none_of_their_jobs_and_figures(project: Project) -> None:
    project.configure(duels={})
    planned = project.planned("--forceall")
    assert not planned.keys() & {"duel_toys", "split_modules", "train_modules", "duel_modules"}
    assert planned["plot_figure"] == sum(
        not {"toy", "planted"} & set(FIGURES[name].tables) for name, _ in TINY_DRAWINGS.values()
    )


def test_a_study_of_which_nothing_is_measured_has_metrics_events_and_what_is_judged_from_them(project: Project) -> None:
    conditions = {name: {**settings, "measurements": []} for name, settings in TINY["conditions"].items()}
    project.configure(**BRIEF, conditions=conditions)
    planned = project.planned("--forceall")
    assert not planned.keys() & {"extract_saliency", "describe_saliency", "ablate_neurons", "measure_progress"}
    left = {"metrics", "events", "conditions", "claim", "specification"}
    assert planned["plot_figure"] == sum(set(FIGURES[name].tables) <= left for name, _ in TINY_DRAWINGS.values())
    run = project.snakemake("--cores", "2", "claim_gradual", "results/tiny/claims/saliency_skew.parquet")
    assert run.returncode == 0, run.stderr
    said = pd.read_parquet(project.results / "claims/saliency_skew.parquet")["sentence"].iloc[0]
    assert said.startswith("Not testable in this study: it has no saliency. ")


def test_the_same_study_twice_is_the_same_bytes(finished: Project, tmp_path) -> None:
    """One condition, again from nothing and in one block: training does not depend on where or beside what it runs."""
    again = checkout(tmp_path / "again")
    again.configure(conditions={"random_labels": TINY["conditions"]["random_labels"]}, replicas=1)
    run = again.snakemake("--cores", "2", "results/tiny/ablation/random_labels/0.parquet")
    assert run.returncode == 0, run.stderr
    files = [
        file.relative_to(again.results)
        for file in again.results.rglob("*.*")
        if file.suffix in (".parquet", ".safetensors")
    ]
    assert len(files) == 9  # the training state among them
    for file in files:
        assert (again.results / file).read_bytes() == (finished.results / file).read_bytes(), file


def test_a_diverged_run_is_data_down_to_the_figures(project: Project) -> None:
    """Beside conditions of another depth, width and task, which share every figure with it."""
    explosion = {"optimiser": "sgd", "learning_rate": 1e30}
    other = {"operation": "x/y", "n_layers": 2, "normalisation": "post", "positions": "sinusoidal", "d_mlp": 24}
    project.configure(replicas=1, conditions={**TINY["conditions"], "explosion": explosion, "other": other})
    apart = {"specification", "toy", "planted"}  # which no condition is in
    shown = {
        name: figure.views[0]
        for name, figure in TINY_FIGURES.items()
        if not (apart & set(figure.tables) or figure.claim)
    }
    drawings = [project.results / f"figures/{name}-{view}.svg" for name, view in shown.items()]
    before = [path.stat().st_mtime_ns for path in drawings]
    run = project.snakemake("--cores", "2", *(str(path.relative_to(project.root)) for path in drawings))
    assert run.returncode == 0, run.stderr
    assert all(path.stat().st_mtime_ns > date for path, date in zip(drawings, before, strict=True))
    metrics = pd.read_parquet(project.results / "runs/explosion/0/metrics.parquet")
    assert metrics.loc[metrics["step"] > 0, "diverged"].all()
    assert not metrics.loc[metrics["step"] == 0, "diverged"].any()
    distribution = pd.read_parquet(project.results / "distribution/explosion/0.parquet")
    assert distribution.loc[distribution["step"] > 0, "degenerate"].all()
    assert pd.read_parquet(project.results / "runs/explosion/0/events.parquet")["censored"].all()
