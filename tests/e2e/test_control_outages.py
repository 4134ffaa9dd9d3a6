"""A control fails: who is told of it, how often, what people say of it, and what is recorded. By real daemons."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hullmark.host.login import person
from hullmark.model.audit import Record
from hullmark.model.outage import NOTES
from tests.cluster import Daemon, OneHostCluster, wait_until
from tests.controls import own_controls
from tests.e2e import auditlog
from tests.e2e.alertreceivers import Receivers, receivers

CONTROL = """\
  - id: our-{name}
    function: {function}
    title: Our {name}
    remediation: write it again
    checks:
      - id: says
        kind: file_content
        path: {path}
        must_match: "^all is well$"
        interval: 1s
        timeout: 1s
"""
TOLD = (1, 1, 1)
"""One webhook, one mail, one line of syslog."""


class Site:
    """A host whose two controls are files that say that all is well."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        text = "controls:\n"
        for name, function in (("trail", "audit-trail"), ("clock", "time")):
            self.say("all is well", name)
            text += CONTROL.format(name=name, function=function, path=folder / name)
        self.controls = own_controls(folder / "own", text)
        self.posture = folder / "own" / "run" / "posture.json"

    def say(self, words: str, name: str = "trail") -> None:
        (self.folder / name).write_text(f"{words}\n")

    def wait_for(self, status: str, since: float = 0.0) -> None:
        """Until an agent found that after this time."""

        def is_so() -> bool:
            try:
                posture = json.loads(self.posture.read_text())["posture"]
                found = posture["controls"]["our-trail"]["status"]
            except (FileNotFoundError, KeyError):
                return False
            return bool(found == status and posture["at"] > since)

        wait_until(is_so, f"the control is {status}", 40.0)


@pytest.fixture
def told() -> Iterator[Receivers]:
    # A short path: that of a socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="hm-") as folder, receivers(Path(folder)) as made:
        yield made


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def cluster(tmp_path: Path, site: Site, told: Receivers) -> Iterator[OneHostCluster]:
    """Its leader alerts; its host has no engine."""
    made = OneHostCluster(
        tmp_path / "c", f"unix://{tmp_path}/none", agent_options="mode: observe\n"
    )
    made.agent_controls = site.controls
    made.master_options = told.options
    made.master.command = told.log.command(made.master.command)
    with made:
        yield made


