"""The record of outages, as `hullmark events` shows it: a host that is away, an engine that is away."""

from __future__ import annotations

import signal
from typing import Any

from tests.cluster import OneHostCluster, wait_until
from tests.e2e.apps import wait_for_problem, wait_until_mended
from tests.integration.engines import Engine


def events(cluster: OneHostCluster, kind: str) -> list[dict[str, Any]]:
    found = cluster.json("events", "--limit", "1000")["events"]
    return [event for event in found if event["kind"] == kind]


def test_a_killed_agent_and_an_engine_that_is_away(own: OneHostCluster, engine: Engine) -> None:
    own.agent.kill()
    wait_until(lambda: events(own, "host.lost"), "the host is lost", 30)
    assert events(own, "host.silent")[0]["subject"] == "host box"
    assert events(own, "host.returned") == []
    own.agent.start()
    wait_until(lambda: events(own, "host.returned"), "the host is back", 30)
    engine.kill()
    wait_for_problem(own, "engine.unavailable")
    own.master.kill(signal.SIGTERM)
    engine.start()
    own.master.start()
    own.wait_for_host()
    wait_until_mended(own)
    began, over = (
        [event for event in events(own, kind) if event["fields"]["code"] == "engine.unavailable"]
        for kind in ("host.problem", "host.problem-over")
    )
    assert (len(began), len(over)) == (1, 1)
    assert 0 < float(over[0]["fields"]["lasted_s"]) < 120
    assert [event["fields"]["epoch"] for event in events(own, "master.leading")] == ["1.1", "1.2"]
