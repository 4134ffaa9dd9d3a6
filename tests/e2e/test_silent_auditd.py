"""auditd fails while it counts as running: stopped, suspended by a full disk, silenced by a rule. A real agent of a host in no cluster
sees each at default settings, alerts, maps it to its requirements and records its end.

The kernel has one audit stream, so this runs on the machine itself, with an auditd of its own: the site's file here gives the shipped
checks its paths, and each a control of its own, so that the failures can overlap. The others are in
tests/packaging/test_silent_failures.py.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hullmark.model.audit import Entry
from tests.cluster import Daemon, OneHostCluster, wait_until
from tests.controls import own_controls
from tests.e2e import auditlog
from tests.e2e.alertreceivers import Receivers, receivers
from tests.integration.test_controls_audit import (  # noqa: F401
    WATCH,
    Auditd,
    alone,
    auditctl,
    auditd,
    state,
)
from tests.measured import keep

CONTROLS = """\
controls:
  - id: auditd-alive
    function: audit-trail
    title: auditd is alive
    checks:
      - {{id: daemon, kind: audittrail.daemon}}
  - id: auditd-rules
    function: audit-trail
    title: Rules of the audit trail
    checks:
      - {{id: rules, kind: audittrail.rules, file: {rules}}}
  - id: auditd-writes
    function: audit-trail
    title: The audit trail is written
    checks:
      - {{id: canary, kind: audittrail.canary, configuration: {configuration}}}
