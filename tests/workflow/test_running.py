"""The workflow as a user of Snakemake runs it: tables, figures, targets and refusals."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from checkouts import BRIEF, TINY, TINY_DRAWINGS, TINY_FIGURES, Project, checkout

from general_circuits.analysis.moments import AROUND_ONSET
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
            continue  # a table of specification curves, which this study does not make
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
    assert verdicts["contrast"].str.startswith("registered").all()
    assert set(verdicts.loc["saliency_skew", "contrast"]) == {"registered, breadth", "registered, skewness"}
    unmeasured = [name for name, claim in CLAIMS.items() if not claim.is_measured]
    assert len(unmeasured) == 5
    assert (verdicts.loc[unmeasured, "verdict"] == "not measured").all()
    assert not verdicts.loc[verdicts.index.difference(unmeasured), "verdict"].isin(["", "not measured"]).any()


def test_a_control_is_measured_at_its_own_and_its_partners_memorisation(tmp_path: Path) -> None:
    """Both memorise in these steps, and the control does so later. Neither generalises."""
    project = checkout(tmp_path / "fresh")
    quick = {"steps": 300, "learning_rate": 0.01, "weight_decay": 0.0, "d_model": 32, "d_mlp": 64}
    spacings = {"checkpoints": {"log": 1, "every": 100}, "metrics": {"log": 1, "every": 1}}
    project.configure(**BRIEF, defaults={**TINY["defaults"], **quick, **spacings})
    names = [f"{table}/{condition}/0.parquet" for table in ("moments", "ablation") for condition in TINY["conditions"]]
    run = project.quickly("--cores", "2", *(f"results/tiny/{name}" for name in names))
    assert run.returncode == 0, run.stdout + run.stderr
    frames = [pd.read_parquet(project.results / name) for name in names]
    rows = [frame[frame["moment"] != AROUND_ONSET] for frame in frames[:2]]
    own, control = (dict(zip(frame["moment"], frame["step"], strict=True)) for frame in rows)
    memorised = own["memorised"]
    assert own == {"baseline": memorised, "memorised": memorised}
    assert control == {"baseline": control["baseline"], "memorised": memorised}
    assert control["baseline"] > memorised > 1
    for moments, measured in zip((own, control), frames[2:], strict=True):
        assert set(measured["step"]) == {0, 1, 100, 200, 300, *moments.values()}


def test_metadata_carries_the_resolved_condition(finished: Project) -> None:
    metadata = pq.read_schema(finished.results / "runs/random_labels/0/metrics.parquet").metadata
    assert b'"label_noise": 1.0' in metadata[b"condition"]
    assert set(metadata) == {b"condition", b"general_circuits", b"replicas"}


def test_figures_are_drawn_as_svg_and_png_and_described_as_text(finished: Project) -> None:
    for kind in ("svg", "png", "txt"):
        assert {file.stem for file in finished.results.glob(f"figures/*.{kind}")} == set(TINY_DRAWINGS)


def test_every_page_of_the_report_is_written(finished: Project) -> None:
    assert {file.stem for file in finished.results.glob("report/*.html")} == {"front", *PAGES}


def test_one_figure_or_one_claim_can_be_a_target(finished: Project) -> None:
    planned = finished.planned("--forceall", "results/tiny/figures/learning_curves-loss.svg")
    assert planned["plot_figure"] == 1
    assert not planned.keys() & {"extract_saliency", "judge_claim"}
    planned = finished.planned("--forceall", "results/tiny/claims/topk_damage.parquet")
    assert planned["judge_claim"] == 1
    assert "plot_figure" not in planned


def test_snakemake_looks_for_ready_jobs_only_when_a_job_ends(project: Project) -> None:
    """A job takes over half a second here. Snakemake by itself would also look every second, and so twice as often."""
    pages = [f"results/tiny/report/{page}.html" for page in PAGES]
    run = project.snakemake("--cores", "1", "--verbose", "--force", *pages)
    assert run.returncode == 0, run.stderr
    output = run.stdout + run.stderr
    assert output.count("Ready jobs: ") == len(pages)


def test_settings_longer_than_a_command_line_reach_their_page(project: Project) -> None:
    """Linux allows no argument over 128 KB."""
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
    for rule in ("replay_moments", "measure_progress", "track_updates"):
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
    output = run.stdout + run.stderr
    assert run.returncode != 0
    assert all(word in output for word in words), output
    assert "Traceback" not in output
    assert "steps (" not in output


def test_the_verdict_of_a_claim_names_what_the_study_lacks(project: Project) -> None:
    project.configure(conditions={"grokking": {}}, duels={})
    lacking = {"saliency_skew": "no condition random_labels", "takeover": "no planted duels and no toy duels"}
    files = {claim: project.results / f"claims/{claim}.parquet" for claim in lacking}
    run = project.snakemake("--cores", "2", *(str(path.relative_to(project.root)) for path in files.values()))
    assert run.returncode == 0, run.stderr
    for claim, path in files.items():
        row = pd.read_parquet(path).iloc[0]
        assert (row["verdict"], row["is_lacking"]) == ("not testable", True)
        sentence = (
            f"Not testable: this study has {lacking[claim]}. config/full.yaml has it. This command predicts the cost:"
        )
        assert row["sentence"] == f"{sentence} general-circuits plan --study full --claim {claim}."


def test_a_study_without_updates_and_progress_has_none_of_their_jobs_and_figures(project: Project) -> None:
    project.configure(measurements=BRIEF["measurements"])
    planned = project.planned("--forceall")
    assert not planned.keys() & {"measure_progress", "track_updates"}
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


def test_a_study_without_measurements_still_judges_claims_from_metrics_and_events(project: Project) -> None:
    conditions = {name: {**settings, "measurements": []} for name, settings in TINY["conditions"].items()}
    project.configure(**BRIEF, conditions=conditions)
    planned = project.planned("--forceall")
    assert not planned.keys() & {"extract_saliency", "describe_saliency", "ablate_neurons", "measure_progress"}
    left = {"metrics", "events", "conditions", "claim", "specification"}
    assert planned["plot_figure"] == sum(set(FIGURES[name].tables) <= left for name, _ in TINY_DRAWINGS.values())
    run = project.snakemake("--cores", "2", "claim_gradual", "results/tiny/claims/saliency_skew.parquet")
    assert run.returncode == 0, run.stderr
    sentence = pd.read_parquet(project.results / "claims/saliency_skew.parquet")["sentence"].iloc[0]
    assert sentence.startswith("Not testable: this study has no saliency. ")


def test_a_condition_trained_again_by_itself_has_the_same_bytes(finished: Project, tmp_path) -> None:
    """The condition is trained from nothing, in one block and another folder. Training depends on none of these."""
    again = checkout(tmp_path / "again")
    again.configure(conditions={"random_labels": TINY["conditions"]["random_labels"]}, replicas=1)
    run = again.snakemake("--cores", "2", "results/tiny/ablation/random_labels/0.parquet")
    assert run.returncode == 0, run.stderr
    files = [
        file.relative_to(again.results)
        for file in again.results.rglob("*.*")
        if file.suffix in (".parquet", ".safetensors")
    ]
    assert len(files) == 12  # the training state and the moments among them
    for file in files:
        assert (again.results / file).read_bytes() == (finished.results / file).read_bytes(), file


def test_a_diverged_run_is_kept_as_data_and_drawn_in_the_figures(project: Project) -> None:
    """Every figure shows it together with conditions of another depth, width and task."""
    explosion = {"optimiser": "sgd", "learning_rate": 1000.0, "weight_decay": 1000.0}
    other = {"operation": "x/y", "n_layers": 2, "normalisation": "post", "positions": "sinusoidal", "d_mlp": 24}
    project.configure(replicas=1, conditions={**TINY["conditions"], "explosion": explosion, "other": other})
    not_of_conditions = {"specification", "toy", "planted"}  # their rows belong to no condition
    shown = {
        name: figure.views[0]
        for name, figure in TINY_FIGURES.items()
        if not (not_of_conditions & set(figure.tables) or figure.claim)
    }
    drawings = [project.results / f"figures/{name}-{view}.svg" for name, view in shown.items()]
    before = [path.stat().st_mtime_ns for path in drawings]
    run = project.quickly("--cores", "2", *(str(path.relative_to(project.root)) for path in drawings))
    assert run.returncode == 0, run.stderr
    assert all(path.stat().st_mtime_ns > date for path, date in zip(drawings, before, strict=True))
    metrics = pd.read_parquet(project.results / "runs/explosion/0/metrics.parquet")
    assert metrics.loc[metrics["step"] > 1, "diverged"].all()
    assert not metrics.loc[metrics["step"] == 0, "diverged"].any()
    distribution = pd.read_parquet(project.results / "distribution/explosion/0.parquet")
    assert distribution.loc[distribution["step"] > 1, "degenerate"].all()
    assert pd.read_parquet(project.results / "runs/explosion/0/events.parquet")["censored"].all()
