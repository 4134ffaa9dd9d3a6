"""One cluster for each engine, shared by the tests of this folder that don't break its daemons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import server
from tests.chaos.pair import Pair
from tests.cluster import OneHostCluster
from tests.fleet import QUICK_MASTER, Fleet
from tests.integration.engines import ENGINES, Engine
from tests.integration.fixtures import (  # noqa: F401
    clean_engine,
    engine,
    fresh_engine,
    registry,
)
from tests.integration.namespaces import enter_private_network

IMAGE = "localhost/hullmark-test:1"
ENGINE_NAMES = sorted(ENGINES)
FEW_ADDRESSES = "10.214.0.0/25"
"""A range for 126 services."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test marked `one_engine` is about what no engine has a part in. The everyday run tries every other one with
    Docker and the rest with Podman; the full one tries all with both. `one_engine(together=True)`: all of a file with
    the same one."""
    tests: dict[str, list[pytest.Function]] = {}
    for item in items:
        mark = item.get_closest_marker("one_engine")
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and mark is not None:
            name = "" if mark.kwargs.get("together") else f".{item.originalname}"
            tests.setdefault(f"{item.module.__name__}{name}", []).append(item)
    for number, name in enumerate(sorted(tests)):
        chosen = ENGINE_NAMES[number % len(ENGINE_NAMES)]
        for item in tests[name]:
            if item.callspec.params.get("engine", chosen) != chosen:
                item.add_marker(pytest.mark.full)


@pytest.fixture(scope="session")
def cluster(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneHostCluster]:
    engine.load_image(IMAGE)
    folder = Path(tmp_path_factory.mktemp("e2e"))
    with OneHostCluster(folder, engine.socket) as cluster:
        yield cluster
        cluster.stop()
        cluster.remove_containers()


@pytest.fixture
def own(engine: Engine, tmp_path: Path) -> Iterator[OneHostCluster]:
    """A cluster for one test, which may kill, starve and mislead its daemons."""
    engine.load_image(IMAGE)
    with OneHostCluster(tmp_path / "c", engine.socket) as cluster:
        yield cluster
        cluster.stop()
        cluster.remove_containers()


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Three hosts, shared by all tests that want several."""
    enter_private_network()
    with Fleet(Path(tmp_path_factory.mktemp("fleet"))) as fleet:
        yield fleet


@pytest.fixture
def fleet(bed: Fleet) -> Iterator[Fleet]:
    """The three hosts, all ready and without apps; a test may cut them off, and kill what runs on them."""
    yield bed
    bed.heal()
    bed.empty()


@pytest.fixture(scope="session")
def proxied_bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A pair of masters, and three hosts with a proxy each and with the image that stands a load. Few services have addresses, so that a test can
    ask for more."""
    enter_private_network()
    folder = Path(tmp_path_factory.mktemp("proxied"))
    options = f"{QUICK_MASTER}services: {{range: {FEW_ADDRESSES}}}\n"
    with Pair(folder, master_options=options, proxy=True) as pair:
        for host in pair.hosts.values():
            server.load_image(host.engine)
        yield pair


@pytest.fixture
def proxied(proxied_bed: Pair) -> Iterator[Pair]:
    """The same, without apps; a test may break what it likes."""
    yield proxied_bed
    proxied_bed.heal()
    proxied_bed.empty()
