"""Commands that ask and change nothing: what they print, and their exit codes."""

from __future__ import annotations

import dataclasses
import time
from typing import Any, Optional

import pytest

from hullmark.cli.commands import logs, status
from hullmark.model.api import (
    AppList,
    EventList,
    HostGroup,
    HostList,
    InstanceList,
    OrphanList,
    OrphanView,
)
from hullmark.model.event import Event
from hullmark.model.host import Availability, Maintenance
from hullmark.model.observed import Phase
from hullmark.model.postureview import ControlNumbers
from tests.unit.cli import answers
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, Lines, Raw, Silence, refusal


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("degraded", 1), ("failed", 2), ("?", 2)])
def test_status(master: FakeMaster, run: Run, state: str, code: int) -> None:
    notes = ("one thing", "another thing") if code else ()
    status = dataclasses.replace(answers.STATUS, state=state, notes=notes, next="hullmark ps")
    master.answers["GET /v1/status"] = status
    done = run("status")
    assert done.code == code
    assert done.err == ""
    lines = done.out.splitlines()
    assert lines[0].split() == [
        state.upper(),
        *(("one", "thing") if code else ["all", "is", "well"]),
    ]
    assert "next      hullmark ps" in lines
    assert "leader    m1  epoch 1.4, 90 s" in lines
    assert all(len(line) <= 80 for line in lines)


def test_status_document(master: FakeMaster, run: Run) -> None:
    master.answers["GET /v1/status"] = answers.STATUS
    done = run("status", "--output", "json")
    assert done.document == {
        "schema": "hullmark.status/1",
        "cluster_id": "c1",
        "state": "ok",
        "master": "m1",
        "epoch": "1.4",
        "leading_s": 90.0,
        "store": "sqlite",
        "hosts_total": 1,
        "hosts_ready": 1,
        "apps_total": 1,
        "apps_ok": 1,
        "version": "0.1.0",
        "notes": [],
        "next": "",
        "orphans": 0,
        "hosts": [{"word": "ok", "number": 1, "detail": ""}],
        "masters": [],
        "store_condition": None,
        "redundancy": "",
        "read_only": "",
        "stale_s": 0.0,
        "known": True,
        "incidents": None,
    }
    assert next(iter(done.document)) == "schema"


def test_status_counts_hosts_by_how_they_are(master: FakeMaster, run: Run) -> None:
    groups = (
        HostGroup("ok", 28),
        HostGroup("maintenance", 1, "CHG-881, 40 min left"),
        HostGroup("silent", 1),
        HostGroup("never", 2),
    )
    master.answers["GET /v1/status"] = dataclasses.replace(answers.STATUS, hosts=groups)
    expected = "hosts     28 ok, 1 maintenance (CHG-881, 40 min left), 1 silent, 2 not heard yet"
    assert expected in run("status").out.splitlines()
    master.answers["GET /v1/status"] = dataclasses.replace(answers.STATUS, hosts=())
    assert "hosts     none" in run("status").out.splitlines()


@pytest.mark.parametrize(
    ("state", "heard_s"), [("never", None), ("lost", None), ("lost", 15.0), ("silent", 6.0)]
)
@pytest.mark.parametrize("wait", ["0s", "20ms", "30s"])
def test_status_that_waits(
    master: FakeMaster,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    wait: str,
    state: str,
    heard_s: Optional[float],
) -> None:
    """Until every host is heard, also one that this leader has given up, or heard long ago."""
    monkeypatch.setattr(status, "PAUSE_S", 0.001)
    new = dataclasses.replace(answers.HOST, state=state, heard_s=heard_s)
    not_leading = refusal("StaleEpoch", "not yet", 421)
    away = refusal("StoreUnavailable", "not yet", 503)
    begin = [Raw(b""), not_leading, away, HostList((answers.HOST, new))]
    end = HostList((answers.HOST,)) if wait == "30s" else HostList((new,))
    master.answers = {"GET /v1/hosts": [*begin, end], "GET /v1/status": answers.STATUS}
    done = run("status", "--wait", wait)
    assert (done.code, done.err) == (0, "")
    asked = [request.path for request in master.requests]
    assert asked[-1] == "/v1/status"
    if wait == "30s":
        assert asked == ["/v1/hosts"] * 5 + ["/v1/status"]


