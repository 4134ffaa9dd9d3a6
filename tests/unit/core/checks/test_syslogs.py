"""rsyslog and syslog-ng: what counts as written. Texts are what rsyslog 8.2302 and syslog-ng 3.38 print."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as by
from hypothesis import strategies as st

from hullmark.core.checks import JUDGES, Seen
from hullmark.model import canary
from hullmark.model.checkkinds import KINDS
from hullmark.model.control import Finding, Reading, Status, Trouble
from tests.unit.core.checks.looks import (
    given,
    judged,
    looks_of,
    missing,
    process,
    program,
    reading,
)

NONCE = "0123456789abcdef0123456789abcdef"
FILE = "/var/log/syslog"
LINE = f"Nov 29 12:48:16 web1 hullmark-agent[7]: {canary.make('web1', NONCE)}"
CANARY, CONFIGURATION, DROPPED = "syslogs.canary", "syslogs.configuration", "syslogs.dropped"
KIND_NAMES = [kind for kind in KINDS if kind.startswith("syslogs.")]
VALID = """rsyslogd: version 8.2302.0, config validation run (level 1), master config /etc/rsyslog.conf
rsyslogd: End of config validation run. Bye.
"""
INVALID = """rsyslogd: version 8.2302.0, config validation run (level 1), master config /tmp/bad.conf
rsyslogd: error during parsing file /tmp/bad.conf, on or before line 1: invalid character '(' [v8.2302.0]
"""
NG_INVALID = """Error parsing config, syntax error, unexpected LL_IDENTIFIER in /tmp/bad.conf:1:1-1:4:
[2026-11-29T12:48:14.495663] ERROR: configuration files without a version number have become unsupported
"""
COUNTERS = """SourceName;SourceId;SourceInstance;State;Type;Number
source;s;;a;processed;1
dst.network;d_central#0;tcp,logs.example:601;a;dropped;5
global;msg_clones;;a;processed;0
destination;d;;a;processed;1

