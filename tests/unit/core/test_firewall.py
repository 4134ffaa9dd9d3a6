"""Which paths a host needs, and in whose words they are printed."""

from __future__ import annotations

import dataclasses

import pytest

from hullmark.core.firewallneeds import needs
from hullmark.core.firewallrules import FIREWALLS, rendered
from hullmark.model.app import App, Attachment, ContainerSpec, Network, PortMode, PortSpec, Service
from hullmark.model.host import HostFacts, HostRecord
from hullmark.model.observed import HostState
from hullmark.model.orders import Assignment, InstanceId, PublishedPort
from hullmark.model.ports import FirewallNeeds, FirewallRule, Hook
from hullmark.model.records import HostAssignments
from hullmark.model.snapshot import Snapshot
from tests.unit.core import fleets

HOSTS = [HostRecord("id1", "web1", 1.0), HostRecord("id2", "web2", 1.0)]
RANGE, SERVICES = "10.213.0.0/16", "10.214.0.0/16"
AGENTS = {"m1": (("192.0.2.1", 7441),), "m2": (("m2.example.com", 7441),)}
PEOPLE = {"m1": (("192.0.2.1", 7442),)}


def facts(address: str, proxy: str = "2.6") -> HostFacts:
    return HostFacts(
        engine="docker",
        addresses=(address, "2001:db8::1"),
        proxy_version=proxy,
        proxy_address=address,
        proxy_port=7443,
        container_range=RANGE,
    )


def world(*, engine: str = "docker", proxy: str = "2.6") -> Snapshot:
    both = (
        PortSpec(80, 443, 443),
        PortSpec(5432, 5432, 5432, host_ip="192.0.2.1", mode=PortMode.HOST),
    )
    db = ContainerSpec("db:1", networks=(Attachment("own"),))
    app = App(
        "shop",
        {"web": Service(ContainerSpec("web:1"), ports=both), "db": Service(db)},
        networks={"own": Network(subnet="10.9.0.0/24"), "in": Network(subnet="10.213.7.0/24")},
    )
    here = dataclasses.replace(facts("192.0.2.1", proxy), engine=engine)
    states = {"id1": HostState(here), "id2": HostState(facts("192.0.2.2"))}
    made = fleets.applied(fleets.snapshot({}, HOSTS, states), app)
    held = (PublishedPort(5432, 5432), PublishedPort(53, 8053, "udp"))
    orders = HostAssignments((Assignment(InstanceId("shop", "web", 1, 1), "h", held),))
    return dataclasses.replace(made, assignments={"id1": orders}, address_range=SERVICES)


def of_web1(snapshot: Snapshot) -> FirewallNeeds:
    (found,) = needs(snapshot, "web1", AGENTS, PEOPLE)
    return found


def test_the_paths_of_a_host() -> None:
    inner = (RANGE, "10.9.0.0/24")
    found = {rule.why: rule for rule in of_web1(world()).rules}
    assert found == {
        rule.why: rule
        for rule in (
            FirewallRule(
                Hook.INPUT,
                "containers to service addresses; the proxy asks each caller who it is",
                sources=inner,
                destinations=(SERVICES,),
            ),
            FirewallRule(Hook.OUTPUT, "the proxy to containers of this host", destinations=inner),
            FirewallRule(
                Hook.INPUT,
                "other hosts' proxies to this one's (TLS)",
                ports=(7443,),
                sources=("192.0.2.2", "2001:db8::1"),
            ),
            FirewallRule(
                Hook.OUTPUT,
                "this proxy to other hosts' (TLS)",
                ports=(7443,),
                destinations=("192.0.2.2",),
            ),
            FirewallRule(Hook.INPUT, "shop/web: published, answered by the proxy", ports=(443,)),
            FirewallRule(
                Hook.FORWARD,
                "shop/web: mode: host, TCP, handed on by docker",
                ports=(5432,),
                destinations=inner,
                forwarded=(5432,),
            ),
            FirewallRule(
                Hook.FORWARD,
                "shop/web: mode: host, UDP, handed on by docker",
                "udp",
                ports=(53,),
                destinations=inner,
                forwarded=(8053,),
            ),
            FirewallRule(
                Hook.FORWARD,
                "containers to anywhere else; not where they may not",
                "",
                sources=inner,
            ),
            FirewallRule(
                Hook.INPUT,
                "agents to master m1",
                ports=(7441,),
                sources=("192.0.2.1", "192.0.2.2", "2001:db8::1"),
            ),
            FirewallRule(
                Hook.OUTPUT,
                "this host's agent to master m1",
                ports=(7441,),
                destinations=("192.0.2.1",),
            ),
            FirewallRule(
                Hook.OUTPUT, "this host's agent to master m2 (m2.example.com)", ports=(7441,)
            ),
            FirewallRule(
                Hook.INPUT,
                "people and their tools to master m1; narrow it to theirs",
                ports=(7442,),
            ),
        )
    }