"""
REQUIREMENTS = {"10.2.1", "10.2.1.2", "10.2.1.6", "10.2.1.7", "10.7.2", "10.7.3"}
ALIVE, RULES, WRITES = "auditd-alive", "auditd-rules", "auditd-writes"
FAILURES = {
    ALIVE: "auditd stopped by SIGSTOP",
    RULES: "audit rules replaced by task,never",
    WRITES: "auditd suspended by a full disk",
}
GENEROUS_S = 120.0
"""The target is 15 s for the first and 90 s for the others; here other tests run beside it."""
OVER_S = 180.0


class Watched:
    """An auditd, and an agent that looks at it."""

    def __init__(self, auditd: Auditd, told: Receivers, folder: Path) -> None:  # noqa: F811
        self.auditd = auditd
        self.told = told
        self.folder = folder
        self.took_s: dict[str, float] = {}

    def are_well(self) -> bool:
        try:
            found = json.loads((self.folder / "own/run/posture.json").read_text())
        except FileNotFoundError:
            return False
        controls = found["posture"]["controls"]
        return all(controls[name]["status"] == "pass" for name in FAILURES)

    def alerts(self, control: str) -> list[dict[str, Any]]:
        return [one for one in self.told.hook.got if one["control"] == control]

    def alerted(self, control: str, since: float) -> None:
        """Until it is; `since` is when it was broken, on the monotonic clock."""
        wait_until(lambda: self.alerts(control), FAILURES[control], GENEROUS_S)
        self.took_s[control] = time.monotonic() - since

    def over(self, control: str) -> None:
        wait_until(lambda: len(self.alerts(control)) > 1, f"{control} is over", OVER_S)

    def writes(self) -> bool:
        """Whether auditd writes down what it is told."""
        nonce = secrets.token_hex(8)
        auditctl("-m", f"nonce={nonce}")
        time.sleep(0.3)
        return nonce in self.auditd.log.read_text(errors="replace")


@pytest.fixture(scope="module")
def watched(
    auditd: Auditd,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Watched]:
    """All of it happens here; the tests look at what came of it."""
    folder = tmp_path_factory.mktemp("watched")
    rules, config = folder / "audit.rules", folder / "agent.yaml"
    rules.write_text(f"-D\n{' '.join(WATCH)}\n")
    text = CONTROLS.format(rules=rules, configuration=auditd.folder / "auditd.conf")
    controls = own_controls(folder / "own", text).replace("alerts: {log: none}\n", "")
    # A short path: that of a socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="hm-") as short, receivers(Path(short)) as told:
        config.write_text(
            f"state_dir: {folder}/state\nhost_name: box\nmode: observe\n"
            f"audit: {{dir: '{folder}/audit', copies: none}}\n{controls}{told.options}"
        )
        command = told.log.command(OneHostCluster.daemon("agentd", config))
        agent = Daemon("agent", command, folder / "agent.out")
        agent.start()
        try:
            found = Watched(auditd, told, folder)
            wait_until(found.are_well, "all are well", 60.0)
            stop_and_go_on(found)
            silence_and_fill(found)
            wait_until(lambda: len(sent(found)) >= 18, "each alert is recorded", 10.0)
            yield found
        finally:
            agent.kill(signal.SIGTERM)


def sent(watched: Watched) -> list[Entry]:
    """Records of alerts: an alert is on its way before its record is written."""
    found = (one.entry for one in auditlog.records(watched.folder / "audit"))
    return [entry for entry in found if entry.kind == "alert.sent"]


def stop_and_go_on(watched: Watched) -> None:
    """At once after the first canary: before the next one it goes on."""
    with watched.auditd.stopped():
        made_at = time.monotonic()
        watched.alerted(ALIVE, made_at)
        assert watched.auditd.process.poll() is None


def silence_and_fill(watched: Watched) -> None:
    """Both at once. auditd runs all the while, and hears of no trouble."""
    filling = watched.auditd.log.parent / "filling"
    auditctl("-D")
    auditctl("-a", "task,never")
    made_at = time.monotonic()
    assert auditctl("-l") == "-a never,task\n"
    with contextlib.suppress(OSError), filling.open("wb") as file:
        file.write(bytes(16 << 20))
    wait_until(lambda: not watched.writes(), "auditd has suspended writing", 10.0)
    filled_at = time.monotonic()
    assert state(watched.auditd.process.pid) == "S"
    with ThreadPoolExecutor(2) as pool:
        ends = pool.submit(unsilence, watched, made_at), pool.submit(resume, watched, filled_at)
        for end in ends:
            end.result()
    watched.over(ALIVE)


def unsilence(watched: Watched, made_at: float) -> None:
    watched.alerted(RULES, made_at)
    auditctl("-D")
    auditctl(*WATCH)
    watched.over(RULES)


def resume(watched: Watched, made_at: float) -> None:
    watched.alerted(WRITES, made_at)
    (watched.auditd.log.parent / "filling").unlink()
    watched.auditd.process.send_signal(signal.SIGUSR2)
    watched.over(WRITES)


@pytest.mark.parametrize("control", FAILURES)
def test_a_silent_failure_is_alerted_and_its_end_recorded(watched: Watched, control: str) -> None:
    keep(FAILURES[control], watched.took_s[control])
    began, over = watched.alerts(control)
    assert (began["event"], over["event"]) == ("outage.began", "outage.recovered")
    assert set(began["requirements"]) >= REQUIREMENTS
    of = [
        one.entry
        for one in auditlog.records(watched.folder / "audit")
        if one.entry.fields.get("outage") == began["outage"]
    ]
    entries = {entry.kind: entry for entry in of}
    assert entries["outage.recovered"].fields["began"] == entries["outage.began"].fields["began"]
    assert over["ended"] > over["began"]
    assert set(entries["outage.recovered"].fields["requirements"].split(", ")) >= REQUIREMENTS
    channels = [
        one.fields["channel"] for one in sent(watched) if one.fields["outage"] == began["outage"]
    ]
    assert sorted(channels) == ["mail", "mail", "syslog", "syslog", "webhook", "webhook"]


def test_nothing_else_was_alerted(watched: Watched) -> None:
    assert watched.told.numbers() == (6, 6, 6)
    assert auditlog.breaks(watched.folder / "audit") == []
