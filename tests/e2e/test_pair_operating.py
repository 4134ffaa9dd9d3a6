"""Operating a pair of masters: what status says of it, handing over, and drills. One host with real containers is beside it."""

from __future__ import annotations

import contextlib
import json
import re
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

WHOLE = "any one machine may be lost; running apps unaffected"
HANDOVER_MAX_S = 3.0
"""Of a busy machine; the figure is in docs/benchmarks.md."""


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    enter_private_network()
    folder = Path(tmp_path_factory.mktemp("pair"))
    with Pair(folder, {"web1": KINDS["web1"]}) as pair:
        apply(pair, "shop", web(2))
        yield pair


@pytest.fixture
def pair(bed: Pair) -> Pair:
    """Whole before each test."""
    bed.heal()
    wait_until(lambda: status(bed)["state"] == "ok", "the pair is whole", 60)
    return bed


def status(pair: Pair, master: str = "") -> Any:
    """Of whichever master answers, or of this one by its own socket."""
    asked = ("status", "--output", "json")
    done = pair.look_at(pair.masters[master], *asked) if master else pair.look(*asked)
    return json.loads(done.stdout) if done.stdout else {"state": done.stderr}


def events(pair: Pair, kind: str) -> list[dict[str, Any]]:
    return [one for one in pair.json("events")["events"] if one["kind"] == kind]


def lives(pair: Pair) -> set[tuple[str, str, str, int]]:
    return {one.life for one in pair.running("shop")}


def test_a_whole_pair_tells_the_same_wherever_it_is_asked(pair: Pair) -> None:
    leader, standby = pair.leader(), pair.standby()
    for master in (leader, standby):
        done = pair.ask(master, "status")
        assert done.returncode == 0, done.stdout + done.stderr
        lines = done.stdout.splitlines()
        assert re.fullmatch(
            rf"leader    {leader.name}  epoch 1\.\d+, \d+ \w+        standby {standby.name}  ready",
            lines[1],
        ), done.stdout
        assert lines[2:4] == ["store     etcd 3/3", f"          {WHOLE}"]
    found = status(pair)
    assert [(one["name"], one["role"]) for one in found["masters"]] == [
        (leader.name, "leader"),
        (standby.name, "standby"),
    ]
    assert (found["redundancy"], found["read_only"], found["known"]) == (WHOLE, "", True)


def test_a_silent_member_is_told_and_told_again_when_it_is_back(pair: Pair) -> None:
    before = len(events(pair, "redundancy.lost"))
    member = pair.member("w1")
    member.kill()
    wait_until(lambda: status(pair)["state"] == "degraded", "status says so", 30)
    text = pair.run("status").stdout
    assert text.startswith("DEGRADED  apps fine; redundancy lost\n"), text
    assert re.search(r"^store     etcd 2/3   \w+ e3 silent ", text, re.MULTILINE), text
    assert "          one more loss -> read-only; running apps unaffected\n" in text
    assert "next      systemctl status etcd   (on e3)" in text
    wait_until(lambda: len(events(pair, "redundancy.lost")) > before, "an alert", 30)
    member.start()
    member.wait()
    wait_until(lambda: status(pair)["state"] == "ok", "all is well again", 30)
    wait_until(lambda: events(pair, "redundancy.regained"), "the alert is over", 30)
    assert len(events(pair, "redundancy.lost")) == before + 1, "once"


def test_an_absent_standby_is_told(pair: Pair) -> None:
    standby = pair.standby()
    standby.kill()
    wait_until(lambda: status(pair)["state"] == "degraded", "status says so", 30)
    text = pair.run("status").stdout
    leader = pair.leader()
    assert f"standby {standby.name}  absent" in text
    assert f"loss of {leader.name} -> nothing can be changed" in text
    assert f"next      systemctl status hullmark-master   (on {standby.name})" in text
    done = pair.run("master", "step-down")
    assert done.returncode == 2
    assert "no standby is ready to follow" in done.stderr
    done = pair.run("drill", "failover")
    assert done.returncode == 2
    assert "no drill now: no standby is ready to follow" in done.stderr
    assert pair.leader() is leader


def test_a_master_without_the_store_shows_what_it_knew(pair: Pair) -> None:
    before, leader, standby = lives(pair), pair.leader(), pair.standby()
    for machine in ("w1", standby.name):
        pair.member(machine).kill()
    wait_until(lambda: status(pair, leader.name).get("read_only"), "it is read-only", 30)
    wait_until(
        lambda: "read-only now; running apps unaffected" in pair.look_at(leader, "status").stdout,
        "it has looked at the store's members",
        15,
    )
    done = pair.ask(leader, "status")
    assert done.returncode == 2
    assert "nothing can be changed: " in done.stdout
    assert re.search(r"^apps      1 ok$", done.stdout, re.MULTILINE), done.stdout
    assert (
        "shop.web.1" in pair.ask(leader, "ps").stdout or "shop/web" in pair.ask(leader, "ps").stdout
    )
    told = status(pair, standby.name)
    assert told["state"] == "failed", told
    assert lives(pair) == before, "what runs goes on"


