"""auditd: what counts as a kept audit trail. Texts are what auditctl 3.0.9 prints."""

from __future__ import annotations

import dataclasses
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
STATUS = """enabled 1
failure 1
pid 812
rate_limit 0
backlog_limit 64
lost 7
backlog 0
backlog_wait_time 15000
backlog_wait_time_actual 0
loginuid_immutable 0 unlocked
"""
WATCH = "-w /etc/shadow -p wa -k identity"
CALLS = "-a always,exit -F arch=b64 -S execve -F key=exec"
DENIED = "Error sending rule list data request (Operation not permitted)"
LOG = "/var/log/audit/audit.log"
CONFIGURATION = f"""log_file = {LOG}
write_logs = yes
space_left = 75
space_left_action = SYSLOG
admin_space_left = 50
admin_space_left_action = SUSPEND
disk_full_action = SUSPEND
"""
RECORD = (
    f"type=USER msg=audit(1795955850.004:28): pid=15051 uid=0 auid=4294967295 ses=4294967295 msg='text={canary.make('a', NONCE)}"
    ' exe="/usr/sbin/auditctl" hostname=? addr=? terminal=? res=success\'\x1dUID="root" AUID="unset"'
)
KERNEL, RULES, CANARY = "audittrail.kernel", "audittrail.rules", "audittrail.canary"


def running(state: str = "S") -> Reading:
    return reading("processes", process(state, "auditd"), source="processes: auditd")


def kernel(text: str = STATUS, before: str = "", state: str = "S", **changed: Any) -> Finding:
    status = reading("status", text, code=0, source="auditctl -s")
    former = (reading("status", before, code=0),) if before else ()
    return judged(KERNEL, program(), running(state), status, before=former, **changed)


def rules(*lines: str, **changed: Any) -> Finding:
    found = reading("rules", "\n".join(lines), code=0, source="auditctl -l")
    file = changed.pop("in_file", missing("file"))
    return judged(RULES, program(), found, file, **changed)


def rules_file(*lines: str, trouble: Trouble = Trouble.NONE) -> Reading:
    text = "\n".join(["## made by augenrules", "-D", "-b 8192", *lines, "# -w /gone", "-e 2"])
    return reading("file", text, source="/etc/audit/audit.rules", trouble=trouble)


def trail(
    text: str = RECORD,
    *,
    state: str = "S",
    configuration: str = CONFIGURATION,
    code: int = 0,
    free_mib: int = 900,
    record: Trouble = Trouble.NONE,
    **facts: Any,
) -> Finding:
    return judged(
        CANARY,
        program(),
        running(state),
        reading("configuration", configuration, source="/etc/audit/auditd.conf"),
        reading("sent", code=code, errors="" if code == 0 else DENIED, source="auditctl -m"),
        reading("record", text, source=LOG, nonce=NONCE, waited_s="5.0", trouble=record, **facts),
        reading("space", free_mib=free_mib, free_bytes=free_mib << 20, free_files=99),
    )


# -- what the kernel says


def test_the_kernel_is_well() -> None:
    found = kernel()
    assert (found.status, found.level) == (Status.PASS, 2)
    assert "lost 7, 0 of 64 wait; what can't be recorded: printk" in found.reason


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (("enabled 1", "enabled 0"), "switched off"),
        (("pid 812", "pid 0"), "nobody takes"),
        (
            ("pid 812", "pid 813"),
            "process 813 takes the kernel's audit records, which is no auditd",
        ),
        (("backlog 0", "backlog 60"), "60 of 64 audit records wait"),
    ],
)
def test_the_kernel_is_not(changed: tuple[str, str], reason: str) -> None:
    found = kernel(STATUS.replace(changed[0] + "\n", changed[1] + "\n"))
    assert found.status is Status.FAIL
    assert reason in found.reason


def test_records_that_were_lost_since() -> None:
    more = STATUS.replace("lost 7", "lost 9")
    found = kernel(more, before=STATUS)
    assert found.status is Status.FAIL
    assert "lost 2 audit records" in found.reason
    assert kernel(more, before=more).status is Status.PASS
    assert kernel(STATUS, before=more).status is Status.PASS, "after a boot it counts from 0"


def test_locked_rules_where_they_are_asked_for() -> None:
    assert kernel(locked=True).status is Status.FAIL
    assert kernel(STATUS.replace("enabled 1", "enabled 2"), locked=True).status is Status.PASS


def test_a_stopped_auditd_is_no_auditd() -> None:
    assert "stopped by a signal" in kernel(state="T").reason


# -- rules


def test_rules_are_there() -> None:
    assert (rules(WATCH, CALLS).status, rules(WATCH).level) == (Status.PASS, 2)
    assert rules(WATCH, CALLS, keys=("identity", "exec")).status is Status.PASS


@pytest.mark.parametrize(
    "rule",
    [
        "-a never,task",
        "-a task,never",
        "-a never,exit -S all",
        "-a never,exit -F arch=b64 -S all",
        "-a always,exclude -F msgtype>=SYSCALL",
        "-a never,exclude -F msgtype=USER",
        "-a always,exclude -F msgtype!=CWD",
        "-a never,user",
    ],
)
def test_a_rule_that_silences_all(rule: str) -> None:
    found = rules(rule, CALLS)
    assert found.status is Status.FAIL
    assert rule in found.reason


