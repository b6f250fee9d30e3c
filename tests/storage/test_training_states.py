"""States come back as they were kept, and no run goes on from anything else on the disk."""

from __future__ import annotations

import errno
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from general_circuits.storage import training_states as states_module
from general_circuits.storage.training_states import State, States, folder_of

EVERY = 500
"""Steps between two states."""
STEPS = (500, 1000, 1500, 2000, 2500)
"""Steps of the states that `kept` holds."""


def state(step: int) -> State:
    """Make a state with tensors of every kind that training keeps, and values."""
    generator = torch.Generator().manual_seed(step)
    tensors = {
        "weights.W": torch.randn(3, 4, generator=generator),
        "optimiser.0.step": torch.tensor(float(step)),
        "optimiser.0.exp_avg": torch.full((3, 4), float("nan")),
        "batches.generator": generator.get_state(),
    }
    return State(step, tensors, {"position": step % 7})


def record(step: int, after: int | None) -> State:
    return State(step, {f"metrics.{step}": torch.arange(6, dtype=torch.float64).view(2, 3) + step}, {"after": after})


class Kept:
    """Five states in a folder, and the lines reported about them."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self.states = States(folder, self.lines.append)
        for after, step in zip((None, *STEPS), STEPS, strict=False):
            self.states.keep(state(step), record(step, after))

    def path(self, kind: str, step: int) -> Path:
        (path,) = self.states.folder.glob(f"{kind}-{step:09d}-*")
        return path

    def steps(self, kind: str) -> list[int]:
        return sorted(int(path.name.split("-")[1]) for path in self.states.folder.glob(f"{kind}-*"))

    def resumed(self) -> int | None:
        """Resume, check that the state and all records are those that were kept, and return the step."""
        resumed = self.states.resume()
        if resumed is None:
            return None
        last, records = resumed
        assert same(last, state(last.step))
        steps = STEPS[: STEPS.index(last.step) + 1]
        expected = [record(step, after) for after, step in zip((None, *steps), steps, strict=False)]
        assert len(records) == len(expected)
        assert all(same(*pair) for pair in zip(records, expected, strict=True))
        return last.step


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "replica-0" / "now")


def same(one: State, other: State) -> bool:
    """Compare bit by bit: NaN equals NaN, and 0 does not equal −0."""

    def bits(tensors: dict[str, Tensor]) -> dict[str, tuple]:
        return {
            name: (tensor.dtype, tensor.shape, tensor.contiguous().numpy().tobytes())
            for name, tensor in tensors.items()
        }

    return (one.step, one.values, bits(one.tensors)) == (other.step, other.values, bits(other.tensors))


def before(step: int) -> int | None:
    """Return the step of the state before this one."""
    return dict(zip(STEPS, (None, *STEPS), strict=False))[step]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def overwrite(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def flip(bit: int) -> Callable[[Path], None]:
    """Make a function that flips one bit of a file."""

    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[bit // 8 % len(content)] ^= 1 << bit % 8
        path.write_bytes(content)

    return damage


DAMAGES = [
    pytest.param(truncate, id="truncated"),
    pytest.param(empty, id="emptied"),
    pytest.param(lengthen, id="lengthened"),
    pytest.param(overwrite, id="zeros"),
    pytest.param(flip(3), id="bit of the header's length"),
    pytest.param(flip(8 * 30 + 1), id="bit of the header"),
    pytest.param(flip(-1), id="last bit"),
]


def test_a_state_comes_back_bit_by_bit(kept):
    assert kept.resumed() == 2500
    assert kept.lines == []


def test_an_empty_folder_has_no_state_to_go_on_from(tmp_path):
    states = States(tmp_path / "never made")
    assert states.resume() is None
    assert states.nearest(10**6) is None
    states.thin(3, EVERY)
    assert not (tmp_path / "never made").exists()


def test_tensors_of_a_state_can_be_written_to_without_changing_its_file(kept):
    path = kept.path("state", 2500)
    content = path.read_bytes()
    last, _ = kept.states.resume()
    for tensor in last.tensors.values():
        tensor.zero_()
    assert path.read_bytes() == content
    assert kept.resumed() == 2500


def test_tensors_that_are_not_contiguous_come_back_exactly(tmp_path):
    states = States(tmp_path)
    turned = torch.arange(6.0).view(2, 3).T
    states.keep(State(1, {"weights.W": turned}, {}), record(1, None))
    last, _ = states.resume()
    assert torch.equal(last.tensors["weights.W"], turned)


def test_slices_of_one_tensor_come_back_as_separate_tensors(tmp_path):
    """A record has several checkpoints, which are slices of one stack."""
    states, stack = States(tmp_path), torch.randn(4, 3, 2)
    parts = {f"checkpoint.{i}.W": stack[i] for i in range(4)}
    states.keep(state(1), State(1, parts, {"after": None}))
    _, (kept_record,) = states.resume()
    assert all(torch.equal(kept_record.tensors[name], part) for name, part in parts.items())


def test_files_are_named_by_step_and_digest(kept):
    for step in STEPS:
        for kind in ("state", "record"):
            path = kept.path(kind, step)
            digest = states_module._digest(path.read_bytes())
            assert path.name == f"{kind}-{step:09d}-{digest}.safetensors"
            assert len(digest) == 16
    assert load_file(kept.path("state", 500)).keys() == state(500).tensors.keys()


def test_equal_states_are_equal_bytes(tmp_path):
    files = set()
    for i in range(20):
        folder = Kept(tmp_path / str(i) / "replica").states.folder
        files.add(tuple((path.name, path.read_bytes()) for path in sorted(folder.iterdir())))
    assert len(files) == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_to_the_last_state_is_reported_and_the_one_before_used(kept, damage):
    path = kept.path("state", 2500)
    damage(path)
    assert kept.resumed() == 2000
    assert [line for line in kept.lines if str(path) in line] == kept.lines != []
    assert "truncated or altered" in kept.lines[0]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("step", STEPS)
def test_damage_to_a_record_is_reported_and_the_state_before_it_used(kept, step, damage):
    path = kept.path("record", step)
    damage(path)
    assert kept.resumed() == before(step)
    assert [line for line in kept.lines if str(path) in line] == kept.lines != []


@pytest.mark.parametrize("step", STEPS[:-1])
def test_damage_to_an_earlier_state_leaves_the_last_one_in_use(kept, step):
    """All records are whole, and the last state needs no earlier state."""
    truncate(kept.path("state", step))
    assert kept.resumed() == 2500


@pytest.mark.parametrize("first_damaged", STEPS)
def test_damage_to_this_and_every_later_state_goes_back_before_all_of_them(kept, first_damaged):
    damaged = [step for step in STEPS if step >= first_damaged]
    for step in damaged:
        empty(kept.path("state", step))
    assert kept.resumed() == before(first_damaged)
    assert len(kept.lines) == len(damaged)
    assert kept.resumed() == before(first_damaged)


@pytest.mark.parametrize("kind", ["state", "record"])
def test_a_file_with_any_bit_flipped_is_not_used(tmp_path, kind):
    """Every bit of the header and of the tensors is flipped by itself."""
    lines: list[str] = []
    states = States(tmp_path, lines.append)
    states._write(kind, State(7, {"W": torch.ones(2)}, {"after": None}))
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    for bit in range(8 * len(content)):
        flip(bit)(path)
        assert states._read(path) is None, bit
        path.write_bytes(content)
    assert len(lines) == 8 * len(content) > 800
    assert same(states._read(path), State(7, {"W": torch.ones(2)}, {"after": None}))


@pytest.mark.parametrize("length", range(0, 200, 7))
def test_a_file_cut_at_any_length_is_not_used(kept, length):
    path = kept.path("state", 2500)
    path.write_bytes(path.read_bytes()[:length])
    assert kept.resumed() == 2000


@pytest.mark.parametrize("step", STEPS)
def test_no_run_goes_on_from_a_state_after_a_missing_record(kept, step):
    kept.path("record", step).unlink()
    assert kept.resumed() == before(step)
    assert all(left < step for kind in ("state", "record") for left in kept.steps(kind))


@pytest.mark.parametrize("step", STEPS)
def test_a_missing_state_matters_only_if_it_is_the_last(kept, step):
    """A job that is killed between a record and its state leaves a missing state."""
    kept.path("state", step).unlink()
    assert kept.resumed() == (2000 if step == 2500 else 2500)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", ["state", "record"])
def test_a_file_of_another_digest_is_reported_and_not_used(kept, kind, step):
    path = kept.path(kind, step)
    path.rename(path.with_name(f"{kind}-{step:09d}-0123456789abcdef.safetensors"))
    expected = 2500 if kind == "state" and step < 2500 else before(step)
    assert kept.resumed() == expected
    assert any("0123456789abcdef" in line for line in kept.lines)


def test_a_file_of_another_replica_is_reported_and_not_used(tmp_path):
    """Digest and step of such a file fit its name, so the file itself has to say whose it is."""
    mine, other = Kept(tmp_path / "mine"), Kept(tmp_path / "other")
    for path in mine.states.folder.iterdir():
        path.unlink()
    for path in other.states.folder.iterdir():
        shutil.copy(path, mine.states.folder)
    assert mine.states.nearest(2500) is None
    assert len(mine.lines) == len(STEPS)
    assert all("is a state of other and not a state of mine; not used" in line for line in mine.lines)
    assert mine.states.resume() is None


def test_a_record_is_not_taken_for_a_state(kept):
    kept.path("state", 2000).unlink()
    path = kept.path("record", 2000)
    path.rename(path.with_name(path.name.replace("record", "state")))
    assert kept.states.nearest(2400).step == 1500
    assert "is a record of " in kept.lines[0]


@pytest.mark.parametrize("to", [750, 1500, 3000])
@pytest.mark.parametrize("kind", ["state", "record"])
def test_a_file_renamed_to_another_step_is_not_used(kept, kind, to):
    path = kept.path(kind, 1000)
    path.rename(path.with_name(path.name.replace("000001000", f"{to:09d}")))
    assert kept.resumed() == (2500 if kind == "state" else 500)


def test_the_nearest_state_is_not_one_renamed_to_an_earlier_step(kept):
    path = kept.path("state", 2000)
    path.rename(path.with_name(path.name.replace("000002000", "000000750")))
    assert same(kept.states.nearest(800), state(500))
    assert "000000750" in kept.lines[0]


def test_an_old_last_state_under_a_later_name_is_not_the_later_state(kept):
    """The file of step 1000 takes the place of step 2500's: it is whole, but of another step."""
    kept.path("state", 2500).unlink()
    path = kept.path("state", 1000)
    path.rename(path.with_name(path.name.replace("000001000", "000002500")))
    assert kept.resumed() == 2000
    assert any("000002500" in line for line in kept.lines)


