"""The Parquet contract: tables come back as written, equal work gives equal bytes, and no file is half written."""

from __future__ import annotations

import json
import re
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from general_circuits import __version__
from general_circuits.storage import tables
from general_circuits.storage.files import UnusableFileError
from general_circuits.storage.schemas import registry

EVENTS = pd.DataFrame(
    {
        "condition": ["grokking"] * 3 + ["control"],
        "replica": [1, 0, 0, 0],
        "event": ["onset", "onset", "generalised", "onset"],
        "after": [280, 180, 250, 400],
        "step": [300, 200, 250, 400],
        "censored": [False, False, True, True],
    }
)


def example(name: str) -> pd.DataFrame:
    """Make three rows of any table, unsorted, with a missing value in each column that allows one."""
    frame = pd.DataFrame(index=range(3))
    for field in registry.table(name).schema:
        if field.type == tables.NUMBER and field.name in registry.table(name).key:
            frame[field.name] = [0.1, 0.0, -1e300]
        elif field.type == tables.NUMBER:
            frame[field.name] = [0.1, np.nan, -1e300]
        elif field.type == tables.SINGLE:
            frame[field.name] = [0.5, np.nan, -(2.0**100)]
        elif field.type == tables.INTEGER:
            frame[field.name] = [2, 0, 1]
        elif field.type == tables.FLAG:
            frame[field.name] = [True, False, True]
        elif field.type == tables.INTEGERS:
            frame[field.name] = [[5, 6], None, [7]]
        elif field.type == tables.SINGLES:
            frame[field.name] = [[0.5], None, [1.0, -2.0]]
        elif field.type == tables.NUMBERS:
            frame[field.name] = [[0.1], [], [1e300, -2.0]]
        else:
            frame[field.name] = ["c", "a", "b"]
    return frame


@pytest.mark.parametrize("name", registry.names())
def test_a_table_comes_back_as_written_and_sorted_by_its_key(name: str, tmp_path: Path) -> None:
    frame, path = example(name), tmp_path / "one.parquet"
    tables.write(path, registry.table(name), frame)
    read = tables.read(path, registry.table(name))
    expected = frame.sort_values(list(registry.table(name).key), ignore_index=True)
    assert read.columns.tolist() == registry.table(name).schema.names
    for column in (field.name for field in registry.table(name).schema if pa.types.is_list(field.type)):
        read[column] = [None if value is None else value.tolist() for value in read[column]]
    pd.testing.assert_frame_equal(read, expected[read.columns], check_dtype=False, check_categorical=False)


def test_categories_are_encoded_as_dictionaries(tmp_path: Path) -> None:
    tables.write(tmp_path / "events.parquet", registry.table("events"), EVENTS)
    schema = pq.read_schema(tmp_path / "events.parquet")
    assert pa.types.is_dictionary(schema.field("condition").type)
    assert pq.ParquetFile(tmp_path / "events.parquet").metadata.row_group(0).column(0).compression == "ZSTD"
    assert tables.read(tmp_path / "events.parquet", registry.table("events"))["condition"].cat.categories.tolist() == [
        "control",
        "grokking",
    ]


def test_missing_whole_numbers_come_back_missing(tmp_path: Path) -> None:
    frame = example("task").assign(wrap=pd.Series([1, None, -1], dtype="Int32"))
    tables.write(tmp_path / "task.parquet", registry.table("task"), frame)
    read = tables.read(tmp_path / "task.parquet", registry.table("task")).set_index("example")["wrap"]
    assert (read[2], read[1]) == (1, -1)
    assert np.isnan(read[0])


def test_missing_values_in_a_list_of_numbers_come_back_missing(tmp_path: Path) -> None:
    lists = [[0.1, np.nan, -1e300], [np.nan, np.nan], []]
    tables.write(tmp_path / "claim.parquet", registry.table("claim"), example("claim").assign(values=lists))
    read = tables.read(tmp_path / "claim.parquet", registry.table("claim")).set_index("contrast")["values"]
    for contrast, values in zip("cab", lists, strict=True):
        assert read[contrast].dtype == np.float64
        np.testing.assert_array_equal(read[contrast], values)


