"""From a person to a container's process and back, also where another master leads since, and what vouches for all that."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.pair import Master, Pair
from tests.cluster import wait_until
from tests.e2e.fleet_apps import apply, web
from tests.fleet import KINDS
from tests.integration.namespaces import enter_private_network

SHIPPED_S = 20.0


class OnSmallDisks(Pair):
    """Each master's audit log has a disk of its own."""

    def write_configuration(self, master: Master) -> None:
        super().write_configuration(master)
        disk = audit_folder(master)
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
        subprocess.run(mount, check=True)
        self._resources.callback(subprocess.run, ["umount", "-l", str(disk)])


def audit_folder(master: Master) -> Path:
    return master.folder / "audit"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two hosts, of both engines."""
    enter_private_network()
    folder = Path(tmp_path_factory.mktemp("trace"))
    with OnSmallDisks(folder, {name: KINDS[name] for name in ("web1", "web3")}) as pair:
        yield pair


def trace(pair: Pair, what: str) -> Any:
    done = pair.look("audit", "trace", what, "--output", "json")
    return json.loads(done.stdout) if done.returncode in (0, 1) else {}


def processes(found: Any) -> dict[str, int]:
    """By container id, the process that was started last."""
    return {
        each["container_id"]: deed["pid"]
        for each in found.get("containers", ())
        for deed in each["deeds"]
        if deed["kind"] == "container.start" and deed["outcome"] == "success"
    }


def really(pair: Pair) -> dict[str, int]:
    """What the engines say."""
    return {
        str(one.inspected["Id"]): int(one.inspected["State"]["Pid"]) for one in pair.running("shop")
    }


def request_of(found: Any, ticket: str) -> Any:
    return next((each for each in found.get("requests", ()) if each["ticket"] == ticket), None)


def traced(pair: Pair, what: str, ticket: str) -> Any:
    """Once all that runs of it, and the request with this ticket, have reached the leader."""

    def found() -> Any:
        said = trace(pair, what)
        runs = {key: pid for key, pid in really(pair).items() if what in (key, who_of(said))}
        whole = bool(runs) and runs.items() <= processes(said).items()
        return said if whole and request_of(said, ticket) else None

    return wait_until(found, f"{what} is traced to {ticket} and to its processes", SHIPPED_S)


def who_of(found: Any) -> str:
    return next((str(each["by"]) for each in found.get("requests", ())), "")


def test_a_person_leads_to_processes_and_back_across_a_change_of_leader(pair: Pair) -> None:
    first = pair.leader()
    apply(pair, "shop", web(2), "--ticket", "CHG-1")
    (app,) = pair.json("apps")["apps"]
    who = app["change"]["by"]
    assert len(really(pair)) == 2

    found = traced(pair, who, "CHG-1")
    request = request_of(found, "CHG-1")
    assert (request["by"], request["actor"], request["master"]) == (who, "human", first.name)
    assert (request["outcome"], request["generation"]) == ("success", 1)
    shown = pair.hullmark("audit", "trace", who)
    for container_id, pid in really(pair).items():
        assert f"container {container_id}" in shown
        assert f"process {pid} " in shown
    hosts = {each["host"]: each["container_id"] for each in found["containers"]}
    assert set(hosts) == {"web1", "web3"}
    for container_id in hosts.values():
        back = trace(pair, container_id[:12])
        assert [each["container_id"] for each in back["containers"]] == [container_id]
        assert request_of(back, "CHG-1")["by"] == who

    wait_until(lambda: _vouched(pair, first.name), "the leader's own log is with the other", 20)
    first.kill()
    wait_until(lambda: pair.leader().name != first.name, "the other master leads", 20)
    second = pair.leader()
    again = traced(pair, who, "CHG-1")
    assert request_of(again, "CHG-1")["master"] == first.name
    assert processes(again) == processes(found)

    pair.hullmark("scale", "shop/web=3", "--ticket", "CHG-2")
    new_id = next(iter(set(really(pair)) - set(hosts.values())))
    later = traced(pair, new_id, "CHG-2")
    request = request_of(later, "CHG-2")
    assert (request["by"], request["master"]) == (who, second.name)
    assert request_of(later, "CHG-1") is None, "it was not made because of that one"
    (container,) = later["containers"]
    assert [deed["kind"] for deed in container["deeds"]] == [
        "container.create",
        "container.start",
    ]
    for each in (again, later):
        assert all(deed["epoch"] for one in each["containers"] for deed in one["deeds"])
    first.start()


def _vouched(pair: Pair, master: str) -> bool:
    """Whether the request is in the copy of the leader's log that the other master has."""
    other = pair.standby()
    folder = other.state / "audit" / "received" / f"master:{master}"
    return any(b"CHG-1" in path.read_bytes() for path in folder.glob("*.log"))


