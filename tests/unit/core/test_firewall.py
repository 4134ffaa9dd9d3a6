"""Which paths a host needs, and in whose words they are printed."""

from __future__ import annotations

import dataclasses
import shlex

import pytest

from hullmark.core.checks.forwardrules import chains_of, old_chains_of, table_for
from hullmark.core.checks.forwardway import Inside, Way
from hullmark.core.checks.spans import spans_of
from hullmark.core.firewallneeds import needs
from hullmark.core.firewallrules import FIREWALLS, in_use, rendered
from hullmark.model.app import App, Attachment, ContainerSpec, Network, PortMode, PortSpec, Service
from hullmark.model.control import ControlState, Mode, Posture, Status
from hullmark.model.host import HostFacts, HostRecord, PortRules
from hullmark.model.observed import HostState, InstanceStatus, Phase
from hullmark.model.orders import Assignment, InstanceId, PublishedPort
from hullmark.model.ports import FirewallNeeds, FirewallRule, Hook
from hullmark.model.records import HostAssignments, ProxyRecord
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
        PortSpec(81, 8081, 8081, host_ip="127.0.0.1"),  # which no firewall need let in
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


def test_a_port_that_the_hosts_policy_forbids_is_opened_nowhere() -> None:
    before = world()
    rules = PortRules({"ports.published": ("1-442",)})
    here = dataclasses.replace(before.observed["id1"].facts, port_rules=rules)
    strict = dataclasses.replace(before, observed={**before.observed, "id1": HostState(here)})
    services = [rule.why for rule in of_web1(strict).rules if rule.why.startswith("shop/")]
    assert services == []
    assert [rule.why for rule in of_web1(before).rules if rule.why.startswith("shop/")]


def test_a_container_with_the_hosts_network_needs_nothing_handed_on() -> None:
    spec = PortSpec(9400, 9400, 9400, mode=PortMode.HOST)
    service = Service(ContainerSpec("n:1", network_mode="host"), ports=(spec,))
    made = fleets.applied(world(), App("probe", {"n": service}))
    told = (PublishedPort(9400, 9400),)
    orders = HostAssignments((Assignment(InstanceId("probe", "n", 1, 1), "h", told),))
    made = dataclasses.replace(made, assignments={"id1": orders})
    found = [rule for rule in of_web1(made).rules if "probe/n" in rule.why]
    assert found == [FirewallRule(Hook.INPUT, "probe/n: network_mode: host", "tcp", (9400,))]


@pytest.mark.parametrize("firewall", FIREWALLS)
@pytest.mark.parametrize("zone", ["%;reboot;#", "%$(reboot)", "%\nreboot\n"])
def test_what_a_host_says_becomes_no_word_of_others_commands(zone: str, firewall: str) -> None:
    """Python takes any text for an IPv6 address's zone."""
    address, port = f"fe80::1{zone}", PublishedPort(80, 9080, f"tcp{zone}", f"fe80::1{zone}")
    ports = (port, PublishedPort(80, 9081, "tcp", "nowhere"))
    instance = InstanceId("shop", "web", 1, 1)
    seen = InstanceStatus(instance, Phase.RUNNING, ports=ports)
    says = dataclasses.replace(
        facts("192.0.2.1"),
        addresses=("192.0.2.1", address),
        proxy_address=address,
        container_range=f"{address}/128",
        engine=f"docker{zone}",
    )
    made = world()
    observed = {**made.observed, "id1": HostState(says, {instance.container_name: seen})}
    found = needs(dataclasses.replace(made, observed=observed), "", AGENTS, PEOPLE)
    lines = rendered(firewall, found)
    assert "# web2" in lines
    assert not [line for line in lines if "reboot" in line or "nowhere" in line]
    assert [line for line in lines if "192.0.2.1" in line]


def test_without_a_proxy_what_it_would_need_is_left_out_and_that_is_said() -> None:
    found = of_web1(world(proxy=""))
    assert found.unknown == (
        "no proxy is up on it: what services and published ports need is left out",
    )
    assert not [rule for rule in found.rules if "proxy" in rule.why]
    made = world(proxy="")
    alone = {"id1": made.observed["id1"]}
    hosts = {"id1": made.hosts["id1"]}
    found = of_web1(dataclasses.replace(made, hosts=hosts, observed=alone))
    assert not [rule for rule in found.rules if "proxy" in rule.why], "where no host has one, too"


def test_rules_for_a_lost_host_are_printed_and_said_to_be_of_what_it_told_last() -> None:
    heard = of_web1(dataclasses.replace(world(), heard_s={"id1": 1.0}))
    lost = of_web1(dataclasses.replace(world(), heard_s={"id1": 312.0}))
    assert lost.rules == heard.rules
    assert not any("lost" in why for why in heard.unknown)
    for firewall in FIREWALLS:
        _, why, *_ = rendered(firewall, [lost])
        assert why.startswith("# it is lost: these rules are for what it told last, 5 min ago, as")
    anew = dataclasses.replace(world(), heard_s={"id1": 15.0}, spoke_s={"id1": 312.0})
    assert of_web1(anew).unknown == lost.unknown


