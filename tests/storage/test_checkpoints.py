"""Weights on disk come back as they were, or not at all, in a format that runs no code."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
import torch
from builders import MODULUS, VOCABULARY, addition, condition, mlp_settings, model_settings, random_transformer
from safetensors import safe_open
from torch import Tensor

from general_circuits.storage import checkpoints, tensors
from general_circuits.storage.checkpoints import Checkpoints
from general_circuits.training import loop

CPU = torch.device("cpu")


NETWORKS = {
    "transformer": (model_settings(n_layers=2, normalisation="pre", biases="all", positions="sinusoidal"), "reduced"),
    "perceptron": (mlp_settings(n_layers=2, inputs="embedding"), "plain"),
}


@pytest.fixture(params=NETWORKS)
def run(request: pytest.FixtureRequest) -> loop.Run:
    settings, arithmetic = NETWORKS[request.param]
    return loop.train(condition(model=settings, arithmetic=arithmetic), addition(), VOCABULARY, seed=3)


def write(path: Path, run: loop.Run) -> None:
    checkpoints.write(path, replica=3, weights=run.weights, steps=run.steps, model=run.model)


def test_every_weight_of_every_step_comes_back_exactly(tmp_path, run):
    write(tmp_path / "weights.safetensors", run)
    stored = Checkpoints(tmp_path / "weights.safetensors", 3)
    assert stored.steps() == run.steps == [0, 1, 3, 5, 10, 12]
    steps = []
    for step, model in stored.models(run.steps, CPU):
        steps.append(step)
        place = run.steps.index(step)
        weights = model.state_dict()
        assert weights.keys() == run.weights.keys()
        assert all(torch.equal(weights[name], run.weights[name][place]) for name in weights)
    assert steps == run.steps


def test_chosen_steps_come_in_the_order_of_the_request(tmp_path, run):
    write(tmp_path / "weights.safetensors", run)
    embeddings = {}
    for step, model in Checkpoints(tmp_path / "weights.safetensors", 3).models([10, 0, 3], CPU):
        assert not model.training
        embeddings[step] = model.embed.W_E.detach().clone()
    assert list(embeddings) == [10, 0, 3]
    for step, weight in embeddings.items():
        assert torch.equal(weight, run.weights["embed.W_E"][run.steps.index(step)])


def test_the_last_checkpoint_answers_as_the_trained_network(tmp_path, run):
    write(tmp_path / "weights.safetensors", run)
    ((_, model),) = Checkpoints(tmp_path / "weights.safetensors", 3).models([12], CPU)
    tokens = addition()["validation"].tokens
    assert torch.equal(model.answer(tokens), run.model.answer(tokens))
    assert model.settings == run.model.settings


def test_a_step_that_was_not_kept_is_an_error(tmp_path, run):
    write(tmp_path / "weights.safetensors", run)
    with pytest.raises(KeyError, match="7"):
        list(Checkpoints(tmp_path / "weights.safetensors", 3).models([7], CPU))


def test_the_file_is_safetensors_with_steps_first_and_settings_in_its_header(tmp_path, run):
    path = tmp_path / "weights.safetensors"
    write(path, run)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        shapes = {name: tuple(file.get_tensor(name).shape) for name in file.keys()}  # noqa: SIM118
    assert shapes == {"steps": (6,), **{name: tuple(weight.shape) for name, weight in run.weights.items()}}
    has_equals = run.model.settings.architecture == "transformer"
    assert shapes["embed.W_E"] == (6, MODULUS + has_equals, run.model.settings.d_model)
    assert list(metadata) == [tensors.HEADER]
    model = dataclasses.asdict(run.model.settings)
    header = json.loads(metadata[tensors.HEADER])
    assert re.fullmatch("general-circuits-sha256:[0-9a-f]{64}", header.pop("file").pop("seal"))
    assert header == {
        "replica": 3,
        "vocabulary": dataclasses.asdict(VOCABULARY),
        "model": model,
    }
    beginning = path.read_bytes()[:9]
    assert beginning[8:] == b"{"  # eight bytes of length, then JSON: neither a zip archive nor a pickle
    assert int.from_bytes(beginning[:8], "little") < path.stat().st_size


def test_equal_weights_are_equal_bytes(tmp_path, run):
    """The file has one metadata key, since safetensors writes several in an order that changes between calls."""
    files = set()
    for _ in range(20):
        write(tmp_path / "weights.safetensors", run)
        files.add((tmp_path / "weights.safetensors").read_bytes())
    assert len(files) == 1


def test_weights_that_are_not_contiguous_come_back_exactly(tmp_path):
    model = random_transformer(dtype=torch.float32)
    weights = {
        name: torch.stack([weight, -weight], dim=-1).movedim(-1, 0) for name, weight in model.state_dict().items()
    }
    assert not weights["embed.W_E"].is_contiguous()
    checkpoints.write(tmp_path / "weights", 0, weights, [0, 9], model)
    ((_, stored),) = Checkpoints(tmp_path / "weights", 0).models([9], CPU)
    assert all(torch.equal(weight, -model.state_dict()[name]) for name, weight in stored.state_dict().items())


def interrupted(_: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    Path(path).write_bytes(b"half of it")
    raise KeyboardInterrupt


def test_an_interrupted_write_leaves_no_file(tmp_path, run, monkeypatch):
    monkeypatch.setattr(tensors, "save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "block" / "weights.safetensors", run)
    assert list((tmp_path / "block").iterdir()) == []


def test_an_interrupted_write_leaves_the_old_file_as_it_was(tmp_path, run, monkeypatch):
    path = tmp_path / "weights.safetensors"
    write(path, run)
    before = path.read_bytes()
    monkeypatch.setattr(tensors, "save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(path, run)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_file_names_have_the_replicas_position():
    assert [checkpoints.file_name(position) for position in (0, 11)] == [
        "weights-0.safetensors",
        "weights-11.safetensors",
    ]


def test_checkpoints_are_read_backwards_from_the_last(tmp_path, run):
    write(tmp_path / "weights.safetensors", run)
    steps = [step for step, _ in Checkpoints(tmp_path / "weights.safetensors", 3).backwards(CPU)]
    assert steps == [12, 10, 5, 3, 1, 0]


def test_a_run_without_checkpoints_is_a_file_without_steps(tmp_path):
    model = random_transformer(dtype=torch.float32)
    weights = checkpoints.none_of(model)
    assert weights["embed.W_E"].shape == (0, *model.state_dict()["embed.W_E"].shape)
    checkpoints.write(tmp_path / "weights", 0, weights, [], model)
    assert Checkpoints(tmp_path / "weights", 0).steps() == []


def test_others_may_read_weights_as_they_may_read_any_new_file(tmp_path, run):
    """safetensors by itself makes files that only their owner may read."""
    write(tmp_path / "weights.safetensors", run)
    (tmp_path / "plain").touch()
    assert (tmp_path / "weights.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


# Steps of a run and of its replay together.


def write_some(path: Path, run: loop.Run, steps: list[int], scale: float = 1.0) -> None:
    """Write the weights of some steps, times a number that tells where they are read from."""
    places = [run.steps.index(step) for step in steps]
    checkpoints.write(path, 3, {name: scale * weight[places] for name, weight in run.weights.items()}, steps, run.model)


@pytest.mark.parametrize(
    ("scheduled", "replayed", "from_run", "from_replay"),
    [
        pytest.param([0, 5, 12], [3, 10], [0, 5, 12], [3, 10], id="between one another"),
        pytest.param([0, 5, 12], [5, 10, 10, 3, 12], [0, 5, 12], [3, 10], id="a step in both comes once, from the run"),
        pytest.param([5], [3, 12], [5], [3, 12], id="a step of the run that is not asked of it comes from the replay"),
        pytest.param([], [10, 3], [], [3, 10], id="no scheduled step"),
        pytest.param([0, 12], [], [0, 12], [], id="no replayed step"),
    ],
)
def test_steps_of_a_run_and_of_its_replay_come_in_the_order_of_training(
    scheduled: list[int], replayed: list[int], from_run: list[int], from_replay: list[int], tmp_path: Path, run
) -> None:
    name = checkpoints.file_name(1)
    write_some(tmp_path / name, run, [0, 5, 12])
    write_some(tmp_path / "moments/0" / name, run, [3, 5, 10, 12], scale=2.0)
    stored, moments = (Checkpoints(folder / name, 3) for folder in (tmp_path, tmp_path / "moments/0"))
    networks = checkpoints.merged(stored, moments, scheduled, replayed, CPU)
    found = {step: model.state_dict()["unembed.W_U"].clone() for step, model in networks}
    assert list(found) == sorted(from_run + from_replay)
    for steps, scale in ((from_run, 1.0), (from_replay, 2.0)):
        for step in steps:
            assert torch.equal(found[step], scale * run.weights["unembed.W_U"][run.steps.index(step)])


def test_without_a_replay_the_run_is_read_alone(tmp_path: Path, run) -> None:
    write_some(tmp_path / "weights", run, [0, 5, 12])
    networks = checkpoints.merged(Checkpoints(tmp_path / "weights", 3), None, [0, 12], [], CPU)
    assert [step for step, _ in networks] == [0, 12]


def test_a_step_that_was_not_replayed_is_refused(tmp_path: Path, run) -> None:
    write_some(tmp_path / "run", run, [0, 12])
    write_some(tmp_path / "moments", run, [5])
    with pytest.raises(KeyError):
        list(
            checkpoints.merged(
                Checkpoints(tmp_path / "run", 3), Checkpoints(tmp_path / "moments", 3), [0, 12], [3], CPU
            )
        )
