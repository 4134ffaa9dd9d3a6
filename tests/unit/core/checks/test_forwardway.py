"""Whether what neighbours open to containers gets through a chain: with rules that engines and firewalls really make, and with what people add."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core.checks.forwardrules import Chain, chains_of, old_chains_of
from hullmark.core.checks.forwardway import Inside, Way
from hullmark.core.checks.spans import spans_of

RULESETS = Path(__file__).parent / "rulesets"
"""Printed by nft 1.0.6 and iptables 1.8.9. Netavark's with the policy of its chain changed to drop; firewalld's with a network of Podman's in `trusted`."""
RANGE = "10.213.0.0/16"
ENGINES = {
    "docker": (
        ("br-1b4f26e3ff27", "br-fef3dc539a9d", "hmd3dbb76"),
        ("10.52.0.0/24", "10.52.1.0/24", "10.52.255.0/24"),
    ),
    "netavark": (
        ("podman0", "podman1", "podman2"),
        ("10.237.0.0/24", "10.237.1.0/24", "10.237.255.0/24"),
    ),
    "ufw": (("podman1",), ("10.88.0.0/16",)),
    "firewalld": (("podman1",), ("10.88.0.0/16",)),
}
SHUT = Way("", goes_on=False)


def inside(name: str, version: int = 4) -> Inside:
    bridges, subnets = ENGINES[name]
    taken = tuple(span for subnet in subnets for span in spans_of(subnet))
    wanted = (*spans_of(RANGE), *taken) if version == 4 else spans_of("fd00:1::/64")
    return Inside(version, wanted, taken, frozenset(bridges))


def chain_in(text: str, is_old: bool = False) -> Chain:
    (chain,) = old_chains_of(text, 4) if is_old else chains_of(text)
    return chain


@pytest.mark.parametrize("file", sorted(path.name for path in RULESETS.iterdir()))
def test_what_engines_and_firewalls_make_lets_nobody_in(file: str) -> None:
    name = file.partition("-")[0]
    chain = chain_in((RULESETS / file).read_text(), file.endswith(".save"))
    assert chain.way(inside(name)) == SHUT
    # Who doesn't know the interfaces can't tell theirs from others.
    unknown = Inside(4, inside(name).wanted)
    assert chain.way(unknown).opening or name == "ufw"


@pytest.mark.parametrize("kind", ["nft", "save"])
@pytest.mark.parametrize(
    ("chain", "old", "new"),
    [
        ("DOCKER-USER", "-i lan -j ACCEPT", 'iifname "lan" accept'),
        ("FORWARD", "-o br-1b4f26e3ff27 -j ACCEPT", 'oifname "br-1b4f26e3ff27" accept'),
        ("DOCKER-USER", "-p tcp -m tcp --dport 5432 -j ACCEPT", "tcp dport 5432 accept"),
        ("DOCKER-USER", "-s 10.213.0.0/16 -j ACCEPT", "ip saddr 10.213.0.0/16 accept"),
        ("DOCKER-USER", "-i br+ -j ACCEPT", 'iifname "br*" accept'),
        ("DOCKER-USER", "! -i lan -j ACCEPT", 'iifname != "lan" accept'),
        ("DOCKER-USER", "-d 10.52.0.2/32 -p tcp -m tcp --dport 80 -j ACCEPT", "ip daddr 10.52.0.2 tcp dport 80 accept"),
        ("DOCKER-USER", "-m conntrack ! --ctstate INVALID -j ACCEPT", "ct state != invalid accept"),
        ("DOCKER-USER", "-m conntrack --ctstate NEW,RELATED -j ACCEPT", "ct state related,new accept"),
        ("DOCKER-USER", "-j NFQUEUE --queue-num 0", "queue num 0"),
        ("DOCKER-USER", "-j DOCKER-USER", "jump DOCKER-USER"),
        ("DOCKER-USER", "-g NOBODYS", "goto NOBODYS"),
    ],
)  # fmt: skip
def test_what_lets_in_before_the_rest_is_dropped(kind: str, chain: str, old: str, new: str) -> None:
    way = with_rule(kind, chain, old, new).way(inside("docker"))
    assert (bool(way.opening), way.goes_on) == (True, False)
    if "DOCKER-USER" not in new and "NOBODYS" not in new:
        assert way.opening == f"{chain}: {old if kind == 'save' else new}"


