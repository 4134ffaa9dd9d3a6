"""The leader changes while a host has no agent: what only that host serves is asked for as before."""

from __future__ import annotations

import json

import pytest

from hullmark.model.names import PROXIES
from tests import server
from tests.chaos.pair import Pair
from tests.cluster import wait_until
from tests.e2e.fleet_apps import apply, settle
from tests.e2e.service_apps import calling, inside, one, serving, wait_for_service
from tests.e2e.test_proxied_load import followed
from tests.fleet import QUICK_S
from tests.load import Load

PORT = 8066
MORE = f"    ports: ['{PORT}:{server.PORT}']\n"
ON = "replicas: 1, placement: {{constraints: [node.hostname == {host}]}}"


@pytest.mark.timeout(180)
def test_a_new_leader_knows_what_a_host_without_an_agent_serves(proxied: Pair) -> None:
    """The leader is killed once the agent is gone, and another one gives the host up; then it has something new to say of services."""
    services = serving("api", more=MORE, deploy=ON.format(host="web2"))
    apply(proxied, "lone", services + calling("caller", "web1"))
    caller = one(proxied, "lone", "caller")
    address = wait_for_service(caller, "api", server.PORT)
    wait_until(lambda: is_kept(proxied, "lone.api.1.g1"), "the leader keeps where it is")
    proxied.hosts["web2"].agent.kill()
    outside = proxied.hosts["web3"].network.address
    loads = Load(inside(caller), address, server.PORT, rate=50), Load([], outside, PORT, rate=20)
    with loads[0], loads[1]:
        former = proxied.eye.leader()
        proxied.leader().kill()
        followed(proxied, former)
        settle(2 * QUICK_S + 1)
        apply(proxied, "other", serving("web", deploy=ON.format(host="web1")))
        for host in ("web1", "web3"):
            wait_until(lambda: accepted_term(proxied, host) > former.epoch[1], f"{host} is told")  # noqa: B023
        settle(2.0)
        view = proxied.host_views()["web2"]
        assert (view["state"], view["heard_s"]) == ("lost", None), (
            "this leader has heard nothing of it"
        )
        told_as_unknown(proxied)
    for each in loads:
        assert not each.outcome.failures, f"{each.outcome} {each.outcome.failures[:3]}"
        assert each.outcome.sent > each.aim.rate * 2 * QUICK_S


def told_as_unknown(pair: Pair) -> None:
    """Nobody can tell whether it serves; what is known of it is said."""
    done = pair.run("why", "lone/api", "--no-connect", "--output", "json")
    (service,) = json.loads(done.stdout)["services"]
    assert (done.returncode, service["verdict"]) == (3, "unknown"), done.stdout
    unsure = {link["step"] for link in service["links"] if link["found"] != "ok"}
    assert unsure == {"agent", "published port"}, done.stdout
    said = {link["text"]: link["hosts"] for link in service["links"]}
    passed_on = "passes connections on to host web2, by what was known last: not heard"
    assert said[passed_on] == ["web1", "web3"]
    assert any(
        "as known last 1 did; other hosts' proxies pass" in hint for hint in service["hints"]
    )
    done = pair.run("services", "lone/api", "--output", "json")
    (service,) = json.loads(done.stdout)["services"]
    assert (done.returncode, service["serving"], service["unknown"]) == (3, 0, 1), done.stdout
    ports = json.loads(pair.run("ports", "--host", "web2", "--output", "json").stdout)["ports"]
    assert {(port["host_state"], port["told_s"]) for port in ports} == {("lost", None)}


def is_kept(pair: Pair, container: str) -> bool:
    return any(container in record.get("serving", ()) for record in pair.eye.values(PROXIES))


def accepted_term(pair: Pair, host: str) -> int:
    """Of the leader whose word of services the host goes by."""
    _, _, body = (pair.hosts[host].state / "directory.json").read_text().partition("\n")
    return int(json.loads(body)["directory"]["directory"]["epoch"]["term"])
