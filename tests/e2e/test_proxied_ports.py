"""The ledger of ports and the declared flows, of hosts with real engines and proxies."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any, Optional

import pytest

from tests.cluster import wait_until
from tests.e2e.conftest import FEW_ADDRESSES
from tests.e2e.fleet_apps import apply, listening, timed
from tests.fleet import IMAGE, Fleet

SERVICE = f"    image: {IMAGE}\n    pull_policy: never\n    stop_grace_period: 1s\n"
APP = f"""\
  web:
{SERVICE}    ports: ["8091:8080"]
    deploy: {{placement: {{constraints: [node.hostname == web1]}}}}
  own:
{SERVICE}    ports: [{{target: 8080, published: 8092, mode: host}}]
    deploy: {{placement: {{constraints: [node.hostname == web2]}}}}
  node:
{SERVICE}    network_mode: host
    command: [sh, -c, "httpd -p 8093 -h /www; httpd -p 8094 -h /www; sleep 100000"]
    expose: ["8093"]
    deploy: {{placement: {{constraints: [node.hostname == web1]}}}}
"""


def listed(fleet: Fleet, host: str, port: int) -> Optional[dict[str, Any]]:
    """None unless it is there once. The command's exit code is not what is asked here."""
    document = json.loads(fleet.run("ports", "--host", host, "--output", "json").stdout)
    found = [one for one in document["ports"] if one["port"] == port]
    return found[0] if len(found) == 1 else None


def test_what_is_declared_and_what_is_not(proxied: Fleet) -> None:
    apply(proxied, "ledger", APP)
    agent = proxied.hosts["web1"].agent
    agent.kill()
    agent.start()  # it looks once a minute, and at its start
    wanted = (
        ("web1", 8091, "service", "ledger/web", "ok"),
        ("web3", 8091, "service", "ledger/web", "ok"),
        ("web2", 8092, "instance", "ledger/own.1", "ok"),
        ("web1", 8093, "instance", "ledger/node.1", "ok"),
        ("web1", 8094, "container", "", "undeclared"),
        ("web1", proxied.hosts["web1"].proxy.port, "proxy", "", "ok"),
    )
    for host, port, kind, holder, state in wanted:

        def as_wanted(where: tuple[Any, ...] = (host, port, kind, holder, state)) -> bool:
            one = listed(proxied, where[0], where[1])
            return one is not None and (
                (one["kind"], one["state"]) == (where[2], where[4])
                and (not where[3] or one["holder"] == where[3])
                and one["listening"] is True
            )

        wait_until(as_wanted, f"{host}:{port} is {state}: {listed(proxied, host, port)}", 80)
    assert proxied.run("ports", "--host", "web1").returncode == 1
    flows = proxied.json("flows")["flows"]
    outside = {
        (one["service"], one["kind"], one["published"][0], tuple(one["caller_hosts"]))
        for one in flows
        if one["service"].startswith("ledger/") and not one["caller"]
    }
    assert outside == {
        ("ledger/web", "published", 8091, ("web1", "web2", "web3")),
        ("ledger/own", "host", 8092, ("web2",)),
        ("ledger/node", "host", 8093, ("web1",)),
    }
    printed = proxied.hullmark("ports", "--firewall", "nftables", "--host", "web1")
    assert 'dport 8091 accept comment "ledger/web: published, answered by the proxy"' in printed


BUSY, HIGH, LATE = 8095, 40095, 8096
"""Ports that a program of one host listens on: those that it chose, and one as the kernel gives away."""
MANY = 130
"""Services: more than the range has addresses for."""
ROUTED, SINGLE = "10.214.0.96/28", "10.214.0.90/32"
"""Where a host has a route to: one that others see, too, and one to a single address, in a table of its own."""


@pytest.fixture
def occupied(proxied: Fleet) -> Iterator[Fleet]:
    """A program of web2 has a port there, and web2 has routes into the range of service addresses."""
    host = proxied.hosts["web2"]
    ip = [*host.network.inside, "ip", "route"]
    routes = (f"{ROUTED} dev lo", f"{SINGLE} dev eth0 table 100")
    with listening(host, BUSY, HIGH):
        try:
            for route in routes:
                subprocess.run([*ip, "add", *route.split()], check=True)
            host.agent.kill()
            host.agent.start()  # a port of the kernel's range is told by the second look only, or the first one
            yield proxied
        finally:
            for route in routes:
                subprocess.run([*ip, "delete", *route.split()], check=True)
            host.agent.kill()
            host.agent.start()


def planned(fleet: Fleet, *lines: str) -> str:
    """What `hullmark plan` says of an app with a service of these lines."""
    return said(fleet, service(*lines))[1]


def service(*lines: str) -> str:
    return f"  web:\n{SERVICE}" + "".join(f"    {line}\n" for line in lines)


def said(fleet: Fleet, services: str) -> tuple[int, str]:
    """The exit code of `hullmark plan`, and what it prints."""
    file = fleet.folder / "wish.yaml"
    file.write_text(f"name: wish\nservices:\n{services}")
    done = fleet.run("plan", str(file))
    return done.returncode, " ".join(f"{done.stdout}{done.stderr}".split())


def test_a_port_that_was_just_taken_is_taken(proxied: Fleet) -> None:
    wish, words = f"ports: ['{LATE}:8080']", f"port {LATE}/tcp is taken by process python"
    with listening(proxied.hosts["web1"], LATE):
        timed(lambda: words in planned(proxied, wish), "it is seen", 20)
    timed(lambda: words not in planned(proxied, wish), "it is free again", 20)


def test_who_is_in_the_way_is_named_by_plan(occupied: Fleet) -> None:
    apply(occupied, "ledger", APP)
    for lines, words in (
        (["expose: ['8080']"], f"meets {SINGLE}, {ROUTED}, to which there is a route on host web2"),
        (["ports: ['8091:8080']"], "port 8091/tcp is published by ledger/web on "),
        (["ports: ['8092:8080']"], "port 8092/tcp is taken by ledger/own.1 on host web2"),
        ([f"ports: ['{BUSY}:8080']"], f"port {BUSY}/tcp is taken by process python"),
        ([f"ports: ['{HIGH}:8080']"], f"port {HIGH}/tcp is taken by process python"),
        (["ports: ['8099:53/udp']"], "udp is published with mode: host only"),
    ):
        timed(lambda: words in planned(occupied, *lines), f"to `{words}`", 20)  # noqa: B023
        assert said(occupied, service(*lines))[0] == 2
    many = "".join(f"  s{number}:\n{SERVICE}    expose: ['80']\n" for number in range(MANY))
    code, text = said(occupied, many)
    assert code == 2
    assert f"no address is left in services.range, {FEW_ADDRESSES}: it has " in text