@pytest.mark.parametrize("kind", ["nft", "save"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("-m state --state RELATED,ESTABLISHED -j ACCEPT", "ct state { established, related } accept"),
        ("-m conntrack --ctstate DNAT -j ACCEPT", "ct status dnat accept"),
        ("-i lo -j ACCEPT", 'iif "lo" accept'),
        ("-i hmd3dbb76 -j ACCEPT", 'iifname { "hmd3dbb76", "br-1b4f26e3ff27" } accept'),
        ("-o wan -j ACCEPT", 'oifname { "wan", "vpn" } accept'),
        ("-d 192.0.2.0/24 -j ACCEPT", "ip daddr { 192.0.2.0/24, 198.51.100.7 } accept"),
        ("! -d 10.0.0.0/8 -j ACCEPT", "ip daddr != 10.0.0.0/8 accept"),
        ("-s 10.52.1.9/32 -j ACCEPT", "ip saddr 10.52.1.9 accept"),
        ("-p icmp -j ACCEPT", "meta l4proto { icmp, ipv6-icmp } accept"),
        ("-p tcp -m tcp --dport 22 -j DROP", "tcp dport 22 drop"),
        ("-m mark --mark 0x1 -j LOG --log-prefix \"-j ACCEPT\"", "meta mark 0x1 log"),
        ("-m limit --limit 3/min -j RETURN", "limit rate 3/minute return"),
        ("-j MARK --set-xmark 0x1/0x1", "meta nfproto ipv6 accept"),
        ("-p tcp -j TCPMSS --clamp-mss-to-pmtu", "ct state vmap { invalid : drop, established : accept, related : accept }"),
        ("-i lo -g DOCKER-USER", 'iifname vmap { "lo" : accept, "hmd3dbb76" : goto DOCKER-USER }'),
    ],
)  # fmt: skip
def test_what_is_not_for_them(kind: str, old: str, new: str) -> None:
    assert with_rule(kind, "DOCKER-USER", old, new).way(inside("docker")) == SHUT


def with_rule(kind: str, chain: str, old: str, new: str) -> Chain:
    """Docker's rules with one more, before the others of a chain."""
    text = (RULESETS / f"docker-20.10.{kind}").read_text()
    if kind == "save":
        place = f"-A {chain} "
        changed = text.replace(place, f"{place}{old}\n{place}", 1)
    else:
        place = f"\tchain {chain} {{\n"
        hook = "\t\ttype filter hook forward priority filter; policy drop;\n"
        place += hook if chain == "FORWARD" else ""
        changed = text.replace(place, f"{place}\t\t{new}\n")
    assert changed != text
    return chain_in(changed, kind == "save")


TABLE = """\
table inet filter {
	chain others {
		OTHERS
	}
	chain forward {
		type filter hook forward priority filter; policy accept;
		RULES
	}
}
"""


def way(rules: str, others: str = "", version: int = 4) -> Way:
    text = TABLE.replace("RULES", rules).replace("OTHERS", others)
    return chain_in(text).way(inside("docker", version))


@pytest.mark.parametrize(
    ("rules", "others"),
    [
        ("jump others", "drop"),
        ("goto others\n\t\taccept", "reject with icmpx admin-prohibited"),
        ("meta nfproto ipv4 jump others", "meta nfproto ipv4 drop"),
        ("icmp type echo-request accept\n\t\treject with icmp type port-unreachable", ""),
        ("jump others\n\t\tdrop", 'iifname "lan" return'),
        ("ip saddr 10.213.0.0/16 meta iifkind \"bridge\" accept\n\t\tdrop", ""),
        ("ip saddr { 10.52.0.1,\n\t\t\t     10.52.0.9 } accept\n\t\tdrop", ""),
    ],
)  # fmt: skip
def test_jumps_that_end_in_a_drop(rules: str, others: str) -> None:
    assert way(rules, others) == SHUT