def test_without_a_proxy_what_it_would_need_is_left_out_and_that_is_said() -> None:
    found = of_web1(world(proxy=""))
    assert found.unknown == (
        "no proxy is up on it: what services and published ports need is left out",
    )
    assert not [rule for rule in found.rules if "proxy" in rule.why]


def test_a_host_that_was_never_heard() -> None:
    silent = dataclasses.replace(world(), observed={})
    (first, second) = needs(silent, "", AGENTS, PEOPLE)
    assert (first.host, second.host, first.rules) == ("web1", "web2", ())
    assert "not been heard" in first.unknown[0]


def test_podman_has_a_name_server_of_its_own() -> None:
    names = [rule for rule in of_web1(world(engine="podman")).rules if rule.ports == (53,)]
    assert {(rule.hook, rule.protocol) for rule in names if not rule.forwarded} == {
        (Hook.INPUT, "udp"),
        (Hook.INPUT, "tcp"),
    }


def test_nftables() -> None:
    lines = rendered("nftables", [of_web1(world())])
    rules = [line for line in lines if not line.startswith("#")]
    assert (
        "add rule inet filter input ip saddr { 10.213.0.0/16, 10.9.0.0/24 } ip daddr 10.214.0.0/16 meta l4proto tcp accept "
        'comment "containers to service addresses; the proxy asks each caller who it is"'
    ) in rules
    assert (
        "add rule inet filter forward ip daddr { 10.213.0.0/16, 10.9.0.0/24 } meta l4proto udp ct status dnat "
        'ct original proto-dst 8053 accept comment "shop/web: mode: host, UDP, handed on by docker"'
    ) in rules
    tls = [line for line in rules if "other hosts' proxies" in line]
    assert [line.split()[5:8] for line in tls] == [
        ["ip", "saddr", "192.0.2.2"],
        ["ip6", "saddr", "2001:db8::1"],
    ]


def test_firewalld() -> None:
    lines = rendered("firewalld", [of_web1(world())])
    assert (
        'firewall-cmd --permanent --add-rich-rule=\'rule family="ipv4" source address="192.0.2.2" '
        'port port="7443" protocol="tcp" accept\''
    ) in lines
    assert (
        'firewall-cmd --permanent --add-rich-rule=\'rule port port="443" protocol="tcp" accept\''
    ) in lines
    assert lines[-1] == "firewall-cmd --reload"


def test_ufw() -> None:
    lines = rendered("ufw", [of_web1(world())])
    assert (
        "ufw allow proto tcp from 192.0.2.2 to any port 7443 comment 'other hosts proxies to this ones (TLS)'"
    ) in lines
    assert (
        "ufw allow out proto tcp from any to 192.0.2.2 port 7443 comment 'this proxy to other hosts (TLS)'"
    ) in lines
    assert (
        "ufw route allow proto tcp from any to 10.213.0.0/16 port 5432 "
        "comment 'shop/web: mode: host, TCP, handed on by docker'"
    ) in lines
    assert (
        "ufw route allow from 10.9.0.0/24 to any comment 'containers to anywhere else; not where they may not'"
    ) in lines


@pytest.mark.parametrize("firewall", FIREWALLS)
def test_each_host_has_its_own_part(firewall: str) -> None:
    lines = rendered(firewall, needs(world(), "", AGENTS, PEOPLE))
    assert lines[0] == "# web1"
    assert lines[lines.index("") + 1] == "# web2"
