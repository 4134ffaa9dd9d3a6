"""`hullmark controls` by a master: all hosts, one of them, one control on all; whatever hosts say of themselves."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hullmark.core.posture import settled
from hullmark.core.postures import unknown
from hullmark.model.control import ControlState, Mode, Posture, Status
from hullmark.model.outage import Outage
from hullmark.model.postureview import HostPosture, PostureList
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, refusal
from tests.unit.cli.test_controls import ABSENT, FAILING, OUTAGE, PASSING, Host, state

ROUTE = "GET /v1/posture"
CLOCK = state("time-chrony", "time", level=2)
HOSTILE = "\x1b[2J\x1b]0;owned\x07<script>alert(1)</script>\r\n\u202epass\x00|x=1"


def posture(*states: ControlState, **more: Any) -> Posture:
    """As a leader has it."""
    found = Posture("web", Mode.RUN, {one.control_id: one for one in states}, 1.0, enrolled=True)
    return replace(settled(found), **more)


def host(
    name: str,
    *states: ControlState,
    outages: tuple[Outage, ...] = (),
    incidents: Mapping[str, int] = {},
    **more: Any,
) -> HostPosture:
    return HostPosture(
        f"id-{name}", name, "ready", 0.4, posture(*states, **more), outages, incidents
    )


def silent(name: str, *states: ControlState) -> HostPosture:
    found = unknown(posture(*states), "the host was not heard for 40 s")
    return HostPosture(f"id-{name}", name, "silent", 40.0, found)


GOOD = host("web1", PASSING, CLOCK)
BAD = host("web3", PASSING, FAILING, *ABSENT, outages=(OUTAGE,), incidents={"o-1": 52})
UNCLEAR = host(
    "web2", replace(CLOCK, status=Status.ERROR, reason="chronyc: garbled", remedy="look at it")
)


@pytest.fixture
def hosts(master: FakeMaster) -> Any:
    def put(*found: HostPosture) -> None:
        by_name = {one.host: one for one in found}
        master.answers[ROUTE] = lambda asked: (
            PostureList(found)
            if not asked.query.get("host")
            else PostureList((by_name[asked.query["host"]],))
            if asked.query["host"] in by_name
            else refusal("NotFound", "host x is not enrolled", 404)
        )

    return put


def test_all_hosts_the_worst_first(hosts: Any, run: Run) -> None:
    never = HostPosture("id-new", "new", "never", None)
    hosts(GOOD, UNCLEAR, BAD, silent("web4", PASSING), never, host("web5", *ABSENT))
    done = run("controls")
    assert done.code == 1
    lines = done.out.splitlines()
    assert [line.split() for line in lines if not line.startswith(" ")][:-1] == [
        ["HOST", "STATE", "PASS", "PROOF", "FAIL", "ERROR", "UNPROVEN", "INCIDENTS"],
        ["web3", "ready", "1", "1", "at", "level", "4", "1", "0", "1", "52"],
        ["web2", "ready", "0", "-", "0", "1", "0", "-"],
        ["new", "never", "-", "-", "-", "-", "-", "-"],
        ["web4", "silent", "0", "-", "0", "0", "1", "-"],
        ["web5", "ready", "0", "-", "0", "0", "1", "-"],
        ["web1", "ready", "2", "1", "at", "level", "4", "0", "0", "0", "-"],
    ]
    assert lines[2].startswith("  audit-trail-auditd FAIL: canary: auditd runs, but writes nothing")
    assert lines[3] == "  fix: free space under /var/log/audit"
    assert lines[4].endswith("incident 52: hullmark outages show 52")
    assert lines[5] == "  not proven: time (ABSENT)"
    assert "  time-chrony ERROR: chronyc: garbled" in lines
    assert "  not heard since this leader began: what holds there nobody knows" in lines
    assert "  not heard for 40 s: what holds there nobody knows" in lines
    assert lines[-1] == (
        "6 hosts: 1 with what FAILS, 1 with an ERROR, 2 of which nothing is known,"
        " 1 not proven, 1 all proven"
    )


def test_exit_codes_of_the_cluster(hosts: Any, run: Run) -> None:
    hosts(GOOD)
    assert run("controls").code == 0
    hosts(GOOD, silent("web4", CLOCK))
    assert run("controls").code == 1
    hosts(silent("web4", CLOCK))
    assert run("controls").code == 3
    hosts(host("web9"))
    done = run("controls")
    assert (done.code, done.out.splitlines()[-1]) == (1, "1 host: 1 not proven")
    assert "  not proven: nothing is looked at" in done.out
    assert run("controls", "--host", "web9").code == 3
    hosts()
    done = run("controls")
    assert (done.code, done.out) == (3, "no host is enrolled; next: hullmark invite HOST\n")


def test_one_host(hosts: Any, master: FakeMaster, run: Run) -> None:
    hosts(GOOD, BAD)
    done = run("controls", "--host", "web3")
    lines = done.out.splitlines()
    assert done.code == 1
    assert lines[0].split() == ["CONTROL", "RESULT", "PROOF", "SINCE", "REQ"]
    name, result, *proof, since, unit, requirement = lines[1].split()[:7]
    assert (name, result, *proof) == ("audit-trail-auditd", "FAIL", "running", "(1)")
    # As old as the module, however long the tests run.
    assert (int(since) >= 15, unit, requirement) == (True, "min", "10.2.1")
    assert lines[4].endswith(", incident 52: hullmark outages show 52")
    assert lines[-1] == "1 pass, 1 at level 4; 2 NOT proven"
    assert master.asked("GET")[-1].query == {"host": "web3"}
    assert run("controls", "--host", "web1").code == 0
    gone = run("controls", "--host", "other")
    assert gone.code == 2
    assert "is not enrolled" in gone.err
    full = run("controls", "--host", "web3", "audit-trail-auditd").out
    assert full.startswith("audit-trail-auditd  FAIL  running (1)")
    assert ["CHECK", "RESULT", "PROOF", "SINCE", "TOOK"] in [
        line.split() for line in full.splitlines()
    ]


def test_of_a_host_that_is_not_heard_nothing_passes(hosts: Any, run: Run) -> None:
    hosts(silent("web4", PASSING, FAILING))
    done = run("controls", "--host", "web4")
    assert done.code == 3
    assert " pass " not in done.out
    assert "the agent last told of its controls 40 s ago: what holds now nobody knows" in done.out
    assert run("controls", "--host", "web4", "log-forwarding").code == 3
    assert run("controls", "log-forwarding").code == 3
    assert run("controls", "--host", "web4", "--nagios").code == 3


def test_one_control_on_all_hosts(hosts: Any, run: Run) -> None:
    hosts(GOOD, BAD, silent("web4", PASSING), host("web6", CLOCK))
    done = run("controls", "log-forwarding")
    assert done.code == 1
    rows = [line.split()[:3] for line in done.out.splitlines() if not line.startswith(" ")]
    assert rows == [
        ["HOST", "CONTROL", "RESULT"],
        ["web4", "log-forwarding", "not"],
        ["web1", "log-forwarding", "pass"],
        ["web3", "log-forwarding", "pass"],
    ]
    hosts(GOOD, BAD)
    assert run("controls", "log-forwarding").code == 0
    assert run("controls", "time").code == 1, "absent on one"
    hosts(GOOD, host("web6", CLOCK))
    assert run("controls", "log-forwarding").code == 1, "one host does not prove it"
    missing = run("controls", "log-forwardin")
    assert missing.code == 2
    assert "no control 'log-forwardin' on any host" in missing.err
    assert "did you mean log-forwarding?" in missing.err


def test_nagios_of_the_cluster(hosts: Any, master: FakeMaster, run: Run) -> None:
    hosts(GOOD)
    done = run("controls", "--nagios")
    assert done.code == 0
    assert done.out == (
        "HULLMARK OK - 1 host: 1 all proven | hosts=1 proven=1 unknown=0 pass=2 fail=0 error=0"
        " not_run=0 absent=0\n"
    )
    hosts(GOOD, BAD, silent("web4", PASSING))
    done = run("controls", "--nagios")
    assert done.code == 2
    assert done.out.startswith(
        "HULLMARK CRITICAL - 3 hosts: 1 with what FAILS, 1 of which nothing is known, 1 all proven:"
        " web3 audit-trail-auditd FAIL; web4 silent | hosts=3 proven=1 unknown=1 pass=3 fail=1"
    )
    hosts(GOOD, silent("web4", PASSING))
    assert run("controls", "--nagios").code == 1
    hosts(silent("web4", PASSING))
    assert run("controls", "--nagios").code == 3
    hosts(GOOD, BAD)
    assert run("controls", "--host", "web1", "--nagios").code == 0
    assert run("controls", "--host", "web3", "--nagios").code == 2
    master.answers[ROUTE] = refusal("Forbidden", "you are nobody", 403)
    done = run("controls", "--nagios")
    assert (done.code, done.err) == (3, "")
    assert done.out.startswith("HULLMARK UNKNOWN - ")


def test_as_json(hosts: Any, run: Run) -> None:
    never = HostPosture("id-new", "new", "never", None)
    hosts(GOOD, BAD, never)
    document = run("controls", "-o", "json").document
    assert document["schema"] == "hullmark.controls-cluster/1"
    first, second, third = document["hosts"]
    assert (first["host"], first["state"], second["incidents"]) == ("web1", "ready", {"o-1": 52})
    assert abs(first["at"] - time.time()) < 60
    assert (third["summary"], third["controls"], third["mode"]) == (None, [], "")
    only = run("controls", "time-chrony", "-o", "json").document["hosts"]
    assert [[each["control_id"] for each in one["controls"]] for one in only] == [
        ["time-chrony"],
        ["time-chrony"],
        [],
    ]
    alone = run("controls", "--host", "web3", "-o", "json")
    assert (alone.code, alone.document["schema"]) == (1, "hullmark.controls/1")
    assert alone.document["summary"]["failing"] == 1


def test_a_host_with_an_agent_is_asked_about_itself(
    hosts: Any, master: FakeMaster, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts(BAD)
    here = Host(tmp_path)
    monkeypatch.setattr("hullmark.cli.controlsource.AGENT_FILE", str(here.config))
    assert "web3" in run("controls").out, "there is no agent yet: HULLMARK_MASTER is asked"
    here.write(PASSING)
    asked = len(master.requests)
    assert run("controls").code == 0
    assert run("controls", "--local").code == 0
    assert len(master.requests) == asked
    assert run("controls", "--cluster").code == 1
    assert run("controls", "--host", "web3").code == 1
    assert run("controls", "--master", master.url).code == 1
    here.file.unlink()
    assert run("controls", "--local").code == 3


@pytest.mark.parametrize(
    "words",
    [
        ("--local", "--cluster"),
        ("--local", "--host", "web1"),
        ("--config", "x.yaml", "--cluster"),
        ("--local", "--master", "unix:///x"),
        ("--host", "web1", "--cluster"),
        ("--cluster", "--nagios", "time"),
    ],
)
def test_what_contradicts_itself(run: Run, words: tuple[str, ...]) -> None:
    assert run("controls", *words).code == 64


def test_nothing_that_a_host_says_reaches_the_terminal_as_it_is(hosts: Any, run: Run) -> None:
    """Also not where a master lets it through, as one of another version may."""
    checks = {
        "canary": replace(
            FAILING.checks["canary"], check_id=HOSTILE, reason=HOSTILE, not_exercised=HOSTILE
        )
    }
    lying = replace(
        FAILING,
        control_id=f"x{HOSTILE}",
        function=HOSTILE,
        title=HOSTILE,
        reason=HOSTILE,
        remedy=HOSTILE,
        checks=checks,
    )
    outage = replace(OUTAGE, reason=HOSTILE, title=HOSTILE, planned=True, ticket=HOSTILE)
    found = replace(
        posture(lying, CLOCK), problems=(HOSTILE,), controls={lying.control_id: lying, "t": CLOCK}
    )
    absent = replace(ABSENT[0], function=f"site-{HOSTILE}", control_id=HOSTILE)
    found = replace(found, controls={**found.controls, HOSTILE: absent})
    hosts(HostPosture("i", "web3", "ready", 0.4, found, (outage,), {"o-1": 52}))
    asked = (
        (),
        ("--nagios",),
        ("--host", "web3"),
        ("--host", "web3", "--all"),
        ("--host", "web3", "--nagios"),
        ("--host", "web3", lying.control_id),
        (lying.control_id,),
        ("x", "--host", "web3"),
        ("-o", "json"),
    )
    for words in asked:
        done = run("controls", *words)
        assert done.out or done.err
        for text in (done.out, done.err):
            assert re.search(r"[^\x20-\x7e\n]", text) is None, (words, text)
            if "json" not in words:
                assert "\npass" not in text, words
        if "--nagios" in words:
            assert done.out.count("|") == 1
            assert done.out.count("\n") == 1
