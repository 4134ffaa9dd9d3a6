"""What the worker does for names and connections, around a start and a stop."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional, cast

import pytest

from hullmark.agentd.hostnames import HostsFiles, Naming
from hullmark.agentd.reach import ByProxy, NoReach
from hullmark.engine.protocol import Container, ContainerState
from hullmark.errors import EngineUnavailable
from hullmark.host.interfaces import Interface
from hullmark.model.app import Attachment, Bundle
from hullmark.model.directory import Directory, ServiceEntry, ServiceName
from hullmark.model.epoch import Epoch
from hullmark.model.orders import InstanceId
from tests.unit.agentd.fakes import CLUSTER, Agent, bundle_of, orders_of

WEB = InstanceId("shop", "web", 1, 1)
BUNDLE = bundle_of(networks=(Attachment("back"),), extra_hosts=("up:host-gateway",))
DB = ServiceEntry(ServiceName("shop", "db"), "10.214.0.4", (5432,), networks={"back": ()})
BRIDGE = Interface("br-1", 3, "10.213.0.1", ipaddress.IPv4Network("10.213.0.0/25"))


class FakeEngine:
    """Has the one container; `raises` in place of it."""

    def __init__(self, container: Container) -> None:
        self.one = container
        self.raises: Optional[Exception] = None

    def container(self, container_id: str) -> Container:
        if self.raises is not None:
            raise self.raises
        return self.one


class FakeObserver(FakeEngine):
    """As last seen."""

    def __init__(self, container: Container) -> None:
        super().__init__(container)
        self.learned: list[Container] = []

    def learn(self, container: Container) -> None:
        self.learned.append(container)


class Bed:
    """A host with a proxy, which has told of `shop/db`."""

    def __init__(self, folder: Path) -> None:
        self.installed = True
        self.directory = Directory(digest="d1", range="10.214.0.0/16", services=(DB,))
        self.files = HostsFiles(folder / "hosts")
        self.naming = Naming(
            self.files, lambda: self.directory, lambda: "docker", lambda: (BRIDGE,)
        )
        self.container = Container(
            "id1",
            WEB.container_name,
            WEB,
            CLUSTER,
            "f" * 64,
            Epoch(1, 1),
            ContainerState.RUNNING,
            started_at=5.0,
            addresses={"shop_back": "10.213.0.2"},
            hostname="id1",
            extra_hosts=("up:host-gateway",),
            hosts_file=str(self.files.path(WEB)),
        )
        self.engine, self.observer = FakeEngine(self.container), FakeObserver(self.container)
        self.reach = ByProxy(
            cast(Any, self.engine),
            cast(Any, self.observer),
            self.naming,
            cast(Any, None),
            lambda: self.installed,
        )


def lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


def test_a_container_is_made_with_names_and_learns_its_own_when_it_starts(bed: Bed) -> None:
    path = bed.reach.hosts_file(WEB, BUNDLE)
    assert path == str(bed.files.path(WEB))
    assert "10.214.0.4\tdb db.shop" in lines(path)
    assert not any("10.213.0." in line for line in lines(path)), "it has no address yet"
    bed.reach.started("id1")
    assert "10.213.0.2\tid1" in lines(path)
    assert "10.213.0.1\tup" in lines(path)
    assert [one.container_id for one in bed.observer.learned] == ["id1"]


def test_one_that_starts_again_forgets_its_address_first(bed: Bed) -> None:
    path = bed.reach.hosts_file(WEB, BUNDLE)
    bed.reach.started("id1")
    bed.reach.starts_again("id1", BUNDLE)
    assert "10.213.0.2\tid1" not in lines(path)
    bed.reach.started("id1")
    assert "10.213.0.2\tid1" in lines(path), "though it is the same as before"


def test_a_service_that_comes_later_is_told_in_the_same_file(bed: Bed) -> None:
    path = bed.reach.hosts_file(WEB, BUNDLE)
    bed.reach.started("id1")
    inode = Path(path).stat().st_ino
    more = dataclasses.replace(DB, name=ServiceName("shop", "cache"), address="10.214.0.5")
    bed.directory = Directory(digest="d2", range="10.214.0.0/16", services=(DB, more))
    bed.naming.show(bed.container)
    assert "10.214.0.5\tcache cache.shop" in lines(path)
    assert Path(path).stat().st_ino == inode


def test_a_container_from_before_its_host_had_a_proxy_is_known(bed: Bed) -> None:
    assert not bed.reach.is_nameless("id1", BUNDLE)
    bed.observer.one = dataclasses.replace(bed.container, hosts_file="")
    assert bed.reach.is_nameless("id1", BUNDLE)
    on_host = dataclasses.replace(BUNDLE.container, network_mode="host", networks=())
    assert not bed.reach.is_nameless("id1", dataclasses.replace(BUNDLE, container=on_host))
    bed.installed = False
    assert not bed.reach.is_nameless("id1", BUNDLE), "its host has none now either"
    bed.installed = True
    bed.observer.raises = KeyError("id1")
    assert not bed.reach.is_nameless("id1", BUNDLE), "it has ended since"


def test_without_a_proxy_a_container_is_as_its_engine_makes_it(bed: Bed, tmp_path: Path) -> None:
    bed.installed = False
    assert bed.reach.hosts_file(WEB, BUNDLE) == ""
    bed.reach.started("id1")
    assert not (tmp_path / "hosts").exists()
    assert bed.observer.learned == []


def test_an_engine_that_went_away_fails_no_start(bed: Bed) -> None:
    bed.engine.raises = EngineUnavailable("away")
    bed.reach.started("id1")
    assert bed.observer.learned == []


class Watched(NoReach):
    """A reach that writes down what the worker tells it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.nameless = False

    def hosts_file(self, instance: InstanceId, bundle: Bundle) -> str:
        self.told.append(f"hosts {instance}")
        return "/h/web"

    def is_nameless(self, container_id: str, bundle: Bundle) -> bool:
        return self.nameless

    def starts_again(self, container_id: str, bundle: Bundle) -> None:
        self.told.append("again")

    def started(self, container_id: str) -> None:
        self.told.append("started")

    @contextmanager
    def leaving(self, instance: InstanceId, container_id: str, *, wait: bool) -> Iterator[None]:
        self.told.append(f"leaving {instance} {wait}")
        yield
        self.told.append("stopped")


def nameless(agent: Agent) -> list[bool]:
    assert agent.board.state is not None
    return [status.nameless for status in agent.board.state.instances.values()]


def test_the_worker_tells_of_a_start_and_of_a_stop(tmp_path: Path) -> None:
    watched = Watched()
    agent = Agent(tmp_path, reach=watched)
    agent.accept(orders_of([(WEB, BUNDLE)], revision=1))
    agent.sync.once()
    agent.settle()
    assert watched.told == ["hosts shop/web.1", "started"]
    assert nameless(agent) == [False]
    watched.nameless = True
    agent.reconciler.turn()
    assert nameless(agent) == [True]
    watched.told.clear()
    agent.accept(orders_of(buried=[WEB], revision=2))
    agent.settle()
    assert watched.told == ["leaving shop/web.1 True", "stopped"]
