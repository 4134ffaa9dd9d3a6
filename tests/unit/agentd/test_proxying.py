"""The loop that keeps a host's proxy as it should be."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Optional, cast

import pytest

from hullmark.agentd.bridgekeeping import BridgeKeeping
from hullmark.agentd.draining import Draining
from hullmark.agentd.hostnames import HostsFiles, Naming
from hullmark.agentd.otherservices import AT_ONCE, EVERY_S
from hullmark.agentd.outbox import Outbox
from hullmark.agentd.policyfolder import PolicyFolder
from hullmark.agentd.problems import Problems
from hullmark.agentd.proxyanswers import LOOKS
from hullmark.agentd.proxyendings import Endings
from hullmark.agentd.proxying import AFRESH_S, AWAY_S, LOOK_S, Here, Proxying, ProxyParts
from hullmark.agentd.proxypeers import PACE_S, TOLD_AFTER_S
from hullmark.agentd.proxywatch import ProxyWatch
from hullmark.core.found import Found, FoundState
from hullmark.core.proxypolicy import allowed
from hullmark.engine.protocol import Container, ContainerState, EngineInfo
from hullmark.errors import EngineUnavailable, ProxyUnavailable, ProxyUnwritten, Refused
from hullmark.model.audit import Entry
from hullmark.model.directory import (
    NO_DIRECTORY,
    Admission,
    Directory,
    OtherEntry,
    Peer,
    PublishedEntry,
    ServiceEntry,
    ServiceName,
    Share,
)
from hullmark.model.epoch import NO_EPOCH
from hullmark.model.orders import InstanceId
from hullmark.model.policy import CDE, Policy, Rule
from hullmark.model.proxy import Bridge, ContainerLook, ContainerPort, Member, PeerLook, ProxyLook
from hullmark.model.proxyconnection import Connection
from hullmark.model.proxyplan import Applied, ProxyPlan

WEB = ServiceName("shop", "web")
INSTANCE = InstanceId("shop", "web", 1, 1)
ENTRY = ServiceEntry(WEB, "10.214.0.1", (80,), networks={"back": ()}, drain_s=5.0)
TOLD = Directory(digest="d1", range="10.214.0.0/16", addresses=("10.214.0.1",), services=(ENTRY,))
UP = ProxyLook(up=True, version="2.6", pid=7, worker=8, started_at=1.0, loaded="s1")
BRIDGE = Bridge("shop", "back", "br-1", 3, "10.213.0.0/25", "10.213.0.1")


def running(slot: int = 1) -> Found:
    instance = dataclasses.replace(INSTANCE, slot=slot)
    address = {"shop_back": f"10.213.0.{slot + 1}"}
    return Found(
        f"id{slot}",
        instance.container_name,
        instance,
        "f" * 64,
        FoundState.RUNNING,
        started_at=5.0,
        addresses=address,
    )


class FakeHaproxy:
    """Takes every plan, unless it is told what to raise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plans: list[ProxyPlan] = []
        self.seen = UP
        self.raises: Optional[Exception] = None
        self.changed: tuple[str, ...] = ()
        self.left_out: tuple[str, ...] = ()
        self.restored = self.reloaded = 0
        self.looked_after: list[int] = []
        self.peer_looks: tuple[PeerLook, ...] = ()
        self.container_looks: tuple[ContainerLook, ...] = ()
        self.withdrawn_by: list[ProxyPlan] = []
        self.is_silent = False

    def withdraw(self, plan: ProxyPlan) -> int:
        if self.is_silent:
            raise ProxyUnavailable("nobody answers")
        self.withdrawn_by.append(plan)
        return 1

    def apply(self, plan: ProxyPlan) -> Applied:
        if self.raises is not None:
            raise self.raises
        self.plans.append(plan)
        return Applied(True, False, self.left_out)

    def addresses(self) -> tuple[str, ...]:
        return self.plans[-1].addresses if self.plans else ()

    def wanted(self) -> str:
        return "s1" if self.plans else ""

    def look(self) -> ProxyLook:
        return self.seen

    def peers(self) -> tuple[PeerLook, ...]:
        return self.peer_looks

    def containers(
        self, members: Mapping[str, int], doubted: Collection[str]
    ) -> tuple[ContainerLook, ...]:
        return self.container_looks if members else ()

    def tampered(self) -> tuple[str, ...]:
        return self.changed

    def touched(self) -> tuple[str, ...]:
        return ()

    def is_foreign(self, seen: ProxyLook) -> bool:
        return False

    def is_started(self, seen: ProxyLook) -> bool:
        return False

    def restore(self) -> None:
        if self.raises is not None:
            raise self.raises
        self.restored += 1
        self.changed = ()

    def load_again(self) -> None:
        self.reloaded += 1

    def connections(self, hosts: Collection[str]) -> tuple[Connection, ...]:
        self.looked_after.append(len(self.plans))
        return ()

    def end(self, connections: Iterable[Connection]) -> Iterable[Connection]:
        return ()