def one(cluster: OneHostCluster, number: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = cluster.json("outages", "show", str(number))
    return found


def records(folder: Path, kind: str) -> list[Record]:
    return [found for found in auditlog.records(folder) if found.entry.kind == kind]


def test_from_the_failure_to_the_complete_record(
    cluster: OneHostCluster, site: Site, told: Receivers
) -> None:
    site.wait_for("pass")
    assert cluster.run("outages").stdout == "no control is out\n"
    site.say("nothing is")
    failed_at = time.monotonic()
    told.wait_for(TOLD)
    print(f"MEASURED from fault to a leader's alert: {time.monotonic() - failed_at:.2f} s")
    _says_what_and_whom(told)
    status = cluster.run("status")
    assert status.returncode == 1
    assert "controls  1 incident, oldest" in status.stdout
    assert cluster.run("outages", "list", "--nagios").returncode == 2
    assert "acknowledged by" in cluster.hullmark("outages", "ack", "1")
    assert one(cluster)["acknowledged_by"] == person()
    assert cluster.run("outages", "list", "--nagios").returncode == 1

    before = one(cluster)["outages"][0]
    # What is not known to have been delivered is sent again, with the same id: two of a leader's looks, and it is known.
    time.sleep(3.0)
    killed_at = time.time()
    _kill_all(cluster)
    site.wait_for("fail", killed_at)
    time.sleep(2.0)  # two of a leader's looks
    assert told.numbers() == TOLD, "nobody is told twice"

    site.say("all is well")
    told.wait_for((2, 2, 2))
    assert told.hook.got[1]["event"] == "outage.recovered"
    after = one(cluster)
    assert (after["state"], after["missing"]) == ("recovered", list(NOTES))
    (outage,) = after["outages"]
    assert (outage["outage_id"], outage["began"]) == (before["outage_id"], before["began"])
    _complete(cluster)
    assert "controls " not in cluster.run("status").stdout
    _is_recorded(cluster, before["outage_id"])

    _plan(cluster, site)
    assert told.numbers() == (2, 2, 2), "nobody is told of what is planned"


def _says_what_and_whom(told: Receivers) -> None:
    alert = told.hook.got[0]
    assert (alert["event"], alert["host"], alert["control"]) == ("outage.began", "box", "our-trail")
    assert "10.2.1" in alert["requirements"]
    assert alert["incident"] == 1
    assert told.post.to == ["<soc@example.org>"]
    assert told.post.got[0]["Subject"].startswith("[hullmark] box: Our trail failed")
    assert "hullmark-master-alert" in told.log.got[0]


def _kill_all(cluster: OneHostCluster) -> None:
    for daemon in (cluster.agent, cluster.master):
        daemon.kill(signal.SIGKILL)
        daemon.start()
    cluster.wait_for_master()
    cluster.wait_for_host()


def _complete(cluster: OneHostCluster) -> None:
    """All that PCI DSS 10.7.3 asks."""
    shown = cluster.hullmark("outages", "show", "1")
    assert all(f"{topic:<12}OPEN" in shown for topic in NOTES)
    for topic in NOTES:
        cluster.hullmark("outages", "note", "1", "--topic", topic, f"of the {topic}")
    assert one(cluster)["state"] == "complete"
    assert "OPEN" not in cluster.hullmark("outages", "show", "1")


def _is_recorded(cluster: OneHostCluster, outage_id: str) -> None:
    host, master = cluster.folder / "agent-audit", cluster.folder / "master-audit"
    # People may be told before the host's disk has the record.
    (ended,) = wait_until(lambda: records(host, "outage.recovered"), "its end is recorded")
    (began,) = records(host, "outage.began")
    assert began.entry.fields["outage"] == ended.entry.fields["outage"] == outage_id
    assert "10.2.1" in began.entry.fields["requirements"].split(", ")
    assert ended.entry.fields["ended"] > ended.entry.fields["began"]
    sent = wait_until(lambda: _six(master), "what came of each alert", 5.0)
    assert {found.entry.outcome.value for found in sent} == {"success"}
    assert {found.entry.by for found in records(master, "incident.acknowledged")} == {person()}
    noted = [found.entry.fields["topic"] for found in records(master, "incident.noted")]
    assert noted == list(NOTES)
    assert auditlog.breaks(host) == auditlog.breaks(master) == []
    kept = (cluster.folder / "master.log").read_text() + "".join(map(repr, sent))
    assert "s3cret" not in kept, "the webhook's path is told nowhere"


def _plan(cluster: OneHostCluster, site: Site) -> None:
    cluster.hullmark("maintenance", "start", "box", "--for", "10m", "--ticket", "CHG-881")
    site.say("work goes on", "clock")

    def planned() -> bool:
        return cluster.look("outages", "list", "--nagios").stdout.endswith("planned=1\n")

    wait_until(planned, "it is out, as planned")
    assert cluster.run("outages", "list", "--nagios").returncode == 0
    assert one(cluster, 2)["outages"][0]["ticket"] == "CHG-881"


def _six(folder: Path) -> list[Record]:
    found = records(folder, "alert.sent")
    return found if len(found) == 6 else []


def test_a_host_in_no_cluster_tells_and_keeps_it_by_itself(
    tmp_path: Path, site: Site, told: Receivers
) -> None:
    config = tmp_path / "agent.yaml"
    controls = site.controls.replace("alerts: {log: none}\n", "")
    config.write_text(
        f"state_dir: {tmp_path}/state\nhost_name: box\nmode: observe\n"
        f"audit: {{dir: '{tmp_path}/audit', copies: none}}\n{controls}{told.options}"
    )
    command = told.log.command(OneHostCluster.daemon("agentd", config))
    agent = Daemon("agent", command, tmp_path / "agent.out")
    told.hook.answers = [503]
    agent.start()

    def outages(*words: str) -> subprocess.CompletedProcess[str]:
        hullmark = str(Path(sys.executable).parent / "hullmark")
        asked = [hullmark, "outages", *words, "--config", str(config)]
        return subprocess.run(asked, capture_output=True, text=True, timeout=30.0)

    try:
        site.wait_for("pass")
        site.say("nothing is")
        told.wait_for(TOLD)
        assert told.hook.got[0]["sender"] == {"machine": "box", "part": "agent"}
        wait_until(lambda: outages("list", "--nagios").returncode == 2, "it is shown", 10.0)
        acknowledged = outages("ack", "1")
        assert acknowledged.stdout == f"incident 1 is acknowledged by {person()}\n"
        noted = outages("note", "1", "--topic", "cause", "a test")
        assert noted.stdout.startswith("noted; still open: remediation"), noted
        wait_until(lambda: "a test" in outages("show", "1").stdout, "it is shown", 5.0)
        agent.kill(signal.SIGKILL)
        killed_at = time.time()
        agent.start()
        site.wait_for("fail", killed_at)
        assert told.numbers() == TOLD
        site.say("all is well")
        told.wait_for((2, 2, 2))
        wait_until(lambda: outages("list").stdout == "no control is out\n", "it is over", 10.0)
    finally:
        agent.kill(signal.SIGTERM)
    folder = tmp_path / "audit"
    kinds = ("outage.began", "incident.acknowledged", "incident.noted", "outage.recovered")
    assert [len(records(folder, kind)) for kind in kinds] == [1, 1, 1, 1]
    tries = [found.entry.fields["tries"] for found in records(folder, "alert.sent")]
    assert sorted(tries) == ["1"] * 5 + ["2"]
    assert auditlog.breaks(folder) == []
