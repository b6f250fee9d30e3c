"""Every drawing from small hand-made tables: equal bytes, a short description, a size that prints."""

from __future__ import annotations

import importlib
import io
import itertools
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import variant_tables
from duel_builders import planted_table, toy_table
from matplotlib.transforms import Bbox
from moment_tables import moments_table, partners
from PIL import Image
from specification_tables import specifications
from verdict_tables import in_parts, two_claims, untestable

from general_circuits.analysis.neuron_growth import PHASES
from general_circuits.figures import style
from general_circuits.figures.registry import DRAWINGS, FIGURES
from general_circuits.measurements.saliency import histograms
from general_circuits.registered import REGISTERED
from general_circuits.storage.schemas import registry as schemas

pytestmark = pytest.mark.filterwarnings("error")

CONDITIONS = ("grokking", "random_labels", "no_delay")
STEPS = (0, 10, 100, 200, 300)
SVG = "{http://www.w3.org/2000/svg}"


@lru_cache
def tables(events_reached: bool = True, conditions: tuple[str, ...] = CONDITIONS) -> Mapping[str, pd.DataFrame]:
    """Return tables like those of `tables.read_study`: two replicas, and an upper layer in one condition only."""
    generator = np.random.default_rng(0)
    runs = list(itertools.product(conditions, (0, 1)))
    metrics = pd.DataFrame(
        [
            (condition, replica, step, split, generator.random(), generator.exponential())
            for (condition, replica), step, split in itertools.product(runs, STEPS, ("train", "validation"))
        ],
        columns=["condition", "replica", "step", "split", "accuracy", "loss"],
    )
    events = pd.DataFrame(
        [
            (condition, replica, event, step, not events_reached)
            for (condition, replica), (event, step) in itertools.product(
                runs, (("memorised", 10), ("onset", 100), ("generalised", 200))
            )
        ],
        columns=["condition", "replica", "event", "step", "censored"],
    )
    events["after"] = events["step"] - 10 * ~events["censored"]
    layers = [(run, layer) for run in runs for layer in range(2 if run[0] == "no_delay" else 1)]
    saliency = pd.DataFrame(
        [
            (
                *run,
                step,
                layer,
                neuron,
                *generator.exponential(size=5),
                neuron > 0,
            )
            for (run, layer), step, neuron in itertools.product(layers, STEPS, range(8))
        ],
        columns=[
            *("condition", "replica", "step", "layer", "neuron", "median", "median_magnitude"),
            *("mean_magnitude", "q95_magnitude", "breadth", "alive"),
        ],
    ).assign(**REGISTERED)
    deletions = pd.DataFrame(
        [
            (*run, step, layer, ranking, generator.random(), generator.normal())
            for (run, layer), step, ranking in itertools.product(layers, STEPS, ("top", "bottom", "random", "matched"))
        ],
        columns=["condition", "replica", "step", "layer", "ranking", "area", "matched_margin_area"],
    ).assign(**REGISTERED, by="mean_magnitude", deletion="zero", dead_units="included", draw=0)
    damage = deletions.assign(margin_area=10 * deletions["area"])
    updates = saliency[["condition", "replica", "step", "layer", "neuron"]].assign(
        **{name: generator.random(len(saliency)) for name in ("generality", "saliency", "weight_norm")}
    )
    ablation = deletions.merge(pd.DataFrame({"k": (0, 1, 2, 8)}), how="cross")
    left = 1 - ablation["k"] / 8
    ablation = ablation.assign(accuracy=left, margin=10 * left, matched_margin=left + ablation["matched_margin_area"])
    parts = ("all", "restricted", "excluded", "unseen", "answer")
    progress = pd.DataFrame(
        [
            (*run, step, split, component, generator.exponential())
            for run, step, split, component in itertools.product(runs, STEPS, ("train", "validation"), parts)
        ],
        columns=["condition", "replica", "step", "split", "component", "loss"],
    ).assign(is_scheduled=True, part_of_margin=1.0, decay_effect=-6.0)
    progress["around_onset"] = (progress["step"] == 100) & events_reached
    structure = progress[(progress["split"] == "train") & (progress["component"] == "all")]
    structure = structure.assign(gini_of_logits=0.5, gini_of_embedding=np.nan, tuned_share=structure["step"] / 400)
    reinforcement = pd.DataFrame(
        [
            (*run, step, example, 1.0, generator.random(), generator.normal(), generator.normal())
            for run, step, example in itertools.product(runs, STEPS[::2], range(3))
        ],
        columns=["condition", "replica", "step", "example", "own", "own_unseen", "others", "others_unseen"],
    )
    frames = {
        "metrics": metrics,
        "events": events,
        "saliency": saliency,
        "distribution": histograms.describe(saliency),
        "ablation": ablation,
        "damage": damage,
        "updates": updates,
        "progress": progress,
        "structure": structure,
        "reinforcement": reinforcement,
        "moments": _moments(conditions, events_reached),
    }
    with_categories = {
        name: frame.assign(condition=pd.Categorical(frame["condition"], categories=list(conditions)))
        for name, frame in frames.items()
    }
    claims = [*two_claims(), in_parts("takeover")] if events_reached else [two_claims()[0], untestable("topk_damage")]
    if events_reached:
        choices = [specifications(40, 3), specifications(300, 20, claim="topk_damage")]
    else:
        choices = [specifications(20, 20)]
    return {
        **with_categories,
        "claim": pd.concat(claims, ignore_index=True),
        "specification": pd.concat(choices, ignore_index=True),
        "toy": toy_table(),
        "planted": planted_table(),
    }