def test_an_approval_outlives_the_leader(pair: Pair, tmp_path: Path) -> None:
    """Asked for at the standby, approved at it while the leader dies: done once, by the next leader or the former one."""
    if not Path("/proc/self/loginuid").exists():
        pytest.skip("this kernel keeps no logins (CONFIG_AUDITSYSCALL)")
    leader, standby = pair.leader(), pair.standby()

    def says(uid: int, master: Master, *arguments: str) -> subprocess.CompletedProcess[str]:
        logged_in = ["sh", "-c", f'echo {uid} > /proc/self/loginuid; exec "$@"', "sh"]
        return pair.run("--master", f"unix://{master.socket}", *arguments, inside=logged_in)

    rules = tmp_path / "rules.yaml"
    rules.write_text("rules: [{name: scales, changes: [scale], approval: true}]\n")
    done = says(1201, standby, "change-control", "apply", str(rules), "--ticket", "CHG-1")
    assert done.returncode == 0, done.stderr
    asked = says(1201, standby, "scale", "shop/web=3", "--ticket", "CHG-7", "-o", "json")
    assert asked.returncode == 1, asked.stderr
    change = json.loads(asked.stdout)["change"]
    own = says(1201, leader, "approve", change)
    assert (own.returncode, "can't approve it" in own.stderr) == (2, True), own.stderr
    leader.kill()
    done = says(1202, standby, "approve", change)
    assert done.returncode == 0, done.stderr
    assert pair.leader() is standby
    newest = pair.json("rollout", "history", "shop")["generations"][0]["change"]
    assert (newest["by"], newest["approved_by"]) == ("uid 1201", "uid 1202")
    assert newest["origin"] == f"local on {standby.name}"
    leader.start()
    for arguments in (("change-control", "remove", "--ticket", "CHG-1"), ("scale", "shop/web=2")):
        pair.hullmark(*arguments, timeout_s=60)


def test_a_host_is_enrolled_and_renewed_while_the_leader_changes(
    pair: Pair, tmp_path: Path
) -> None:
    """The other master answers all the while, and leads only after some seconds."""
    token, config = tmp_path / "token", tmp_path / "agent.yaml"
    config.write_text(f"state_dir: {tmp_path}/agent\nhost_name: web9\n")
    pair.hullmark("invite", "web9", "--token-file", str(token))
    try:
        enroll = ("enroll", "--token-file", str(token), "--no-start")
        for command in (enroll, ("renew",)):
            leader, standby = pair.leader(), pair.standby()
            leader.kill()
            assert pair.eye.leader().leader.startswith(f"{leader.name}@"), "no other leads yet"
            done = pair.run("agent", *command, "--config", str(config))
            assert done.returncode == 0, done.stdout + done.stderr
            assert pair.eye.leader().leader.startswith(f"{standby.name}@")
            leader.start()
            wait_until(lambda: status(pair)["redundancy"] == WHOLE, "it stands by", 60)
    finally:
        pair.hullmark("host", "remove", "web9", timeout_s=60)


def test_a_step_down_hands_over_and_nothing_restarts(pair: Pair) -> None:
    before, leader, standby = lives(pair), pair.leader(), pair.standby()
    for former, following in ((leader, standby), (standby, leader)):
        wait_until(lambda: status(pair)["state"] == "ok", "all is well", 30)
        done = pair.ask(former, "master", "step-down", "--ticket", "CHG-1", "-o", "json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["former"], found["leader"]) == (former.name, following.name)
        assert found["seconds"] < HANDOVER_MAX_S
        print(f"MEASURED handover: {found['seconds']} s")
    wait_until(lambda: status(pair)["state"] == "ok", "all is well", 30)
    told = events(pair, "master.step-down")[-1]
    assert (told["subject"], told["fields"]["ticket"]) == (f"master {standby.name}", "CHG-1")
    assert lives(pair) == before


def test_a_drill_of_a_handover_passes_and_is_reported(pair: Pair, tmp_path: Path) -> None:
    before, leader, standby = lives(pair), pair.leader(), pair.standby()
    report = tmp_path / "drill.md"
    done = pair.run("drill", "failover", "--report", str(report), "--ticket", "CHG-2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert report.read_text() == done.stdout
    assert "PASSED" in done.stdout
    assert f"- led before: {leader.name}" in done.stdout
    assert f"- leads now: {standby.name}" in done.stdout
    assert "ticket CHG-2" in done.stdout
    assert lives(pair) == before
    print(done.stdout)


def test_a_drill_that_kills_the_leader(pair: Pair) -> None:
    """The test is its service manager."""
    before, leader, standby = lives(pair), pair.leader(), pair.standby()
    done = pair.ask(leader, "drill", "failover", "--unclean")
    assert done.returncode == 2
    assert "this is the leader's own socket" in done.stderr
    assert leader.running
    with unclean(pair, standby) as drill:
        wait_until(lambda: not leader.running, "the leader is killed", 30)
        time.sleep(0.5)
        leader.start()
        out, err = drill.communicate(timeout=120)
    found = json.loads(out)
    assert drill.returncode == 0, (found, err)
    assert (found["kind"], found["leader"]) == ("kill", standby.name)
    assert found["failover_s"] < 10
    assert lives(pair) == before
    assert events(pair, "master.killed")
    print(f"MEASURED failover: {found['failover_s']} s, gap {found['gap_s']} s")


def test_a_drill_says_where_nobody_starts_the_killed_master(pair: Pair) -> None:
    leader, standby = pair.leader(), pair.standby()
    with unclean(pair, standby, "--timeout", "12s") as drill:
        out, err = drill.communicate(timeout=120)
    found = json.loads(out)
    assert drill.returncode == 1, (found, err)
    failed = [check["detail"] for check in found["checks"] if not check["passed"]]
    assert len(failed) == 1, found
    assert f"{leader.name} was not started again within" in failed[0] or "not ready" in failed[0]


@contextlib.contextmanager
def unclean(pair: Pair, asked: Master, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A drill that kills the leader, under way; asked of the standby's own socket."""
    where = ["--master", f"unix://{asked.socket}"]
    command = pair.command(*where, "drill", "failover", "--unclean", "-o", "json", *more)
    drill = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield drill
    finally:
        if drill.poll() is None:
            drill.kill()
            drill.communicate()
