"""Controls of a host as an agent's own process looks at them: without a cluster, and in a mode that takes no orders."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import psutil
import pytest

from hullmark.model.audit import Record
from tests.cluster import Daemon, OneHostCluster, wait_until
from tests.controls import own_controls
from tests.e2e import auditlog
from tests.e2e.apps import apply_sleeper, problems, processes
from tests.e2e.conftest import IMAGE

INTERVAL_S = 1.0
SECRET = "password: hunter2"
CONTROL = """\
controls:
  - id: our-file
    function: site-file
    title: Our file
    remediation: write it again
    checks:
      - id: says
        kind: file_content
        path: {path}
        must_match: "^all is well$"
        interval: {interval:g}s
        timeout: 1s
"""
PROGRAMS = """\
controls:
  - id: priority
    function: site-priority
    title: With which priority programs run
    checks:
      - {id: nice, kind: command, argv: [/usr/bin/nice], must_match: "^10$", interval: 2s}
  - id: endless
    function: site-endless
    title: A program that does not end
    checks:
      - {id: sleep, kind: command, argv: [/usr/bin/sleep, "1000"], interval: 2s, timeout: 1s}
"""


class Alone:
    """An agent as a process of its own, on a folder of its own, which no cluster knows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.watched = folder / "watched.txt"
        self.say("all is well")
        self.log = folder / "log"
        self.site = folder / "controls.d"
        self.config = folder / "agent.yaml"
        text = CONTROL.format(path=self.watched, interval=INTERVAL_S)
        self.config.write_text(
            f"state_dir: {folder}/state\nhost_name: box\n"
            f"engine: {{socket: 'unix://{folder}/none.sock'}}\n"
            f"audit: {{dir: '{self.log}', copies: none}}\n"
            f"{own_controls(folder, text, PROGRAMS)}"
        )
        command = [sys.executable, "-m", "hullmark.agentd", "run", "--config", str(self.config)]
        self.agent = Daemon("agent", command, folder / "agent.out")

    def say(self, words: str) -> None:
        self.watched.write_text(f"{SECRET}\n{words}\n")

    def shown(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.folder / "run" / "posture.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    def control(self, name: str = "our-file") -> dict[str, Any]:
        found: dict[str, Any] = self.shown().get("posture", {}).get("controls", {}).get(name, {})
        return found

    def wait_for(self, status: str, timeout_s: float = 10.0) -> float:
        """Until the control is so; how long that took."""
        began = time.monotonic()
        wait_until(lambda: self.control().get("status") == status, status, timeout_s)
        return time.monotonic() - began

    def kinds(self) -> set[str]:
        return {one.entry.kind for one in auditlog.records(self.log)}

    def records(self, kind: str) -> list[Record]:
        return [one for one in auditlog.records(self.log) if one.entry.kind == kind]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Alone]:
    made = Alone(tmp_path)
    made.agent.start()
    yield made
    made.agent.kill(signal.SIGTERM)


def test_a_host_in_no_cluster_is_checked_recorded_and_told(alone: Alone) -> None:
    alone.wait_for("pass")
    posture = alone.shown()["posture"]
    assert (posture["host"], posture["mode"]) == ("box", "run")
    assert not posture.get("enrolled")
    assert alone.control()["level"] == 2
    process = psutil.Process(alone.agent.pid)
    print(f"MEASURED memory of an agent that only checks: {process.memory_info().rss >> 10} KiB")
    alone.say("nothing is")
    took_s = alone.wait_for("fail")
    print(f"MEASURED from the fault to the posture: {took_s:.2f} s")
    assert took_s < INTERVAL_S + 2.5, "its interval, and what writing may wait for"
    control = alone.control()
    assert control["remedy"] == "write it again"
    outages = {one["control_id"]: one["outage_id"] for one in alone.shown()["outages"]}
    assert control["outage"] == outages["our-file"]
    wait_until(lambda: "outage.began" in alone.kinds(), "recorded", 5.0)
    alone.say("all is well")
    alone.wait_for("pass")
    assert alone.control("priority")["status"] == "pass", alone.control("priority")
    assert alone.control("endless")["status"] == "error"
    assert "timed out" in alone.control("endless")["reason"]
    sleepers = wait_until(process.children, "a program runs")
    alone.agent.kill(signal.SIGTERM)
    assert not psutil.wait_procs(sleepers, timeout=0)[1], "programs end with the agent"
    results = [one for one in alone.records("control.result") if "our-file" in one.entry.subject]
    assert [one.entry.fields["status"] for one in results] == ["pass", "fail", "pass"]
    assert {one.log.rpartition("-")[0] for one in results} == {"host:unenrolled"}
    assert Path("/etc/machine-id").read_text().strip()[:12] not in results[0].log
    readings = results[1].entry.fields["readings"]
    assert "nothing is" in readings
    assert "hunter2" not in readings
    (read,) = alone.records("controls.read")
    assert read.entry.fields["controls"].isdecimal()
    (summary,) = alone.records("controls.summary")
    counted = json.loads(summary.entry.fields["results"])["our-file/says"]
    assert counted["fail"] >= 1
    assert counted["pass"] >= 2
    assert [one.entry.fields["version"] != "" for one in alone.records("agent.started")] == [True]
    assert auditlog.breaks(alone.log) == []
    assert "host.unenrolled" not in (alone.folder / "agent.out").read_text()


