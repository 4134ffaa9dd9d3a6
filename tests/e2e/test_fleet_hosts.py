"""What operators do to hosts: empty them, work on them; and what else listens there."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.cluster import die_with_parent, wait_until
from tests.e2e.fleet_apps import (
    MARGIN_S,
    SERVICE,
    apply,
    by_host,
    counts,
    history,
    runs_on,
    runs_once,
    settle,
    shop,
    slots,
    timed,
    web,
)
from tests.fleet import QUICK_S, Fleet

PORT = 7777
NAME = Path(sys.executable).name


@contextlib.contextmanager
def set_aside(fleet: Fleet, host: str) -> Iterator[None]:
    """Whatever is said of it meanwhile, it is used again afterwards."""
    try:
        yield
    finally:
        fleet.hullmark("host", "uncordon", host)
        fleet.run("maintenance", "end", host)


def test_a_host_is_drained(fleet: Fleet, tmp_path: Path) -> None:
    shop(fleet, tmp_path, "web2")
    before = {one.slot: one.life for one in fleet.running("shop", host="web2")}
    stateful = {"shop/db.1", "shop/files.1"}
    with set_aside(fleet, "web2"), history(fleet) as happenings:
        done = fleet.run("host", "drain", "web2", "--timeout", "60s")
        assert done.returncode == 1, "something stays"
        for slot in stateful:
            assert f"{slot}" in done.stderr, done.stderr
        assert "hullmark move" in done.stderr
        assert set(by_host(fleet, "shop")["web2"]) == stateful
        kept = {one.slot: one.life for one in fleet.running("shop", host="web2")}
        assert kept == {slot: before[slot] for slot in stateful}
        assert runs_once(fleet, [*slots("shop", "web", 6), *stateful, "shop/lone.1"])
        running = counts(happenings(), 6, "shop/web")
        assert min(running) >= 6, "no fewer served than before"
        assert max(running) > 6, "and the histories saw them move"
    apply(fleet, "more", web(3))
    assert by_host(fleet, "more")["web2"], "it is used again"


def test_nothing_new_on_a_cordoned_host(fleet: Fleet) -> None:
    apply(fleet, "six", web())
    before = fleet.lives("six")
    with set_aside(fleet, "web3"):
        fleet.hullmark("host", "cordon", "web3", "--ticket", "CHG-1")
        fleet.hullmark("scale", "--wait", "six/web=8")
        assert before < fleet.lives("six")
        assert len(by_host(fleet, "six")["web3"]) == 2


def test_a_host_in_maintenance_is_off(fleet: Fleet, tmp_path: Path) -> None:
    """Cut off, with its agent killed, for longer than `lost_after`: nothing moves, and nothing is worse for it."""
    apply(fleet, "six", web())
    before = fleet.lives("six")
    with set_aside(fleet, "web2"), history(fleet) as happenings:
        fleet.hullmark("maintenance", "start", "web2", "--for", "5m", "--ticket", "CHG-881")
        fleet.hosts["web2"].network.cut()
        fleet.hosts["web2"].agent.kill()
        fleet.wait_for_state("web2", "lost")
        settle(2 * QUICK_S)
        assert fleet.lives("six") == before
        done = fleet.run("status")
        assert "2 ok, 1 maintenance (CHG-881, " in done.stdout
        assert "in maintenance and silent; nothing moves off it" in done.stdout
        silences = [one for one in fleet.json("events")["events"] if one["kind"] == "host.lost"]
        assert "planned" in silences[-1]["fields"]
        # Without the maintenance it is lost once its time is over anew.
        fleet.hullmark("maintenance", "end", "web2")
        what = "from the end of a maintenance to replacement"
        wanted = slots("six", "web", 6)
        timed(lambda: runs_on(fleet, wanted, ["web1", "web3"]), what, QUICK_S + MARGIN_S)
        assert happenings()
        fleet.hosts["web2"].network.heal()
        fleet.hosts["web2"].agent.start()
        timed(lambda: runs_once(fleet, slots("six", "web", 6)), "to no doubles", 10)


@contextlib.contextmanager
def listener(fleet: Fleet, host: str, port: int) -> Iterator[None]:
    """A process of the host's own that listens on all of its addresses."""
    listen = f"import socket, time; s = socket.create_server(('', {port})); time.sleep(1e6)"
    inside = fleet.hosts[host].network.inside
    process = subprocess.Popen(
        [*inside, sys.executable, "-c", listen],
        stdin=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    try:
        address = fleet.hosts[host].network.address
        wait_until(lambda: fleet.hosts[host].network.can_dial(address, port), "it listens")
        yield
    finally:
        process.kill()
        process.wait()


def edge(replicas: int) -> str:
    port = f"    ports: [{{target: 80, published: {PORT}, mode: host}}]\n"
    return f"  edge:\n{SERVICE}{port}    deploy: {{replicas: {replicas}}}\n"


def held(fleet: Fleet, host: str) -> list[dict[str, Any]]:
    ports = fleet.json("ports", "--host", host)["ports"]
    return [one for one in ports if one["port"] == PORT]


def test_a_port_that_another_process_has(fleet: Fleet) -> None:
    agent = fleet.hosts["web1"].agent
    with listener(fleet, "web1", PORT):
        agent.kill()
        agent.start()  # it looks once a minute, and at its start
        wait_until(lambda: held(fleet, "web1"), "the process is seen", 20)
        (seen,) = held(fleet, "web1")
        assert (seen["kind"], seen["holder"]) == ("process", NAME)
        apply(fleet, "lan", edge(2))
        assert by_host(fleet, "lan") == {
            "web1": [],
            **{host: by_host(fleet, "lan")[host] for host in ("web2", "web3")},
        }
        assert len(fleet.running("lan")) == 2
        assert fleet.run("scale", "--wait", "lan/edge=3").returncode == 1, "one has no place"
        done = fleet.run("explain", "lan/edge")
        assert str(PORT) in done.stdout
        assert NAME in done.stdout, done.stdout


def test_a_port_that_another_process_took_since(fleet: Fleet) -> None:
    """The leader doesn't know yet: the start fails, and who has the port is told at once."""
    with listener(fleet, "web1", PORT):
        file = fleet.folder / "lan.yaml"
        file.write_text(f"name: lan\nservices:\n{edge(3)}")
        fleet.hullmark("apply", "--no-wait", str(file))
        wait_until(lambda: held(fleet, "web1"), "the process is seen", 20)
        explained = f"{PORT}/tcp taken by process {NAME}"

        def told() -> str:
            return fleet.look("explain", "lan/edge").stdout

        wait_until(lambda: explained in told(), explained, 20, told)
        wait_until(lambda: len(fleet.running("lan")) == 2, "the others run")
    fleet.hosts["web1"].agent.kill()
    fleet.hosts["web1"].agent.start()
    wait_until(lambda: len(fleet.running("lan")) == 3, "it starts once the port is free", 30)


def test_a_published_port_where_no_host_has_a_proxy(fleet: Fleet, tmp_path: Path) -> None:
    def with_port(number: int) -> str:
        return f'  door:\n{SERVICE}    ports: ["{number}:80"]\n'

    def missing() -> list[str]:
        hosts = json.loads(fleet.look("hosts", "--output", "json").stdout)["hosts"]
        return [
            one["name"]
            for one in hosts
            if "proxy.missing" in [problem["code"] for problem in one["problems"]]
        ]

    assert missing() == []
    try:
        apply(fleet, "lan", with_port(PORT))
        wait_until(lambda: missing() == sorted(fleet.hosts), "each says what it lacks", 20)
        for host in fleet.hosts:
            assert [(one["holder"], one["state"] == "ok") for one in held(fleet, host)] == [
                ("lan/door", False)
            ]
        assert "this host has no proxy" in fleet.run("status").stdout
        file = tmp_path / "compose.yaml"
        file.write_text(f"name: lan\nservices:\n{with_port(22)}", "utf-8")
        done = fleet.run("plan", str(file))
        assert done.returncode != 0
        assert "port 22/tcp" in done.stdout + done.stderr
    finally:
        fleet.empty()  # before the next test waits for hosts without problems
    wait_until(lambda: missing() == [], "nothing is lacking any more", 20)