"""


def running(state: str = "S", name: str = "rsyslogd") -> Reading:
    return reading("processes", process(state, name), source=f"processes: {name}")


def logged(
    text: str = LINE,
    *,
    state: str = "S",
    files: str = f"{FILE}\n/var/log/user.log",
    sent: Trouble = Trouble.NONE,
    free: object = 1 << 30,
    **facts: Any,
) -> Finding:
    return judged(
        CANARY,
        program(),
        running(state),
        reading("files", files, source="/etc/rsyslog.conf"),
        reading("sent", trouble=sent, errors="Connection refused", source="/dev/log"),
        reading("record", text, source=FILE, nonce=NONCE, waited_s="5.0", **facts),
        reading("space", free_bytes=free),
        daemon="rsyslog",
    )


def test_a_line_arrives() -> None:
    assert logged() == Finding(Status.PASS, 3, f"seen in {FILE}")
    assert logged(missing="/var/log/mail.log").status is Status.PASS


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (logged(""), "not in any of 2 files, such as /var/log/syslog after 5.0 s"),
        (logged("", files=FILE), "a line was not in /var/log/syslog after 5.0 s"),
        (logged("", missing=FILE), "a line was not in any of 2 files"),
        (logged("", files=FILE, missing=FILE), "a line did not come: /var/log/syslog isn't there"),
        (logged("", free=4096), "the disk of /var/log/syslog is full"),
        (logged("", sent=Trouble.MISSING), "/dev/log, where programs log, isn't there"),
        (logged("", sent=Trouble.TIMED_OUT), "it is full, and nobody reads it"),
        (logged("", sent=Trouble.FAILED), "takes nothing: Connection refused"),
        (logged(state="T"), "stopped by a signal"),
    ],
)
def test_it_does_not(found: Finding, reason: str) -> None:
    assert (found.status, found.level) == (Status.FAIL, -1)
    assert reason in found.reason


@pytest.mark.parametrize(
    "found",
    [
        logged(files=""),
        logged(sent=Trouble.DENIED),
        logged("", unreadable=FILE),
        logged(LINE.replace(NONCE, NONCE[::-1])),
        logged("a line of another program"),
        judged(CANARY, program(), running(), missing("files")),
    ],
)
def test_nobody_can_tell(found: Finding) -> None:
    assert found.status is Status.ERROR


def test_the_file_where_lines_came_is_gone() -> None:
    readings = (
        program(),
        running(),
        reading("files", f"{FILE}\n/var/log/user.log"),
        reading("sent"),
        reading("record", nonce=NONCE, missing=f"/var/log/user.log,{FILE}x"),
    )
    before = (reading("record", LINE, nonce=NONCE, file=f"{FILE}x"),)
    found = judged(CANARY, *readings, before=before, daemon="rsyslog")
    assert found.reason == f"rsyslogd runs, but a line did not come: {FILE}x isn't there"


def test_the_process() -> None:
    kind = "syslogs.daemon"
    assert judged(kind, program(), running()) == Finding(Status.PASS, 1)
    assert judged(kind, program(), running("T")).status is Status.FAIL
    assert judged(kind, program(), reading("processes", "garbled")).status is Status.ERROR


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_no_daemon_no_check(kind: str) -> None:
    assert judged(kind, missing("program")).status is Status.NOT_APPLICABLE
    assert judged(kind).status is Status.ERROR


def checked(daemon: str, text: str, code: int = 0) -> Finding:
    told = reading("told", errors=text, code=code, source=daemon)
    return judged(CONFIGURATION, program(), told, daemon=daemon)


def test_a_configuration() -> None:
    assert checked("rsyslog", VALID) == Finding(Status.PASS, 2)
    assert checked("syslog-ng", "") == Finding(Status.PASS, 2)
    assert checked("syslog-ng", "[2026-11-29T12:48:14] WARNING: old format").status is Status.PASS


@pytest.mark.parametrize(
    ("daemon", "text", "reason"),
    [("rsyslog", INVALID, "on or before line 1"), ("syslog-ng", NG_INVALID, "syntax error")],
)
def test_a_wrong_configuration(daemon: str, text: str, reason: str) -> None:
    found = checked(daemon, text, 1)
    assert found.status is Status.FAIL
    assert reason in found.reason


@pytest.mark.parametrize(
    ("daemon", "text", "code"),
    [
        ("rsyslog", "", 0),
        ("rsyslog", "usage: rsyslogd", 0),
        ("rsyslog", VALID, 3),
        ("syslog-ng", "usage: syslog-ng", 0),
        ("syslog-ng", "", 127),
    ],
)
def test_a_configuration_that_is_not_told(daemon: str, text: str, code: int) -> None:
    assert checked(daemon, text, code).status is Status.ERROR


def dropped(text: str = COUNTERS, before: str = "", code: int = 0) -> Finding:
    former = (reading("counters", before, code=0),) if before else ()
    counters = reading("counters", text, code=code, source="syslog-ng-ctl stats")
    return judged(DROPPED, program(), running(name="syslog-ng"), counters, before=former)


def test_messages_that_were_dropped_since() -> None:
    more = COUNTERS.replace("dropped;5", "dropped;8")
    assert dropped() == Finding(Status.PASS, 2, "5 messages dropped since it was started")
    found = dropped(more, COUNTERS)
    assert found.status is Status.FAIL
    assert found.reason == (
        "syslog-ng dropped 3 messages for dst.network;d_central#0;tcp,logs.example:601 since the look before"
    )
    assert dropped(more, more).status is Status.PASS
    assert dropped(COUNTERS, more).status is Status.PASS, "it was started anew"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 0),
        (COUNTERS, 1),
        ("Error connecting control socket", 1),
        (COUNTERS.splitlines()[0], 0),
        (COUNTERS.replace("dropped;5", "dropped;many"), 0),
    ],
)
def test_counters_that_are_none(text: str, code: int) -> None:
    assert dropped(text, code=code).status is Status.ERROR


@by(st.data())
def test_nonsense_is_never_a_pass(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KIND_NAMES))
    look = data.draw(
        looks_of(("processes", "files", "sent", "record", "space", "told", "counters"))
    )
    before = data.draw(looks_of(("counters",)))
    found = JUDGES[kind](Seen((program(), *look), given(kind, daemon="rsyslog"), 0.0, 3, before))
    assert found.status is not Status.PASS
    assert found.reason


@by(st.text(min_size=1, max_size=80).filter(str.strip), st.integers(0, 255))
def test_nonsense_of_syslog_ng_is_no_pass(text: str, code: int) -> None:
    assert checked("syslog-ng", text, code).status is not Status.PASS