def test_a_host_that_was_never_heard() -> None:
    silent = dataclasses.replace(world(), observed={})
    (first, second) = needs(silent, "", AGENTS, PEOPLE)
    assert (first.host, second.host, first.rules) == ("web1", "web2", ())
    assert "not been heard" in first.unknown[0]


def test_another_host_that_is_not_heard_keeps_its_proxys_place_and_is_named() -> None:
    """Else a shop that prints anew while a leader is new cuts it off, and nothing says so."""
    made = world()
    made = dataclasses.replace(made, observed={"id1": made.observed["id1"]})
    found = of_web1(made)
    assert not [rule for rule in found.rules if "192.0.2.2" in rule.sources]
    (why,) = found.unknown
    assert why.startswith("not heard by this master yet: web2;")
    kept = {"id2": ProxyRecord("192.0.2.2", 7444), "gone": ProxyRecord("192.0.2.9", 7443)}
    rules = {rule.why: rule for rule in of_web1(dataclasses.replace(made, proxies=kept)).rules}
    assert rules["other hosts' proxies to this one's (TLS)"].sources == ("192.0.2.2",)
    out = rules["this proxy to other hosts' (TLS)"]
    assert (out.ports, out.destinations) == ((7444,), ("192.0.2.2",))


@pytest.mark.parametrize("port", [-1, 0, 99999])
def test_a_port_that_is_none_is_in_no_other_hosts_rules(port: int) -> None:
    """With it nft would take none of them."""
    says = dataclasses.replace(facts("192.0.2.2"), proxy_port=port)
    made = world()
    observed = {**made.observed, "id2": HostState(says)}
    rules = of_web1(dataclasses.replace(made, observed=observed)).rules
    assert rules
    assert not [rule for rule in rules if port in rule.ports]


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
    assert [rule for rule in rules if "anywhere" in rule] == [
        'add rule inet filter forward ip saddr { 10.213.0.0/16, 10.9.0.0/24 } meta iifkind "bridge" '
        f'iifname "{name}" accept comment "containers to anywhere else; not where they may not"'
        for name in ("podman*", "cni-podman*", "docker0", "br-*")
    ]
    tls = [line for line in rules if "other hosts' proxies" in line]
    assert [line.split()[5:8] for line in tls] == [
        ["ip", "saddr", "192.0.2.2"],
        ["ip6", "saddr", "2001:db8::1"],
    ]


def test_iptables() -> None:
    lines = rendered("iptables", [of_web1(world())])
    assert (
        "iptables -w -A INPUT -s 10.213.0.0/16,10.9.0.0/24 -d 10.214.0.0/16 -p tcp "
        '-m comment --comment "containers to service addresses; the proxy asks each caller who it is" -j ACCEPT'
    ) in lines
    assert (
        "iptables -w -A FORWARD -d 10.213.0.0/16,10.9.0.0/24 -p udp -m conntrack --ctstate DNAT --ctorigdstport 8053 "
        '-m comment --comment "shop/web: mode: host, UDP, handed on by docker" -j ACCEPT'
    ) in lines
    assert (
        "iptables -w -A FORWARD -s 10.213.0.0/16,10.9.0.0/24 -i podman+ "
        '-m comment --comment "containers to anywhere else; not where they may not" -j ACCEPT'
    ) in lines
    tls = [line.split()[:6] for line in lines if "other hosts' proxies" in line]
    assert tls == [
        ["iptables", "-w", "-A", "INPUT", "-s", "192.0.2.2"],
        ["ip6tables", "-w", "-A", "INPUT", "-s", "2001:db8::1"],
    ]
    published = [line.partition(" -m comment")[0] for line in lines if "by the proxy" in line]
    assert published == [f"{tool} -w -A INPUT -p tcp --dport 443" for tool in BOTH]
    assert (
        lines[-1] == "iptables -w -t raw -A PREROUTING -s 10.9.0.0/24 -m rpfilter --invert -j DROP"
    )


BOTH = ("iptables", "ip6tables")


def test_iptables_takes_fifteen_ports_in_a_rule_and_no_quotes_in_a_comment() -> None:
    why = 'a "b" `c` $d!'
    rule = FirewallRule(Hook.INPUT, why, ports=tuple(range(1, 18)), sources=("192.0.2.9",))
    lines = rendered("iptables", [FirewallNeeds("web1", (rule, *_handed_on(80, 443)))])
    said = [line.split(" -m comment ") for line in lines if not line.startswith("#")]
    many = ",".join(map(str, range(1, 16)))
    assert said == [
        [f"iptables -w -A INPUT -s 192.0.2.9 -p tcp -m multiport --dports {ports}", end]
        for ports, end in (
            (many, '--comment "a b c d" -j ACCEPT'),
            ("16,17", '--comment "a b c d" -j ACCEPT'),
        )
    ] + [
        [f"ip6tables -w -A FORWARD -d fd00::/64 -p tcp {OF} {port}", '--comment "x" -j ACCEPT']
        for port in (80, 443)
    ]


