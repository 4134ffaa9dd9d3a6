"""Who holds which host port."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

import pytest

from hullmark.core.ports import ledger
from hullmark.model.app import App, ContainerSpec, PortSpec, Service
from hullmark.model.epoch import Epoch
from hullmark.model.host import PROXY, HostFacts, HostRecord, Listener, PortRules
from hullmark.model.observed import HostState, InstanceStatus, Phase
from hullmark.model.orders import Assignment, InstanceId, PublishedPort, Tombstone
from hullmark.model.ports import Holder, PortState
from hullmark.model.records import HostAssignments
from hullmark.model.snapshot import Snapshot
from tests.unit.core import fleets

HOSTS = [HostRecord("id2", "web2", 1.0), HostRecord("id1", "web1", 1.0)]
WEB = InstanceId("shop", "web", 1, 2)
OLD = InstanceId("shop", "web", 2, 1)
LEFT = InstanceId("blog", "web", 1, 4)


def status(instance: InstanceId, *ports: PublishedPort) -> InstanceStatus:
    return InstanceStatus(instance, Phase.RUNNING, ports=ports)


def fleet() -> Snapshot:
    state = HostState(
        HostFacts(
            engine="docker",
            listeners=(Listener(22, "tcp", "0.0.0.0", "sshd"), Listener(53, "udp", "::1")),
        ),
        instances={
            WEB.container_name: status(WEB, PublishedPort(80, 8080), PublishedPort(81, 49153)),
            OLD.container_name: status(OLD, PublishedPort(80, 8081)),
        },
        orphans={LEFT.container_name: status(LEFT, PublishedPort(53, 53, "udp", "10.0.0.1"))},
    )
    orders = HostAssignments(
        (Assignment(WEB, "h", (PublishedPort(80, 8080), PublishedPort(81, 0))),),
        (Tombstone(OLD, Epoch(1, 1), "scaled to 1", (PublishedPort(80, 8081),)),),
    )
    made = fleets.snapshot({}, HOSTS, {"id1": state})
    return dataclasses.replace(made, assignments={"id1": orders})


def rows(found: Snapshot, **more: Any) -> list[tuple[Any, ...]]:
    """Of web1, without what never differs here."""
    return [
        (one.port, one.kind, one.holder, one.listening, one.by, one.allowed, one.state)
        for one in ledger(found, "web1", **more)
    ]


def test_every_port_is_listed_once_and_in_order() -> None:
    ok, undeclared = PortState.OK, PortState.UNDECLARED
    assert rows(fleet()) == [
        (22, Holder.PROCESS, "sshd", True, "sshd", None, ok),
        (53, Holder.ORPHAN, "blog.web.1.g4", True, "docker", True, undeclared),
        (53, Holder.PROCESS, "", True, "", None, ok),
        (8080, Holder.INSTANCE, "shop/web.1", True, "docker", True, ok),
        (8081, Holder.REMOVING, "shop/web.2", True, "docker", True, ok),
        (49153, Holder.INSTANCE, "shop/web.1", True, "docker", True, ok),
    ]
    assert [(one.address, one.target, one.declared) for one in ledger(fleet())] == [
        ("", 0, False),
        ("10.0.0.1", 53, False),
        ("::1", 0, False),
        ("", 80, True),
        ("", 80, True),
        ("", 81, True),
    ]


def test_a_process_that_listens_for_a_container_is_that_container() -> None:
    there = fleet()
    facts = HostFacts(listeners=(Listener(8080, "tcp", "0.0.0.0", "docker-proxy"),))
    state = dataclasses.replace(there.observed["id1"], facts=facts)
    proxied = dataclasses.replace(there, observed={"id1": state})
    assert [view.holder for view in ledger(proxied) if view.port == 8080] == ["shop/web.1"]


def test_a_process_that_was_there_first_stands_beside_the_instance_that_wants_its_port() -> None:
    there = fleet()
    facts = HostFacts(listeners=(Listener(8080, "tcp", "0.0.0.0", "nginx"),))
    kept_out = dataclasses.replace(there, observed={"id1": HostState(facts)})
    assert [row[2:] for row in rows(kept_out) if row[0] == 8080] == [
        ("shop/web.1", False, "nginx", True, PortState.TAKEN),
        ("nginx", True, "nginx", None, PortState.OK),
    ]


def test_one_host_alone() -> None:
    assert ledger(fleet(), "web2") == ()
    assert ledger(fleet(), "web1") == ledger(fleet())


def test_what_is_ordered_is_held_before_its_host_speaks() -> None:
    unheard = dataclasses.replace(fleet(), observed={})
    assert [(view.port, view.kind, view.listening, view.state) for view in ledger(unheard)] == [
        (8080, Holder.INSTANCE, None, PortState.UNKNOWN),
        (8081, Holder.REMOVING, None, PortState.OK),
    ]


def test_what_a_lost_host_told_last_is_marked_with_its_age() -> None:
    for heard_s, word in ((1.0, "ready"), (60.0, "lost")):
        there = dataclasses.replace(fleet(), heard_s={"id1": heard_s}, waited_s=100.0)
        found = ledger(there, "web1")
        assert {(one.host_state, one.told_s) for one in found} == {(word, heard_s)}
        assert rows(there) == rows(fleet())
    anew = dataclasses.replace(fleet(), heard_s={"id1": 15.0}, spoke_s={"id1": 14400.0})
    assert {(one.host_state, one.told_s) for one in ledger(anew)} == {("lost", 14400.0)}
    unheard = dataclasses.replace(fleet(), observed={}, heard_s={}, waited_s=100.0)
    assert {(one.host_state, one.told_s) for one in ledger(unheard)} == {("never", None)}


def test_an_instance_that_is_not_up_listens_nowhere() -> None:
    stopped = dataclasses.replace(status(WEB), phase=Phase.BACKOFF)
    facts = HostFacts(listeners=(Listener(22, "tcp", "0.0.0.0", "sshd"),))
    state = HostState(facts, {WEB.container_name: stopped})
    found = rows(dataclasses.replace(fleet(), observed={"id1": state}))
    assert found[1][2:] == ("shop/web.1", False, "", True, PortState.NOT_LISTENING)


def proxied(
    *listeners: Listener,
    ingress: tuple[str, ...] = (),
    proxy: str = "2.6",
    exposed: tuple[str, ...] = ("9000", "9001/udp"),
) -> Snapshot:
    """A host with a proxy, and an app with a published port, a service on the host's network, and one that is neither."""
    ports = (PortSpec(80, 443, 443), PortSpec(81, 0, 0), PortSpec(82, 8082, 8082, "udp"))
    app = App(
        "shop",
        {
            "web": Service(ContainerSpec("web:1"), ports=ports, ingress=ingress),
            "sniff": Service(ContainerSpec("s:1", network_mode="host", expose=exposed)),
            "db": Service(ContainerSpec("db:1", expose=("5432",))),
        },
    )
    facts = HostFacts(
        engine="docker",
        addresses=("192.0.2.1",),
        listeners=listeners,
        proxy_version=proxy,
        proxy_address="192.0.2.1" if proxy else "",
        proxy_port=7443 if proxy else 0,
        port_rules=PortRules({"ports.published": ("443",), "ports.approved": ("22",)}),
    )
    made = fleets.applied(fleets.snapshot({}, HOSTS[1:], {"id1": HostState(facts)}), app)
    orders = HostAssignments((Assignment(InstanceId("shop", "sniff", 1, 1), "h"),))
    return dataclasses.replace(made, assignments={"id1": orders})