def test_a_file_whose_name_has_no_step_stops_nothing(kept):
    (kept.states.folder / "state-copy-of.safetensors").write_bytes(b"?")
    (kept.states.folder / "record-.safetensors").write_bytes(b"?")
    (kept.states.folder / "state-.safetensors").write_bytes(b"?")
    assert kept.resumed() == 2500


def test_files_after_the_resumed_state_are_removed(kept):
    empty(kept.path("state", 2000))
    kept.path("record", 2500).unlink()
    assert kept.resumed() == 1500
    assert kept.steps("state") == kept.steps("record") == [500, 1000, 1500]


def test_all_files_are_removed_if_no_state_can_be_resumed(kept):
    kept.path("record", 500).unlink()
    assert kept.resumed() is None
    assert list(kept.states.folder.iterdir()) == []


def test_states_kept_after_damage_continue_from_the_resumed_one(kept):
    """A resumed run keeps the damaged step's state anew."""
    empty(kept.path("record", 1500))
    assert kept.resumed() == 1000
    kept.states.keep(state(1500), record(1500, 1000))
    assert kept.resumed() == 1500


def test_a_record_that_follows_another_step_is_not_used(tmp_path):
    kept = Kept(tmp_path)
    kept.path("record", 2000).unlink()
    kept.states.keep(state(2000), record(2000, 1000))  # follows 1000, but the record before it is of 1500
    assert kept.resumed() == 1500


