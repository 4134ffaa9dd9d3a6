"""`hullmark controls` of this host: from the file that its agent writes, never passing where nobody looks any more."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hullmark.agentd.posturing import Posturing, Standing
from hullmark.agentd.problems import Problems
from hullmark.model.control import CheckState, ControlState, Mode, Status
from hullmark.model.outage import Incident, Outage
from tests.unit.cli.conftest import Run

NOW = time.time()


def state(
    name: str,
    function: str,
    status: Status = Status.PASS,
    level: int = 3,
    reason: str = "",
    remedy: str = "",
    outage: str = "",
) -> ControlState:
    checks = {
        "daemon": CheckState("daemon", Status.PASS, 1, since=NOW - 900, at=NOW - 4, took_s=0.01),
        "canary": CheckState(
            "canary",
            status,
            level,
            reason,
            since=NOW - 900,
            at=NOW - 20,
            took_s=1.5,
            not_exercised="that the rules fire",
        ),
    }
    title = name.replace("-", " ").title()
    return ControlState(
        name, function, title, status, level, reason, remedy, NOW - 900, checks, outage
    )


FAILING = state(
    "audit-trail-auditd",
    "audit-trail",
    Status.FAIL,
    1,
    "canary: auditd runs, but writes nothing: the disk is full",
    "free space under /var/log/audit",
    "o-1",
)
PASSING = state("log-forwarding", "log-forwarding", level=4)
ABSENT = [
    state(name, "time", Status.NOT_APPLICABLE, -1, "not on this host")
    for name in ("time-chrony", "time-timesyncd")
]
OUTAGE = Outage("o-1", "web3", FAILING.control_id, "audit-trail", "Audit", NOW - 900, "disk full")


def _now(one: ControlState) -> ControlState:
    """As if it had been looked at just before, however long the tests run."""
    late = time.time() - NOW
    checks = {name: replace(each, at=each.at + late) for name, each in one.checks.items()}
    return replace(one, checks=checks)


class Host:
    def __init__(self, folder: Path) -> None:
        self.run_dir = folder / "run"
        self.config = folder / "agent.yaml"
        self.config.write_text(f"run_dir: {self.run_dir}\ncontrols: {{dir: {folder}/none}}\n")
        self.file = self.run_dir / "posture.json"

    def write(self, *states: ControlState, at: float = 0.0, **more: Any) -> None:
        """As its agent does."""
        wall = at or time.time()
        mode = more.pop("mode", Mode.RUN)
        standing = Standing({one.control_id: _now(one) for one in states}, **more)
        Posturing("web3", Problems(), lambda: wall).show(standing, str(self.run_dir), mode)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def controls(run: Run, host: Host) -> Any:
    return lambda *words: run("controls", *words, "--config", str(host.config))


def test_what_passes_and_what_does_not(host: Host, controls: Any) -> None:
    incident = Incident(52, "audit-trail", {"o-1": OUTAGE})
    host.write(PASSING, FAILING, *ABSENT, outages=(OUTAGE,), incidents=(incident,))
    done = controls()
    lines = done.out.splitlines()
    assert done.code == 1
    assert lines[0].split() == ["CONTROL", "RESULT", "PROOF", "LAST", "REQ"]
    assert lines[1].split()[:6] == ["audit-trail-auditd", "FAIL", "running", "(1)", "4", "s"]
    assert "10.2.1 10.2.1.2" in lines[1]
    assert lines[2] == "  canary: auditd runs, but writes nothing: the disk is full"
    assert lines[3] == "  fix: free space under /var/log/audit"
    assert lines[4].startswith("  failing since ")
    assert lines[4].endswith(", incident 52: hullmark outages show 52")
    assert lines[5].split() == [
        *("log-forwarding", "pass", "other", "host", "(4)", "4", "s", "10.3.3")
    ]
    assert lines[6].split() == [*("time", "ABSENT", "-", "-", "10.2.2", "10.6.1", "10.6.2")]
    assert lines[7] == "  not proven, time from a trusted source: none of chrony, timesyncd is here"
    assert lines[8] == "1 pass, 1 at level 4; 2 NOT proven"
    assert "time-chrony" not in done.out
    assert "time-chrony" in controls("--all").out


def test_all_proven(host: Host, controls: Any) -> None:
    host.write(PASSING, state("time-chrony", "time", level=2), ABSENT[1])
    done = controls()
    assert (done.code, done.out.splitlines()[-1]) == (0, "2 pass, 1 at level 4; all proven")


@pytest.mark.parametrize("at", [NOW - 120, NOW + 3600], ids=["old", "of the future"])
def test_what_an_agent_told_long_ago_is_never_shown_as_passing(
    host: Host, controls: Any, at: float
) -> None:
    host.write(PASSING, FAILING, *ABSENT, at=at)
    done = controls()
    assert done.code == 3
    assert "what holds now nobody knows" in done.out
    assert "the agent has told nothing" in done.out
    assert " pass " not in done.out
    assert done.out.splitlines()[-1] == "0 pass; 3 NOT proven"
    assert controls("log-forwarding").code == 3
    assert controls("-o", "json").code == 3
    assert controls("--nagios").code == 3
    assert controls("--nagios").out.startswith("HULLMARK UNKNOWN - web3: the agent last told")


def test_where_no_agent_looked(controls: Any) -> None:
    done = controls()
    assert (done.code, done.out) == (3, "")
    assert "nobody has looked at this host's controls" in done.err
    assert "hullmark agent run" in done.err
    done = controls("--nagios")
    assert (done.code, done.err) == (3, "")
    assert done.out.startswith("HULLMARK UNKNOWN - nobody has looked")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "[" * 100_000, '{"posture": {}}', '{"posture": 1}']
)
def test_a_file_that_is_none_of_an_agent(host: Host, controls: Any, text: str) -> None:
    host.run_dir.mkdir()
    host.file.write_text(text)
    assert controls().code == 3
    assert controls("--nagios").code == 3


def test_who_may_not_read_it(host: Host, controls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host.write(PASSING)
    real = Path.open

    def refused(path: Path, *more: Any, **named: Any) -> Any:
        if path == host.file:
            raise PermissionError(13, "Permission denied")
        return real(path, *more, **named)

    monkeypatch.setattr(Path, "open", refused)
    done = controls()
    assert done.code == 2
    assert "may be read by root only" in done.err
    assert controls("--nagios").code == 3


def test_one_control_in_full(host: Host, controls: Any) -> None:
    host.write(PASSING, FAILING)
    done = controls("audit-trail-auditd")
    lines = done.out.splitlines()
    assert done.code == 1
    assert lines[0].startswith("audit-trail-auditd  FAIL  running (1)  since 20")
    assert "  PCI DSS v4.0.1, direct: 10.2.1 10.2.1.2 10.2.1.6 10.2.1.7" in lines
    assert "  not exercised: that the rules fire" in lines
    (canary,) = [line.split() for line in lines if line.startswith("canary")]
    assert canary == ["canary", "FAIL", "running", "(1)", "20", "s", "1.50", "s"]
    assert controls("log-forwarding").code == 0


def test_by_function(host: Host, controls: Any) -> None:
    host.write(PASSING, *ABSENT)
    done = controls("time")
    assert done.code == 1
    assert "time-chrony  n/a" in done.out
    assert "time-timesyncd  n/a" in done.out


def test_one_that_is_switched_off_is_not_to_be_mended(host: Host, controls: Any) -> None:
    off = state("time-chrony", "time", Status.NOT_RUN, -1, "switched off by /etc/x.yaml:3")
    host.write(PASSING, off, mode=Mode.OBSERVE)
    done = controls("time")
    assert done.out.count("mode observe") == 1
    assert "  switched off by /etc/x.yaml:3" in done.out.splitlines()
    assert "fix:" not in done.out


def test_a_control_that_is_not_there(host: Host, controls: Any) -> None:
    host.write(PASSING)
    done = controls("log-forwardin")
    assert done.code == 2
    assert "did you mean log-forwarding?" in done.err


def test_nagios(host: Host, controls: Any) -> None:
    host.write(PASSING)
    assert controls("--nagios").out == (
        "HULLMARK OK - 1 pass, 1 at level 4; all proven"
        " | pass=1 fail=0 error=0 not_run=0 absent=0 outages=0 age=0s\n"
    )
    host.write(PASSING, *ABSENT)
    done = controls("--nagios")
    assert (done.code, done.out.split(" | ")[0]) == (
        1,
        "HULLMARK WARNING - 1 pass, 1 at level 4; 1 NOT proven: time ABSENT",
    )
    host.write(PASSING, problems=("controls.invalid: site.yaml:3: unknown key",))
    done = controls("--nagios")
    assert done.code == 1, "what the wrong file asks for is not looked at"
    assert "all proven: controls.invalid: site.yaml:3: unknown key |" in done.out
    host.write(PASSING, problems=("alerts.unsent.mail: no answer",))
    assert controls("--nagios").code == 0
    many = [
        state(f"x-{number}", "time", Status.ERROR, -1, "a|b\nc", outage="") for number in range(9)
    ]
    host.write(FAILING, *many, outages=(OUTAGE,))
    done = controls("--nagios")
    assert done.code == 2
    assert done.out.startswith("HULLMARK CRITICAL - 0 pass; 10 NOT proven: audit-trail-auditd FAIL")
    assert done.out.count("|") == 1
    assert done.out.count("\n") == 1
    assert ", and 5 more | pass=0 fail=1 error=9 not_run=0 absent=0 outages=1 age=" in done.out
    assert controls("--nagios", "x").code == 64
    assert controls("--nagios", "-o", "json").code == 64


def test_as_json(host: Host, controls: Any) -> None:
    host.write(PASSING, FAILING, *ABSENT, outages=(OUTAGE,), problems=("a file is wrong",))
    done = controls("-o", "json")
    document: Mapping[str, Any] = json.loads(done.out)
    assert done.code == 1
    assert document["schema"] == "hullmark.controls/1"
    assert (document["host"], document["state"], document["mode"]) == ("web3", "here", "run")
    first = {each["control_id"]: each for each in document["controls"]}["audit-trail-auditd"]
    assert (first["status"], first["level"]) == ("fail", 1)
    assert "10.2.1.2" in first["requirements"]
    assert first["checks"]["canary"]["took_s"] == 1.5
    assert document["summary"]["uncovered"] == {"time": ["time-chrony", "time-timesyncd"]}
    assert document["outages"][0]["outage_id"] == "o-1"
    assert document["problems"] == ["a file is wrong"]


def test_how_the_host_is_looked_at_is_said_first(host: Host, controls: Any) -> None:
    host.write(PASSING, mode=Mode.OBSERVE, problems=("controls.d/x.yaml:3: wrong",))
    lines = controls().out.splitlines()
    assert lines[:2] == ["web3: mode observe, not enrolled", "controls.d/x.yaml:3: wrong"]


def test_without_its_framework_controls_are_shown_all_the_same(host: Host, controls: Any) -> None:
    host.write(PASSING)
    host.config.write_text(host.config.read_text() + "framework: other-1\n")
    done = controls()
    assert done.code == 0
    assert "requirements are not shown" in done.err
