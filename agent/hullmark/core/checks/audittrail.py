"""Whether auditd keeps the audit trail: it runs, the kernel gives it records, rules make some, and what goes in comes out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from hullmark.core.checks import programs
from hullmark.core.checks.auditrules import silenced
from hullmark.core.checks.judge import (
    Judge,
    Seen,
    error,
    failed,
    first_line,
    not_understood,
    untold,
)
from hullmark.model import canary
from hullmark.model.control import Finding, Reading, Trouble

FAILURE = {0: "silent", 1: "printk", 2: "panic"}
_STATUS = re.compile(r"^([a-z_]+) (\d+)", re.MULTILINE)
_SETTING = re.compile(r"^\s*([A-Za-z_]+)\s*=\s*(.*?)\s*$", re.MULTILINE)
_KEY = re.compile(r"(?:^|\s)(?:-k\s+|-F\s+key=)(\S+)")
_FULL_BYTES = 64 << 10
_RESUME = (
    "make room, then have auditd go on: `auditctl --signal resume`, or `kill -USR2` to its process"
)


@dataclass(frozen=True)
class _Status:
    """What `auditctl -s` tells."""

    enabled: int
    failure: int
    pid: int
    lost: int
    backlog: int
    backlog_limit: int


def _judge_kernel(seen: Seen) -> Finding:
    told = untold(programs.look(seen, "program")) or _told(seen, "status")
    if told is not None:
        return told
    reading = seen["status"]
    status = _status(reading)
    if status is None:
        return not_understood(reading)
    return _switched_off(seen, status) or _losing(seen, status) or seen.passed(_words(status))


def _switched_off(seen: Seen, status: _Status) -> Optional[Finding]:
    if status.enabled == 0:
        return failed("the kernel's audit is switched off", "`auditctl -e 1`")
    if seen.said("locked") and status.enabled != 2:
        return failed("the kernel's audit isn't locked", "`auditctl -e 2`, or -e 2 in the rules")
    processes = programs.look(seen, "processes")
    dead = programs.dead(processes)
    if dead is not None:
        return dead
    numbers = [line.split("\t")[0] for line in processes.text.splitlines()]
    if status.pid == 0:
        return failed("nobody takes the kernel's audit records, though auditd runs")
    if str(status.pid) not in numbers:
        return failed(f"process {status.pid} takes the kernel's audit records, which is no auditd")
    return None


def _losing(seen: Seen, status: _Status) -> Optional[Finding]:
    former = seen.former("status")
    before = _status(former) if former is not None else None
    if before is not None and status.lost > before.lost:
        count = status.lost - before.lost
        return failed(
            f"the kernel lost {count} audit records since the look before",
            "a longer queue (auditctl -b), or fewer records",
        )
    limit, most = status.backlog_limit, seen.number("backlog_at_most") or 90
    if limit and status.backlog * 100 >= limit * most:
        return failed(f"{status.backlog} of {limit} audit records wait: auditd doesn't keep up")
    return None


def _words(status: _Status) -> str:
    flag = FAILURE.get(status.failure, str(status.failure))
    return (
        f"enabled {status.enabled}, lost {status.lost}, {status.backlog} of {status.backlog_limit} wait; "
        f"what can't be recorded: {flag}"
    )


def _status(reading: Reading) -> Optional[_Status]:
    found = {key: int(value) for key, value in _STATUS.findall(reading.text) if len(value) < 12}
    try:
        return _Status(
            **{
                key: found[key]
                for key in ("enabled", "failure", "pid", "lost", "backlog", "backlog_limit")
            }
        )
    except KeyError:
        return None


def _judge_rules(seen: Seen) -> Finding:
    told = untold(programs.look(seen, "program")) or _told(seen, "rules")
    if told is not None:
        return told
    reading = seen["rules"]
    lines = [line.strip() for line in reading.text.splitlines() if line.strip()]
    if lines == ["No rules"]:
        lines = []
    elif not lines or not all(line.startswith(("-a ", "-w ", "-A ")) for line in lines):
        return not_understood(reading)
    return (
        _missing(seen, lines)
        or _not_loaded(seen, lines)
        or silenced(lines)
        or seen.passed(f"{len(lines)} rules")
    )


def _missing(seen: Seen, lines: Sequence[str]) -> Optional[Finding]:
    if len(lines) < seen.number("at_least"):
        many = f"only {len(lines)} audit rules are" if lines else "no audit rule is"
        return failed(f"{many} in the kernel", "`augenrules --load`")
    there = {key for line in lines for key in _KEY.findall(line)}
    missing = [key for key in seen.texts("keys") if key not in there]
    if missing:
        return failed(f"no audit rule has the key {missing[0]}", "`augenrules --load`")
    return None


def _not_loaded(seen: Seen, lines: Sequence[str]) -> Optional[Finding]:
    """Where there is no such file, nothing is said of how many there should be."""
    file = programs.look(seen, "file")
    if file.trouble is Trouble.MISSING:
        return None
    told = untold(file)
    if told is not None or file.cut:
        return told or error(f"{file.source} is too long to be read")
    wanted = sum(line.lstrip().startswith(("-a ", "-A ", "-w ")) for line in file.text.splitlines())
    if len(lines) < wanted:
        return failed(
            f"{len(lines)} audit rules are in the kernel, and {wanted} in {file.source}",
            "`augenrules --load`; `auditctl -R` with that file says which rule it does not take",
        )
    return None


def _told(seen: Seen, name: str) -> Optional[Finding]:
    """What there is to say where auditctl told nothing: it is a part of auditd, so that it is missing is no reason to look away."""
    reading = programs.look(seen, name)
    if reading.trouble is Trouble.MISSING:
        return error(f"{reading.source}: auditctl isn't there, though auditd is")
    if reading.trouble is not Trouble.NONE:
        return untold(reading)
    if reading.code != 0:
        said = first_line(reading.errors) or first_line(reading.text) or "nothing"
        return error(f"{reading.source}: exit code {reading.code}, and said: {said}")
    return None


def _judge_canary(seen: Seen) -> Finding:
    told = untold(programs.look(seen, "program")) or programs.dead(programs.look(seen, "processes"))
    if told is not None:
        return told
    configuration = seen.find("configuration")
    if configuration is None or configuration.trouble is not Trouble.NONE:
        where = configuration.source if configuration is not None else "auditd's configuration"
        return error(f"{where} can't be read, so nobody knows where records are")
    settings = {key.lower(): value for key, value in _SETTING.findall(configuration.text)}
    if settings.get("write_logs", "yes").lower() == "no":
        return failed(f"{configuration.source}: write_logs = no, so that nothing is kept here")
    record = seen.find("record")
    if seen.find("sent") is None or record is None:
        return error("there was no time to look")
    return _told(seen, "sent") or _arrived(seen, record) or _lost(seen, settings, record)


def _arrived(seen: Seen, record: Reading) -> Optional[Finding]:
    if record.trouble is not Trouble.NONE:
        return error(f"{record.source}: {record.trouble.value}")
    nonce = record.facts.get("nonce", "")
    if record.text and not (
        record.text.startswith(("type=USER ", "node="))
        and any(one.nonce == nonce for one in canary.find(record.text))
    ):
        return not_understood(record)
    return seen.passed(f"seen in {record.source}") if record.text else None


def _lost(seen: Seen, settings: Mapping[str, str], record: Reading) -> Finding:
    """Why it did not come, as far as can be told."""
    path = record.source
    if record.facts.get("unreadable"):
        return error(f"{path} may not be read")
    if record.facts.get("missing"):
        return failed(f"auditd runs, but {path} isn't there", "start auditd anew, and find out why")
    space = seen.find("space")
    facts = space.facts if space is not None else {}
    free = _number(facts.get("free_mib", ""))
    for key in ("admin_space_left", "space_left"):
        least, action = _number(settings.get(key, "")), settings.get(f"{key}_action", "").lower()
        if free is not None and least is not None and free <= least and action == "suspend":
            return failed(
                f"auditd runs but has suspended writing: {free} MiB are free for {path}, and {key} is {least} with the "
                f"action suspend",
                _RESUME,
            )
    bytes_free = _number(facts.get("free_bytes", ""))
    if (bytes_free is not None and bytes_free < _FULL_BYTES) or facts.get("free_files") == "0":
        action = settings.get("disk_full_action", "not said")
        return failed(
            f"auditd runs but writes nothing: the disk of {path} is full (disk_full_action {action})",
            _RESUME,
        )
    waited = record.facts.get("waited_s", "?")
    return failed(
        f"auditd runs, but a message was not in {path} after {waited} s, though its disk has room: it may be suspended since "
        "the disk was full, or a rule keeps user messages out",
        "`auditctl --signal resume`, or `kill -USR2` to auditd; `auditctl -l`",
    )


def _number(text: str) -> Optional[int]:
    return int(text) if text.isdecimal() and len(text) < 18 else None


JUDGES: Mapping[str, Judge] = {
    "audittrail.daemon": programs.judge_alive,
    "audittrail.kernel": _judge_kernel,
    "audittrail.rules": _judge_rules,
    "audittrail.canary": _judge_canary,
}