@pytest.mark.parametrize(
    "rule",
    [
        "-a never,task -F uid=33",
        "-a never,exit -S all -F path=/etc/x",
        "-a never,exit -F arch=b64 -S adjtimex -F auid=-1",
        "-a never,exclude -F msgtype=CWD",
        "-a always,exclude -F msgtype=SYSCALL -F auid=0",
        "-a never,filesystem -F fstype=tracefs",
    ],
)
def test_a_rule_that_leaves_little_out(rule: str) -> None:
    assert rules(rule, CALLS).status is Status.PASS


def test_what_is_behind_all_rules_silences_none() -> None:
    assert rules(WATCH, CALLS, "-a never,exit -S all").status is Status.PASS
    assert rules("-a never,exit -S all").status is Status.FAIL


@pytest.mark.parametrize(
    ("lines", "changed", "reason"),
    [
        (("No rules",), {}, "no audit rule is in the kernel"),
        ((WATCH,), {"at_least": 20}, "only 1 audit rules are"),
        ((WATCH,), {"keys": ("identity", "exec")}, "no audit rule has the key exec"),
    ],
)
def test_rules_that_are_missing(
    lines: tuple[str, ...], changed: dict[str, Any], reason: str
) -> None:
    found = rules(*lines, **changed)
    assert found.status is Status.FAIL
    assert reason in found.reason


def test_as_many_as_the_file_has() -> None:
    assert rules(WATCH, CALLS, in_file=rules_file(WATCH, f" {CALLS}")).status is Status.PASS
    assert rules(WATCH, CALLS, in_file=rules_file(WATCH)).status is Status.PASS
    found = rules(WATCH, in_file=rules_file(WATCH, CALLS))
    assert found.status is Status.FAIL
    assert found.reason == "1 audit rules are in the kernel, and 2 in /etc/audit/audit.rules"
    denied = rules(WATCH, in_file=rules_file(trouble=Trouble.DENIED))
    assert denied.status is Status.ERROR


# -- the canary


def test_the_canary_arrives() -> None:
    assert trail() == Finding(Status.PASS, 3, f"seen in {LOG}")
    assert trail("node=web1 " + RECORD).status is Status.PASS


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (trail(state="T"), "stopped by a signal"),
        (trail("", free_mib=40), "40 MiB are free for /var/log/audit/audit.log, and admin_space"),
        (trail("", configuration="", free_mib=0), "is full (disk_full_action not said)"),
        (trail("", missing=LOG), f"{LOG} isn't there"),
        (trail(""), f"not in {LOG} after 5.0 s, though its disk has room"),
        (trail(configuration="write_logs = no"), "write_logs = no"),
    ],
)
def test_the_canary_does_not_arrive(found: Finding, reason: str) -> None:
    assert (found.status, found.level) == (Status.FAIL, -1)
    assert reason in found.reason


@pytest.mark.parametrize(
    "found",
    [
        trail("", unreadable=LOG),
        trail(code=255),
        trail("a line of another program"),
        trail(RECORD.replace(NONCE, NONCE[::-1])),
        trail(RECORD[len("type=USER ") :]),
        trail(record=Trouble.FAILED),
        judged(CANARY, program(), running(), missing("configuration")),
    ],
)
def test_nobody_can_tell(found: Finding) -> None:
    assert found.status is Status.ERROR


# -- of all of them


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("audittrail.")])
def test_no_auditd_no_check(kind: str) -> None:
    assert judged(kind, missing("program")).status is Status.NOT_APPLICABLE
    assert judged(kind).status is Status.ERROR


@pytest.mark.parametrize(("kind", "name"), [(KERNEL, "status"), (RULES, "rules")])
def test_what_auditctl_does_not_tell(kind: str, name: str) -> None:
    """In a container there is no audit stream: the tool is there, and can't say anything."""
    for told in (
        reading(name, code=255, errors=DENIED),
        reading(name, code=4, errors="You must be root to run this program."),
        reading(name, "Usage: auditctl", code=0),
        reading(name, "", code=0),
        reading(name, trouble=Trouble.TIMED_OUT),
        missing(name),
    ):
        found = judged(kind, program(), running(), told)
        assert found.status is Status.ERROR, told
    assert (
        "Operation not permitted"
        in judged(kind, program(), running(), reading(name, code=255, errors=DENIED)).reason
    )


@by(st.data())
def test_nonsense_is_never_a_pass(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([KERNEL, RULES, CANARY, "audittrail.daemon"]))
    look = data.draw(
        looks_of(
            ("status", "rules", "file", "processes", "configuration", "sent", "record", "space")
        )
    )
    before = data.draw(looks_of(("status",)))
    found = JUDGES[kind](Seen((program(), *look), given(kind), 0.0, 3, before))
    assert found.status is not Status.PASS
    assert found.reason


@by(st.text(max_size=80))
def test_any_rule_is_read(line: str) -> None:
    for each in (f"-a {line}", f"-w {line}", f"-a always,exit -F {line}"):
        assert isinstance(dataclasses.asdict(rules(each)), dict)