def test_equal_frames_are_equal_bytes_whatever_the_order_of_rows_and_columns(tmp_path: Path) -> None:
    metadata, same = {"condition": {"b": 1, "a": [2]}}, {"condition": {"a": [2], "b": 1}}
    tables.write(tmp_path / "one.parquet", registry.table("events"), EVENTS, metadata)
    other = EVENTS.sample(frac=1, random_state=1)[EVENTS.columns[::-1]]
    tables.write(tmp_path / "two.parquet", registry.table("events"), other, same)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_metadata_come_back_with_the_version_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    metadata = {"n_symbols": 97, "condition": {"task": {"operation": "x+y"}}}
    tables.write(path, registry.table("events"), EVENTS, metadata)
    read = tables.read_metadata(path)
    assert re.fullmatch("general-circuits-sha256:[0-9a-f]{64}", read[tables.WRITTEN].pop("seal"))
    assert read == {**metadata, "replicas": [0, 1], "file": {"place": "", "rows": len(EVENTS)}}
    assert tables.inherited(path) == {**metadata, "replicas": [0, 1]}
    assert pq.read_schema(path).metadata == {
        b"n_symbols": b"97",
        b"condition": json.dumps(metadata["condition"]).encode(),
        b"general_circuits": __version__.encode(),
        b"replicas": b"[0, 1]",
    }
    assert socket.gethostname().encode() not in path.read_bytes()


def test_missing_and_unknown_columns_are_named_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    with pytest.raises(ValueError, match="missing columns") as refused:
        tables.write(path, registry.table("events"), EVENTS.rename(columns={"step": "steps", "censored": "gone"}))
    assert str(refused.value) == (
        f"{path}: not a events table: missing columns ['censored', 'step'], unknown columns ['gone', 'steps']"
    )
    assert not path.exists()


def test_another_table_is_not_read_as_this_one(tmp_path: Path) -> None:
    path = tmp_path / "split.parquet"
    tables.write(path, registry.table("split"), example("split"))
    message = r"split\.parquet: is not a events table: missing columns \['after', 'censored', 'event'"
    with pytest.raises(UnusableFileError, match=message):
        tables.read(path, registry.table("events"))


def test_columns_of_another_type_are_named_with_the_file(tmp_path: Path) -> None:
    path, events = tmp_path / "events.parquet", registry.table("events")
    other = {**events.columns, "step": tables.NUMBER}
    tables.write(path, replace(events, columns=other), EVENTS)
    with pytest.raises(UnusableFileError, match="another type") as refused:
        tables.read(path, events)
    assert str(refused.value).startswith(
        f"{path}: is not a events table: columns of another type: {{'step': 'double'}};"
    )


def test_a_value_that_does_not_fit_its_column_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(pa.ArrowInvalid, match="step"):
        tables.write(tmp_path / "events.parquet", registry.table("events"), EVENTS.assign(step=["a", "b", "c", "d"]))
    with pytest.raises(pa.ArrowInvalid):
        tables.write(tmp_path / "events.parquet", registry.table("events"), EVENTS.assign(step=2**40))
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_fails_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.parquet"
    tables.write(path, registry.table("events"), EVENTS)
    before = path.read_bytes()

    def half_way(where: Path, *_: object, **__: object) -> None:
        Path(where).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(pq, "ParquetWriter", half_way)
    with pytest.raises(OSError, match="disk full"):
        tables.write(path, registry.table("events"), EVENTS.assign(step=1))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def parts_of(frame: pd.DataFrame, table: tables.Table) -> list[pd.DataFrame]:
    """Split a frame in its table's order into parts of one row."""
    in_order = frame.sort_values(list(table.key), ignore_index=True)
    return [in_order[i : i + 1] for i in range(len(in_order))]


