"""Ports that no deployer may publish, though nothing listens there just now."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Optional

import pytest

from hullmark.core.answering import Answering
from hullmark.core.lastknown import proxies_of
from hullmark.core.portconflicts import conflicts
from hullmark.core.reaching import judged
from hullmark.model.app import (
    App,
    ContainerSpec,
    DeploySpec,
    Placement,
    PortMode,
    PortSpec,
    Service,
)
from hullmark.model.host import HostFacts, HostRecord, Listener, PortExemption, PortRules
from hullmark.model.observed import HostState
from hullmark.model.records import ProxyRecord
from hullmark.model.snapshot import Snapshot
from tests.unit.core import fleets

MASTERS = {"m1": (("192.0.2.1", 7441), ("192.0.2.1", 7442)), "m2": (("h2", 7442),)}
NAMED = PortRules({"ports.published": ("22", "443")})
NOWHERE: Mapping[str, PortRules] = {}
ALL = "hosts h1, h2, h3"


def fleet(rules: Mapping[str, PortRules] = NOWHERE, **listeners: Listener) -> Snapshot:
    hosts = [HostRecord(f"h{n}", f"h{n}", 1.0) for n in (1, 2, 3)]
    states = {
        host.host_id: HostState(
            HostFacts(
                addresses=(f"192.0.2.{host.name[1:]}",),
                proxy_version="2.6",
                proxy_address=f"192.0.2.{host.name[1:]}",
                proxy_port=7443,
                port_rules=rules.get(host.name, PortRules()),
                listeners=(listeners[host.name],) if host.name in listeners else (),
            )
        )
        for host in hosts
    }
    return fleets.snapshot({}, hosts, states)


def app(port: int, *, last: Optional[int] = None, on: str = "", **more: Any) -> App:
    constraints = (f"node.hostname == {on}",) if on else ()
    spec = PortSpec(80, port, last or port, **more)
    deploy = DeploySpec(placement=Placement(constraints))
    service = Service(ContainerSpec("x"), deploy, ports=(spec,), ingress=constraints)
    return App("shop", {"web": service})


def said(there: Snapshot, asked: App) -> list[str]:
    return [each.message for each in conflicts(there, asked, MASTERS)]


@pytest.mark.parametrize("mode", list(PortMode))
def test_the_port_by_which_people_reach_a_host(mode: PortMode) -> None:
    assert said(fleet(), app(22, mode=mode)) == [f"port 22/tcp is kept for ssh on {ALL}"]
    assert said(fleet(), app(22, mode=mode, on="h2")) == ["port 22/tcp is kept for ssh on host h2"]
    (problem,) = conflicts(fleet(), app(22, mode=mode))
    assert problem.field == "services.web.ports"
    assert "whose policy names 22 in ports.published" in problem.allowed


def test_it_is_kept_where_no_host_has_a_proxy_too() -> None:
    there = fleet({"h3": NAMED})
    bare = {
        key: HostState(dataclasses.replace(state.facts, proxy_version="", proxy_port=0))
        for key, state in there.observed.items()
    }
    none = dataclasses.replace(there, observed=bare)
    assert said(none, app(22)) == ["port 22/tcp is kept for ssh on hosts h1, h2"]
    assert said(none, app(22, on="h2")) == ["port 22/tcp is kept for ssh on host h2"]
    assert said(none, app(7442)) == [
        "port 7442/tcp is master m1's on host h1",
        "port 7442/tcp is master m2's on host h2",
    ]
    one = dataclasses.replace(there, observed={**bare, "h2": there.observed["h2"]})
    assert said(one, app(22)) == ["port 22/tcp is kept for ssh on host h2"]


def test_whether_a_host_has_a_proxy_is_judged_as_for_the_directory() -> None:
    """By what the leader before kept of a host that was not heard since, and not by that once the host has told otherwise."""
    there = fleet()
    bare = {
        key: HostState(dataclasses.replace(state.facts, proxy_version="", proxy_port=0))
        for key, state in there.observed.items()
    }
    record = {"h2": ProxyRecord("192.0.2.2", 7443)}
    unheard = {key: state for key, state in bare.items() if key != "h2"}
    known = dataclasses.replace(there, observed=unheard, proxies=record)
    assert said(known, app(22)) == ["port 22/tcp is kept for ssh on host h2"]
    former = dataclasses.replace(there, observed=bare, proxies=record)
    assert said(former, app(22)) == [f"port 22/tcp is kept for ssh on {ALL}"]
    for snapshot, hosts in ((known, {"h2"}), (former, {"h1", "h2", "h3"})):
        assert Answering(snapshot, proxies_of(snapshot)).hosts(()) == hosts


def test_a_hosts_policy_gives_it_away_by_name_only() -> None:
    every = dict.fromkeys(("h1", "h2", "h3"), NAMED)
    assert said(fleet(every), app(22)) == []
    assert said(fleet({"h1": NAMED}), app(22)) == ["port 22/tcp is kept for ssh on hosts h2, h3"]
    others = PortRules({"ports.published": ("443",), "ports.approved": ("22",)})
    assert said(fleet({**every, "h3": others}), app(22)) == [
        "port 22/tcp is kept for ssh on host h3"
    ]


def test_a_hosts_policy_gives_it_to_one_service_only() -> None:
    def to(pattern: str) -> PortRules:
        return PortRules({}, (PortExemption(pattern, {"ports.published": ("22",)}),))

    every = ("h1", "h2", "h3")
    assert said(fleet(dict.fromkeys(every, to("shop/web"))), app(22)) == []
    assert len(said(fleet(dict.fromkeys(every, to("bank/web"))), app(22))) == 1


def test_who_listens_there_now_is_named_instead() -> None:
    there = fleet(h1=Listener(22, "tcp", "0.0.0.0", "sshd"))
    assert said(there, app(22)) == [
        "port 22/tcp is taken by process sshd on host h1",
        "port 22/tcp is kept for ssh on hosts h2, h3",
    ]


def test_a_master_that_listens_is_named_as_one() -> None:
    """Its program's name says nothing; what runs in a container there is somebody else."""
    message = "port 7442/tcp is master m1's on host h1"
    assert message in said(fleet(h1=Listener(7442, "tcp", "0.0.0.0", "python3")), app(7442))
    other = Listener(7442, "tcp", "0.0.0.0", "nginx", container="web")
    assert "port 7442/tcp is taken by container web on host h1" in said(fleet(h1=other), app(7442))
    udp = Listener(7442, "udp", "0.0.0.0", "python3")
    assert message in said(fleet(h1=udp), app(7442))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (app(7442), "port 7442/tcp is master m1's on host h1"),
        (app(7441, mode=PortMode.HOST), "port 7441/tcp is master m1's on host h1"),
        (app(7443), f"port 7443/tcp is the proxy's own, for other hosts, on {ALL}"),
        (
            app(7443, mode=PortMode.HOST),
            f"port 7443/tcp is the proxy's own, for other hosts, on {ALL}",
        ),
        (app(20, last=30, mode=PortMode.HOST), f"port 22/tcp is kept for ssh on {ALL}"),
    ],
)
def test_what_is_hullmarks_own(asked: App, message: str) -> None:
    assert message in said(fleet(), asked)


