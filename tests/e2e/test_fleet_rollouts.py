"""Rolling changes over three hosts: how many serve at each moment, as the engines' own events tell it."""

from __future__ import annotations

import json

import pytest

from tests.cluster import wait_until
from tests.e2e.fleet_apps import by_host, counts, history, settle
from tests.fleet import IMAGE, Fleet

REPLICAS = 4
MONITOR_S = 1.0

# Serves once it runs, or once it is healthy; and is never healthy where it is told so.
CHANGING = """\
name: roll
services:
  web:
    image: {image}
    pull_policy: never
    init: true
    command: [sh, -c, "{ready}; exec sleep 100000"]
    environment: {{ROUND: "{round}"}}
    stop_grace_period: 1s
{health}    deploy:
      replicas: {replicas}
      update_config: {{{config}}}
"""
HEALTH = (
    "    healthcheck: {test: [CMD, test, -e, /ready], interval: 1s, retries: 2, start_period: 1s}\n"
)
GOOD, BAD = "touch /ready", "true"


def write(fleet: Fleet, number: int, config: str, ready: str = GOOD, health: str = HEALTH) -> str:
    file = fleet.folder / "roll.yaml"
    file.write_text(
        CHANGING.format(
            image=IMAGE,
            ready=ready,
            round=number,
            replicas=REPLICAS,
            health=health,
            config=config,
        )
    )
    return str(file)


def rounds(fleet: Fleet) -> list[str]:
    """ROUND of each running container."""
    found = []
    for one in fleet.running("roll"):
        environment = dict(item.split("=", 1) for item in one.inspected["Config"]["Env"])
        found.append(environment["ROUND"])
    return sorted(found)


def state(fleet: Fleet) -> str:
    """`rollout status` ends with exit code 1 while it is not done."""
    done = fleet.look("rollout", "status", "roll", "-o", "json")
    assert done.returncode in (0, 1), done.stderr
    return str(json.loads(done.stdout)["state"])


def until_new(fleet: Fleet, least: int) -> None:
    wait_until(lambda: rounds(fleet).count("2") >= least, f"{least} or more are new", 60)


@pytest.mark.parametrize(
    ("order", "parallelism", "least", "most"),
    [("stop-first", 1, REPLICAS - 1, REPLICAS), ("start-first", 2, REPLICAS, REPLICAS + 2)],
)
def test_a_rolling_change(
    fleet: Fleet, order: str, parallelism: int, least: int, most: int
) -> None:
    health = HEALTH if order == "start-first" else ""
    config = f"order: {order}, parallelism: {parallelism}, monitor: {MONITOR_S:g}s"
    fleet.hullmark("apply", "--wait", write(fleet, 1, config, health=health))
    hosts = {host: len(slots) for host, slots in by_host(fleet, "roll").items()}
    with history(fleet) as happenings:
        fleet.hullmark("apply", "--wait", write(fleet, 2, config, health=health))
        settle(1)
        running = counts(happenings(), REPLICAS, "roll/web")
    assert rounds(fleet) == ["2"] * REPLICAS
    assert min(running) == least
    assert max(running) <= most
    assert len(running) == 1 + 2 * REPLICAS, "each was stopped once, and started once"
    if order == "stop-first":
        now = {host: len(slots) for host, slots in by_host(fleet, "roll").items()}
        assert now == hosts, "each was made anew on its own host"
    assert state(fleet) == "done"


def test_a_new_version_that_fails_stops_the_change(fleet: Fleet) -> None:
    config = f"order: stop-first, parallelism: 1, monitor: {MONITOR_S:g}s, failure_action: pause"
    fleet.hullmark("apply", "--wait", write(fleet, 1, config))
    with history(fleet) as happenings:
        done = fleet.run("apply", "--wait", "--timeout", "60s", write(fleet, 2, config, BAD))
        assert done.returncode == 2, done.stdout + done.stderr
        wait_until(lambda: state(fleet) == "paused", "the rollout is paused")
        status = fleet.run("rollout", "status", "roll").stdout
        assert "web.1 on " in status, status
        settle(2)
        assert min(counts(happenings(), REPLICAS, "roll/web")) == REPLICAS - 1
    assert rounds(fleet).count("1") == REPLICAS - 1, "the old ones go on serving"
    fleet.hullmark("rollout", "undo", "roll", "--ticket", "CHG-7")
    wait_until(lambda: rounds(fleet) == ["1"] * REPLICAS, "it is taken back", 60)
    wait_until(lambda: state(fleet) == "done", "the rollout is done")


def test_a_new_version_that_fails_is_taken_back(fleet: Fleet) -> None:
    config = f"order: start-first, monitor: {MONITOR_S:g}s, failure_action: rollback"
    fleet.hullmark("apply", "--wait", write(fleet, 1, config))
    before = {one.slot: one.life for one in fleet.running("roll")}
    with history(fleet) as happenings:
        done = fleet.run("apply", "--wait", "--timeout", "60s", write(fleet, 2, config, BAD))
        assert done.returncode == 2, done.stdout + done.stderr
        wait_until(lambda: rounds(fleet) == ["1"] * REPLICAS, "it is taken back", 60)
        wait_until(lambda: state(fleet) == "done", "the rollout is done", 60)
        assert min(counts(happenings(), REPLICAS, "roll/web")) >= REPLICAS
    after = {one.slot: one.life for one in fleet.running("roll")}
    assert len(set(before.values()) & set(after.values())) >= REPLICAS - 1


def test_the_master_killed_in_the_middle(fleet: Fleet) -> None:
    config = f"order: stop-first, parallelism: 1, monitor: {MONITOR_S:g}s"
    fleet.hullmark("apply", "--wait", write(fleet, 1, config, health=""))
    with history(fleet) as happenings:
        fleet.hullmark("apply", "--no-wait", write(fleet, 2, config, health=""))
        for enough in (1, 2):
            until_new(fleet, enough)
            assert "1" in rounds(fleet), "it was not over yet"
            fleet.master.kill()
            settle(0.5)
            fleet.master.start()
        wait_until(lambda: rounds(fleet) == ["2"] * REPLICAS, "the change goes on to its end", 90)
        fleet.wait_for_master()
        wait_until(lambda: state(fleet) == "done", "the rollout is done", 60)
        running = counts(happenings(), REPLICAS, "roll/web")
    assert min(running) == REPLICAS - 1, "never fewer than promised"
    assert len(running) == 1 + 2 * REPLICAS, "each was replaced once"
