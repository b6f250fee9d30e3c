"""Spikes of a trained block: both losses at every step, weights around spikes, and the measured effects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import torch
from builders import condition
from jobs import Job, finish
from safetensors.torch import load_file

from general_circuits.analysis.plateau import plateau
from general_circuits.measurements.progress import forces, learned
from general_circuits.models import predictions
from general_circuits.records import to_json
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.answers import TABLE as ANSWERS
from general_circuits.storage.schemas.deciles import TABLE as DECILES
from general_circuits.storage.schemas.events import TABLE as EVENTS
from general_circuits.storage.schemas.losses import TABLE as LOSSES
from general_circuits.storage.schemas.spike_effects import TABLE as EFFECTS
from general_circuits.storage.schemas.spikes import TABLE as SPIKES
from general_circuits.training import spikes
from general_circuits.training.replica import Replica
from general_circuits.training.schedule import Spacing

STEPS, MEMORISED, GENERALISED, THRESHOLD, MOST = 1700, 60, 1500, 2.0, 2
SETTINGS = condition(STEPS, Spacing(log=3, every=100), Spacing(log=10, every=50))
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Watched:
    """A job of two replicas and the tables of its spikes. The second replica never memorised."""

    job: Job
    folder: Path

    def table(self, name: str, kind: tables.Table) -> pd.DataFrame:
        return tables.read(self.folder / f"{name}.parquet", kind)

    @property
    def windows(self) -> pd.DataFrame:
        return self.table("spikes", SPIKES)

    @property
    def losses(self) -> pd.DataFrame:
        return self.table("spikes-losses", LOSSES)

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return load_file(self.folder / "spikes" / checkpoints.file_name(0))


def watch(job: Job, folder: Path) -> Watched:
    """Run the stages `watch_spikes` and `measure_spikes`, each in its own process."""
    common = {"condition": "tiny", "settings": to_json(job.settings), "device": "cpu"}
    split = job.inputs / "split.parquet"
    replayed = {"split": split, "events": folder / "events.parquet", "training_code": job.code, "states": job.states}
    limits = {"threshold": THRESHOLD, "most": MOST, "output": folder / "spikes.parquet"}
    assert finish("watch_spikes", {**common, **replayed, **limits}, folder / "watch.log") == 0
    # The stage reads the weights beside its split. In the workflow, training writes them there.
    beside = job.run / "split.parquet"
    beside.write_bytes(split.read_bytes())
    read = {"split": beside, "spikes": folder / "spikes.parquet", "weights": folder / "spikes"}
    read["output"] = folder / "effects.parquet"
    assert finish("measure_spikes", {**common, **read}, folder / "measure.log") == 0
    return Watched(job, folder)


def events(path: Path) -> None:
    """Write a table of events in which the first replica memorised and generalised, and the second did neither."""
    steps = {"memorised": MEMORISED, "validation_loss_peak": 100, "onset": 1400, "generalised": GENERALISED}
    rows = [
        ("tiny", replica, event, STEPS if replica else step, replica == 1)
        for replica in (0, 1)
        for event, step in steps.items()
    ]
    frame = pd.DataFrame(rows, columns=["condition", "replica", "event", "step", "censored"])
    tables.write(path, EVENTS, frame.assign(after=frame["step"]))


@pytest.fixture(scope="module")
def watched(two_replicas: Path, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """Not to be changed."""
    folder = tmp_path_factory.mktemp("watched")
    job = Job(two_replicas, folder / "job", SETTINGS)
    assert job.finish() == 0, job.log()
    events(folder / "events.parquet")
    return watch(job, folder)


def test_losses_have_the_bits_of_the_metrics_at_every_step_after_memorising(watched: Watched) -> None:
    losses = watched.losses
    assert set(losses["replica"]) == {0}
    assert losses["step"].tolist() == list(range(MEMORISED, STEPS + 1))
    metrics = pd.read_parquet(watched.job.metrics)
    metrics = metrics[(metrics["replica"] == 0) & (metrics["step"] >= MEMORISED)]
    for column, split in (("training", "train"), ("validation", "validation")):
        known = metrics[metrics["split"] == split].set_index("step")["loss"]
        assert losses.set_index("step")[column].loc[known.index].tolist() == known.tolist()


def test_every_spike_has_a_row_and_two_of_them_have_windows(watched: Watched) -> None:
    losses, windows = watched.losses.set_index("step"), watched.windows
    expected = spikes.find(losses["training"], THRESHOLD)
    rows = windows[windows["kind"] == "spike"]
    assert len(expected) > MOST
    assert rows["step"].tolist() == [spike.peak for spike in expected]
    assert rows["loss"].to_numpy() == pytest.approx(losses.loc[rows["step"], "training"].to_numpy(), rel=1e-6)
    assert rows["first_observation"].notna().sum() == MOST
    with_windows = rows.loc[rows["first_observation"].notna(), "spike"]
    beside = windows[windows["kind"] != "spike"]
    assert set(beside["spike"]) <= set(with_windows)
    assert len(beside), "there should be at least one quiet window and its kick"
    assert (beside["kind"] == "quiet").sum() == (beside["kind"] == "kick").sum()


def test_spikes_that_were_looked_into_lie_on_the_plateau(watched: Watched) -> None:
    found = plateau(watched.losses.set_index("step")["validation"], MEMORISED, GENERALISED)
    assert found is not None
    assert found.steps.start == 2 * MEMORISED
    windows = watched.windows
    assert windows["is_on_plateau"].tolist() == [spike in found.steps for spike in windows["spike"]]
    assert set(windows["is_on_plateau"]) == {True, False}
    observed = windows[windows["first_observation"].notna()]
    assert observed["step"].isin(found.steps).all(), "the quiet steps and kicks beside them lie there too"


def test_a_kick_raises_the_training_loss_as_much_as_the_spike_did(watched: Watched) -> None:
    windows = watched.windows
    spiked = windows[windows["kind"] == "spike"].set_index("spike")
    quiet = windows[windows["kind"] == "quiet"].set_index(["spike", "step"])
    kicks = windows[windows["kind"] == "kick"]
    assert (kicks["kick"] > 0).all()
    for row in kicks.itertuples():
        rise = spiked.loc[row.spike, "loss"] - spiked.loc[row.spike, "loss_before"]
        beside = quiet.loc[(row.spike, row.step)]
        assert row.loss - beside["loss"] == pytest.approx(rise, rel=0.02)
        assert row.loss_before == beside["loss_before"]


def test_weights_without_a_kick_have_the_bytes_of_training(watched: Watched) -> None:
    """All four observations are compared with training from the seed."""
    ((_, _, splits), *_) = Block(watched.job.inputs / "split.parquet", CPU).replicas()
    replica = Replica(SETTINGS, splits, Block(watched.job.inputs / "split.parquet", CPU).vocabulary, 0)
    stored, wanted = watched.weights, {}
    by_peak = {spike.peak: spike for spike in spikes.find(watched.losses.set_index("step")["training"], THRESHOLD)}
    for row in watched.windows.dropna(subset=["first_observation"]).itertuples():
        start = by_peak[row.spike].start if row.kind == "spike" else row.step
        observations = [start - spikes.BEFORE, row.step, row.step + spikes.AFTER, row.step + spikes.LATER]
        assert row.observations == len([step for step in observations if step <= STEPS])
        for place, step in enumerate(observations[: int(row.observations)]):
            if row.kind != "kick" or place == 0:
                wanted.setdefault(step, []).append(int(row.first_observation) + place)
    while replica.step < max(wanted):
        replica.update(is_observed=False)
        for place in wanted.get(replica.step, []):
            for name, weight in replica.model.state_dict().items():
                assert torch.equal(stored[name][place], weight), (replica.step, name)


def test_effects_are_measured_on_the_weights_of_the_windows(watched: Watched) -> None:
    effects = watched.table("effects", EFFECTS)
    windows = watched.windows.dropna(subset=["first_observation"])
    key = ["spike", "kind", "step"]
    assert effects[key].to_dict("records") == windows[key].to_dict("records")
    split = watched.job.run / "split.parquet"
    ((_, seed, splits), *_) = Block(split, CPU).replicas()
    stored = checkpoints.Checkpoints(watched.job.run / checkpoints.file_name(0), seed)
    general = learned.general(SETTINGS, splits, Block(split, CPU).vocabulary, stored.backwards(CPU))
    observations = checkpoints.Checkpoints(watched.folder / "spikes" / checkpoints.file_name(0), seed)
    row, window = effects.iloc[0], windows.iloc[0]
    ground = general.examples
    train = ground.rows["train"]
    for name, place in (("general_before", 0), ("general_after", 2)):
        ((_, model),) = observations.models([int(window["first_observation"]) + place], CPU)
        logits = forces.answer(model, ground.tokens)
        others = predictions.rivals(logits, ground.labels)
        parts = general.split(logits)
        unseen, total = (
            predictions.margins_over(parts[of], ground.labels, others)[train].mean() for of in ("unseen", "all")
        )
        assert row[name] == pytest.approx(float(unseen / total), rel=1e-4, nan_ok=True)
    assert (effects["shared"] <= len(train)).all()


def test_tables_have_the_same_bytes_without_states(watched: Watched, tmp_path: Path) -> None:
    """States only shorten replays."""
    (tmp_path / "events.parquet").write_bytes((watched.folder / "events.parquet").read_bytes())
    elsewhere = Job(watched.job.inputs, tmp_path / "job", SETTINGS, places={"run": watched.job.run})
    assert not elsewhere.states.exists()
    again = watch(elsewhere, tmp_path)
    for name in ("spikes.parquet", "spikes-losses.parquet", "effects.parquet"):
        assert (again.folder / name).read_bytes() == (watched.folder / name).read_bytes()


def test_answers_to_every_example_are_recorded_at_three_checkpoints(watched: Watched, tmp_path: Path) -> None:
    split = watched.job.run / "split.parquet"
    options = {"split": split, "condition": "tiny", "settings": to_json(SETTINGS), "device": "cpu"}
    assert finish("record_answers", {**options, "steps": 3, "output": tmp_path / "a.parquet"}, tmp_path / "log") == 0
    answers = tables.read(tmp_path / "a.parquet", ANSWERS)
    assert answers["step"].nunique() == 3
    assert len(answers) == 2 * 3 * 25
    metrics = pd.read_parquet(watched.job.metrics).set_index(["replica", "step", "split"])["accuracy"]
    sides = pd.read_parquet(split)[["replica", "example", "split"]]
    right = answers.merge(sides, on=["replica", "example"]).assign(right=answers["margin"] > 0)
    accuracy = right.groupby(["replica", "step", "split"], observed=True)["right"].mean()
    shared = accuracy.index.intersection(metrics.index)
    assert len(shared) >= 4
    assert accuracy[shared].to_numpy() == pytest.approx(metrics[shared].to_numpy())
    deciles = tables.read(tmp_path / "a-deciles.parquet", DECILES)
    assert len(deciles) == 2 * 3 * 10