def test_a_log_is_verified_against_both_masters(pair: Pair, tmp_path: Path) -> None:
    apply(pair, "shop", web(2), "--ticket", "CHG-3")
    both = ",".join(f"unix://{one.socket}" for one in pair.masters.values())
    host = pair.hosts["web1"]
    log = Path(f"{host.state}-audit") / "audit.log"

    def verified(*arguments: str) -> Any:
        done = pair.look("--master", both, "audit", "verify", *arguments, "--output", "json")
        return done.returncode, json.loads(done.stdout)["logs"][0] if done.stdout else done.stderr

    def good() -> bool:
        code, said = verified(str(log))
        return code == 0 and set(said["masters"]) == {"m1", "m2"} and said["vouched_to"] > 0

    wait_until(good, "both masters vouch for the host's log", 20)
    copy = tmp_path / "web1.log"
    done = pair.run("audit", "export", "--log", "web1")
    copy.write_text(done.stdout)
    own = log.read_bytes()
    assert own.startswith(copy.read_bytes()), "as it stands in the log"
    assert verified(str(copy))[0] == 0

    lines = own.splitlines(keepends=True)
    other = lines[1].replace(b'"outcome":"', b'"outcome": "', 1)
    cases = {
        "changed": [lines[0], other, *lines[2:]],
        "removed": [lines[0], *lines[2:]],
        "reordered": [lines[0], lines[2], lines[1], *lines[3:]],
        "without its beginning": lines[1:],
        "shortened": lines[: len(lines) // 2],
        "emptied": [],
    }
    for what, kept in cases.items():
        copy.write_bytes(b"".join(kept))
        code, said = verified(str(copy))
        assert (code, said["verdict"]) == (2, "broken"), what
    copy.unlink()
    code, why = verified(str(copy))
    assert (code, "there is no file" in why) == (2, True)
    saved = tmp_path / "heads"
    pair.hullmark("--master", both, "audit", "heads", "--save", str(saved))
    assert verified(str(log), "--heads", str(saved))[0] == 0


def test_who_follows_is_shown_what_is_done(pair: Pair) -> None:
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
    pair.hullmark("scale", "shop/web=1", "--ticket", "CHG-4")

    def found() -> bool:
        said = pair.json("audit", "show", "--since", since, "--app", "shop")["records"]
        kinds = {each["kind"] for each in said if each["outcome"] == "success"}
        return {"request.scale", "app.scaled", "container.stop", "container.remove"} <= kinds

    wait_until(found, "what a change did is shown", SHIPPED_S)


def fill(file: Path) -> None:
    """Until its disk takes nothing more."""
    with file.open("wb", 0) as filler, contextlib.suppress(OSError):
        while filler.write(bytes(64 << 10)):
            pass


def test_a_leader_whose_disk_is_full_changes_nothing_and_hands_over(pair: Pair) -> None:
    wait_until(lambda: pair.look("status").returncode == 0, "the pair is whole", 30)
    first, second = pair.leader(), pair.standby()
    filler = audit_folder(first) / "filler"
    fill(filler)
    assert shutil.disk_usage(filler.parent).free == 0
    file = pair.folder / "shop.yaml"

    def refused() -> str:
        """Once the last block that the log has is full too."""
        done = pair.ask(first, "apply", "--no-wait", "--ticket", "CHG-5", str(file))
        return done.stderr if done.returncode == 3 else ""

    assert "audit log" in wait_until(refused, "a change is refused")
    began = time.monotonic()
    wait_until(lambda: pair.leader().name == second.name, "the other one leads", 30)
    assert time.monotonic() - began < 20
    apply(pair, "shop", web(2), "--ticket", "CHG-6")
    stands = pair.run("status").stdout
    assert "audit log" in stands, "the one that can't record is no ready standby"
    filler.unlink()
    wait_until(lambda: pair.look("status").returncode == 0, "the pair is whole again", 30)
    events = {each["kind"] for each in pair.json("events")["events"]}
    assert "audit.unwritable" in events
