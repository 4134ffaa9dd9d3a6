"""`hullmark outages`, of a cluster and of a host that is in none."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

import pytest

from hullmark.agentd.asks import Asks
from hullmark.agentd.localincidents import LocalIncidents
from hullmark.cli import outagesource
from hullmark.core import incidents
from hullmark.errors import EXIT_DEGRADED, EXIT_FAILED, EXIT_OK, EXIT_UNKNOWN, EXIT_USAGE
from hullmark.launchers import start_command
from hullmark.model import localask
from hullmark.model.incidentapi import IncidentDetail, IncidentList, IncidentView
from hullmark.model.outage import NOTES, Incident, Note, Outage
from hullmark.model.wire import canonical, to_wire
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster

NOW = 1_800_000_000.0
OUT = Outage(
    "o1",
    "web1",
    "audit-trail-auditd",
    "audit-trail",
    "Audit trail by auditd",
    NOW - 1560,
    "daemon: auditd is stopped",
    passed_at=NOW - 1570,
    remedy="start it",
    requirements=("10.2.1", "10.7.2"),
)
LIST = "GET /v1/incidents"


def view(number: int = 12, outage: Outage = OUT, **more: Any) -> IncidentView:
    return incidents.view(Incident(number, outage.function, {outage.outage_id: outage}, **more))


LASTS = view()
KNOWN = view(11, acknowledged_by="bob", acknowledged_at=NOW - 60)
PLANNED = view(10, replace(OUT, planned=True, ticket="CHG-7"))
OVER = view(9, replace(OUT, ended=NOW - 30), notes=(Note(NOW, "bob", "cause", "a full\ndisk"),))


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(outagesource, "PAUSE_S", 0.01)


def test_those_that_last_are_listed(run: Run, master: FakeMaster) -> None:
    master.answers[LIST] = IncidentList((LASTS, KNOWN))
    done = run("outages")
    assert done.code == EXIT_DEGRADED
    head, first, second = done.out.splitlines()
    assert head.split() == ["INCIDENT", "STATE", "BEGAN", "LASTED", "FUNCTION", "HOSTS", "WHY"]
    assert first.split()[:2] == ["12", "open"]
    assert first.endswith("26 min  audit-trail  web1   daemon: auditd is stopped")
    assert second.split()[:2] == ["11", "acknowledged"]
    assert master.requests[0].query["open"] == "true"


def test_why_is_what_lasts(run: Run, master: FakeMaster) -> None:
    over = replace(OUT, outage_id="o2", began=NOW - 60, ended=NOW - 30, reason="it was full")
    both = incidents.view(Incident(12, OUT.function, {"o1": OUT, "o2": over}))
    master.answers[LIST] = IncidentList((both,))
    assert run("outages").out.splitlines()[1].endswith(OUT.reason)
    assert OUT.reason in run("outages", "list", "--nagios").out


def test_nothing_that_a_host_says_reaches_the_terminal_as_it_is(
    run: Run, master: FakeMaster
) -> None:
    evil = "\x1b[2J\x1b]0;x\x07\r\nok"
    lying = replace(
        OUT,
        control_id=evil,
        function=evil,
        title=evil,
        reason=evil,
        remedy=evil,
        requirements=(evil,),
        planned=True,
        ticket=evil,
        outage_id=evil,
    )
    found = view(12, lying, acknowledged_by=evil, acknowledged_at=NOW)
    master.answers[LIST] = IncidentList((found,))
    master.answers[f"{LIST}/12"] = IncidentDetail(found)
    for words in ((), ("list", "--nagios"), ("show", "12"), ("-o", "json")):
        done = run("outages", *words)
        assert done.out
        assert all(each.isprintable() or each == "\n" for each in done.out), words
        assert not any(line.startswith("ok") for line in done.out.splitlines())


def test_what_is_planned_or_over_is_not_bad(run: Run, master: FakeMaster) -> None:
    master.answers[LIST] = IncidentList((PLANNED, OVER), more=True)
    done = run("outages", "list", "--all", "--since", "1h", "--host", "web1")
    assert done.code == EXIT_OK
    assert "open (planned)" in done.out
    assert "there are older ones" in done.out
    asked = master.requests[0].query
    assert (asked["host"], float(asked["since"])) == ("web1", NOW - 3600)
    assert asked.get("open") != "true"
    master.answers[LIST] = IncidentList(())
    assert run("outages", "list").out == "no control is out\n"


def test_as_a_document(run: Run, master: FakeMaster) -> None:
    master.answers[LIST] = IncidentList((LASTS,))
    document = run("outages", "list", "-o", "json").document
    assert document["schema"] == "hullmark.outages/1"
    assert document["incidents"][0]["outages"][0]["requirements"] == ["10.2.1", "10.7.2"]
    assert document["incidents"][0]["missing"] == ["end", *NOTES]


@pytest.mark.parametrize(
    ("found", "code", "text"),
    [
        ((), EXIT_OK, "OUTAGES OK - no control is out | open=0 unacknowledged=0 planned=0"),
        ((PLANNED,), EXIT_OK, "OUTAGES OK - no control is out | open=0 unacknowledged=0 planned=1"),
        ((KNOWN,), EXIT_DEGRADED, "OUTAGES WARNING - 1 incident, oldest 26 min, acknowledged: "),
        (
            (LASTS, KNOWN),
            EXIT_FAILED,
            "OUTAGES CRITICAL - 2 incidents, oldest 26 min, 1 unacknowledged: audit-trail on web1: ",
        ),
    ],
)
def test_for_a_monitoring_system(
    run: Run, master: FakeMaster, found: tuple[IncidentView, ...], code: int, text: str
) -> None:
    master.answers[LIST] = IncidentList(found)
    done = run("outages", "list", "--nagios")
    assert (done.code, done.out.count("\n")) == (code, 1)
    assert done.out.startswith(text)


def test_one_shows_what_is_missing_of_its_record(run: Run, master: FakeMaster) -> None:
    master.answers["GET /v1/incidents/9"] = IncidentDetail(OVER)
    out = run("outages", "show", "9").out
    assert "requirements  10.2.1, 10.7.2\n" in out
    assert "  cause       a full disk (bob, 20" in out
    assert "  risk        OPEN: whether further action is required, as assessed\n" in out
    assert "  restored    yes, 2027-01-15 07:59:30\n" in out
    assert "it had passed last at 2027-01-15 07:33:50" in out
    assert out.endswith("hullmark outages note 9 --topic remediation 'TEXT'\n")
    master.answers["GET /v1/incidents/12"] = IncidentDetail(LASTS)
    out = run("outages", "show", "12").out
    assert "  restored    OPEN: it lasts\n" in out
    assert "acknowledged  no; next: hullmark outages ack 12" in out
    assert "    what to do: start it" in out


def test_acknowledging_and_noting(run: Run, master: FakeMaster) -> None:
    master.answers["POST /v1/incidents/12/acknowledge"] = IncidentDetail(KNOWN)
    done = run("outages", "ack", "12", "--ticket", "INC-1")
    assert done.out == "incident 11 is acknowledged by bob\n"
    assert master.requests[0].body["ticket"] == "INC-1"
    master.answers["POST /v1/incidents/9/notes"] = IncidentDetail(OVER)
    done = run("outages", "note", "9", "--topic", "cause", " a full disk ")
    assert done.out == "noted; still open: remediation, issues, risk, prevention\n"
    body = master.requests[1].body
    assert (body["text"], body["topic"]) == ("a full disk", "cause")
    assert run("outages", "note", "9", "--topic", "weather", "x").code == EXIT_USAGE
    assert run("outages", "note", "9", " ").code == EXIT_USAGE


# -- this host alone


class Here:
    """A host with an agent that answers asks, and writes what it knows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "agent.yaml"
        self.config.write_text(f"state_dir: {folder}/state\nrun_dir: {folder}/run\n")
        for name in ("state", "run"):
            (folder / name).mkdir()
        self.incidents = LocalIncidents(folder / "state", lambda _entry: None, lambda: NOW)
        self.incidents.group([OUT], NOW)
        self.enrolled, self.at = False, NOW
        self.asks = Asks(folder / "state", self.incidents, lambda: self.enrolled, lambda: NOW)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def write(self) -> None:
        posture = {"host": "web1", "at": self.at, "enrolled": self.enrolled}
        document = {
            "posture": posture,
            "outages": [to_wire(OUT)],
            "incidents": [to_wire(one) for one in self.incidents.all()],
        }
        draft = self.folder / "draft"
        draft.write_bytes(canonical(document))
        draft.replace(self.folder / "run" / "posture.json")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            for path in (self.folder / "state" / localask.FOLDER).glob("*"):
                with contextlib.suppress(FileNotFoundError):  # who asks may take it back
                    os.utime(path, (NOW, NOW))  # by the same clock as the test's
            self.asks.look()
            self.write()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    found = Here(tmp_path)
    found.write()
    yield found
    found.stop()