SSHD = Listener(22, "tcp", "0.0.0.0", "sshd")
SNIFF = "shop.sniff.1.g1"


def test_published_ports_are_the_proxys() -> None:
    there = (
        SSHD,
        Listener(443, "tcp", "192.0.2.1", PROXY),
        Listener(7443, "tcp", "192.0.2.1", PROXY),
    )
    found = rows(proxied(*there, Listener(444, "tcp", "192.0.2.1", PROXY)))
    assert [row for row in found if row[1] in (Holder.SERVICE, Holder.PROXY)] == [
        (443, Holder.SERVICE, "shop/web", True, PROXY, True, PortState.OK),
        (444, Holder.PROXY, PROXY, True, PROXY, None, PortState.UNDECLARED),
        (7443, Holder.PROXY, "for other hosts' proxies", True, PROXY, None, PortState.OK),
    ]
    assert 8082 not in [row[0] for row in found], "UDP is not the proxy's"


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ((SSHD,), (False, "", PortState.NOT_LISTENING)),
        ((SSHD, Listener(443, "tcp", "::", "haproxy")), (False, "haproxy", PortState.TAKEN)),
        (
            (SSHD, Listener(443, "tcp", "0.0.0.0", "docker-proxy")),
            (False, "docker-proxy", PortState.TAKEN),
        ),
        ((), (None, "", PortState.UNKNOWN)),
        ((SSHD, Listener(443, "tcp", "192.0.2.1", "")), (None, "", PortState.UNKNOWN)),
        (
            (SSHD, Listener(443, "tcp", "::", ""), Listener(443, "tcp", "192.0.2.1", PROXY)),
            (True, PROXY, PortState.OK),
        ),
    ],
)
def test_a_published_port_that_the_proxy_does_not_have(
    there: tuple[Listener, ...], said: tuple[Any, ...]
) -> None:
    (found,) = (row for row in rows(proxied(*there)) if row[1] is Holder.SERVICE)
    assert (found[3], found[4], found[6]) == said