def test_a_master_on_loopback_keeps_its_ports_on_all_hosts() -> None:
    (told,) = conflicts(fleet(), app(7441, mode=PortMode.HOST), {"m1": (("127.0.0.1", 7441),)})
    assert told.message == f"port 7441/tcp is master m1's on {ALL}"


def test_no_policy_gives_away_what_is_hullmarks_own() -> None:
    rules = PortRules({"ports.published": ("1-65535",)})
    assert len(said(fleet(dict.fromkeys(("h1", "h2", "h3"), rules)), app(7443))) == 1


@pytest.mark.parametrize(
    "asked",
    [
        app(7441),
        app(22, protocol="udp", mode=PortMode.HOST),
        app(23),
        app(0),
        app(7442, on="h3"),
    ],
)
def test_ports_that_are_free(asked: App) -> None:
    there = fleet()
    facts = dataclasses.replace(there.observed["h1"].facts, addresses=("192.0.2.9",))
    elsewhere = {**there.observed, "h1": HostState(facts)}
    assert said(dataclasses.replace(there, observed=elsewhere), asked) == []


def test_an_app_that_has_it_already_is_only_warned() -> None:
    there = fleets.applied(fleet(), app(22))
    assert judged(there, app(22)) == (
        [],
        [f"services.web.ports: port 22/tcp is kept for ssh on {ALL}"],
    )