class FakeLoopback:
    def __init__(self) -> None:
        self.had: list[tuple[str, ...]] = []
        self.former: list[tuple[str, ...]] = []

    def have(self, addresses: Iterable[str], former: Iterable[str]) -> bool:
        self.had.append(tuple(addresses))
        self.former.append(tuple(former))
        return True


class FakeObserver:
    def __init__(self) -> None:
        self.found: Optional[dict[str, Found]] = None
        self.containers: tuple[Container, ...] = ()

    def seen(self) -> tuple[Container, ...]:
        return self.containers


class FakeBridges:
    unknown = False

    def of(self, wanted: Iterable[tuple[str, str]]) -> tuple[Bridge, ...]:
        return () if self.unknown else self._found(set(wanted))

    def _found(self, wanted: set[tuple[str, str]]) -> tuple[Bridge, ...]:
        return (BRIDGE,) if ("shop", "back") in wanted else ()


class Bed:
    """A host with a proxy that is up, whose leader has told of `shop/web`, and which runs one of its instances."""

    def __init__(self, folder: Path, *, installed: bool = True) -> None:
        self.now = 100.0
        self.directory = TOLD
        self.certificate = "certificate"
        self.files = HostsFiles(folder / "hosts")
        self.away = False
        self.observer = FakeObserver()
        self.bridges = FakeBridges()
        self.kept: list[str] = []
        self.loopback = FakeLoopback()
        self.haproxy = FakeHaproxy(folder / "proxy")
        if installed:
            self.haproxy.folder.mkdir()
        self.policies = folder / "policy.d"
        self.policies.mkdir()
        self.problems = Problems()
        self.records: list[Entry] = []
        self.outbox = Outbox("host box", lambda: None)
        self.outdated = 0
        self.asked: list[Member] = []
        self.draining = Draining(
            lambda: None, lambda _: 0.0, lambda _: 0, lambda _: 5.0, lambda: self.now
        )
        self.watch = ProxyWatch(cast(Any, self.haproxy), self.records.append, self.outbox)
        self.paused: list[float] = []
        self.proxying = Proxying(self._parts(folder), lambda: self.now, self.paused.append)
        self.observer.found = {"shop.web.1.g1": running()}

    def _parts(self, folder: Path) -> ProxyParts:
        def told() -> None:
            self.outdated += 1

        return ProxyParts(
            Here("h1", lambda: "192.0.2.1", 7443, lambda: ("192.0.2.1",)),
            cast(Any, self.haproxy),
            self.watch,
            lambda _range: cast(Any, self.loopback),
            lambda: self.directory,
            lambda: self.certificate,
            cast(Any, self.observer),
            cast(Any, self.bridges),
            BridgeKeeping(cast(Any, self), self.kept.append),
            Naming(self.files, lambda: self.directory, self._engine_name),
            self.draining,
            Endings(cast(Any, self.haproxy), self.records.append, self.outbox),
            PolicyFolder(str(self.policies), self.problems),
            self.problems,
            told,
            lambda: [INSTANCE],
            lambda _instance: (),
        )

    def info(self) -> EngineInfo:
        return EngineInfo("podman", "4.3.1", "unix:///x")

    def _engine_name(self) -> str:
        if self.away:
            raise EngineUnavailable("away")
        return "docker"

    def turn(self, seconds: float = LOOK_S) -> float:
        self.now += seconds
        return self.proxying.turn()

    @property
    def codes(self) -> list[str]:
        return [one.code for one in self.problems.all()]

    @property
    def kinds(self) -> list[str]:
        return [one.kind for one in self.records]


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


def test_the_proxy_is_told_once_of_what_is_so(bed: Bed) -> None:
    bed.turn()
    bed.turn()
    (plan,) = bed.haproxy.plans
    assert "10.213.0.2" in repr(plan.backends)
    assert bed.loopback.had == [("10.214.0.1",)]
    assert (bed.proxying.version, bed.proxying.pid, bed.outdated) == ("2.6", 7, 1)
    assert bed.codes == []