def test_status_does_not_wait_for_a_host_in_maintenance(master: FakeMaster, run: Run) -> None:
    work = Maintenance(1e9, 1.6e9, "anna", "CHG-881")
    away = dataclasses.replace(answers.HOST, state="lost", maintenance=work)
    master.answers = {"GET /v1/hosts": HostList((away,)), "GET /v1/status": answers.STATUS}
    assert run("status", "--wait", "30s").code == 0
    assert len(master.requests) == 2


def test_status_waits_for_a_master_that_takes_changes(
    master: FakeMaster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "PAUSE_S", 0.001)
    lost = dataclasses.replace(answers.STATUS, state="failed", read_only="the store is away")
    blind = dataclasses.replace(answers.STATUS, state="degraded", known=False)
    master.answers = {
        "GET /v1/hosts": HostList((answers.HOST,)),
        "GET /v1/status": [lost, blind, answers.STATUS],
    }
    assert run("status", "--wait", "30s").code == 0


def test_status_that_waits_in_vain(
    run: Run, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "PAUSE_S", 0.001)
    assert run("--master", f"unix://{tmp_path}/none", "status", "--wait", "10ms").code == 3
    assert run("status", "--wait", "soon").code == 64


def test_status_waits_no_longer_than_it_is_told_for_a_master_that_hangs(
    master: FakeMaster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "PAUSE_S", 0.001)
    monkeypatch.setattr(status, "LEAST_S", 0.1)
    master.answers = {"GET /v1/hosts": Silence(), "GET /v1/status": Silence()}
    begin = time.monotonic()
    done = run("status", "--wait", "300ms")
    assert time.monotonic() - begin < 10.0
    assert (done.code, done.out) == (3, "")
    assert "no answer within 0." in done.err


def test_no_answer(run: Run, tmp_path: Any) -> None:
    done = run("--master", f"unix://{tmp_path}/x", "status")
    assert (done.code, done.out) == (3, "")
    assert "what to do: " in done.err
    done = run("--master", f"unix://{tmp_path}/x", "status", "-o", "json")
    assert (done.code, done.out) == (3, "")
    assert done.error["schema"] == "hullmark.error/1"
    assert done.error["error"] == "MasterUnavailable"
    assert done.error["exit_code"] == 3


def test_hosts(master: FakeMaster, run: Run) -> None:
    troubled = dataclasses.replace(
        answers.HOST,
        name="web4",
        problems=(answers.PROBLEM,),
        controls=ControlNumbers(passing=10, failing=2, absent=1),
    )
    master.answers["GET /v1/hosts"] = HostList((answers.HOST, troubled))
    done = run("hosts")
    assert done.code == 1
    assert done.out.splitlines() == [
        "HOST  STATE     HEARD  INST  CONTROLS  ENGINE       CPUS  MEMORY  OS",
        "web3  ready     0 s    2     -         docker 26.1  4     8 GiB   Debian 12",
        "web4  troubled  0 s    2     2 FAIL    docker 26.1  4     8 GiB   Debian 12",
        "  no space left on /var/lib",
        "  fix: df /var/lib",
    ]


@pytest.mark.parametrize("state", ["silent", "lost", "never"])
def test_hosts_that_are_away(master: FakeMaster, run: Run, state: str) -> None:
    away = dataclasses.replace(answers.HOST, state=state, heard_s=None)
    master.answers["GET /v1/hosts"] = HostList((away,))
    done = run("hosts")
    assert done.code == 1
    assert "  not heard since this leader began" in done.out
    assert ("began; what runs there goes on" in done.out) == (state == "lost")
    assert ("fix: on web3: hullmark agent run" in done.out) == (state != "silent")
    silent = dataclasses.replace(away, heard_s=40.0, problems=(answers.PROBLEM,))
    master.answers["GET /v1/hosts"] = HostList((silent,))
    assert "  not heard for 40 s; what runs there goes on" in run("hosts").out
    assert run("hosts", "-o", "json").document["hosts"][0]["state"] == state