@pytest.fixture
def local(run: Run, here: Here) -> Callable[..., Any]:
    return lambda *words: run("outages", *words, "--config", str(here.config))


def test_a_host_in_no_cluster_has_its_own(local: Callable[..., Any]) -> None:
    done = local("list")
    assert done.code == EXIT_DEGRADED
    assert done.out.splitlines()[1].split()[:2] == ["1", "open"]
    assert "audit-trail-auditd  o1" in local("show", "1").out
    assert "no incident 7" in local("show", "7").err
    assert local("list", "--nagios").code == EXIT_FAILED


def test_what_people_say_there_goes_to_the_agent(local: Callable[..., Any], here: Here) -> None:
    here.start()
    done = local("ack", "1")
    assert done.out.startswith("incident 1 is acknowledged by ")
    assert "was acknowledged by" in local("ack", "1").err
    assert local("note", "1", "--topic", "cause", "a full disk").code == EXIT_OK
    (incident,) = here.incidents.all()
    assert incident.notes[0].text == "a full disk"
    assert "no incident 5" in local("ack", "5").err
    assert "a cluster only" in local("ack", "1", "--ticket", "x").err
    assert list((here.folder / "state" / localask.FOLDER).iterdir()) == []


def test_an_agent_that_does_not_answer(
    local: Callable[..., Any], here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(localask, "HEARD_S", 0.05)
    done = local("ack", "1")
    assert done.code == EXIT_UNKNOWN
    assert "nothing was done" in done.err
    assert list((here.folder / "state" / localask.FOLDER).iterdir()) == []


def test_what_is_old_says_nothing(local: Callable[..., Any], here: Here) -> None:
    here.at = NOW - outagesource.OLD_S - 1
    here.write()
    assert local("list").code == EXIT_UNKNOWN
    done = local("list", "--nagios")
    assert done.code == EXIT_UNKNOWN
    assert done.out.startswith("OUTAGES UNKNOWN - ")
    (here.folder / "run" / "posture.json").unlink()
    done = local("list")
    assert done.code == EXIT_UNKNOWN, "as hullmark controls has it"
    assert "does not exist" in done.err
    assert f"what to do: {start_command('agentd')}; of a cluster: --master URL" in done.err


def test_a_host_in_a_cluster_says_whom_to_ask(local: Callable[..., Any], here: Here) -> None:
    here.enrolled = True
    here.write()
    done = local("list")
    assert done.code == EXIT_DEGRADED
    assert done.out.splitlines()[1].split()[:2] == ["-", "open"]
    for words in (("show", "1"), ("ack", "1"), ("note", "1", "x")):
        done = local(*words)
        assert done.code == EXIT_FAILED
        assert "--master https://MASTER:7442" in done.err