def test_a_bridge_keeps_its_hardware_address_also_where_the_proxy_takes_nothing(bed: Bed) -> None:
    bed.haproxy.raises = Refused("no")
    bed.turn()
    bed.turn()
    assert bed.kept == [BRIDGE.interface]


def test_what_is_open_is_looked_at_once_what_is_new_is_refused(bed: Bed) -> None:
    bed.directory = dataclasses.replace(TOLD, peers=(Peer("h2", "two", "192.0.2.2", 7443),))
    bed.turn()
    assert bed.haproxy.looked_after == [1], "whatever was withdrawn before it began"
    bed.turn()
    bed.directory, bed.haproxy.raises = TOLD, ProxyUnavailable("between two workers")
    bed.haproxy.is_silent = True
    bed.turn()
    assert bed.haproxy.looked_after == [1]
    bed.haproxy.raises, bed.haproxy.is_silent = None, False
    bed.turn()
    bed.turn()
    assert bed.haproxy.looked_after == [1, 2]


@pytest.mark.parametrize(
    "error", [ProxyUnwritten("no space"), Refused("no start"), ProxyUnavailable("no program")]
)
def test_what_is_withdrawn_is_whatever_else_fails(bed: Bed, error: Exception) -> None:
    """What is new is refused, and what is open ends; all of it again once the rest is in force, too."""
    bed.directory = dataclasses.replace(TOLD, peers=(Peer("h2", "two", "192.0.2.2", 7443),))
    bed.turn()
    bed.directory, bed.haproxy.raises = TOLD, error
    bed.turn()
    assert [len(one.peers) for one in bed.haproxy.withdrawn_by] == [1, 0]
    assert bed.haproxy.looked_after == [1, 1]
    bed.haproxy.raises = None
    bed.turn()
    bed.turn()
    assert (bed.haproxy.looked_after, len(bed.haproxy.withdrawn_by)) == ([1, 1, 2], 3)


def test_what_is_withdrawn_is_also_where_changed_files_cannot_be_put_back(bed: Bed) -> None:
    bed.turn()
    bed.haproxy.changed, bed.haproxy.raises = ("haproxy.cfg",), ProxyUnwritten("no space")
    bed.directory = dataclasses.replace(TOLD, digest="d2", published=())
    bed.observer.found = {}
    bed.turn()
    assert len(bed.haproxy.withdrawn_by) == 2
    (problem,) = bed.problems.all()
    assert "what may no longer call is refused" in problem.message
    assert "started anew" in problem.message


def test_the_hosts_ports_are_looked_at_again_once_the_one_for_other_hosts_is_open(bed: Bed) -> None:
    bed.certificate = ""
    bed.turn()
    before = bed.outdated
    bed.certificate = "certificate"
    bed.turn()
    bed.turn()
    assert [bool(one.tls) for one in bed.haproxy.plans] == [False, True]
    assert bed.outdated == before + 1


def test_an_agent_that_begins_closes_no_port_for_want_of_an_answer_of_the_engine(bed: Bed) -> None:
    bed.bridges.unknown = True
    bed.turn()
    assert bed.haproxy.plans == []
    bed.bridges.unknown = False
    bed.turn()
    (plan,) = bed.haproxy.plans
    assert "br-1" in repr(plan.frontends)
    bed.bridges.unknown = True  # of a network that came since: the others go on
    bed.observer.found = {"shop.web.1.g1": running(), "shop.web.2.g1": running(2)}
    bed.turn()
    assert len(bed.haproxy.plans) == 2


def test_addresses_are_looked_at_again_though_nothing_else_changes(bed: Bed) -> None:
    bed.turn()
    bed.turn(AFRESH_S)
    assert bed.loopback.had == [("10.214.0.1",), ("10.214.0.1",)]
    assert len(bed.haproxy.plans) == 1


def test_what_was_there_of_a_former_range_is_told_with_the_new_one(bed: Bed) -> None:
    bed.turn()
    entry = dataclasses.replace(ENTRY, address="10.216.0.1")
    bed.directory = Directory(
        digest="d2", range="10.216.0.0/16", addresses=("10.216.0.1",), services=(entry,)
    )
    bed.turn()
    assert (bed.loopback.had[-1], bed.loopback.former[-1]) == (("10.216.0.1",), ("10.214.0.1",))


