"""Results in the README: written from a record, refused if the config has changed, listed if code has changed."""

from __future__ import annotations

import json
import pkgutil
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from verdict_tables import MARKUP, REASON, all_verdicts, claim, in_parts, two_claims, untestable

from general_circuits import stages
from general_circuits.claims import display
from general_circuits.claims import verdicts as claims
from general_circuits.claims.findings import UNDECIDED
from general_circuits.documentation import readme
from general_circuits.figures.registry import DRAWINGS
from general_circuits.pipeline import plan
from general_circuits.running.launch import LAUNCHES
from general_circuits.storage import tables
from general_circuits.storage.files import UnusableFileError, end_with_seal
from general_circuits.storage.schemas.verdicts import TABLE as VERDICTS

ROOT = Path(__file__).parents[2]
KEPT = {
    "forest": "forest-all",
    "learning_curves": "learning_curves-accuracy",
    "saliency_histogram": "saliency_histogram-excluded",
    "skewness": "skewness-excluded",
    "damage_curves": "damage_curves-accuracy",
    "reliance": "reliance-accuracy",
    "excess_damage": "excess_damage-accuracy",
    "progress_losses": "progress_losses-training",
    "reinforcement": "reinforcement-all",
    "growth": "growth-weights",
    "toy_contributions": "toy_contributions-linear",
    "takeover_time": "takeover_time-linear",
    "toy_factors": "toy_factors-linear",
    "planted_shares": "planted_shares-all",
    "duel_phases": "duel_phases-all",
    "forgetting": "forgetting-all",
    "decay_effects": "decay_effects-all",
    "accuracy_rise": "accuracy_rise-all",
    "loss_floor": "loss_floor-all",
    "confidence": "confidence-all",
    "decay_times": "decay_times-all",
    "fraction_times": "fraction_times-all",
    "batch_times": "batch_times-all",
    "gradient_sources": "gradient_sources-all",
    "bands": "bands-all",
    "late_examples": "late_examples-all",
    "spike_effects": "spike_effects-all",
    "mirror_images": "mirror_images-all",
    "unregularised": "unregularised-all",
    "specification_curve-saliency_skew": "specification_curve-saliency_skew",
    "specification_curve-topk_damage": "specification_curve-topk_damage",
}
"""Drawings of the pictures that are kept with the code, by the picture's name."""
PAGE = "# A title\n\n<!-- results -->\nold\n<!-- /results -->\n\nThe end.\n"