def test_hosts_that_are_set_aside(master: FakeMaster, run: Run) -> None:
    work = Maintenance(1e9, 1.6e9, "anna", "CHG-881")
    drains, cordoned = Availability.DRAINING, Availability.CORDONED
    master.answers["GET /v1/hosts"] = HostList(
        (
            dataclasses.replace(answers.HOST, name="a", state="lost", maintenance=work),
            dataclasses.replace(answers.HOST, name="b", availability=cordoned),
            dataclasses.replace(
                answers.HOST, name="c", availability=drains, drain="2 left, 1 stays: local data"
            ),
        )
    )
    done = run("hosts")
    assert done.code == 0, "all of it was asked for"
    assert done.out.splitlines() == [
        "HOST  STATE        HEARD  INST  CONTROLS  ENGINE       CPUS  MEMORY  OS",
        "a     maintenance  0 s    2     -         docker 26.1  4     8 GiB   Debian 12",
        "  in maintenance until 2020-09-13 12:26:40, by anna, CHG-881",
        "b     cordoned     0 s    2     -         docker 26.1  4     8 GiB   Debian 12",
        "  cordoned: it keeps what it has, and gets nothing new",
        "c     draining     0 s    2     -         docker 26.1  4     8 GiB   Debian 12",
        "  draining: 2 left, 1 stays: local data",
    ]


def test_a_drained_host_that_is_lost_is_lost(master: FakeMaster, run: Run) -> None:
    lost = dataclasses.replace(
        answers.HOST,
        state="lost",
        heard_s=40.0,
        availability=Availability.DRAINING,
        drain="2 left",
    )
    master.answers["GET /v1/hosts"] = HostList((lost,))
    done = run("hosts")
    assert done.code == 1
    assert done.out.splitlines()[1].split()[1] == "lost"
    assert "draining: 2 left" in done.out
    assert "not heard for 40 s" in done.out


def test_hosts_document(master: FakeMaster, run: Run) -> None:
    proven = dataclasses.replace(answers.HOST, controls=ControlNumbers(passing=12))
    master.answers["GET /v1/hosts"] = HostList((proven,))
    done = run("hosts", "-o", "json")
    assert done.code == 0
    assert done.document["schema"] == "hullmark.hosts/1"
    (host,) = done.document["hosts"]
    assert host["state"] == "ready"
    assert host["problems"] == []
    assert host["facts"]["memory_bytes"] == 8 << 30
    assert host["controls"]["passing"] == 12
    assert host["facts"]["boot_id"] == "", "fields that hold their default are there"


def test_no_hosts(master: FakeMaster, run: Run) -> None:
    master.answers["GET /v1/hosts"] = HostList(())
    done = run("hosts")
    assert (done.code, "hullmark invite" in done.out) == (0, True)


def test_apps(master: FakeMaster, run: Run) -> None:
    found = answers.summary("degraded", serving=1)
    service = dataclasses.replace(found.services[0], why=("web.2 on web3: its health check fails",))
    master.answers["GET /v1/apps"] = AppList((dataclasses.replace(found, services=(service,)),))
    done = run("apps")
    assert done.code == 0, "the answer is whole; `status` judges"
    head, row, why = done.out.splitlines()
    assert head.split() == ["APP", "STATE", "GEN", "SERVING", "CHANGED", "BY", "TICKET"]
    assert row.split() == [
        "shop",
        "degraded",
        "1",
        "1/2",
        "2023-11-14",
        "22:13:20",
        "anna",
        "CHG-881",
    ]
    assert why == "  web.2 on web3: its health check fails"
    assert run("apps", "-o", "json").document["apps"][0]["state"] == "degraded"


