"""Fixtures: one cluster with accounting and one without. Tests skip where no cluster can run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, why_not


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as `slurm`, which plain `pytest` leaves out."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slurm)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Yield a cluster with an accounting database."""
    yield from _up(Cluster(tmp_path_factory.mktemp("cluster"), port=17100))


@pytest.fixture(scope="session")
def plain_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Yield a cluster without an accounting database."""
    yield from _up(Cluster(tmp_path_factory.mktemp("plain"), port=17200, has_accounting=False))


def _up(cluster: Cluster) -> Iterator[Cluster]:
    if reason := why_not():
        pytest.skip(reason)
    try:
        yield cluster.up()
    finally:
        cluster.down()