def test_an_agent_that_begins_knows_at_once_that_there_is_a_proxy(bed: Bed) -> None:
    bed.observer.found = None
    bed.proxying.load()
    assert (bed.proxying.version, bed.proxying.pid, bed.paused) == ("2.6", 7, [])
    bed.turn()
    assert (bed.proxying.version, bed.haproxy.plans) == ("2.6", [])


def test_it_waits_a_moment_for_one_that_does_not_answer(bed: Bed, tmp_path: Path) -> None:
    bed.haproxy.seen = ProxyLook(why="no socket")
    bed.proxying.load()
    assert bed.proxying.version == ""
    assert 0 < sum(bed.paused) <= 1
    bed.haproxy.folder.rmdir()
    bed.paused.clear()
    bed.proxying.load()
    assert bed.paused == [], "none is installed"


def test_an_end_and_a_stop_are_told_before_anybody_looked(bed: Bed) -> None:
    bed.observer.found = {str(slot): running(slot) for slot in (1, 2)}
    bed.turn()
    with bed.draining.leaving(INSTANCE, "id1", wait=False):
        bed.turn(0.0)
        assert len(bed.haproxy.plans) == 2
    bed.turn(0.0)
    assert "10.213.0.2" not in repr(bed.haproxy.plans[2].backends)
    assert "10.213.0.3" in repr(bed.haproxy.plans[2].backends)


def test_nothing_is_told_before_engine_and_leader_have_said_something(bed: Bed) -> None:
    found, bed.observer.found = bed.observer.found, None
    bed.turn()
    bed.observer.found, bed.directory = found, NO_DIRECTORY
    bed.turn()
    assert (bed.haproxy.plans, bed.loopback.had) == ([], [])


def test_a_host_without_a_proxy_says_so_only_where_one_is_needed(tmp_path: Path) -> None:
    bed = Bed(tmp_path, installed=False)
    bed.turn()
    assert bed.codes == []
    bed.directory = dataclasses.replace(
        TOLD, services=(dataclasses.replace(ENTRY, elsewhere=(Share("h2", 1),)),)
    )
    bed.turn()
    assert bed.codes == ["proxy.missing"]
    assert bed.haproxy.plans == []
    bed.haproxy.folder.mkdir()
    bed.turn()
    assert bed.codes == []
    assert len(bed.haproxy.plans) == 1


def test_a_proxy_that_is_down_for_long_is_a_problem_and_is_told_all_when_it_is_back(
    bed: Bed,
) -> None:
    bed.directory = dataclasses.replace(TOLD, published=(PublishedEntry(80, "", WEB, 80),))
    bed.turn()
    bed.haproxy.seen, bed.haproxy.raises = ProxyLook(why="no socket"), ProxyUnavailable("no socket")
    assert bed.turn() < LOOK_S
    assert (bed.proxying.version, bed.codes) == ("2.6", []), "it may only be started again"
    bed.turn(AWAY_S)
    assert (bed.proxying.version, bed.codes) == ("", ["proxy.missing"])
    bed.haproxy.seen, bed.haproxy.raises = dataclasses.replace(UP, pid=9, started_at=3.0), None
    bed.turn()
    assert (bed.proxying.version, bed.codes) == ("2.6", [])
    assert len(bed.haproxy.plans) == 2
    assert bed.kinds == ["proxy.restarted"]
    assert bed.watch.troubles() == ("process 7 ended, and process 9 was started in its place",)
    assert bed.watch.troubles() == ()


def test_a_proxy_that_is_up_and_cannot_be_told_for_long_is_a_problem(bed: Bed) -> None:
    bed.turn()
    bed.observer.found = {}
    bed.haproxy.raises = ProxyUnavailable("haproxy can't be asked", remedy="install it")
    for _ in range(int(AWAY_S / LOOK_S)):
        bed.turn()
        assert bed.codes == [], "it may be in the middle of an upgrade"
    bed.turn()
    (problem,) = bed.problems.all()
    assert (problem.code, problem.remedy) == ("proxy.failing", "install it")
    bed.haproxy.raises = None
    bed.turn()
    assert bed.codes == []
    bed.observer.found, bed.haproxy.raises = {"1": running()}, ProxyUnavailable("for a moment")
    bed.turn()
    assert bed.codes == [], "that was another time"


