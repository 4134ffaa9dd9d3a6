"""Who routes containers' networks to a host: what packet filters say of that."""

from __future__ import annotations

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
		oifname "docker0" counter accept
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
BRIDGED = DOCKER.replace("table ip filter", "table bridge filter").replace("POLICY", "drop")
SAVED = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD POLICY [0:0]\n-A FORWARD -j DOCKER-USER\nCOMMIT\n"
OPEN = DOCKER.replace("POLICY", "accept")


def look(
    rules: str = OPEN,
    old: str = "",
    forwarding: str = "1\n",
    engine: str = "podman",
    version: str = "4.3.1",
) -> Finding:
    said = f'{{"name": "{engine}", "version": "{version}"}}'
    return judged(
        KIND,
        reading("engine", said),
        reading("forwarding", forwarding),
        reading("rules", rules, code=0),
        reading("old_rules", old, code=0),
    )


@pytest.mark.parametrize(
    "found",
    [
        look(DOCKER.replace("POLICY", "drop")),
        look(FIREWALLD),
        look(OPEN + FIREWALLD),
        look("", SAVED.replace("POLICY", "DROP")),
        look("", SAVED.replace("POLICY", "ACCEPT").replace("COMMIT", "-A FORWARD -j REJECT --reject-with x\nCOMMIT")),
        look(forwarding="0\n"),
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
        look("", ""),
    ],
)
def test_a_host_that_lets_neighbours_in(found: Finding) -> None:
    assert found.status is Status.FAIL
    assert "reaches all their ports" in found.reason
    assert found.remedy


def test_what_an_older_docker_leaves_open() -> None:
    closed = DOCKER.replace("POLICY", "drop")
    assert "127.0.0.1" in look(closed, engine="docker", version="20.10.24").reason
    assert look(closed, engine="docker", version="28.0.1").reason == ""
    assert look(closed).reason == ""


def test_what_is_not_known() -> None:
    engine, one = reading("engine", "{}"), reading("forwarding", "1")
    assert judged(KIND).status is Status.ERROR
    assert judged(KIND, engine).status is Status.ERROR
    assert judged(KIND, missing("engine")).status is Status.NOT_APPLICABLE
    assert judged(KIND, engine, one, missing("rules"), missing("old_rules")).status is Status.ERROR
    cut = Reading("rules", "nft", text=OPEN, code=0, cut=True)
    assert judged(KIND, engine, one, cut).status is Status.ERROR
    refused = reading("rules", "", code=1, errors="Operation not permitted")
    assert judged(KIND, engine, one, refused).status is Status.ERROR
    assert look("gibberish").status is Status.ERROR
    assert look(forwarding="yes").status is Status.ERROR
    late = reading("forwarding", trouble=Trouble.TIMED_OUT)
    assert judged(KIND, engine, late).status is Status.ERROR


@given(st.text(), st.text(), st.text())
def test_whatever_is_printed_is_judged(rules: str, old: str, forwarding: str) -> None:
    assert look(rules, old, forwarding).status in (Status.PASS, Status.FAIL, Status.ERROR)
    assert look(rules, old).status in (Status.FAIL, Status.ERROR, Status.PASS)
