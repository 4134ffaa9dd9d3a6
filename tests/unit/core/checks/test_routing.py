"""Who routes containers' networks to a host: what packet filters say of that."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.model.control import Finding, Reading, Status, Trouble
from tests.unit.core.checks.looks import judged, missing, reading

KIND = "engines.routing"
DOCKER = """\
table ip nat {
	chain DOCKER {
		counter return
	}
}
table ip filter {
	chain DOCKER-USER {
		counter return
	}

	chain FORWARD {
		type filter hook forward priority filter; policy POLICY;
		counter jump DOCKER-USER
		oifname "docker0" ct state related,established counter accept
	}
}
"""
FIREWALLD = """\
table inet firewalld {
	chain filter_FORWARD {
		type filter hook forward priority filter + 10; policy accept;
		ct state { established, related } accept
		reject with icmpx admin-prohibited
	}
}
"""
SHUT = """\
table inet containers {
	chain forward {
		type filter hook forward priority filter; policy accept;
		RULE
	}
}
"""
BOTH = "{ 10.88.0.0/16, 10.213.0.0/16 }"
LISTED = "{ 10.213.0.0/16, 10.88.0.0/16 }"
"""As the control lists them."""
LINKS = f'ip daddr {BOTH} meta iifkind != "bridge" drop'


def shut(rule: str) -> str:
    return SHUT.replace("RULE", rule)


BRIDGED = DOCKER.replace("table ip filter", "table bridge filter").replace("POLICY", "drop")
SAVED = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD POLICY [0:0]\n:DOCKER-USER - [0:0]\n-A FORWARD -j DOCKER-USER\nCOMMIT\n"
OPEN = DOCKER.replace("POLICY", "accept")


TAKEN = ["10.88.0.0/16"]
FOUR, SIX = ("10.213.7.0/24", "10.88.0.0/16"), ("2001:db8:1::/64",)


def networks(*subnets: str, others: tuple[str, ...] = ()) -> Reading:
    told = {
        "range": "10.213.0.0/16",
        "subnets": subnets,
        "taken": TAKEN,
        "bridges": ["docker0", "podman0"],
        "others": others,
    }
    return reading("networks", json.dumps(told))


def look(
    rules: str = OPEN,
    old: str = "",
    forwarding: str = "1\n",
    engine: str = "podman",
    version: str = "4.3.1",
    subnets: tuple[str, ...] = FOUR,
    six: tuple[Reading, ...] = (),
    others: tuple[str, ...] = (),
) -> Finding:
    said = f'{{"name": "{engine}", "version": "{version}"}}'
    return judged(
        KIND,
        reading("engine", said),
        networks(*subnets, others=others),
        reading("forwarding", forwarding),
        reading("rules", rules, code=0),
        reading("old_rules", old, code=0),
        *six,
    )


@pytest.mark.parametrize(
    "found",
    [
        look(DOCKER.replace("POLICY", "drop")),
        look(FIREWALLD),
        look(OPEN + FIREWALLD),
        look("", SAVED.replace("POLICY", "ACCEPT").replace("COMMIT", "-A FORWARD -j REJECT --reject-with x\nCOMMIT")),
        look("", SAVED.replace("POLICY", "ACCEPT").replace("COMMIT", '-A FORWARD -m comment --comment "no more" -j DROP\nCOMMIT')),
        look(forwarding="0\n", engine="docker"),
        look(forwarding="0 docker0 lo\n", engine="docker"),
        look("", SAVED.replace("POLICY", "DROP")),
        look(DOCKER.replace("POLICY", "drop"), forwarding="0\n"),
        look(shut(f"ct original ip daddr {BOTH} ct original ip saddr != {BOTH} drop\n\t\t{LINKS}")),
        look(shut(f'{LINKS}\n\t\tip saddr != {BOTH} ip daddr {BOTH} ct state new counter log prefix "in: " drop comment "x"')),
        look(shut("ip daddr 10.213.0.0/16 reject\n\t\tct original ip daddr 10.64.0.0-10.100.0.255 drop")),
        look(OPEN + shut(f"ip daddr {BOTH} drop")),
        look(shut(f"ct state established,related accept\n\t\tip daddr {BOTH} drop")),
    ],
)  # fmt: skip
def test_a_host_that_lets_nobody_in(found: Finding) -> None:
    assert (found.status, found.level) == (Status.PASS, 2), found


@pytest.mark.parametrize(
    "found",
    [
        look(),
        look(BRIDGED),
        look("", SAVED.replace("POLICY", "ACCEPT")),
        look("", SAVED.replace("POLICY", "DROP").replace("filter", "mangle")),
        look(FIREWALLD.replace("reject", "ip saddr 10.0.0.0/8 reject")),
        look(FIREWALLD.replace("reject", "accept\n\t\treject")),
        look(DOCKER.replace("POLICY", "drop").replace("counter jump DOCKER-USER", "accept")),
        look("", SAVED.replace("POLICY", "DROP").replace("-j DOCKER-USER", "-j ACCEPT")),
        look("", ""),
        look(forwarding="0\n"),
        look(shut("ip daddr 10.213.0.0/16 drop")),
        look(shut(f"ip daddr {BOTH} drop").replace("inet", "ip6")),
        look(shut(f"ip daddr {BOTH} accept")),
        look(shut(f"accept\n\t\tip daddr {BOTH} drop")),
        look(shut(f"ip daddr {BOTH} tcp dport 80 drop")),
        look(shut(f'ip daddr {BOTH} iifname "eth1" drop')),
        look(shut(f"ip daddr {BOTH} ip saddr != 10.0.0.0/8 drop\n\t\t{LINKS}")),
        look(shut(f"ip daddr {BOTH} ip saddr != {BOTH} drop")),
        look(shut(LINKS)),
        look(shut(f'ip daddr {BOTH} ip saddr != {BOTH} meta iifkind != "bridge" drop')),
        look(shut("ip daddr @containers drop")),
        look(shut(f"ip saddr 192.0.2.0/24 accept\n\t\tip daddr {BOTH} drop")),
        look(shut(f'iifname vmap {{ "eth0" : accept }}\n\t\tip daddr {BOTH} drop')),
        look(shut(f"jump others\n\t\tip daddr {BOTH} drop")),
        look(
            DOCKER.replace("POLICY", "drop").replace("filter {\n", "filter {\n\tflags dormant\n\n")
        ),
        look(shut("meta nfproto ipv6 drop")),
        look(shut("meta nfproto ipv4 accept\n\t\tdrop")),
        look(
            shut('accept comment "hook forward priority 0; policy drop;"').replace(
                "policy accept", "policy drop"
            )
        ),
        look("", SAVED.replace("POLICY", "ACCEPT").replace("DOCKER-USER", "DROP-AND-LOG")),
        look(forwarding="0 lan podman0\n", engine="docker"),
    ],
)
def test_a_host_that_lets_neighbours_in(found: Finding) -> None:
    assert found.status is Status.FAIL
    assert "reaches all their ports" in found.reason or "a rule may let in" in found.reason
    assert found.remedy


def test_the_rule_that_lets_in_is_told() -> None:
    accepts = f'iifname "lan" ip saddr {{ {", ".join(["192.0.2.1"] * 40)} }} accept'
    closed = DOCKER.replace("POLICY", "drop").replace("counter return", accepts)
    found = look(closed)
    assert (found.status, "table inet containers" in found.remedy) == (Status.FAIL, True)
    assert found.reason.startswith("the host forwards, and a rule may let in who routes")
    assert 'DOCKER-USER: iifname "lan" ip saddr' in found.reason
    assert (len(found.reason) < 300, found.reason[-1]) == (True, "…")
    assert look(closed + SHUT.replace("RULE", f"ip daddr {BOTH} drop")).status is Status.PASS
    assert look(closed + FIREWALLD).status is Status.PASS
    for source, status in (("10.88.3.0/24", Status.PASS), ("10.213.7.0/24", Status.FAIL)):
        rule = f"ip saddr {source} accept"
        assert look(closed.replace(accepts, rule)).status is status, "whose network isn't up"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("-i podman+", Status.PASS),
        ("-i podman1", Status.FAIL),
        ("-i pod+", Status.FAIL),
        ("! -i podman+", Status.FAIL),
        ("-o podman+", Status.FAIL),
        ("", Status.FAIL),
    ],
)
def test_containers_way_out_as_it_is_printed_for_iptables(words: str, status: Status) -> None:
    """What comes another way than packets go back tells no neighbour from containers: the way back to an address of no network is the one to everywhere."""
    guard = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 10.213.0.0/16 -m rpfilter --invert -j DROP\nCOMMIT\n"
    accepts = f"-A FORWARD -s 10.213.0.0/16 {words} -j ACCEPT\nCOMMIT"
    closed = SAVED.replace("POLICY", "DROP").replace("COMMIT", accepts)
    assert look("", guard + closed).status is status


def closed(rule: str) -> str:
    """A chain that accepts this, and drops the rest."""
    return DOCKER.replace("POLICY", "drop").replace("counter return", rule)


@pytest.mark.parametrize(
    ("rule", "by_itself", "beside"),
    [
        ('ip saddr 10.213.0.0/16 meta iifkind "bridge" accept', Status.PASS, Status.FAIL),
        ('ip saddr 10.213.0.0/16 iifkind "bridge" iifname != "br0" accept', Status.PASS, Status.PASS),
        ('ip saddr 10.213.0.0/16 iifkind "bridge" iifname != { "br0", "br1" } accept', Status.PASS, Status.PASS),
        ('ip saddr 10.213.0.0/16 iifkind "bridge" iifname != "br1" accept', Status.PASS, Status.FAIL),
        ('ip saddr 10.213.0.0/16 iifname != "br0" accept', Status.FAIL, Status.FAIL),
        ('ip saddr 10.88.0.0/16 meta iifkind "bridge" accept', Status.PASS, Status.PASS),
        ('meta iifkind "bridge" iifname "podman*" accept', Status.PASS, Status.PASS),
        ('meta iifkind "bridge" iifname "br-*" accept', Status.PASS, Status.PASS),
        ('meta iifkind "bridge" iifname "br*" accept', Status.PASS, Status.FAIL),
        ('meta iifkind "bridge" iifname "br0" accept', Status.PASS, Status.FAIL),
        ('meta iifkind "bridge" iifname { "podman*", "br0" } accept', Status.PASS, Status.FAIL),
        ('iifname "br-*" accept', Status.FAIL, Status.FAIL),
        ('iifname "podman*" accept', Status.PASS, Status.PASS),
    ],
)  # fmt: skip
def test_a_bridge_that_is_no_container_network_lets_neighbours_in(
    rule: str, by_itself: Status, beside: Status
) -> None:
    assert look(closed(rule)).status is by_itself
    found = look(closed(rule), others=("br0",))
    assert found.status is beside
    because = by_itself is Status.PASS and beside is Status.FAIL
    assert found.reason.endswith(". Bridges of no container network: br0") is because


def test_another_bridge_with_a_name_as_podman_gives_them() -> None:
    for rule in ('iifname "podman*" accept', 'iifkind "bridge" iifname "podman*" accept'):
        assert look(closed(rule), others=("podmans",)).status is Status.FAIL
    assert look(closed('iifname "podman0" accept'), others=("podmans",)).status is Status.PASS


def test_a_network_on_a_bridge_that_is_the_hosts_own_too() -> None:
    for rule in ('iifname "docker0" accept', 'iifkind "bridge" iifname "docker0" accept'):
        assert look(closed(rule)).status is Status.PASS
        assert look(closed(rule), others=("docker0",)).status is Status.FAIL
    forwarding = "0 docker0\n"
    assert look(forwarding=forwarding, engine="docker").status is Status.PASS
    found = look(forwarding=forwarding, engine="docker", others=("docker0",))
    assert "forwards what comes by docker0" in found.reason


def test_the_table_that_is_named_drops_what_comes_by_other_bridges() -> None:
    sources = f"ct original ip daddr {BOTH} ct original ip saddr != {BOTH} drop"
    both, one = ('iifname { "br0", "virbr0" } drop', 'iifname "br0" drop')
    table = "\n\t\t".join([sources, LINKS])
    assert look(shut(table)).status is Status.PASS
    found = look(shut(table), others=("virbr0", "br0"))
    assert found.status is Status.FAIL
    assert found.reason.endswith(". Bridges of no container network: br0, virbr0")
    assert (
        f'meta iifkind != "bridge" drop; ct original ip daddr {LISTED} {both}; }}' in found.remedy
    )
    for last, others, status in (
        (both, ("br0", "virbr0"), Status.PASS),
        (both, ("br0",), Status.PASS),
        (one, ("br0",), Status.PASS),
        (one, ("br0", "virbr0"), Status.FAIL),
        (one.replace("iifname", "oifname"), ("br0",), Status.FAIL),
        (one.replace('"br0"', '!= "br0"'), ("br0",), Status.FAIL),
        (f"tcp dport 80 {one}", ("br0",), Status.FAIL),
    ):
        rules = f"{table}\n\t\tct original ip daddr {BOTH} {last}"
        assert look(shut(rules), others=others).status is status, last
    only = shut(f"{sources}\n\t\tct original ip daddr {BOTH} {one}")
    assert look(only, others=("br0",)).status is Status.FAIL, "what comes by no bridge"


def test_interfaces_that_forward_by_themselves() -> None:
    found = look(forwarding="0 docker0 lan wan\n", engine="docker")
    assert found.reason.startswith("the host forwards what comes by lan, wan, and no rule")
    many = " ".join(f"eth{number}" for number in range(9))
    assert "eth4, …, and" in look(forwarding=f"0 {many}", engine="docker").reason


def test_what_an_older_docker_leaves_open() -> None:
    closed = DOCKER.replace("POLICY", "drop")
    assert "127.0.0.1" in look(closed, engine="docker", version="20.10.24").reason
    assert look(closed, engine="docker", version="28.0.1").reason == ""
    assert look(closed).reason == ""


def test_what_is_not_known() -> None:
    said = '{"name": "docker", "version": "20.10.24"}'
    engine, one, on = reading("engine", said), reading("forwarding", "1"), networks(*FOUR)
    assert judged(KIND).status is Status.ERROR
    assert judged(KIND, engine).status is Status.ERROR
    assert judged(KIND, engine, on).status is Status.ERROR
    assert judged(KIND, engine, networks("10.0.0.0/64"), one).status is Status.ERROR
    assert judged(KIND, missing("engine")).status is Status.NOT_APPLICABLE
    assert (
        judged(KIND, engine, on, one, missing("rules"), missing("old_rules")).status is Status.ERROR
    )
    cut = Reading("rules", "nft", text=OPEN, code=0, cut=True)
    assert judged(KIND, engine, on, one, cut).status is Status.ERROR
    refused = reading("rules", "", code=1, errors="Operation not permitted")
    assert judged(KIND, engine, on, one, refused).status is Status.ERROR
    assert look("gibberish").status is Status.ERROR
    assert look(forwarding="yes").status is Status.ERROR
    late = reading("forwarding", trouble=Trouble.TIMED_OUT)
    assert judged(KIND, engine, on, late).status is Status.ERROR


def six(forwarding: Reading, rules: str = "") -> Finding:
    found = (forwarding, reading("old_rules6", rules, code=0))
    return look(DOCKER.replace("POLICY", "drop"), subnets=(*FOUR, *SIX), six=found)


def test_networks_of_ipv6() -> None:
    on = reading("forwarding6", "1\n")
    found = six(on)
    assert (found.status, "forwards IPv6" in found.reason) == (Status.FAIL, True)
    assert "ct original ip6 daddr 2001:db8:1::/64" in found.remedy
    assert six(on, SAVED.replace("POLICY", "DROP")).status is Status.PASS
    assert six(missing("forwarding6")).status is Status.PASS, "a kernel without"
    assert six(reading("forwarding6", "?")).status is Status.ERROR
    inet = look(FIREWALLD, subnets=SIX, six=(on,))
    assert inet.status is Status.PASS
    own = "ip daddr 10.213.0.0/16 drop\n\t\tip6 daddr 2001:db8::/32 drop"
    assert look(shut(own), subnets=SIX, six=(on,)).status is Status.PASS
    assert look(shut(own), subnets=("2001:db9::/64",), six=(on,)).status is Status.FAIL


@pytest.mark.parametrize("others", [(), ("br0",), ("br0", "virbr0")])
@pytest.mark.parametrize("subnets", [(), FOUR, (*FOUR, *SIX)])
def test_the_rule_that_is_named_is_one_that_is_known(
    subnets: tuple[str, ...], others: tuple[str, ...]
) -> None:
    six = (reading("forwarding6", "1\n"),)
    remedy = look(subnets=subnets, six=six, others=others).remedy
    named = re.search(r"policy accept; (.*); }; }$", remedy)
    assert named is not None
    rules = named[1].split("; ")
    assert len(rules) == (2 if subnets[2:] else 1) * (3 if others else 2)

    def status(rules: Iterable[str]) -> Status:
        return look(shut("\n\t\t".join(rules)), subnets=subnets, six=six, others=others).status

    assert status(rules) is Status.PASS
    for without in ("saddr", "iifkind", *(["iifname"] if others else [])):
        assert status(rule for rule in rules if without not in rule) is Status.FAIL


@given(st.text(), st.text(), st.text())
def test_whatever_is_printed_is_judged(rules: str, old: str, forwarding: str) -> None:
    assert look(rules, old, forwarding).status in (Status.PASS, Status.FAIL, Status.ERROR)
    assert look(rules, old).status in (Status.FAIL, Status.ERROR, Status.PASS)