@pytest.fixture(autouse=True)
def digests(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Fake digests of the code, which a test may change. The real ones take seconds."""
    fake = dict.fromkeys(readme.STAGES, "0123456789abcdef")
    monkeypatch.setattr(readme, "code", lambda: dict(fake))
    return fake


@pytest.fixture(autouse=True)
def costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a fake cost of the large study in the place of the real one, which takes long to predict."""
    monkeypatch.setattr(readme, "_costs", lambda root, verdicts: {"saliency_skew": 12.34, "takeover": 5.0})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Checkout with a finished workstation study."""
    results = tmp_path / readme.RESULTS
    (tmp_path / readme.README).write_text(PAGE, encoding="utf-8")
    (tmp_path / readme.CONFIG).parent.mkdir()
    shutil.copyfile(ROOT / readme.CONFIG, tmp_path / readme.CONFIG)
    tables.write(results / VERDICTS.path, VERDICTS, all_verdicts())
    (results / LAUNCHES).parent.mkdir()
    (results / LAUNCHES).write_text("s\tcores\tmachine\n1200.0\t4\tAnother\n960.4\t2\tA processor, 2 cores, 8 GB\n")
    (results / "figures").mkdir()
    for drawing in DRAWINGS:
        describe(results / f"figures/{drawing}.png", drawing)
        describe(results / f"figures/{drawing}.txt", f"[{drawing}] was found.\n")
    return tmp_path


def describe(path: Path, words: str) -> None:
    path.write_text(words, encoding="utf-8")
    end_with_seal(path, path)


def change_config(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the config of a checkout."""
    study = yaml.safe_load((root / readme.CONFIG).read_text(encoding="utf-8"))
    change(study)
    (root / readme.CONFIG).write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")


def contents(root: Path) -> dict[str, bytes]:
    """Return the bytes of every file that a refresh may write, by path."""
    files = [root / readme.README, *(file for file in (root / "docs").rglob("*") if file.is_file())]
    return {str(file.relative_to(root)): file.read_bytes() for file in files}


def test_a_refresh_records_settings_code_machine_and_verdicts(root: Path, digests: dict[str, str]) -> None:
    readme.refresh(root)
    record = json.loads((root / readme.RECORD).read_text(encoding="utf-8"))
    assert record["code"] == digests
    assert (record["machine"], record["cores"], record["minutes"]) == ("A processor, 2 cores, 8 GB", 2, 36)
    assert record["settings"] == readme.settings(root)
    study = yaml.safe_load((root / readme.CONFIG).read_text(encoding="utf-8"))
    assert list(record["settings"]["conditions"]) == list(study["conditions"])
    assert record["settings"]["study"]["replicas"] == study["replicas"]
    written = tables.read(root / readme.RESULTS / VERDICTS.path, VERDICTS)
    assert record["verdicts"] == json.loads(display.as_json(written))
    assert record["found"] == {name: f"[{drawing}] was found." for name, drawing in KEPT.items()}


def test_a_refresh_copies_each_figure_as_registered_and_of_every_claim(root: Path) -> None:
    readme.refresh(root)
    drawn = {f"{name}.png": (root / readme.RESULTS / f"figures/{drawing}.png") for name, drawing in KEPT.items()}
    pictures = {file.name: file.read_bytes() for file in (root / readme.PICTURES).iterdir()}
    assert pictures == {name: path.read_bytes() for name, path in drawn.items()}


@pytest.mark.parametrize("kind", ["png", "txt"])
def test_a_damaged_picture_or_description_is_refused(kind: str, root: Path) -> None:
    path = next((root / readme.RESULTS / "figures").glob(f"forest-all.{kind}"))
    path.write_bytes(path.read_bytes()[1:])
    with pytest.raises(UnusableFileError, match="is damaged"):
        readme.refresh(root)


def test_a_refresh_writes_between_the_marks_only(root: Path) -> None:
    readme.refresh(root)
    page = (root / readme.README).read_text(encoding="utf-8")
    head, rest = page.split("<!-- results -->\n")
    body, end = rest.split("<!-- /results -->")
    assert (head, end) == ("# A title\n\n", "\n\nThe end.\n")
    assert not body.startswith("old")
    replicas = readme.settings(root)["study"]["replicas"]
    conditions = len(readme.settings(root)["conditions"])
    assert body.startswith(f"{conditions} conditions with {replicas} replicas each took ")
    assert "36 minutes on 2 cores (A processor, 2 cores, 8 GB)" in body
    assert display.markdown(all_verdicts()) in body
    assert f"- `topk_damage`: topk_damage was {MARKUP} judged.\n" in body
    assert "![Learning curves. (learning_curves-accuracy) was found.](docs/figures/learning_curves.png)" in body
    assert "![Every claim and its controls. (forest-all) was found.](docs/figures/forest.png)" in body


def test_a_measured_claim_that_could_not_be_tested_says_its_cost(root: Path) -> None:
    without = claims.merge([untestable("saliency_skew"), two_claims()[1]])
    tables.write(root / readme.RESULTS / VERDICTS.path, VERDICTS, without)
    readme.refresh(root)
    body = (root / readme.README).read_text(encoding="utf-8")
    sentence = str(without.set_index("claim").loc["saliency_skew", "sentence"])
    assert f"- `saliency_skew`: {sentence} Here it is 12.3 core-hours.\n" in body
    assert "complexity" not in body


def test_a_part_that_could_not_be_tested_says_its_cost_and_others_their_sentences(root: Path) -> None:
    tables.write(root / readme.RESULTS / VERDICTS.path, VERDICTS, claims.merge([*two_claims(), in_parts("takeover")]))
    readme.refresh(root)
    body = (root / readme.README).read_text(encoding="utf-8")
    assert "- `takeover` (toy): A condition is missing. Here it is 5.0 core-hours.\n" in body
    assert f"- `takeover` (momentum): Not testable: {REASON}.\n" in body
    assert f" | 0 | not testable ({REASON}) |\n" in body
    assert " | 5 | undecided (about 12 replicas would decide) |\n" in body
    assert body.count("core-hours") == 1


def test_the_large_study_is_planned_for_measured_claims_that_could_not_be_tested(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    asked = []
    monkeypatch.setattr(plan, "of_claim", lambda study, claim: asked.append((study.study, claim)))
    monkeypatch.setattr(plan, "plan", lambda study, seconds: pd.DataFrame({"core_hours": [1.0, 2.5]}))
    for study in ("full", "comments"):
        shutil.copyfile(ROOT / f"config/{study}.yaml", root / f"config/{study}.yaml")
    are_lacking = {"spikes": True, "complexity": False, "gradual": False, "learning_rate": True}
    rows = [{"claim": claim, "is_lacking": is_lacking} for claim, is_lacking in are_lacking.items()]
    assert readme._costs(root, rows) == {"learning_rate": 3.5, "spikes": 3.5}
    assert asked == [("comments", "learning_rate"), ("full", "spikes")]


def test_a_readme_shows_pictures_that_are_there(root: Path) -> None:
    readme.refresh(root)
    page = (root / readme.README).read_text(encoding="utf-8")
    shown = [part.split(")")[0] for part in page.split("](")[1:]]
    assert len(shown) == 2
    assert all((root / path).is_file() for path in shown)


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ("A rose by 0.5. B fell.\n\nC stayed.", "A rose by 0.5."),
        ("One sentence,\non two lines.", "One sentence, on two lines."),
        ("Is it? Yes!", "Is it?"),
        ("no full stop", "no full stop"),
    ],
)
def test_the_alternative_text_of_a_picture_is_its_title_and_one_sentence(
    description: str, words: str, root: Path
) -> None:
    describe(root / readme.RESULTS / "figures/forest-all.txt", description)
    readme.refresh(root)
    page = (root / readme.README).read_text(encoding="utf-8")
    assert f"![Every claim and its controls. {words}](docs/figures/forest.png)" in page
    record = json.loads((root / readme.RECORD).read_text(encoding="utf-8"))
    assert record["found"]["forest"] == description, "the record keeps the whole description"