def test_keeping_the_same_state_twice_is_one_file(kept):
    kept.states.keep(state(2500), record(2500, 2000))
    assert kept.steps("state") == kept.steps("record") == list(STEPS)
    assert kept.resumed() == 2500


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (-1, None),
        (0, None),
        (499, None),
        (500, 500),
        (999, 500),
        (1000, 1000),
        (2499, 2000),
        (2500, 2500),
        (9999, 2500),
    ],
)
def test_the_nearest_state_is_the_last_one_not_after_the_step(kept, step, expected):
    nearest = kept.states.nearest(step)
    assert nearest is None if expected is None else same(nearest, state(expected))
    assert kept.lines == []


def test_the_nearest_state_is_a_whole_one(kept):
    truncate(kept.path("state", 1500))
    flip(77)(kept.path("state", 1000))
    assert same(kept.states.nearest(1800), state(500))
    assert len(kept.lines) == 2
    assert same(kept.states.nearest(2000), state(2000))


def test_the_nearest_state_needs_no_records_and_removes_nothing(kept):
    kept.states.thin(5, EVERY)
    assert same(kept.states.nearest(1700), state(1500))
    assert kept.steps("state") == list(STEPS)


@pytest.mark.parametrize(
    ("how_many", "expected"),
    [
        (0, []),
        (1, [2500]),
        (2, [1500, 2500]),
        (3, [1000, 1500, 2500]),
        (4, [500, 1500, 2000, 2500]),
        (5, list(STEPS)),
        (6, list(STEPS)),
        (1000, list(STEPS)),
    ],
)
def test_thinning_keeps_the_given_number_of_states_and_no_record(kept, how_many, expected):
    kept.states.thin(how_many, EVERY)
    assert kept.steps("state") == expected
    assert kept.steps("record") == []
    kept.states.thin(how_many, EVERY)
    assert kept.steps("state") == expected


