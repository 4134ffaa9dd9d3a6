"""Each check of the files that are shipped for the audit trail, local logging and log files, with what the file gives it: it passes
where all is well; what is broken fails, what can't be read is an error, and what isn't there does not apply."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hullmark.config.controls import load_controls
from hullmark.core.checks import JUDGES, Seen
from hullmark.model import canary
from hullmark.model.control import CheckSpec, Finding, Reading, Status, Trouble
from tests.unit.core.checks import test_audittrail as audittrail
from tests.unit.core.checks import test_journal as journal
from tests.unit.core.checks import test_logfiles as logfiles
from tests.unit.core.checks import test_syslogs as syslogs
from tests.unit.core.checks.looks import NOW, missing, process, program, reading
from tests.unit.core.checks.test_shipped_tools import ALIVE, SHIPPED, Case

OURS = ("audittrail", "syslogs", "journal", "logfiles")
NONCE = audittrail.NONCE
FULL = reading("space", free_bytes=0, free_mib=0)
EMPTY = reading("record", "", nonce=NONCE, waited_s="5.0")
UNREAD = reading("record", trouble=Trouble.FAILED)
GARBLED = reading("record", "x", nonce=NONCE, code=0)
PROCESSES = (*ALIVE.broken, reading("processes", process("t")))


def row(mode: str) -> Reading:
    return reading("files", f"/var/log/syslog\t{mode}\t100000\troot\tadm")


CASES: Mapping[str, Case] = {
    "audittrail.daemon": ALIVE,
    "audittrail.kernel": Case(
        (audittrail.running(), reading("status", audittrail.STATUS, code=0)),
        (
            *PROCESSES,
            reading("status", audittrail.STATUS.replace("enabled 1", "enabled 0"), code=0),
            reading("status", audittrail.STATUS.replace("pid 812", "pid 9"), code=0),
        ),
        (
            reading("status", "x", code=0),
            reading("status", audittrail.STATUS, code=255),
            missing("status"),
        ),
    ),
    "audittrail.rules": Case(
        (reading("rules", audittrail.WATCH, code=0), audittrail.rules_file(audittrail.WATCH)),
        (
            audittrail.rules_file(audittrail.WATCH, audittrail.CALLS),
            reading("rules", "No rules", code=0),
            reading("rules", f"-a never,task\n{audittrail.WATCH}", code=0),
        ),
        (
            reading("rules", "x", code=0),
            reading("rules", code=255, errors=audittrail.DENIED),
            audittrail.rules_file(trouble=Trouble.DENIED),
        ),
    ),
    "audittrail.canary": Case(
        (
            audittrail.running(),
            reading("configuration", audittrail.CONFIGURATION),
            reading("sent", code=0),
            reading("record", audittrail.RECORD, nonce=NONCE),
        ),
        (*PROCESSES, EMPTY, reading("configuration", "write_logs = no")),
        (GARBLED, UNREAD, missing("configuration"), reading("sent", code=255)),
    ),
    "syslogs.daemon": ALIVE,
    "syslogs.canary": Case(
        (
            syslogs.running(),
            reading("files", syslogs.FILE),
            reading("sent"),
            reading("record", syslogs.LINE, nonce=NONCE),
        ),
        (*PROCESSES, EMPTY, missing("sent"), reading("sent", trouble=Trouble.TIMED_OUT)),
        (GARBLED, UNREAD, reading("files", ""), missing("files")),
    ),
    "syslogs.configuration": Case(
        (reading("told", errors=syslogs.VALID, code=0),),
        (reading("told", errors=syslogs.INVALID + syslogs.NG_INVALID, code=1),),
        (reading("told", "x", code=0), reading("told", trouble=Trouble.TIMED_OUT)),
    ),
    "syslogs.dropped": Case(
        (syslogs.running(), reading("counters", syslogs.COUNTERS, code=0)),
        PROCESSES,
        (reading("counters", "x", code=0), missing("counters")),
    ),
    "journal.daemon": ALIVE,
    "journal.canary": Case(
        (
            journal.running(),
            reading("sent"),
            reading("record", journal.entry(canary.make("a", NONCE)), nonce=NONCE, code=0),
        ),
        (*PROCESSES, reading("record", "", nonce=NONCE, code=0), missing("sent")),
        (GARBLED, UNREAD, missing("record")),
    ),
    "journal.suppressed": Case(
        (reading("newest", journal.entry("x"), code=0), reading("told", "", code=0)),
        (reading("told", journal.SUPPRESSED, code=0), reading("told", journal.KERNEL, code=0)),
        (reading("told", "x", code=0), reading("newest", "", code=0), missing("told")),
    ),
    "journal.persistent": Case(
        (journal.FOLDER, reading("files", "/var/log/journal/1/system.journal")),
        (missing("folder"), reading("files", ""), reading("settings", "Storage=none")),
        (reading("files", "x"), reading("folder", trouble=Trouble.DENIED)),
    ),
    "journal.space": Case(
        (reading("usage", journal.USAGE, code=0), reading("space", free_mib=900)),
        (FULL, reading("settings", "SystemMaxUse=1M")),
        (reading("usage", "x", code=0), reading("space", free_mib="x"), missing("usage")),
    ),
    "logfiles.permissions": Case(
        (row("0640"),), (row("0644"), row("0660")), (reading("files", "x"), row("rw"))
    ),
    "logfiles.truncation": Case(
        (logfiles.files(*logfiles.BEFORE),),
        (
            logfiles.files(logfiles.row(logfiles.LOG, 9, 10), logfiles.OLD),
            logfiles.files(logfiles.OLD),
        ),
        (reading("files", "x"),),
    ),
    "logfiles.retention": Case(
        (logfiles.files(*logfiles.BEFORE), reading("logrotate", logfiles.rule(13))),
        (reading("logrotate", logfiles.rule(4)),),
        (reading("logrotate", "x"), reading("files", "x")),
    ),
    "logfiles.own_chain": Case(
        (
            reading("remembered", log="log-1", seq=4, hash="0" * 64),
            reading("log", "".join(logfiles.records(5)), mtime=NOW),
        ),
        (
            FULL,
            missing("log"),
            # Of our own log what can't be understood is no mystery: somebody wrote into it.
            reading("log", "x\n", mtime=NOW),
            reading("log", "".join(logfiles.records(3)), mtime=NOW),
            reading("log", "".join(logfiles.records(5)), mtime=NOW - 86400),
        ),
        (reading("log", ""), missing("remembered"), reading("remembered", seq="x", log="log-1")),
    ),
}
SHIPPED_CHECKS = [
    pytest.param(check, id=f"{control.control_id}/{check.check_id}")
    for control in load_controls(str(SHIPPED), "/none").specs
    for check in control.checks
    if check.kind.partition(".")[0] in OURS
]
BASE = (program(), journal.BOOTED)


def judged(check: CheckSpec, *readings: Reading) -> Finding:
    before: tuple[Reading, ...] = ()
    if check.kind == "logfiles.truncation":
        before = (logfiles.files(*logfiles.BEFORE, at=NOW - 30),)
    return JUDGES[check.kind](Seen(readings, check.given, NOW, check.level, before))


def with_one(case: Case, other: Reading) -> tuple[Reading, ...]:
    kept = [one for one in (*BASE, *case.well) if one.name != other.name]
    return (*kept, other)


def test_there_is_a_case_for_each() -> None:
    assert {param.values[0].kind for param in SHIPPED_CHECKS} == set(CASES)  # type: ignore[union-attr]


@pytest.mark.parametrize("check", SHIPPED_CHECKS)
def test_a_shipped_check(check: CheckSpec) -> None:
    case = CASES[check.kind]
    well = judged(check, *BASE, *case.well)
    if check.check_id == "configuration" and check.given["daemon"] == "syslog-ng":
        assert well.status is Status.ERROR, "what rsyslogd says is nothing that syslog-ng says"
    else:
        assert (well.status, well.level) == (Status.PASS, check.level)
    for one in case.broken:
        assert judged(check, *with_one(case, one)).status is Status.FAIL, one
    for one in case.garbled:
        assert judged(check, *with_one(case, one)).status is Status.ERROR, one
    assert judged(check).status is Status.ERROR


@pytest.mark.parametrize("check", SHIPPED_CHECKS)
def test_a_tool_that_is_not_there(check: CheckSpec) -> None:
    """Of log files there is no tool: it is the files."""
    case = CASES[check.kind]
    if not check.kind.startswith("logfiles."):
        found = judged(check, *with_one(case, missing("program")))
    elif check.kind == "logfiles.own_chain":
        found = judged(check, missing("log"), missing("remembered"))
        assert found.status is Status.ERROR, "the agent that looks has one"
        return
    elif check.kind == "logfiles.truncation":
        found = JUDGES[check.kind](Seen((reading("files", ""),), check.given, NOW, check.level))
    else:
        found = judged(check, *with_one(case, reading("files", "")))
    assert found.status is Status.NOT_APPLICABLE
    assert found.level == -1


def test_messages_that_syslog_ng_dropped() -> None:
    before = (reading("counters", syslogs.COUNTERS, code=0),)
    more = reading("counters", syslogs.COUNTERS.replace("dropped;5", "dropped;6"), code=0)
    seen = Seen((program(), syslogs.running(), more), {}, NOW, 2, before)
    assert JUDGES["syslogs.dropped"](seen).status is Status.FAIL
