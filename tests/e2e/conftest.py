"""One cluster for each engine, shared by the tests of this folder that don't break its daemons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import OneHostCluster
from tests.integration.conftest import engine  # noqa: F401  (the fixture, parametrised by engine)
from tests.integration.engines import Engine

IMAGE = "localhost/hullmark-test:1"


@pytest.fixture(scope="session")
def cluster(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneHostCluster]:
    engine.load_image(IMAGE)
    folder = Path(tmp_path_factory.mktemp("e2e"))
    with OneHostCluster(folder, engine.socket) as cluster:
        yield cluster
        cluster.remove_containers()