def _moments(conditions: tuple[str, ...], events_reached: bool) -> pd.DataFrame:
    """Return the moments of two replicas whose events are all at `STEPS`; none if they were not reached."""
    reached = {"memorised": 10, "onset": 100, "generalised": 200}
    steps = partners(2, reached if events_reached else dict.fromkeys(reached, np.nan))
    return moments_table(steps, dict.fromkeys(conditions, 10.0 if events_reached else np.nan), STEPS[-1])


@lru_cache
def variants(events_reached: bool = True) -> Mapping[str, pd.DataFrame]:
    """Return tables of grokking and variants of every kind, or of one that never left it; two replicas each."""
    changes = ARMS if events_reached else {"fast_later": ARMS["fast_later"]}
    left = dict.fromkeys(["grokking", *changes], lambda replica: 2500.0 + 300 * replica)
    if events_reached:
        left |= {"strong": lambda replica: 900.0 + replica, "fast_later": lambda replica: 300.0 + 1e6 * replica}
    frames = variant_tables.study(changes, left, dict.fromkeys(left, _rising), replicas=2)
    if not events_reached:
        frames["events"] = frames["events"].assign(step=variant_tables.LAST, censored=True)
        only_grokking = frames["metrics"]["condition"] == "grokking"
        frames["metrics"] = frames["metrics"][only_grokking]
    metrics = frames["metrics"].assign(distance=np.sqrt(frames["metrics"]["step"]))
    doubts = {"": 1e-3, "_q10": 1e-2, "_q90": 1e-4}
    metrics = metrics.assign(**{f"correct_probability{name}": 1 - doubt for name, doubt in doubts.items()})
    mirrored = [metrics[metrics["split"] == "validation"].assign(split=f"validation_{part}") for part in MIRRORED]
    parts = [
        (name, replica, step, "train", component, value * step)
        for name, replica, step, (component, value) in itertools.product(
            ("decaying", "noisy", "of_batches") if events_reached else (),
            (0, 1),
            (1000, 1100),
            (("all", 3.0), ("unseen", 1.0)),
        )
    ]
    columns = ["condition", "replica", "step", "split", "component", "part_of_margin"]
    progress = pd.DataFrame(parts, columns=columns).assign(is_scheduled=True)
    whole = {**frames, "metrics": pd.concat([metrics, *mirrored], ignore_index=True), "progress": progress}
    return {**whole, **_examples(events_reached), **_spikes(events_reached)}