@pytest.mark.parametrize(
    ("rules", "others"),
    [
        ("jump others", "tcp dport 22 drop"),
        ("jump others", "return\n\t\tdrop"),
        ("jump others", 'iifname "lan" return\n\t\tdrop'),
        ('iifname "lan" jump others', "drop"),
        ("goto others\n\t\tdrop", "counter"),
        ("meta nfproto ipv6 drop", ""),
        ("ip6 daddr fd00::/8 drop", ""),
        ("xt match string drop", ""),
    ],
)
def test_what_goes_on_after_the_chain(rules: str, others: str) -> None:
    assert way(rules, others).goes_on


@pytest.mark.parametrize(
    "rule",
    [
        'meta iifkind "bridge" accept',
        "ip saddr 10.213.0.0/16 accept",
        "ct reply ip saddr 10.52.0.2 accept",
        "vxlan ip saddr 10.52.0.2 accept",
        'iifname . oifname { "lan" . "wan" } accept',
        'iifname . oifname vmap { "lan" . "br-1b4f26e3ff27" : accept }',
        "ip saddr . ip daddr { 10.52.0.2 . 192.0.2.1 } accept",
        'iifname vmap { "lo" : accept, "lan" : accept }',
        "ct state vmap @states",
        "ct state vmap { established : accept, new : accept }",
        "ip daddr @containers accept",
        "meta l4proto { icmp, tcp } accept",
        "xt match physdev accept",
        "meta l4proto tcp xt target SYNPROXY",
        'oifname "br-1b4f26e3ff27" ip daddr 10.52.0.0/24 tcp dport 80 accept',
        'oifname "br-1b4f26e3ff27" ip daddr 10.52.0.2 tcp dport 80-443 accept',
        'oifname "br-1b4f26e3ff27" ip daddr 10.52.0.2-10.52.0.3 tcp dport 80 accept',
    ],
)
def test_conditions_that_may_be_a_neighbours(rule: str) -> None:
    found = way(f"{rule}\n\t\tdrop")
    assert (found.opening, found.goes_on) == (f"forward: {rule}", False)


def test_each_version_of_ip_by_its_own_rules() -> None:
    rules = "ip saddr 192.0.2.0/24 accept\n\t\tdrop"
    assert way(rules).opening
    assert way(rules, version=6) == SHUT
    assert way("meta nfproto ipv6 drop", version=6) == SHUT


def test_chains_that_lead_to_each_other_or_too_deep() -> None:
    loop = 'table ip t {\n\tchain b {\n\t\ttype filter hook forward priority 0; policy drop;\n\t\tjump b\n\t}\n}\n'  # fmt: skip
    assert chain_in(loop).way(inside("docker")).opening == "b: leads to itself"
    deep = "\n".join(f"-A c{n} -j c{n + 1}" for n in range(5000))
    names = "\n".join(f":c{n} - [0:0]" for n in range(5001))
    text = f"*filter\n:FORWARD DROP [0:0]\n{names}\n-A FORWARD -j c0\n{deep}\nCOMMIT\n"
    assert "not followed" in chain_in(text, is_old=True).way(inside("docker")).opening


@given(st.lists(st.sampled_from(["ip", "daddr", "{", "}", '"lo"', "iifname", "vmap", ":", "accept", "drop", "-j", "!", "ct", "state", "1.2.3.4", ",", "\n\t\t", "#"])).map(" ".join))  # fmt: skip
def test_whatever_rules_say_they_are_judged(rules: str) -> None:
    for chain in chains_of(TABLE.replace("RULES", rules)):
        assert isinstance(chain.way(inside("docker")), Way)
    for chain in old_chains_of(f"*filter\n:FORWARD DROP [0:0]\n-A FORWARD {rules}\nCOMMIT\n", 4):
        assert isinstance(chain.way(inside("docker")), Way)
