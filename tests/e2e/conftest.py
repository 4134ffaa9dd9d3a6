"""One cluster for each engine, shared by the tests of this folder that don't break its daemons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import OneHostCluster
from tests.integration.engines import Engine
from tests.integration.fixtures import (  # noqa: F401
    clean_engine,
    engine,
    fresh_engine,
    registry,
)

IMAGE = "localhost/hullmark-test:1"


@pytest.fixture(scope="session")
def cluster(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneHostCluster]:
    engine.load_image(IMAGE)
    folder = Path(tmp_path_factory.mktemp("e2e"))
    with OneHostCluster(folder, engine.socket) as cluster:
        yield cluster
        cluster.remove_containers()


@pytest.fixture
def own(engine: Engine, tmp_path: Path) -> Iterator[OneHostCluster]:
    """A cluster for one test, which may kill, starve and mislead its daemons."""
    engine.load_image(IMAGE)
    with OneHostCluster(tmp_path / "c", engine.socket) as cluster:
        yield cluster
        cluster.stop()
        cluster.remove_containers()