def test_ps(master: FakeMaster, run: Run) -> None:
    failed = answers.instance(2, Phase.BACKOFF, "ended with exit code 1;\x1b[31m\nred")
    waiting = answers.instance(3, why="no room", status=None, host="", unplaced=True)
    master.answers["GET /v1/instances"] = InstanceList((answers.instance(), failed, waiting))
    done = run("ps", "shop")
    assert done.code == 0
    assert master.requests[0].query == {"app": "shop"}
    lines = done.out.splitlines()
    assert lines[0].split() == ["INSTANCE", "HOST", "STATE", "AGE", "RESTARTS", "PORTS"]
    assert lines[1].split()[:3] == ["shop/web.1", "web3", "healthy"]
    assert lines[1].split()[-1] == "49154->80"
    assert lines[3] == "  ended with exit code 1;?[31m red", "nothing that a terminal would obey"
    assert lines[4].split() == ["shop/web.3", "-", "not", "placed", "-", "-", "-"]


def test_ps_of_what_nobody_can_see_now(master: FakeMaster, run: Run) -> None:
    views = (
        answers.instance(
            1, why="as last seen 40 s ago: the host's engine does not answer", seen=False
        ),
        answers.instance(2, Phase.BACKOFF, "paused by somebody; docker unpause x"),
        answers.instance(3, why="no room", status=None, host="", unplaced=True),
        answers.instance(4, why="runs, and has to complete"),
        answers.instance(5, why="not scheduled yet", status=None, host=""),
    )
    master.answers["GET /v1/instances"] = InstanceList(views)
    lines = run("ps", "shop").out.splitlines()
    assert lines[1].split()[2:4] == ["was", "healthy"]
    assert lines[2] == "  as last seen 40 s ago: the host's engine does not answer"
    assert lines[3].split()[2] == "paused"
    assert lines[6] == "  no room"
    assert [lines[7].split()[2], lines[9].split()[2]] == ["healthy", "waiting"]


def test_ps_of_what_serves_and_is_to_be_made_anew(master: FakeMaster, run: Run) -> None:
    noted = dataclasses.replace(answers.instance(), note="it knows no names: hullmark move it")
    master.answers["GET /v1/instances"] = InstanceList((noted,))
    lines = run("ps", "shop").out.splitlines()
    assert lines[1].split()[2] == "healthy"
    assert lines[2] == "  it knows no names: hullmark move it"


def test_a_moment_that_has_not_come_is_null(master: FakeMaster, run: Run) -> None:
    master.answers["GET /v1/instances"] = InstanceList((answers.instance(),))
    (instance,) = run("ps", "-o", "json").document["instances"]
    assert instance["status"]["started_at"] == 1700000000.0
    assert instance["status"]["finished_at"] is None


def test_ps_document(master: FakeMaster, run: Run) -> None:
    master.answers["GET /v1/instances"] = InstanceList((answers.instance(),))
    done = run("ps", "--output=json")
    assert master.requests[0].query == {}
    (instance,) = done.document["instances"]
    assert instance["status"]["ports"] == [
        {"target": 80, "published": 49154, "protocol": "tcp", "host_ip": ""}
    ]
    assert instance["status"]["phase"] == "running"
    assert instance["status"]["exit_code"] is None
    assert instance["removing"] is False


def test_ps_of_an_app_that_is_not_there(master: FakeMaster, run: Run) -> None:
    master.answers["GET /v1/instances"] = refusal(
        "NotFound", "there is no app x", 404, "hullmark apps"
    )
    done = run("ps", "x")
    assert (done.code, done.out) == (2, "")
    assert done.err == "hullmark: there is no app x\n  what to do: hullmark apps\n"


def test_not_logged_in(master: FakeMaster, run: Run) -> None:
    master.answers["GET /v1/instances"] = refusal("Forbidden", "a token is needed", 401)
    assert run("ps", "-o", "json").error["error"] == "Forbidden"


EVENT = Event(
    "e1",
    1700000000.0,
    "app.applied",
    "shop",
    "m1",
    "generation 1",
    "anna",
    {"ticket": "CHG-1"},
)


def test_events(master: FakeMaster, run: Run) -> None:
    master.answers["GET /v1/events"] = EventList((EVENT,), 7)
    done = run("events", "--limit", "5")
    assert done.out == (
        "2023-11-14T22:13:20Z  app.applied  shop  generation 1  by anna  ticket CHG-1\n"
    )
    assert master.requests[0].query == {"limit": "5"}
    document = run("events", "-o", "json").document
    assert document["last"] == 7
    assert document["events"][0]["fields"] == {"ticket": "CHG-1"}