def test_a_reload_takes_good_definitions_over_and_a_start_forgets_what_was_found(
    alone: Alone,
) -> None:
    alone.wait_for("pass")
    more = CONTROL.format(path=alone.watched, interval=INTERVAL_S)
    file = alone.site / "50-more.yaml"
    file.write_text(more.replace("our-file", "another").replace("interval", "intervall"))
    os.kill(alone.agent.pid, signal.SIGHUP)
    log = alone.folder / "agent.out"
    wait_until(lambda: "did you mean interval?" in log.read_text(), "it is refused", 5.0)
    assert "controls.invalid" in log.read_text()
    assert alone.control()["status"] == "pass"
    file.write_text(more.replace("our-file", "another"))
    os.kill(alone.agent.pid, signal.SIGHUP)
    wait_until(lambda: alone.control("another").get("status") == "pass", "it is good", 10.0)
    wait_until(lambda: len(alone.records("controls.read")) == 3, "recorded", 5.0)
    found = [one.entry.outcome.value for one in alone.records("controls.read")]
    assert found == ["success", "failure", "success"]

    alone.agent.kill(signal.SIGKILL)
    before = alone.shown()["posture"]["at"]
    alone.say("nothing is")
    alone.agent.start()
    seen = []

    def fails() -> bool:
        if alone.shown()["posture"]["at"] > before:
            seen.append(alone.control()["status"])
        return "fail" in seen

    wait_until(fails, "it was looked at", 10.0)
    assert set(seen) <= {"not_run", "fail"}, "nothing passes before it was looked at"


@pytest.mark.one_engine
def test_a_host_that_observes_takes_no_orders_and_keeps_what_it_has(own: OneHostCluster) -> None:
    apply_sleeper(own, IMAGE)
    before = processes(own)
    assert len(before) == 1
    as_it_was = own.agent_config.read_text()
    watched = own.folder / "watched.txt"
    watched.write_text("all is well\n")
    site = own.folder / "agent-controls" / "controls.d" / "10-own.yaml"
    site.write_text(CONTROL.format(path=watched, interval=INTERVAL_S))
    own.agent_config.write_text(f"{as_it_was}mode: observe\n")
    os.kill(own.agent.pid, signal.SIGHUP)
    wait_until(lambda: "mode.observe" in problems(own), "the leader hears of it")
    assert own.host_view()["facts"]["mode"] == "observe"

    apply_sleeper(own, IMAGE, number=2, wait=False)
    log = own.folder / "agent-audit"
    refused = wait_until(lambda: of_kind(log, "order.refused"), "an order is refused")[0].entry
    assert (refused.outcome.value, refused.actor.value) == ("refused", "master")
    assert refused.reason.startswith("mode observe")
    event = wait_until(lambda: told(own, "order.refused"), "the leader is told")
    assert "mode observe" in event["message"]
    apply_sleeper(own, IMAGE, name="other", wait=False)
    said = own.run("explain", "other").stdout
    assert "observes only" in said, said
    time.sleep(2.0)
    assert processes(own) == before, "it runs on, untouched"
    shown = json.loads((own.folder / "agent-controls" / "run" / "posture.json").read_text())
    assert (shown["posture"]["mode"], shown["posture"]["enrolled"]) == ("observe", True)
    assert shown["posture"]["controls"]["our-file"]["status"] == "pass"

    own.agent_config.write_text(as_it_was)
    os.kill(own.agent.pid, signal.SIGHUP)
    wait_until(lambda: len(processes(own, "other")) == 1, "orders are taken again", 40.0)
    wait_until(lambda: list(processes(own)) == ["sleeper.s.1.g2"], "those of before too", 40.0)
    assert problems(own) == {}
    assert auditlog.breaks(log) == []


def of_kind(folder: Path, kind: str) -> list[Record]:
    return [one for one in auditlog.records(folder) if one.entry.kind == kind]


def told(cluster: OneHostCluster, kind: str) -> Optional[dict[str, Any]]:
    found = [one for one in cluster.json("events")["events"] if one["kind"] == kind]
    return found[0] if found else None