def test_a_refresh_of_the_same_results_is_the_same_bytes(root: Path) -> None:
    readme.refresh(root)
    first = contents(root)
    readme.refresh(root)
    assert contents(root) == first


def test_a_refreshed_readme_passes_its_check(root: Path) -> None:
    readme.refresh(root)
    before = contents(root)
    assert readme.check(root) == []
    assert contents(root) == before


def test_a_check_needs_no_results(root: Path) -> None:
    readme.refresh(root)
    shutil.rmtree(root / readme.RESULTS)
    assert readme.check(root) == []


@pytest.mark.parametrize(("old", "new"), [("| supported |", "| contradicted |"), ("36 minutes", "5 minutes")])
def test_a_readme_that_says_something_else_is_refused(old: str, new: str, root: Path) -> None:
    readme.refresh(root)
    page = (root / readme.README).read_text(encoding="utf-8")
    assert old in page
    (root / readme.README).write_text(page.replace(old, new), encoding="utf-8")
    with pytest.raises(readme.ReadmeError, match="run `make readme`"):
        readme.check(root)


@pytest.mark.parametrize("key", ["settings", "code", "verdicts", "found", "minutes"])
def test_a_record_without_one_of_its_keys_is_refused(key: str, root: Path) -> None:
    readme.refresh(root)
    record = json.loads((root / readme.RECORD).read_text(encoding="utf-8"))
    del record[key]
    (root / readme.RECORD).write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(readme.ReadmeError, match=rf"results\.json is not as it was written .*{key}.*`make readme`"):
        readme.check(root)


@pytest.mark.parametrize("text", ["", "[]", "<<<<<<< ours\n"])
def test_a_file_that_is_no_record_is_refused(text: str, root: Path) -> None:
    readme.refresh(root)
    (root / readme.RECORD).write_text(text, encoding="utf-8")
    with pytest.raises(readme.ReadmeError, match="is not as it was written"):
        readme.check(root)


def test_text_outside_the_marks_may_change(root: Path) -> None:
    readme.refresh(root)
    page = (root / readme.README).read_text(encoding="utf-8")
    (root / readme.README).write_text(page.replace("The end.", "More."), encoding="utf-8")
    assert readme.check(root) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda study: study["conditions"]["no_delay"].update(train_fraction=0.8), "no_delay"),
        (lambda study: study["conditions"].update(mine={}), "mine"),
        (lambda study: study["conditions"].pop("no_delay"), "no_delay"),
        (lambda study: study["measurements"]["ablation"].update(k_points=21), "measurements"),
        (lambda study: study.update(replicas=10), "replicas"),
    ],
)
def test_another_config_is_refused_with_the_names_of_its_changes(
    change: Callable[[dict[str, Any]], object], named: str, root: Path
) -> None:
    readme.refresh(root)
    change_config(root, change)
    with pytest.raises(readme.ReadmeError, match=rf"config/config\.yaml has changed .*\({named}\)"):
        readme.check(root)