def test_a_host_that_is_not_reached_is_a_problem_of_a_proxy_that_is_there(bed: Bed) -> None:
    entry = dataclasses.replace(ENTRY, elsewhere=(Share("h2", 1),))
    peers = (Peer("h2", "two", "192.0.2.2", 7443),)
    bed.directory = dataclasses.replace(TOLD, services=(entry,), peers=peers)
    bed.haproxy.peer_looks = (PeerLook("h2", False, TOLD_AFTER_S, "L4TOUT"),)
    bed.turn()
    assert bed.codes == ["proxy.unreached"]
    bed.haproxy.seen, bed.haproxy.raises = ProxyLook(why="no socket"), ProxyUnavailable("no socket")
    bed.turn(AWAY_S)
    assert bed.codes == ["proxy.missing"]


def test_a_container_that_does_not_answer_is_a_problem_of_a_proxy_that_is_there(bed: Bed) -> None:
    published = PublishedEntry(8080, "", WEB, 80)
    bed.directory = dataclasses.replace(TOLD, published=(published,))
    place = ContainerPort("shop.web.1.g1", 80)
    bed.haproxy.container_looks = (ContainerLook(place, False, "L4CON"),)
    for _ in range(LOOKS):
        assert bed.codes == []
        bed.turn(PACE_S)
    assert bed.codes == ["proxy.unanswered"]
    bed.observer.found = {}
    bed.turn(LOOK_S)
    assert bed.codes == [], "it is gone, and the proxy need not be asked for that"


def test_a_proxy_that_was_only_started_again_has_the_hosts_ports_looked_at_again(bed: Bed) -> None:
    bed.turn()
    before = bed.outdated
    bed.haproxy.seen = dataclasses.replace(UP, pid=9, started_at=3.0)
    bed.turn()
    bed.turn()
    assert (bed.proxying.version, bed.proxying.pid, bed.outdated) == ("2.6", 9, before + 1)


def test_a_port_that_a_program_had_is_tried_again(bed: Bed) -> None:
    bed.haproxy.left_out = ("192.0.2.1:80",)
    bed.turn()
    bed.turn()
    assert (bed.codes, len(bed.haproxy.plans)) == (["proxy.ports"], 1)
    bed.haproxy.left_out = ()
    bed.turn(AFRESH_S)
    bed.turn(AFRESH_S)
    assert (bed.codes, len(bed.haproxy.plans)) == ([], 2)


def test_what_it_does_not_take_is_a_problem_until_it_does(bed: Bed) -> None:
    bed.haproxy.raises = Refused("unknown keyword")
    assert bed.turn() < LOOK_S
    (problem,) = bed.problems.all()
    assert (problem.code, "unknown keyword" in problem.message) == ("proxy.failing", True)
    bed.haproxy.raises = None
    bed.turn()
    assert bed.codes == []


def test_changed_files_are_put_back_and_recorded(bed: Bed) -> None:
    bed.turn()
    bed.haproxy.changed = ("haproxy.cfg",)
    bed.turn()
    assert (bed.haproxy.restored, bed.kinds) == (1, ["proxy.tampered"])
    bed.haproxy.changed = ("callers.acl",)
    bed.observer.found = {}
    bed.turn(0.0)
    assert bed.kinds == ["proxy.tampered"] * 2, "also before its own change writes over it"


def test_a_disk_that_is_full_is_a_problem_though_the_proxy_runs(bed: Bed) -> None:
    bed.haproxy.raises = ProxyUnwritten("no space", remedy="free some")
    bed.turn()
    assert bed.codes == ["proxy.failing"]
    bed.haproxy.raises = None
    bed.turn()
    assert bed.codes == []


def test_what_cannot_be_put_back_is_recorded_once_and_tried_again(bed: Bed) -> None:
    bed.turn()
    bed.haproxy.changed = ("haproxy.cfg",)
    bed.haproxy.raises = ProxyUnwritten("no space")
    for _ in range(3):
        bed.turn()
    assert bed.kinds == ["proxy.tampered"]
    bed.haproxy.raises = None
    bed.turn()
    bed.haproxy.changed = ("haproxy.cfg",)
    bed.turn()
    assert (bed.haproxy.restored, bed.kinds) == (2, ["proxy.tampered", "proxy.tampered"])