def test_thinning_keeps_the_given_number_of_states_evenly_with_the_last(tmp_path):
    for n in (1, 2, 7, 12, 13):
        for how_many in range(1, n + 1):
            states = States(tmp_path / f"{n} {how_many}")
            for i in range(1, n + 1):
                states._write("state", State(500 * i, {"weights.W": torch.zeros(1)}, {}))
            states.thin(how_many, EVERY)
            steps = sorted(int(path.name.split("-")[1]) // 500 for path in states.folder.iterdir())
            assert len(steps) == how_many
            assert steps[-1] == n
            gaps = [after - before for before, after in zip([0, *steps], steps, strict=False)]
            assert max(gaps) - min(gaps) <= 1


def test_no_run_goes_on_from_thinned_states(kept):
    """Thinning removes records, so a job that has to run again trains from the start."""
    kept.states.thin(5, EVERY)
    assert kept.resumed() is None


def test_states_of_other_code_or_settings_are_removed_for_this_replica_alone(tmp_path):
    kinds = [tmp_path / f"replica-{position}" / name for position in (0, 1) for name in ("old", "now", "older")]
    kept = {folder: Kept(folder) for folder in kinds}
    states = kept[tmp_path / "replica-0" / "now"].states
    assert states.only() == states
    assert sorted(folder.name for folder in (tmp_path / "replica-0").iterdir()) == ["now"]
    assert len(list((tmp_path / "replica-1").iterdir())) == 3
    assert kept[tmp_path / "replica-0" / "now"].resumed() == 2500


def test_removing_other_states_makes_no_folder(tmp_path):
    States(tmp_path / "replica-0" / "now").only()
    assert list(tmp_path.iterdir()) == []


def test_removing_other_states_leaves_files_beside_the_folders(kept):
    (kept.states.folder.parent / ".DS_Store").write_bytes(b"")
    kept.states.only()
    assert kept.resumed() == 2500


@pytest.fixture
def split(tmp_path: Path) -> Path:
    path = tmp_path / "split.parquet"
    path.write_text("examples")
    return path


def test_the_folder_changes_with_everything_that_states_depend_on(tmp_path, split, monkeypatch):
    causes = {"position": 0, "code": "c0de", "settings": "{}", "device": "cpu", "split": split}

    def folder(**changes: object) -> Path:
        return folder_of(tmp_path / "states", **{**causes, **changes})

    folders = [
        folder(),
        folder(position=1),
        folder(code="c0df"),
        folder(settings='{"steps": 2}'),
        folder(device="cuda"),
    ]
    split.write_text("other examples")
    folders.append(folder())
    split.write_text("examples")
    assert folder() == folders[0]
    monkeypatch.setattr(torch, "__version__", "0.0.0")
    folders.append(folder())
    assert len(set(folders)) == len(folders) == 7
    assert folders[0].parent == tmp_path / "states" / "replica-0"
    assert folders[1].parent == tmp_path / "states" / "replica-1"
    assert folders[0].name != folders[1].name, "files know their replica by the folder's name"


def test_the_folder_does_not_depend_on_where_the_split_lies(tmp_path, split):
    folder = folder_of(tmp_path, 0, "c", "{}", "cpu", split)
    assert folder == folder_of(tmp_path, 0, "c", "{}", "cpu", split.rename(tmp_path / "moved.parquet"))


SMALL = """
import resource, sys, torch
from pathlib import Path
from general_circuits.storage.training_states import State, States
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
record = State(3000, {"metrics.3000": torch.zeros(1)}, {"after": 2500})
try:
    States(Path(sys.argv[1])).keep(State(3000, {"weights.W": torch.zeros(1000)}, {}), record)
except OSError as error:
    sys.exit(error.errno)
"""


def test_a_state_that_does_not_fit_leaves_earlier_files_whole_and_no_part_of_itself(kept):
    """The file-size limit allows the record and not the state."""
    files = {path: path.read_bytes() for path in kept.states.folder.iterdir()}
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    run = subprocess.run([sys.executable, "-c", SMALL, str(kept.states.folder)], check=False)
    assert run.returncode == errno.EFBIG
    left = set(kept.states.folder.iterdir()) - files.keys()
    assert [path.name.split("-")[:2] for path in left] == [["record", "000003000"]]
    assert all(path.read_bytes() == content for path, content in files.items())
    assert kept.resumed() == 2500
    assert set(kept.states.folder.iterdir()) == files.keys()


def test_a_full_disk_leaves_earlier_files_whole(kept, monkeypatch):
    files = {path: path.read_bytes() for path in kept.states.folder.iterdir()}

    def full(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        kept.states.keep(state(3000), record(3000, 2500))
    assert {path: path.read_bytes() for path in kept.states.folder.iterdir()} == files


def test_the_temporary_file_of_a_killed_write_is_no_state(kept):
    path = kept.path("state", 2500)
    path.with_name(f".{path.name}.0123").write_bytes(path.read_bytes()[:50])
    assert kept.resumed() == 2500
    assert kept.lines == []