def _examples(are_learnt: bool) -> Mapping[str, pd.DataFrame]:
    """Return answers to a small table, learnt in the order of their numbers if at all, and gradients in tenths."""
    a, b = (part.ravel() for part in np.meshgrid(range(7), range(7), indexing="ij"))
    grid = pd.DataFrame({"example": range(49), "a": a, "b": b, "wrap": (a + b) // 7, "target": (a + b) % 7})
    grid = grid.assign(split=np.where((a + b) % 3 == 0, "train", "validation"))
    runs = pd.DataFrame({"condition": "grokking", "replica": (0, 1)})
    rows = runs.merge(grid, how="cross").merge(pd.DataFrame({"step": (0, 100, 200, 300)}), how="cross")
    right = (rows["step"] >= 6 * rows["example"]) & are_learnt
    tenths = runs.merge(pd.DataFrame({"step": (0, 250, 500)}), how="cross")
    tenths = tenths.merge(pd.DataFrame({"decile": range(1, 11)}), how="cross")
    return {
        "split": runs.merge(grid, how="cross"),
        "answers": rows.assign(margin=np.where(right, 1.0, -1.0)),
        "deciles": tenths.assign(probability=tenths["decile"] / 10, gradient_norm=1 / tenths["decile"]),
    }


def _spikes(are_any: bool) -> Mapping[str, pd.DataFrame]:
    """Return both losses at every step, and a spike with its quiet window and its kick."""
    runs = pd.DataFrame({"condition": "grokking", "replica": (0, 1)})
    losses = runs.merge(pd.DataFrame({"step": range(200, 1500)}), how="cross")
    kinds = pd.DataFrame({"spike": 800, "kind": ("spike", "quiet", "kick"), "step": (800, 400, 400)})
    windows = runs.merge(kinds if are_any else kinds[:0], how="cross").assign(loss=1.0, is_on_plateau=True)
    gain = windows["step"] / 1000 + windows["replica"] / 10
    return {
        "losses": losses.assign(training=1 / losses["step"], validation=6 - (losses["step"] - 800).abs() / 200),
        "spikes": windows,
        "spike_effects": windows.assign(general_before=0.5, general_after=0.5 + gain),
    }


def _rising(since: float) -> tuple[float, float]:
    return min(1.0, since / 500), min(1.0, since / 4000)


MIRRORED = ("mirrored", "unmirrored")
ALONE = {"branch.at": "onset", "branch.intervention.noise_instead": 0.0, "branch.lasts": 200}
ARMS: Mapping[str, Mapping[str, object]] = {
    "fast_later": {"branch.at": "onset", "optimiser.learning_rate": 1e-2},
    "faster_later": {"branch.at": "onset", "optimiser.learning_rate": 5e-2},
    "held": {"branch.at": "memorised", "optimiser.learning_rate": 1e-2, "optimiser.weight_decay": 0.1},
    "fast": {"optimiser.learning_rate": 1e-2},
    "none": {"optimiser.weight_decay": 0.0},
    "strong": {"optimiser.weight_decay": 2.0},
    "small": {"optimiser.batch_size": 64},
    "full": {"optimiser.batch_size": "full"},
    "noise_from_start": {"branch.at": "step 0", "optimiser.batch_size": "full", "branch.intervention.batch_noise": 64},
    "decaying": ALONE,
    "noisy": {**ALONE, "branch.intervention.noise_instead": 1.0, "optimiser.weight_decay": 0.0},
    "of_batches": {
        **ALONE,
        "branch.intervention.noise_instead": 1.0,
        "branch.intervention.noise_examples": 64,
        "optimiser.weight_decay": 0.0,
    },
    "by_example": {"split.split_by": "example"},
    "few": {"split.train_size": 0.4},
    "few_strong": {"split.train_size": 0.4, "optimiser.weight_decay": 2.0},
    "bare": {"optimiser.weight_decay": 0.0, "optimiser.batch_size": "full", "optimiser.optimiser": "lbfgs"},
    "sure": {"branch.at": "memorised", "branch.intervention.ignore_above": 0.9},
}


def frames_of(name: str, without: bool = False) -> Mapping[str, pd.DataFrame]:
    """Return the tables that a figure is drawn from; `without` has no events and no controls."""
    if FIGURES[name].claim:
        return variants(events_reached=not without)
    return tables(events_reached=False, conditions=("mine",)) if without else tables()


def without_measurements(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a table of networks that diverged at once: every measured number is missing."""
    if name in ("claim", "specification", "moments", "events"):
        return frame
    measured = [column for column in schemas.table(name).columns if column in frame and frame[column].dtype.kind == "f"]
    return frame.assign(**dict.fromkeys(measured, np.nan))


@lru_cache
def words(drawing: str, without: bool = False) -> str:
    """Return the description of a drawing."""
    name, view = DRAWINGS[drawing]
    frames = frames_of(name, without)
    description: str = importlib.import_module(f"general_circuits.figures.{name}").describe(frames, view)
    return description


@dataclass(frozen=True)
class Drawn:
    """A figure's files, its size in inches, and the smallest box around all that is drawn."""

    svg: bytes
    png: bytes
    size: tuple[float, float]
    box: Bbox


@lru_cache
def drawn(drawing: str, time: int = 1, without: bool = False) -> Drawn:
    """Draw and save a figure.

    Args:
        drawing: stem of its file.
        time: number of the attempt; only the first one has a PNG, since that takes long.
        without: whether to draw from tables without events and controls.
    """
    name, view = DRAWINGS[drawing]
    frames = frames_of(name, without)
    with style.theme(), tempfile.TemporaryDirectory() as folder:
        figure = importlib.import_module(f"general_circuits.figures.{name}").draw(frames, view)
        files = {kind: Path(folder) / f"file.{kind}" for kind in ("svg", "png")}
        wanted = {kind: file for kind, file in files.items() if kind == "svg" or (time == 1 and not without)}
        style.save(figure, wanted, FIGURES[name].title, words(drawing, without))
        svg, png = (file.read_bytes() if file.exists() else b"" for file in files.values())
        result = Drawn(svg, png, tuple(figure.get_size_inches()), figure.get_tightbbox())
        plt.close(figure)
    return result


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_a_figure_drawn_twice_is_the_same_bytes_and_warns_of_nothing(drawing: str) -> None:
    assert drawn(drawing).svg == drawn(drawing, time=2).svg


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_a_figure_can_do_without_events_and_controls(drawing: str) -> None:
    assert ElementTree.fromstring(drawn(drawing, without=True).svg).tag == f"{SVG}svg"


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_a_figure_can_do_without_any_finite_measurement(drawing: str) -> None:
    name, view = DRAWINGS[drawing]
    frames = {table: without_measurements(frame, table) for table, frame in frames_of(name).items()}
    module = importlib.import_module(f"general_circuits.figures.{name}")
    assert module.describe(frames, view)
    with style.theme():
        figure = module.draw(frames, view)
        figure.draw_without_rendering()
        plt.close(figure)


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_an_svg_has_title_and_description_at_its_head(drawing: str) -> None:
    root = ElementTree.fromstring(drawn(drawing).svg)
    title = FIGURES[DRAWINGS[drawing][0]].title
    assert (root.get("role"), root.get("aria-label")) == ("img", title)
    assert [(part.tag, part.text) for part in root[:2]] == [(f"{SVG}title", title), (f"{SVG}desc", words(drawing))]


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_a_png_has_title_and_description_and_prints_at_300_dots_per_inch(drawing: str) -> None:
    with Image.open(io.BytesIO(drawn(drawing).png)) as image:
        assert image.info["Title"] == FIGURES[DRAWINGS[drawing][0]].title
        assert image.info["Description"] == words(drawing)
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert image.width <= round(style.WIDTH * 300)
        assert len(np.unique(np.asarray(image.convert("L")))) > 10  # not blank


def test_a_png_saved_twice_is_the_same_bytes(tmp_path: Path) -> None:
    with style.theme():
        for name in ("one", "two"):
            figure, axes = plt.subplots(figsize=(1, 1))
            axes.plot([0, 1])
            style.save(figure, {"png": tmp_path / name}, "Title", "− ≈ words")
            plt.close(figure)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_a_figure_cuts_nothing_off_and_fits_a_printed_page(drawing: str) -> None:
    width, height = drawn(drawing).size
    assert width <= style.WIDTH
    assert height <= 9
    box = drawn(drawing).box
    assert min(box.x0, box.y0) >= -0.02
    assert box.x1 <= width + 0.02
    assert box.y1 <= height + 0.02


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_a_description_has_whole_sentences_and_no_missing_numbers(drawing: str) -> None:
    assert words(drawing).endswith(".")
    assert words(drawing) == words(drawing).strip()
    assert "$" not in words(drawing)  # only labels inside a figure are set as mathematics
    assert not {"nan", "inf", "None"} & set(re.split(r"\W+", words(drawing)))


@pytest.mark.parametrize("without", [False, True])
@pytest.mark.parametrize("drawing", DRAWINGS)
def test_a_description_has_one_or_two_sentences(drawing: str, without: bool) -> None:
    """A screen reader reads it aloud, since it is the figure's alternative text."""
    description = words(drawing, without)
    assert description.endswith(".")
    assert ": ." not in description  # an empty list says "no data"
    assert len(re.split(r"(?<=[.!?]) +(?=[A-Z])", description)) <= 2
    assert len(description) <= 450


@pytest.mark.parametrize("name", [name for name, figure in FIGURES.items() if figure.toggle])
def test_two_views_are_two_drawings(name: str) -> None:
    one, two = (drawn(f"{name}-{view}").svg for view in FIGURES[name].views)
    assert one != two


def test_learning_curves_say_when_each_condition_memorised_and_generalised() -> None:
    frames = dict(tables(conditions=("grokking", "random_labels")))
    events = frames["events"]
    is_control = events["condition"] == "random_labels"
    frames["events"] = events.assign(censored=is_control & (events["event"] != "memorised"))
    frames["metrics"] = frames["metrics"].assign(accuracy=0.25)
    learning_curves = importlib.import_module("general_circuits.figures.learning_curves")
    assert learning_curves.describe(frames, "accuracy") == (
        "Grokking memorised at step 10 and generalised at step 200; random labels memorised at step 10 and generalised"
        " in no replica. Validation accuracy after the last step: grokking 0.25; random labels 0.25."
    )


def test_growth_lists_conditions_with_a_slope_and_marks_phases_without_one() -> None:
    """A condition that was never trained has no slope. Here only the last checkpoint is after t_g, so none grows."""
    frames = dict(tables())
    updates, events = frames["updates"], frames["events"]
    frames["updates"] = updates[(updates["condition"] != "no_delay") | (updates["step"] == 0)]
    steps = {"memorised": 100, "onset": 200, "generalised": 300}  # a phase is a hundred steps at least
    frames["events"] = events.assign(step=events["event"].map(steps))
    module = importlib.import_module("general_circuits.figures.growth")
    with style.theme():
        figure = module.draw(frames, "weights")
        named = [text.get_text() for text in figure.legends[0].get_texts()]
        notes = [[text.get_text() for text in axes.texts] for axes in figure.axes[len(PHASES) :]]
        plt.close(figure)
    assert named == ["grokking", "random labels"]
    assert notes == [[], [], [], ["no data"]]
    assert "onset" in module.describe(frames, "weights")
    assert "after" not in module.describe(frames, "weights")


def test_damage_curves_have_a_panel_for_each_moment_and_read_each_replica_at_its_own_step() -> None:
    """Accuracy lost is k / 8 wherever it is read, but for replica 1 at step 200, its t_m here."""
    frames = dict(tables())
    moments, ablation = frames["moments"], frames["ablation"]
    is_t_m = (moments["moment"] == "memorised") & (moments["replica"] == 1)
    frames["moments"] = moments.assign(step=moments["step"].mask(is_t_m, 200))[moments["moment"] != "late_end"]
    is_own = (ablation["replica"] == 1) & (ablation["step"] == 200) & (ablation["k"] > 0)
    frames["ablation"] = ablation.assign(accuracy=ablation["accuracy"].mask(is_own, 0.25))
    module = importlib.import_module("general_circuits.figures.damage_curves")
    with style.theme():
        figure = module.draw(frames, "accuracy")
        titles = [axes.get_title(loc="left") for axes in figure.axes]
        lines = [dict(axes.lines[0].get_xydata()) for axes in figure.axes]
        plt.close(figure)
    assert titles == ["$t_m$", "$t_o$", "$t_g$"]
    assert [line[2] for line in lines] == [(2 / 8 + 0.75) / 2, 2 / 8, (2 / 8 + 0.75) / 2]


@pytest.mark.parametrize("measure", ["accuracy", "loss"])
def test_curves_are_named_once_where_they_can_be_told_apart(measure: str) -> None:
    """No place is left where they are one line, where one has a loss of 0, or where one has diverged."""
    frames = dict(tables())
    metrics = frames["metrics"].assign(accuracy=1.0, loss=1.0)
    is_training = metrics["split"] == "train"
    metrics.loc[(metrics["condition"] == "grokking") & is_training, "loss"] = 0.0
    metrics.loc[(metrics["condition"] == "random_labels") & is_training, "loss"] = np.inf
    metrics.loc[(metrics["condition"] == "no_delay") & is_training, ["accuracy", "loss"]] = 0.9
    learning_curves = importlib.import_module("general_circuits.figures.learning_curves")
    with style.theme():
        figure = learning_curves.draw({**frames, "metrics": metrics}, measure)
        figure.canvas.draw()
        named = [[text.get_text() for text in axes.texts if text.get_text().isalpha()] for axes in figure.axes]
        plt.close(figure)
    last_column_below = 2 * len(CONDITIONS) - 1
    assert named == [[]] * last_column_below + [["training", "validation"]]


def test_more_than_five_conditions_go_below_and_untrained_ones_are_left_out() -> None:
    conditions = ("grokking", *(f"other_{i}" for i in range(6)), "by_hand")
    frames = dict(tables(conditions=conditions))
    metrics = frames["metrics"]
    frames["metrics"] = metrics[(metrics["condition"] != "by_hand") | (metrics["step"] == 0)]
    learning_curves = importlib.import_module("general_circuits.figures.learning_curves")
    figure = learning_curves.draw(frames, "accuracy")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    titles = [axes.get_title().replace("\n", " ") for axes in shown if axes.get_title()]
    plt.close(figure)
    assert titles == ["grokking", *(f"other {i}" for i in range(6))]
    assert len(shown) == 2 * 7