@pytest.mark.parametrize("name", registry.names())
def test_a_table_written_in_parts_equals_one_written_at_once(name: str, tmp_path: Path) -> None:
    table, frame = registry.table(name), example(name)
    metadata = {"n_symbols": 97, "replicas": [0]}
    tables.write(tmp_path / "whole.parquet", table, frame, metadata)
    tables.write_in_parts(tmp_path / "parts.parquet", table, parts_of(frame, table), metadata)
    whole, parts = (tables.read(tmp_path / f"{which}.parquet", table) for which in ("whole", "parts"))
    pd.testing.assert_frame_equal(parts, whole)
    assert pq.read_schema(tmp_path / "parts.parquet").equals(pq.read_schema(tmp_path / "whole.parquet"), True)


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0), (0, 2, 1)])
def test_parts_out_of_order_are_refused_and_leave_the_old_file_alone(order: tuple[int, ...], tmp_path: Path) -> None:
    table, path = registry.table("events"), tmp_path / "events.parquet"
    tables.write(path, table, EVENTS)
    before, parts = path.read_bytes(), parts_of(EVENTS[:3], table)
    with pytest.raises(ValueError, match=r"events\.parquet: parts out of order: \('grokking', "):
        tables.write_in_parts(path, table, (parts[i] for i in order))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_part_that_lacks_a_column_leaves_no_file(tmp_path: Path) -> None:
    first, second, _ = parts_of(EVENTS[:3], registry.table("events"))
    with pytest.raises(ValueError, match=r"missing columns \['step'\]"):
        tables.write_in_parts(
            tmp_path / "events.parquet", registry.table("events"), [first, second.drop(columns="step")]
        )
    assert list(tmp_path.iterdir()) == []


def written_study(results: Path) -> list[pd.DataFrame]:
    """Write events of two conditions in two blocks each, and return them as read."""
    parts = []
    for condition in ("zeta", "alpha"):
        for block in (0, 1):
            frame = EVENTS[:3].assign(condition=condition, replica=[2 * block, 2 * block + 1, 2 * block])
            path = results / f"runs/{condition}/{block}/events.parquet"
            tables.write(path, registry.table("events"), frame)
            parts.append(tables.read(path, registry.table("events")))
    return parts


def test_a_study_has_its_blocks_below_one_another(tmp_path: Path) -> None:
    parts = written_study(tmp_path)
    study = tables.read_study(tmp_path, registry.table("events"), {"condition": ["zeta", "alpha"], "block": range(2)})
    assert len(study) == sum(len(part) for part in parts)
    assert study["condition"].tolist() == ["zeta"] * 6 + ["alpha"] * 6
    assert study["replica"].tolist() == [int(r) for part in parts for r in part["replica"]]
    assert study["step"].tolist() == [int(s) for part in parts for s in part["step"]]


@pytest.mark.parametrize("conditions", [["zeta", "alpha"], ["alpha", "zeta"], ["alpha"]])
def test_conditions_of_a_study_keep_the_given_order(conditions: list[str], tmp_path: Path) -> None:
    written_study(tmp_path)
    study = tables.read_study(tmp_path, registry.table("events"), {"condition": conditions, "block": range(2)})
    assert study["condition"].cat.categories.tolist() == conditions
    assert not study["condition"].isna().any()


def test_a_missing_block_is_named(tmp_path: Path) -> None:
    written_study(tmp_path)
    with pytest.raises(UnusableFileError, match=r"2/events\.parquet: is missing"):
        tables.read_study(tmp_path, registry.table("events"), {"condition": ["alpha"], "block": range(3)})


STUDY = {"condition": ["zeta", "alpha"], "block": range(2), "claim": ["topk_damage", "saliency_skew"]}


@pytest.mark.parametrize(
    ("name", "axes", "files"),
    [
        (
            "events",
            ["condition", "block"],
            [f"runs/{name}/events.parquet" for name in ("zeta/0", "zeta/1", "alpha/0", "alpha/1")],
        ),
        ("claim", ["claim"], ["claims/topk_damage.parquet", "claims/saliency_skew.parquet"]),
        ("verdicts", [], ["claims/verdicts.parquet"]),
    ],
)
def test_a_study_has_a_file_for_each_combination_of_what_a_path_names(
    name: str, axes: list[str], files: list[str]
) -> None:
    assert registry.table(name).axes == axes
    assert tables.files(registry.table(name), STUDY) == files


def test_claims_of_a_study_keep_the_given_order(tmp_path: Path) -> None:
    table = registry.table("claim")
    for claim in STUDY["claim"]:
        tables.write(tmp_path / f"claims/{claim}.parquet", table, example("claim").assign(claim=claim))
    study = tables.read_study(tmp_path, table, STUDY)
    assert study["claim"].cat.categories.tolist() == STUDY["claim"]
    assert study["claim"].tolist() == ["topk_damage"] * 3 + ["saliency_skew"] * 3
    assert study["contrast"].tolist() == ["a", "b", "c"] * 2