SIX = "fd00::2"


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (
            (Listener(443, "tcp", "0.0.0.0", "python3"), Listener(443, "tcp", SIX, PROXY)),
            (False, "python3", PortState.TAKEN),
        ),
        (
            (Listener(443, "tcp", SIX, "python3"), Listener(443, "tcp", "192.0.2.1", PROXY)),
            (False, "python3", PortState.TAKEN),
        ),
        (
            (
                Listener(443, "tcp", "127.0.0.1", "python3"),
                Listener(443, "tcp", "192.0.2.1", PROXY),
                Listener(443, "tcp", SIX, PROXY),
            ),
            (False, "python3", PortState.TAKEN),
        ),
        (
            (Listener(443, "tcp", "0.0.0.0", "docker-proxy"), Listener(443, "tcp", SIX, PROXY)),
            (False, "docker-proxy", PortState.TAKEN),
        ),
        ((Listener(443, "tcp", SIX, PROXY),), (None, PROXY, PortState.UNKNOWN)),
        (
            (Listener(443, "tcp", "0.0.0.0", ""), Listener(443, "tcp", SIX, PROXY)),
            (None, PROXY, PortState.UNKNOWN),
        ),
        (
            (
                Listener(443, "tcp", "127.0.0.9", "python3"),
                Listener(443, "tcp", "192.0.2.1", PROXY),
                Listener(443, "tcp", SIX, PROXY),
            ),
            (True, PROXY, PortState.OK),
        ),
    ],
)
def test_a_published_port_is_the_proxys_at_each_address_of_the_host_or_it_is_not_ok(
    there: tuple[Listener, ...], said: tuple[Any, ...]
) -> None:
    made = proxied(SSHD, *there)
    state = made.observed["id1"]
    facts = dataclasses.replace(state.facts, addresses=("192.0.2.1", SIX, "fe80::1"))
    both = dataclasses.replace(made, observed={"id1": dataclasses.replace(state, facts=facts)})
    (found,) = (row for row in rows(both) if row[1] is Holder.SERVICE)
    assert (found[3], found[4], found[6]) == said


def test_the_proxys_own_port_is_never_taken_by_a_process_that_may_be_the_proxy() -> None:
    found = rows(proxied(SSHD, Listener(7443, "tcp", "192.0.2.1", "")))
    assert [row[1:] for row in found if row[0] == 7443] == [
        (Holder.PROXY, "for other hosts' proxies", None, "", None, PortState.UNKNOWN)
    ]
    for other in ("haproxy", "docker-proxy"):
        found = rows(proxied(SSHD, Listener(7443, "tcp", "192.0.2.1", other)))
        states = {row[1]: row[6] for row in found if row[0] == 7443}
        assert states == {Holder.PROCESS: PortState.NOT_ALLOWED, Holder.PROXY: PortState.TAKEN}


def test_hosts_without_a_proxy_are_to_answer_where_they_are_asked_to_and_where_none_has_one() -> (
    None
):
    bare = proxied(SSHD, proxy="")
    assert [row[6] for row in rows(bare) if row[0] == 443] == [PortState.NOT_LISTENING]
    beside = proxied(SSHD).observed["id1"]
    facts = dataclasses.replace(beside.facts, proxy_address="192.0.2.2")
    other = dataclasses.replace(beside, facts=facts)
    hosts = {host.host_id: host for host in HOSTS}
    with_other = dataclasses.replace(bare, hosts=hosts, observed={**bare.observed, "id2": other})
    assert 443 not in [row[0] for row in rows(with_other)]
    asked = rows(proxied(SSHD, ingress=("node.hostname == web1",), proxy=""))
    assert [row[6] for row in asked if row[0] == 443] == [PortState.NOT_LISTENING]
    elsewhere = rows(proxied(SSHD, ingress=("node.hostname == web2",)))
    assert 443 not in [row[0] for row in elsewhere]