def test_ufw_takes_fifteen_ports_in_a_rule() -> None:
    rule = FirewallRule(Hook.INPUT, "x", ports=tuple(range(1, 18)))
    lines = rendered("ufw", [FirewallNeeds("web1", (rule,))])
    many = ",".join(map(str, range(1, 16)))
    assert [line for line in lines if not line.startswith("#")] == [
        f"ufw allow proto tcp from any to any port {ports} comment x" for ports in (many, "16,17")
    ]


OF = "-m conntrack --ctstate DNAT --ctorigdstport"


def _handed_on(*ports: int) -> tuple[FirewallRule, ...]:
    there = ("fd00::/64",)
    return (FirewallRule(Hook.FORWARD, "x", ports=(8080,), destinations=there, forwarded=ports),)


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
    (written,) = (line for line in lines if line.startswith("printf "))
    *_, table, target = shlex.split(written)
    assert (table, target) == (
        table_for(("10.213.0.0/16", "10.9.0.0/24")),
        ">/etc/ufw/containers.nft",
    )


def test_what_is_printed_for_a_chain_that_drops_lets_no_neighbour_in() -> None:
    """As the control `container-routing` judges it. ufw's rules do, and its table takes that back."""
    inner, own = spans_of("10.213.0.0/16, 10.9.0.0/24"), frozenset({"br-1b4f26e3ff27"})
    inside = Inside(4, inner, (), own, others=frozenset({"br0", "virbr0"}))
    rules = [line for line in rendered("nftables", [of_web1(world())]) if " forward " in line]
    words = "\n".join(f"\t\t{line.partition(' forward ')[2]}" for line in rules)
    hook = "\t\ttype filter hook forward priority filter; policy drop;"
    text = f"table inet filter {{\n\tchain forward {{\n{hook}\n{words}\n\t}}\n}}\n"
    (chain,) = chains_of(text)
    assert len(chain.rules) == len(rules) > 2
    assert chain.way(inside) == Way("", goes_on=False)
    for name in ("docker0", "br-*", "cni-podman*"):
        (open_chain,) = chains_of(text.replace(f'meta iifkind "bridge" iifname "{name}"', ""))
        assert "ip saddr" in open_chain.way(inside).opening
    (open_chain,) = chains_of(text.replace('iifname "br-*" ', ""))
    assert 'iifkind "bridge" accept' in open_chain.way(inside).opening


def test_what_is_printed_for_iptables_lets_no_neighbour_in_either() -> None:
    lines = [line[len("iptables -w ") :] for line in rendered("iptables", [of_web1(world())])]
    rules = [line for line in lines if line.startswith("-A FORWARD")]
    taken_apart = [one for rule in rules for one in _for_each_source(rule)]
    saved = "\n".join(["*filter", ":FORWARD DROP [0:0]", *taken_apart, "COMMIT", ""])
    inside = Inside(4, spans_of("10.213.0.0/16, 10.9.0.0/24, 10.88.0.0/16"))
    (chain,) = old_chains_of(saved, 4)
    assert chain.way(inside) == Way("", goes_on=False)
    (open_chain,) = old_chains_of(saved.replace(" -i podman+", ""), 4)
    assert "-s 10.213.0.0/16" in open_chain.way(inside).opening


def _for_each_source(rule: str) -> list[str]:
    """As iptables takes them apart, and iptables-save prints them."""
    both = "10.213.0.0/16,10.9.0.0/24"
    return [rule.replace(both, one) for one in both.split(",")] if both in rule else [rule]


@pytest.mark.parametrize("firewall", FIREWALLS)
def test_each_host_has_its_own_part(firewall: str) -> None:
    lines = rendered(firewall, needs(world(), "", AGENTS, PEOPLE))
    assert lines[0] == "# web1"
    assert lines[lines.index("") + 1] == "# web2"


@pytest.mark.parametrize(
    ("seen", "firewall"),
    [
        ({}, "nftables"),
        ({"nftables": Status.NOT_APPLICABLE, "ufw": Status.PASS}, "ufw"),
        ({"firewalld": Status.PASS, "nftables": Status.PASS}, "firewalld"),
        ({"firewalld": Status.FAIL, "nftables": Status.PASS}, "nftables"),
        ({"firewalld": Status.FAIL, "ufw": Status.ERROR}, "firewalld"),
    ],
)
def test_what_a_hosts_controls_see_is_the_firewall_that_it_has(
    seen: dict[str, Status], firewall: str
) -> None:
    controls = {
        f"firewall-{name}": ControlState(f"firewall-{name}", "firewall", name, status)
        for name, status in seen.items()
    }
    assert in_use(Posture("web1", Mode.RUN, controls, 1.0)) == firewall
    assert in_use(None) == "nftables"