def test_a_default_that_changes_names_every_condition_that_has_it(root: Path) -> None:
    readme.refresh(root)
    change_config(root, lambda study: study["defaults"].update(warm_up=5))
    conditions = list(readme.settings(root)["conditions"])
    with pytest.raises(readme.ReadmeError, match=rf"\({', '.join(conditions)}\)"):
        readme.check(root)


def test_another_layout_of_the_same_config_changes_nothing(root: Path) -> None:
    readme.refresh(root)
    change_config(root, lambda study: None)  # written without comments, in another style
    assert readme.check(root) == []


def test_settings_of_kept_files_are_no_settings_of_results(root: Path) -> None:
    readme.refresh(root)
    assert "keep" not in readme.settings(root)["study"]


def test_stages_with_changed_code_are_listed_without_an_error(root: Path, digests: dict[str, str]) -> None:
    readme.refresh(root)
    digests["train_block"] = digests["plot_figure"] = "fedcba9876543210"
    assert readme.check(root) == ["train_block", "plot_figure"]


@pytest.mark.parametrize("path", [VERDICTS.path, str(LAUNCHES)])
def test_missing_results_are_named_and_nothing_is_written(path: str, root: Path) -> None:
    (root / readme.RESULTS / path).unlink()
    with pytest.raises(readme.ReadmeError, match=f"results/workstation/{path} is missing: run `make figures`"):
        readme.refresh(root)
    assert not (root / "docs").exists()
    assert (root / readme.README).read_text(encoding="utf-8") == PAGE


@pytest.mark.parametrize(
    "text", ["", "<!-- results -->\n", "<!-- /results -->", "<!-- /results -->\n<!-- results -->\n"]
)
def test_a_page_without_both_marks_in_order_is_refused(text: str) -> None:
    with pytest.raises(readme.ReadmeError, match=r"no <!-- results --> … <!-- /results --> to write between"):
        readme.between(text, "results", "new")


def test_only_the_text_between_the_marks_changes() -> None:
    assert readme.between(PAGE, "results", "new\n") == PAGE.replace("old", "new")
    assert readme.between(PAGE, "results", "old\n") == PAGE


def test_a_record_without_any_p_value_can_be_shown(root: Path) -> None:
    """One replica gives an estimate but no interval."""
    frame = claims.merge([claim("saliency_skew", UNDECIDED, 0.25, float("nan"), 1)])
    frame = frame.assign(low=float("nan"), high=float("nan"))
    tables.write(root / readme.RESULTS / VERDICTS.path, VERDICTS, frame)
    readme.refresh(root)
    assert "| +0.25 L-skewness | – | 1 | undecided |" in (root / readme.README).read_text(encoding="utf-8")


def test_the_record_has_every_stage_that_makes_results() -> None:
    names = {module.name for module in pkgutil.iter_modules(stages.__path__)}
    others = {"index_table", "write_page", "write_front_page", "command", "interruption"}
    others |= {"extract_example_saliency"}  # what the README does not show
    assert set(readme.STAGES) == names - others


def test_every_stage_has_its_own_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    digests = readme.code()
    assert list(digests) == list(readme.STAGES)
    assert len(set(digests.values())) == len(digests)
    assert pd.Series(digests).str.fullmatch("[0-9a-f]{16}").all()


def test_the_digest_of_training_covers_every_loss_and_update_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    covered: dict[str, set[str]] = {}
    monkeypatch.setattr(readme, "fingerprint", lambda stage, *modules: covered.setdefault(stage, set(modules)) and "")
    readme.code()
    parts = {
        f"training.{part}" for part in ("losses.hinge", "losses.cross_entropy", "optimisers.sgd", "optimisers.adamw")
    }
    for stage in ("train_block", "replay_block", "replay_moments", "watch_spikes"):
        assert covered[f"stages.{stage}"] >= parts
    assert covered["stages.find_events"] == set()
