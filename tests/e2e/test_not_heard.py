"""A host without a proxy whose agent goes: what is said of what runs there, and of a change that waits for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster import OneHostCluster, wait_until
from tests.e2e.conftest import IMAGE
from tests.integration.engines import run_inside

APP = """\
name: udp
services:
  log:
    image: {image}
    pull_policy: never
    init: true
    command: [sleep, "100000"]
    expose: ["514/udp"]
    stop_grace_period: 1s
    environment: {{ROUND: "{round}"}}
  web:
    image: {image}
    pull_policy: never
    init: true
    command: [sleep, "100000"]
    stop_grace_period: 1s
"""
LINE = "host box is lost since "


def write(cluster: OneHostCluster, number: int) -> str:
    file = cluster.folder / "udp.yaml"
    file.write_text(APP.format(image=IMAGE, round=number))
    return str(file)


def asked(cluster: OneHostCluster, *words: str) -> tuple[int, Any]:
    done = cluster.look(*words, "--output", "json")
    return done.returncode, json.loads(done.stdout)


@pytest.mark.one_engine
@pytest.mark.timeout(240)
def test_what_runs_on_a_host_that_is_lost_is_unknown_and_a_wait_for_it_is_told(
    own: OneHostCluster,
) -> None:
    own.hullmark("apply", "--wait", write(own, 1))
    udp_is_reached_beside_it(own)
    own.agent.kill()
    wait_until(lambda: own.host_view()["state"] == "lost", "the host is lost", 30)

    code, told = asked(own, "why", "udp/log", "--from", "udp/web")
    assert (code, told["verdict"]) == (3, "unknown"), told
    code, told = asked(own, "services", "udp/log")
    (service,) = told["services"]
    assert (code, service["serving"], service["unknown"]) == (3, 0, 1), told
    assert service["hosts"][0]["last_known"] == 1
    code, told = asked(own, "ports")
    assert {port["host_state"] for port in told["ports"]} == {"lost"}
    assert all(port["told_s"] > 9 for port in told["ports"])

    done = own.run("apply", write(own, 2), "--timeout", "8s")
    assert done.returncode == 1, done.stderr
    assert done.stderr.count(LINE) == 1, done.stderr
    assert "for 8 s at most (--timeout); only where it is gone for good: " in done.stderr

    nothing_is_suggested_that_needs_another_host(own)
    done = own.run("status", "--wait", "2s")
    assert (done.returncode, "FAILED" in done.stdout) == (2, True), done.stdout
    own.agent.start()
    done = own.run("status", "--wait", "30s")
    assert "silent" not in done.stdout, "it waits until the host is heard"
    assert own.host_view()["state"] == "ready"


def nothing_is_suggested_that_needs_another_host(cluster: OneHostCluster) -> None:
    before = asked(cluster, "ps", "udp")[1]["instances"]
    done = cluster.run("move", "udp/web.1")
    assert done.returncode == 2, done.stderr
    assert "udp/web.1 can't leave host box: there is no other host" in done.stderr
    assert "hullmark invite HOST" in done.stderr
    done = cluster.run("host", "remove", "box")
    assert done.returncode == 2
    assert "hullmark host remove box --force" in done.stderr
    assert not any(word in done.stderr for word in ("hullmark move", "host drain"))
    after = asked(cluster, "ps", "udp")[1]["instances"]
    assert [one["why"] for one in after] == [one["why"] for one in before]


def udp_is_reached_beside_it(cluster: OneHostCluster) -> None:
    """By the engine's own name, which `why` follows."""
    found = cluster.containers()
    (log,) = [one for name, one in found.items() if name.startswith("udp.log.")]
    (web,) = [name for name in found if name.startswith("udp.web.")]
    (network,) = log["NetworkSettings"]["Networks"].values()
    _, said = run_inside(cluster.engine_socket, web, "nslookup log")
    assert network["IPAddress"] in said, said
    code, told = asked(cluster, "why", "udp/log", "--from", "udp/web")
    assert (code, told["verdict"]) == (0, "ok"), told
    texts = [link["text"] for link in told["services"][0]["links"] if link["step"] == "address"]
    assert ["log leads to it" in text for text in texts] == [True], texts
