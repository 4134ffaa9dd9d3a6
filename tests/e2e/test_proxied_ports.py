"""The ledger of ports and the declared flows, of hosts with real engines and proxies."""

from __future__ import annotations

import json
from typing import Any, Optional

from tests.cluster import wait_until
from tests.e2e.fleet_apps import apply
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
