"""Kinds that sites make checks of: what counts is what the site says, and nothing that could not be looked at."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as by
from hypothesis import strategies as st

from hullmark.core.checks import JUDGES, Seen
from hullmark.model import canary
from hullmark.model.checkkinds import KINDS
from hullmark.model.checkkinds.generic import KINDS as GENERIC
from hullmark.model.control import Finding, Reading, Status, Trouble
from tests.unit.core.checks.looks import (
    HOUR,
    NOW,
    given,
    judged,
    looks_of,
    missing,
    process,
    reading,
)

PASS, FAIL, ERROR, ABSENT = Status.PASS, Status.FAIL, Status.ERROR, Status.NOT_APPLICABLE
NONCE = "0123456789abcdef0123456789abcdef"
FULL_READINGS = ("command", "file", "program", "processes", "systemd", "unit", "listeners", "sent")


def told(text: str = "all is well\nqueue: 3", *, code: int = 0, **more: Any) -> Finding:
    cut = more.pop("cut", False)
    seen = reading("command", text, code=code, source="/opt/edr/ctl status")
    whole = Reading(seen.name, seen.source, seen.text, seen.errors, seen.code, cut=cut, at=NOW)
    return judged("command", whole, argv=("/opt/edr/ctl", "status"), **more)


def test_a_command_that_could_not_look_for_what_must_not_be_is_no_good_end() -> None:
    for found in (told(code=139, sought=True), judged("command", missing("command"), sought=True)):
        assert found.status is ERROR, "a failure would be turned into a pass"
    assert told(must_match="tampered", sought=True).status is FAIL
    assert told(must_match="all is well", sought=True).status is PASS


@pytest.mark.parametrize(
    ("finding", "status", "reason"),
    [
        (told(), PASS, "all is well"),
        (told(code=3), FAIL, "exit code 3: all is well"),
        (told(code=3, codes=(0, 3)), PASS, "all is well"),
        (told(must_match="^queue: [0-9]+$"), PASS, "all is well"),
        (told(must_match="connected"), FAIL, "/opt/edr/ctl status does not say connected"),
        (told(must_not_match="queue"), FAIL, "/opt/edr/ctl status says: queue: 3"),
        (told(must_not_match="dropped"), PASS, "all is well"),
        (told(must_not_match="dropped", cut=True), ERROR, "is longer than is read"),
        (told(must_match="dropped", cut=True), ERROR, "is longer than is read"),
        (told(must_match="queue", cut=True), PASS, ""),
        (told(number="queue: ([0-9]+)", at_most=3), PASS, ""),
        (told(number="queue: ([0-9]+)", at_most=2), FAIL, "3, more than 2: queue: 3"),
        (told(number="queue: (?P<number>[0-9]+)", at_least=4), FAIL, "3, less than 4: queue: 3"),
        (told(number="[0-9]+", at_least=3), PASS, ""),
        (told("queue: many", number="queue: (.*)"), ERROR, "said what is not understood"),
        (told("queue: nan", number="queue: (.*)", at_most=3), ERROR, "not understood"),
        (told("", number="queue: (.*)"), ERROR, "no output"),
        (told(number="(", must_match=""), ERROR, "no pattern"),
    ],
)  # fmt: skip
def test_a_command(finding: Finding, status: Status, reason: str) -> None:
    assert finding.status is status
    assert reason in finding.reason
    assert finding.level == (2 if status is PASS else -1)


def test_errors_of_a_command_are_lines_of_it() -> None:
    seen = reading("command", "", errors="connected", code=0)
    assert judged("command", seen, argv=("x",), must_match="^connected$").status is PASS


@pytest.mark.parametrize("kind", ["command", "file_age", "file_content"])
def test_what_is_missing_fails_unless_the_site_says_otherwise(kind: str) -> None:
    absent = missing("command" if kind == "command" else "file")
    more: dict[str, Any] = {"must_match": "x"} if kind == "file_content" else {}
    assert judged(kind, absent, **more).status is FAIL
    assert judged(kind, absent, if_missing="not_applicable", **more).status is ABSENT


@pytest.mark.parametrize("trouble", [Trouble.DENIED, Trouble.TIMED_OUT, Trouble.FAILED])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("command", "command"),
        ("file_age", "file"),
        ("file_content", "file"),
        ("process", "processes"),
        ("unit", "systemd"),
        ("listener", "listeners"),
        ("log_canary", "record"),
    ],
)
def test_what_could_not_be_looked_at_is_an_error(kind: str, name: str, trouble: Trouble) -> None:
    more: dict[str, Any] = {"must_match": "x"} if kind == "file_content" else {}
    readings = [reading(name, "x", trouble=trouble, errors="no, not this")]
    if kind == "log_canary":
        readings.append(reading("sent"))
    assert judged(kind, *readings, **more).status is ERROR
    assert judged(kind, **more).status is ERROR


def aged(age_s: float, size: object = 5, **more: Any) -> Finding:
    file = reading("file", mtime=f"{NOW - age_s:.3f}", size=size, source="/run/x")
    return judged("file_age", file, **{"at_most": HOUR, **more})


@pytest.mark.parametrize(
    ("finding", "status", "reason"),
    [
        (aged(60), PASS, ""),
        (aged(2 * HOUR), FAIL, "/run/x is 2 h old"),
        (aged(-2 * HOUR), ERROR, "in the future"),
        (aged(60, size=0), FAIL, "/run/x is empty"),
        (aged(60, size=0, not_empty=False), PASS, ""),
        (aged(60, size="many"), ERROR, "its size is not known"),
    ],
)
def test_a_files_age(finding: Finding, status: Status, reason: str) -> None:
    assert (finding.status, reason in finding.reason) == (status, True), finding


def test_a_files_content() -> None:
    file = reading("file", "# on\nenabled = yes\n", source="/etc/x")
    assert judged("file_content", file, must_match=r"^enabled\s*=\s*yes$").status is PASS
    assert judged("file_content", file, must_match="^on").status is FAIL
    found = judged("file_content", file, must_match="yes", must_not_match="^enabled")
    assert (found.status, found.reason) == (FAIL, "/etc/x says: enabled = yes")
    assert judged("file_content", file).status is ERROR


def ran(*states: str, program: bool = False, **more: Any) -> Finding:
    lines = "\n".join(process(state, "edr", 40 + number) for number, state in enumerate(states))
    readings = [reading("processes", lines)]
    if program:
        more["executable"] = "/opt/edr"
        readings.append(reading("program", source="/opt/edr"))
    return judged("process", *readings, name="edr", **more)


@pytest.mark.parametrize(
    ("finding", "status", "reason"),
    [
        (ran("S"), PASS, ""),
        (ran("S", "R", at_least=2), PASS, ""),
        (ran("S", "Z", at_least=2), FAIL, "1 of 2 processes run"),
        (ran("S", "T"), FAIL, "edr: process 41 is stopped by a signal"),
        (ran("Z"), FAIL, "edr: process 40 is a zombie"),
        (ran(), FAIL, "no process edr runs"),
        (ran(program=True), FAIL, "no process edr runs of /opt/edr"),
        (ran("S", program=True), PASS, ""),
        (judged("process", reading("processes", "garbled"), name="edr"), ERROR, "not understood"),
    ],
)
def test_a_process(finding: Finding, status: Status, reason: str) -> None:
    assert (finding.status, reason in finding.reason) == (status, True), finding


def test_a_program_that_is_gone_is_judged_before_its_processes() -> None:
    readings = (missing("program"), reading("processes", process()))
    more: dict[str, Any] = {"name": "edr", "executable": "/opt/edr"}
    assert judged("process", *readings, **more).status is FAIL
    assert judged("process", *readings, **more, if_missing="not_applicable").status is ABSENT


def unit(text: str, code: int = 0, **more: Any) -> Finding:
    shown = reading("unit", text.replace(" ", "\n"), code=code, source="systemctl show x.service")
    return judged("unit", reading("systemd"), shown, name="x.service", **more)


WELL = "LoadState=loaded ActiveState=active SubState=running UnitFileState=enabled Result=success"


@pytest.mark.parametrize(
    ("finding", "status", "reason"),
    [
        (unit(WELL), PASS, ""),
        (unit(WELL, enabled=True), PASS, ""),
        (unit(WELL.replace("=enabled", "=disabled")), PASS, ""),
        (unit(WELL.replace("=enabled", "=disabled"), enabled=True), FAIL, "it is disabled"),
        (unit(WELL.replace("=active", "=failed").replace("success", "signal")), FAIL,
         "x.service is failed (running), its last result signal"),
        (unit(WELL.replace("=loaded", "=masked")), FAIL, "x.service is masked"),
        (unit(WELL.replace("=loaded", "=not-found")), FAIL, "there is no unit x.service"),
        (unit(WELL.replace("=loaded", "=not-found"), if_missing="not_applicable"), ABSENT, ""),
        (unit("Failed to connect", code=1), ERROR, "not understood"),
        (unit("ActiveState=active"), ERROR, "not understood"),
        (judged("unit", missing("systemd"), name="x.service"), ABSENT, "has no systemd"),
        (judged("unit", reading("systemd"), name="x.service"), ERROR, "was not looked at"),
        (judged("unit", reading("systemd"), reading("unit", trouble=Trouble.TIMED_OUT)), ERROR, ""),
    ],
)  # fmt: skip
def test_a_unit(finding: Finding, status: Status, reason: str) -> None:
    assert (finding.status, reason in finding.reason) == (status, True), finding


def listening(*addresses: str, **more: Any) -> Finding:
    lines = "\n".join(f"tcp\t{address}\tsshd" for address in addresses)
    return judged("listener", reading("listeners", lines, source="tcp port 22"), port=22, **more)


@pytest.mark.parametrize(
    ("finding", "status", "reason"),
    [
        (listening("0.0.0.0"), PASS, ""),
        (listening(), FAIL, "nothing listens on tcp port 22"),
        (listening("127.0.0.1", address="10.0.0.1"), FAIL, "of 10.0.0.1, only 127.0.0.1"),
        (listening("10.0.0.1", "127.0.0.1", address="10.0.0.1"), PASS, ""),
        (listening(listens=False), PASS, ""),
        (listening("0.0.0.0", listens=False), FAIL, "sshd listens on tcp port 22 (0.0.0.0)"),
        (listening("127.0.0.1", address="0.0.0.0", listens=False), PASS, ""),
        (judged("listener", reading("listeners", "x"), port=22), ERROR, "not understood"),
        (judged("listener", missing("listeners"), port=22, listens=False), ERROR, ""),
    ],
)
def test_a_listener(finding: Finding, status: Status, reason: str) -> None:
    assert (finding.status, reason in finding.reason) == (status, True), finding


def logged(text: str, sent: Trouble = Trouble.NONE, **more: Any) -> Finding:
    facts = {key: more.pop(key) for key in ("missing", "unreadable") if key in more}
    record = reading("record", text, source="/var/log/x", nonce=NONCE, waited_s="9.0", **facts)
    code = more.pop("code", 0)
    written = reading("sent", trouble=sent, source="/dev/log", errors="refused", code=code)
    return judged("log_canary", written, record, **{"files": ("/var/log/x",), **more})


LINE = f"Nov 29 x: {canary.make('web1', NONCE)}"


@pytest.mark.parametrize(
    ("finding", "status", "reason"),
    [
        (logged(LINE), PASS, "seen in /var/log/x"),
        (logged(""), FAIL, "was not in /var/log/x after 9.0 s"),
        (logged("garbled"), ERROR, "not understood"),
        (logged(LINE.replace("0123", "0000")), ERROR, "not understood"),
        (logged("", missing="/var/log/x"), FAIL, "/var/log/x is not there"),
        (logged("", missing="/var/log/x", if_missing="not_applicable"), ABSENT, ""),
        (logged("", missing="/b", files=("/var/log/x", "/b"), if_missing="not_applicable"), FAIL,
         "was not in /var/log/x or /b"),
        (logged("", unreadable="/var/log/x"), ERROR, "/var/log/x may not be read"),
        (logged("", Trouble.MISSING), FAIL, "/dev/log, where programs log, isn't there"),
        (logged(LINE, Trouble.FAILED), FAIL, "takes nothing: refused"),
        (logged("", Trouble.DENIED, write_by=("logger",)), ERROR, "denied: refused"),
        (logged(LINE, write_by=("logger",), code=1), FAIL, "/dev/log ended with 1: refused"),
        (logged(LINE, write_by=("logger",)), PASS, ""),
    ],
)  # fmt: skip
def test_a_line_through_a_log(finding: Finding, status: Status, reason: str) -> None:
    assert (finding.status, reason in finding.reason) == (status, True), finding
    assert finding.level == (3 if status is PASS else -1)


def test_every_generic_kind_is_tried_here() -> None:
    assert set(GENERIC) == {
        "command",
        "file_age",
        "file_content",
        "process",
        "unit",
        "listener",
        "log_canary",
    }


@by(looks_of((*FULL_READINGS, "record")), st.sampled_from(sorted(GENERIC)))
def test_nonsense_neither_passes_nor_raises(readings: tuple[Reading, ...], kind: str) -> None:
    never = "zq{40}"
    more: dict[str, dict[str, Any]] = {
        "command": {"must_match": never},
        "file_content": {"must_match": never},
        "file_age": {"at_most": 1e-9},
        "log_canary": {"files": ("/x",)},
    }
    seen = Seen(readings, given(kind, **more.get(kind, {})), NOW, KINDS[kind].level)
    assert JUDGES[kind](seen).status is not PASS
