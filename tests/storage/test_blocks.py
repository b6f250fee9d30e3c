"""A block's split table gives every replica its examples."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from general_circuits.storage import tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.split import TABLE as SPLIT
from general_circuits.tasks.vocabulary import Vocabulary

CPU = torch.device("cpu")


@pytest.fixture
def block(tmp_path: Path) -> Block:
    """Two replicas of x + y modulo 2: replica 9 trains on the sums of 1, replica 5 on the sums of 0."""
    rows = []
    for replica, sum_of_train in ((9, 1), (5, 0)):
        for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
            total = (a + b) % 2
            row = {"condition": "tiny", "replica": replica, "example": 2 * a + b, "a": a, "b": b, "inputs": None}
            row |= {"wrap": None, "split": "train" if total == sum_of_train else "validation"}
            rows.append(row | {"target": total, "label": total})
    frame = pd.DataFrame(rows).astype({"wrap": "Int32"})
    vocabulary = {"n_inputs": 2, "n_symbols": 2, "n_classes": 2}
    tables.write(tmp_path / "split.parquet", SPLIT, frame, {"vocabulary": vocabulary})
    return Block(tmp_path / "split.parquet", CPU)


def test_replicas_come_by_seed_with_their_positions(block: Block) -> None:
    assert [(position, replica) for position, replica, _ in block.replicas()] == [(0, 5), (1, 9)]


def test_each_replica_has_its_own_split_of_the_same_examples(block: Block) -> None:
    (_, _, first), (_, _, second) = block.replicas()
    assert first["train"].tokens.tolist() == second["validation"].tokens.tolist() == [[0, 0, 2], [1, 1, 2]]
    assert first["validation"].tokens.tolist() == second["train"].tokens.tolist() == [[0, 1, 2], [1, 0, 2]]
    assert first["train"].labels.tolist() == [0, 0]
    assert first["validation"].labels.tolist() == [1, 1]


def test_the_vocabulary_is_the_one_in_the_tables_metadata(block: Block) -> None:
    assert block.vocabulary == Vocabulary(n_inputs=2, n_symbols=2, n_classes=2)