def test_events_that_are_followed(master: FakeMaster, run: Run) -> None:
    later = dataclasses.replace(EVENT, subject="blog")
    over = refusal("StoreUnavailable", "over", 503)
    master.answers["GET /v1/events"] = [EventList((EVENT,), 7), EventList((later,), 8), over]
    done = run("events", "-f", "-o", "json")
    assert done.code == 3
    assert [line.count('"hullmark.event/1"') for line in done.out.splitlines()] == [1, 1]
    assert [request.query.get("after") for request in master.requests] == [None, "7", "8"]


def test_orphans(master: FakeMaster, run: Run) -> None:
    status = answers.instance().status
    assert status is not None
    remove = "docker rm -f ghost.web.1.g1"
    view = OrphanView("web3", "ghost.web.1.g1", status, "no app", "hullmark apply FILE", remove)
    master.answers["GET /v1/orphans"] = OrphanList((view,))
    done = run("orphans")
    assert "web3  ghost.web.1.g1  running  localhost/web:1" in done.out
    assert "ghost.web.1.g1 on web3: no app\n  take in   hullmark apply FILE\n" in done.out
    assert f"  remove    {remove}   (on web3)\n" in done.out
    master.answers["GET /v1/orphans"] = OrphanList((dataclasses.replace(view, take_in=""),))
    assert "take in" not in run("orphans").out
    assert run("orphans", "-o", "json").document["orphans"][0]["name"] == "ghost.web.1.g1"
    master.answers["GET /v1/orphans"] = OrphanList(())
    assert run("orphans").out == "no orphans\n"


LOGS = "GET /v1/apps/shop/logs"


def test_logs(master: FakeMaster, run: Run) -> None:
    master.answers[LOGS] = Lines((answers.line("one"), answers.line("two", "stderr", 2)))
    done = run("logs", "shop/web.2", "--tail", "5", "--since", "2026-11-24T01:30:00Z")
    assert (done.code, done.out, done.err) == (0, "shop/web.1 | one\n", "shop/web.2 | two\n")
    assert master.requests[0].query == {
        "service": "web",
        "slot": "2",
        "tail": "5",
        "since": "2026-11-24T01:30:00Z",
    }
    plain = run("logs", "shop", "--no-prefix", "-f", "--tail", "0")
    assert plain.out == "one\n"
    assert master.requests[1].query == {"follow": "true", "tail": "0"}
    assert run("logs", "-t", "shop").out == "2026-11-24T01:30:00.5Z shop/web.1 | one\n"


def test_logs_document(master: FakeMaster, run: Run) -> None:
    master.answers[LOGS] = Lines((answers.line("one"), answers.line("two")))
    first, second = run("logs", "shop", "-o", "json").out.splitlines()
    assert first.startswith('{"schema": "hullmark.log/1", "instance": "shop/web.1"')
    assert '"text": "two"' in second


def test_logs_of_a_host_that_does_not_answer(master: FakeMaster, run: Run) -> None:
    remark = answers.line("host web4: it does not answer", "hullmark")
    master.answers[LOGS] = Lines((answers.line("one"), remark))
    done = run("logs", "shop")
    assert done.code == 1, "lines are missing"
    assert done.err == "hullmark: host web4: it does not answer\n"


def test_logs_that_are_cut_off(master: FakeMaster, run: Run) -> None:
    master.answers[LOGS] = Lines((answers.line("one"),), cut=True)
    done = run("logs", "shop")
    assert (done.code, done.out) == (3, "shop/web.1 | one\n")


def test_since(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    assert logs._moment("15s") == "985.000"
    assert logs._moment("1m30s") == "910.000"


@pytest.mark.parametrize("option", ["--since=yesterday", "--since=2026-11-24", "--tail=-1"])
def test_bad_options_of_logs(run: Run, option: str) -> None:
    done = run("logs", "shop", option)
    assert done.code == 64
    assert done.out == ""