def test_a_table_in_one_file_ignores_the_axes(tmp_path: Path) -> None:
    table = registry.table("verdicts")
    frame = example("verdicts").assign(claim=["takeover", "saliency_skew", "topk_damage"])
    tables.write(tmp_path / table.path, table, frame)
    study = tables.read_study(tmp_path, table, STUDY)
    pd.testing.assert_frame_equal(study, tables.read(tmp_path / table.path, table))
    assert study["claim"].tolist() == ["saliency_skew", "takeover", "topk_damage"]


def test_a_list_of_all_conditions_is_cut_to_the_conditions_of_other_tables(tmp_path: Path) -> None:
    """A claim sees no condition but its own. Read alone, the table has all conditions."""
    written_study(tmp_path)
    listed = registry.table("conditions")
    rows = [(name, "optimiser.weight_decay", "1", 1.0) for name in ("alpha", "other", "zeta")]
    tables.write(tmp_path / listed.path, listed, pd.DataFrame(rows, columns=listed.schema.names))
    axes = {"conditions": {}, "events": {"condition": ["zeta"], "block": range(2)}}
    frames = registry.read(tmp_path, ["events", "conditions"], axes)
    assert list(frames) == ["events", "conditions"]
    assert frames["conditions"]["condition"].tolist() == ["zeta"]
    alone = registry.read(tmp_path, ["conditions"], {"conditions": {}})
    assert alone["conditions"]["condition"].tolist() == ["alpha", "other", "zeta"]


def test_no_two_tables_share_a_path() -> None:
    paths = [registry.table(name).path for name in registry.names()]
    assert len(set(paths)) == len(paths)
    assert all(path.endswith(".parquet") for path in paths)


def test_categories_are_sorted_as_words_whatever_their_own_order(tmp_path: Path) -> None:
    plain = EVENTS.assign(condition=EVENTS["condition"].astype(str))
    names = sorted(plain["condition"].unique(), reverse=True)
    ordered = plain.assign(condition=pd.Categorical(plain["condition"], categories=[*names, "unused"]))
    tables.write(tmp_path / "one.parquet", registry.table("events"), plain)
    tables.write(tmp_path / "two.parquet", registry.table("events"), ordered)
    read = tables.read(tmp_path / "two.parquet", registry.table("events"))
    tables.write(tmp_path / "three.parquet", registry.table("events"), read)
    assert len({(tmp_path / f"{name}.parquet").read_bytes() for name in ("one", "two", "three")}) == 1


@pytest.mark.parametrize("name", registry.names())
def test_every_column_of_a_table_has_a_meaning_and_none_is_left_over(name: str) -> None:
    table = registry.table(name)
    assert table.name == name
    assert set(table.meanings) <= set(table.schema.names) <= {*table.meanings, *tables.MEANINGS}
    assert list(table.described()) == table.schema.names
    for text in (table.row, *(word for words in table.described().values() for word in words)):
        assert text
        assert text == text.strip().rstrip(".")
        assert "\n" not in text


def test_a_shared_meaning_is_used_by_several_tables_and_repeated_by_none() -> None:
    every = [registry.table(name) for name in registry.names()]
    for column, meaning in tables.MEANINGS.items():
        assert sum(column in table.schema.names and column not in table.meanings for table in every) > 1
        assert all(table.meanings.get(column) != meaning for table in every)


def test_a_tables_own_meaning_goes_before_the_shared_one() -> None:
    assert registry.table("events").described()["step"][1] == registry.table("events").meanings["step"]
    assert registry.table("metrics").described()["step"] == ("integer", tables.MEANINGS["step"])


def test_the_dictionary_has_every_column_of_every_table_once() -> None:
    columns = [(entry.table, entry.path, entry.row, entry.column) for entry in registry.dictionary()]
    assert columns == [
        (name, registry.table(name).path, registry.table(name).row, column)
        for name in registry.names()
        for column in registry.table(name).schema.names
    ]
    assert {entry.type for entry in registry.dictionary()} == set(tables.TYPES.values())