def test_a_replaced_program_is_loaded_once(bed: Bed) -> None:
    bed.turn()
    bed.haproxy.seen = dataclasses.replace(UP, replaced=("/usr/sbin/haproxy",))
    bed.turn()
    bed.turn()
    assert (bed.haproxy.reloaded, bed.kinds) == (1, ["proxy.reloaded"])
    assert len(bed.haproxy.plans) == 2, "another version may be told otherwise"
    bed.haproxy.seen = UP
    bed.turn()
    bed.haproxy.seen = dataclasses.replace(UP, replaced=("/usr/sbin/haproxy",))
    bed.turn()
    assert bed.haproxy.reloaded == 2, "another update"


def test_containers_are_shown_their_names_and_an_engine_that_is_away_stops_nothing(
    bed: Bed,
) -> None:
    path = Path(bed.files.write(INSTANCE, "old\n"))
    one = running()
    container = Container(
        one.container_id,
        one.name,
        INSTANCE,
        "c1",
        one.spec_hash,
        NO_EPOCH,
        ContainerState.RUNNING,
        addresses=one.addresses,
        hosts_file=str(path),
    )
    bed.observer.containers, bed.away = (container,), True
    bed.turn()
    assert (path.read_text(), len(bed.haproxy.plans)) == ("old\n", 1)
    bed.away = False
    bed.turn()
    assert "10.214.0.1\tweb web.shop" in path.read_text()


def test_another_structure_than_was_asked_for_is_told_again(bed: Bed) -> None:
    bed.turn()
    bed.haproxy.seen = dataclasses.replace(UP, loaded="s0")
    bed.turn()
    assert len(bed.haproxy.plans) == 2


def test_a_policy_that_cannot_be_read_leaves_the_former_in_force(bed: Bed) -> None:
    bed.turn()
    (bed.policies / "50.yaml").write_text("nonsense")
    bed.observer.found = {}
    bed.turn()
    assert len(bed.haproxy.plans) == 2, "who ended is out all the same"


def test_a_policy_that_was_never_read_lets_nothing_be_told(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    (bed.policies / "50.yaml").write_text("nonsense")
    bed.turn()
    assert bed.haproxy.plans == []


def test_what_policy_turns_away_is_not_planned_and_is_told(bed: Bed) -> None:
    admission = Admission("h2", WEB, ("out",))
    published = PublishedEntry(80, "", WEB, 80)
    bed.directory = dataclasses.replace(TOLD, admissions=(admission,), published=(published,))
    (bed.policies / "50.yaml").write_text("scope: cde\nports: {published: [443]}\n")
    bed.turn()
    assert bed.codes == ["proxy.ports", "proxy.refused"]
    assert bed.haproxy.plans[0].admissions == {}


def test_an_app_elsewhere_is_refused_by_name_later_and_what_has_no_record_is_told(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hullmark.core.proxylistening.MOST_REFUSING", 1)
    one, two = (
        OtherEntry(ServiceName("far", name), address, (80,))
        for name, address in (("one", "10.214.0.7"), ("two", "10.214.0.8"))
    )
    bed.directory = dataclasses.replace(TOLD, others=(one,))
    bed.turn()
    assert "ask:far:one:80" in [each.name for each in bed.haproxy.plans[-1].frontends]
    for others in ((two,), (one,)) * (AT_ONCE // 2):
        bed.directory = dataclasses.replace(TOLD, others=others)
        bed.turn()
    assert (bed.codes, len(bed.haproxy.plans)) == ([], 1 + AT_ONCE)
    bed.directory = dataclasses.replace(TOLD, others=(one, two))
    bed.turn()
    assert (bed.codes, len(bed.haproxy.plans)) == ([], 1 + AT_ONCE)
    bed.turn(EVERY_S)
    assert (bed.codes, len(bed.haproxy.plans)) == (["proxy.unrecorded"], 2 + AT_ONCE)


def test_what_a_policy_lets_pass() -> None:
    given = {"ports.published": Rule("ports.published", ("443",))}
    fine, other = PublishedEntry(443, "", WEB, 80), PublishedEntry(80, "", WEB, 80)
    ours, theirs = Admission("h2", WEB, ("cde",)), Admission("h3", WEB, ("",))
    told = dataclasses.replace(TOLD, admissions=(ours, theirs), published=(fine, other))
    made, turned_away, not_here = allowed(told, Policy(scope=CDE, given=given))
    assert (made.admissions, made.published) == ((ours,), (fine,))
    assert (turned_away, not_here) == ((theirs,), (other,))