def test_what_a_container_on_the_hosts_network_declares_and_what_not() -> None:
    there = (
        Listener(9000, "tcp", "0.0.0.0", "sniffer", SNIFF),
        Listener(9002, "tcp", "::", "x", SNIFF),
    )
    found = rows(proxied(SSHD, *there))
    assert [row for row in found if row[0] in (9000, 9001, 9002)] == [
        (9000, Holder.INSTANCE, "shop/sniff.1", True, "sniffer", False, PortState.NOT_ALLOWED),
        (9001, Holder.INSTANCE, "shop/sniff.1", False, "", False, PortState.NOT_ALLOWED),
        (9002, Holder.CONTAINER, SNIFF, True, "x", None, PortState.UNDECLARED),
    ]


def test_programs_and_the_list_of_approved_ports() -> None:
    found = rows(proxied(SSHD, Listener(25, "tcp", "127.0.0.1", "exim4")))
    assert [row[2:] for row in found if row[1] is Holder.PROCESS] == [
        ("sshd", True, "sshd", True, PortState.OK),
        ("exim4", True, "exim4", False, PortState.NOT_ALLOWED),
    ]


def test_a_program_that_has_another_port_each_time_needs_no_approval_on_loopback() -> None:
    places = ((40001, "127.0.0.1"), (40002, "::1"), (40003, "0.0.0.0"), (40004, "192.0.2.1"))
    found = rows(proxied(*(Listener(port, "tcp", where, "x") for port, where in places)))
    assert [(row[0], *row[5:]) for row in found if row[1] is Holder.PROCESS] == [
        (40001, None, PortState.OK),
        (40002, None, PortState.OK),
        (40003, False, PortState.NOT_ALLOWED),
        (40004, False, PortState.NOT_ALLOWED),
    ]


@pytest.mark.parametrize(
    ("port", "listening"), [("40000", False), ("40000/udp", None), ("9000/udp", False)]
)
def test_where_nothing_listens_on_a_port_that_the_kernel_gives_away(
    port: str, listening: Optional[bool]
) -> None:
    """Of a UDP port hosts don't tell, whether anybody has it or not."""
    found = rows(proxied(SSHD, exposed=(port,)))
    assert [row[3] for row in found if row[2] == "shop/sniff.1"] == [listening]


def test_masters_that_run_here() -> None:
    masters = {
        "m1": (("192.0.2.1", 7441), ("192.0.2.1", 7442)),
        "m2": (("192.0.2.9", 7441),),
    }
    there = (SSHD, Listener(7441, "tcp", "0.0.0.0", "python3"))
    found = rows(proxied(*there), masters=masters)
    assert [row for row in found if row[1] is Holder.MASTER] == [
        (7441, Holder.MASTER, "m1", True, "python3", None, PortState.OK),
        (7442, Holder.MASTER, "m1", False, "", None, PortState.NOT_LISTENING),
    ]
    assert 7441 not in [row[0] for row in found if row[1] is Holder.PROCESS]


@pytest.mark.parametrize("where", ["127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1", "::1%lo"])
def test_a_master_on_loopback_runs_on_the_machine_of_all_its_hosts(where: str) -> None:
    masters = {"m1": ((where, 7441),)}
    found = rows(proxied(SSHD, Listener(7441, "tcp", "127.0.0.1", "python3")), masters=masters)
    assert [row for row in found if row[0] == 7441] == [
        (7441, Holder.MASTER, "m1", True, "python3", None, PortState.OK)
    ]


@pytest.mark.parametrize(
    ("there", "shown"),
    [
        (("127.0.0.1",), [("127.0.0.1", PortState.OK)]),
        (("192.0.2.1", "127.0.0.1"), [("127.0.0.1", PortState.OK), ("192.0.2.1", PortState.OK)]),
        (("0.0.0.0", "::"), [("", PortState.OK)]),
        ((), [("", PortState.NOT_LISTENING)]),
    ],
)
def test_a_masters_port_is_shown_with_the_address_that_it_listens_on(
    there: tuple[str, ...], shown: list[tuple[str, PortState]]
) -> None:
    masters = {"m1": (("127.0.0.1", 7441),)}
    seen = (Listener(7441, "tcp", address, "python3") for address in there)
    found = [one for one in ledger(proxied(SSHD, *seen), masters=masters) if one.port == 7441]
    assert [(one.address, one.state) for one in found] == shown
    assert {one.kind for one in found} == {Holder.MASTER}


def test_a_master_with_another_address_has_its_loopback_where_that_is() -> None:
    def of_masters(address: str) -> list[int]:
        masters = {"m1": ((address, 7441), ("127.0.0.1", 7442))}
        return [row[0] for row in rows(proxied(SSHD), masters=masters) if row[2] == "m1"]

    assert (of_masters("192.0.2.1"), of_masters("192.0.2.9")) == ([7441, 7442], [])
