"""Audit rules as `auditctl -l` lists them, and which of them silence others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from hullmark.core.checks.judge import failed, first_line
from hullmark.model.control import Finding

ESSENTIAL = frozenset(
    {
        *(
            "SYSCALL",
            "USER",
            "LOGIN",
            "CONFIG_CHANGE",
            "ADD_USER",
            "DEL_USER",
            "ADD_GROUP",
            "DEL_GROUP",
        ),
        *("USER_LOGIN", "USER_AUTH", "USER_ACCT", "USER_CMD", "USER_START", "USER_CHAUTHTOK"),
    }
)
"""Types of records that say who did what: without them the trail is none."""
_LISTS = frozenset({"task", "exit", "user", "exclude", "filesystem", "io_uring"})
_FIELD = re.compile(r"-F\s+(?:'|\")?([A-Za-z0-9_]+)(<=|>=|!=|&=|=|<|>|&)(\S+?)(?:'|\")?(?=\s|$)")
_SYSTEM_CALL = re.compile(r"-S\s+(\S+)")
_REMEDY = "find out who added it; `auditctl -d` with the same words takes it out"


@dataclass(frozen=True)
class _Rule:
    """`narrow`: it has a field that leaves something out."""

    line: str
    action: str
    list: str
    fields: tuple[tuple[str, str, str], ...]
    narrow: bool


def silenced(lines: Sequence[str]) -> Optional[Finding]:
    """The finding where a rule keeps all of something out of the trail; None where none does."""
    rules = [_rule(line) for line in lines]
    for number, rule in enumerate(rules):
        if rule.list == "task" and rule.action == "never" and not rule.narrow:
            return _found(rule, "silences the system calls of every process")
        if rule.list == "exit" and rule.action == "never" and not rule.narrow:
            recorded = [each.list == "exit" and each.action == "always" for each in rules]
            if any(recorded[number:]) or not any(recorded):
                return _found(rule, "silences every rule behind it")
        kept_out = _kept_out(rule)
        if kept_out:
            return _found(rule, f"keeps records out ({kept_out})")
    return None


def _found(rule: _Rule, what: str) -> Finding:
    return failed(f"the audit rule `{first_line(rule.line)}` {what}", _REMEDY)


def _kept_out(rule: _Rule) -> str:
    """Of essential records, by type alone."""
    if rule.list == "exclude" or (rule.list == "user" and rule.action == "never"):
        if not rule.fields and rule.list == "user":
            return "user messages"
        if [name for name, _, _ in rule.fields] == ["msgtype"]:
            _, operator, value = rule.fields[0]
            if operator != "=" or value in ESSENTIAL:
                return f"msgtype{operator}{value}"
    return ""


def _rule(line: str) -> _Rule:
    """A watch (-w) is a rule of the list `exit`."""
    words = line.split()
    if words[0] == "-w":
        return _Rule(line, "always", "exit", (), True)
    parts = words[1].split(",") if len(words) > 1 else []
    named = next((part for part in parts if part in _LISTS), "")
    action = next((part for part in parts if part not in _LISTS), "")
    fields = tuple(_FIELD.findall(line))
    calls = [call for each in _SYSTEM_CALL.findall(line) for call in each.split(",")]
    narrow = any(name not in ("arch", "key") for name, _, _ in fields) or bool(
        calls and calls != ["all"]
    )
    return _Rule(line, action, named, fields, narrow)
