"""Audit logs with controls' records, made as an agent makes them: byte for byte a chain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from hullmark.evidence.telling import Evidence, Question
from hullmark.model.audit import FIRST_PREV, Actor, Entry, Outcome, Record
from hullmark.model.auditline import hash_of, line_of, parse
from hullmark.model.control import ControlSpec, Framework, Reading, Requirement, Status
from hullmark.model.moments import moment
from hullmark.model.wire import canonical, to_wire

HOUR, DAY = 3600.0, 86400.0
BEGINS = 1_764_547_200.0  # 2025-12-01 00:00 UTC

Check = tuple[str, str, str]
"""Control, check, function."""
AUDITD: Check = ("audit-trail-auditd", "daemon", "audit-trail")


def framework(*requirements: Requirement) -> Framework:
    return Framework("pci-dss-4.0.1", "PCI DSS 4.0.1", requirements)


AUDIT_ONLY = framework(Requirement("10.2.1", "Audit logs are active", "direct", ("audit-trail",)))


@dataclass
class Log:
    """One host's log. `seq` is of the newest record."""

    name: str
    lines: list[bytes] = field(default_factory=list)
    prev: str = FIRST_PREV
    seq: int = 0

    def add(self, entry: Entry, at: float) -> Record:
        self.seq += 1
        line = line_of(entry, seq=self.seq, prev=self.prev, log=self.name, boot="b", at=moment(at))
        self.lines.append(line)
        self.prev = hash_of(line)
        return parse(line)

    def result(
        self,
        check: Check,
        status: Status,
        at: float,
        level: int = 3,
        reason: str = "",
        *,
        since: Optional[float] = None,
        readings: Sequence[Reading] = (),
        not_exercised: str = "",
        condition: str = "",
    ) -> Record:
        control, name, function = check
        fields = {
            "control": control,
            "check": name,
            "function": function,
            "status": status.value,
            "level": str(level if status is Status.PASS else -1),
            "since": moment(at if since is None else since),
            "readings": canonical([to_wire(each) for each in readings]).decode(),
            "not_exercised": not_exercised,
            "condition": condition,
        }
        good = status in (Status.PASS, Status.NOT_APPLICABLE)
        entry = Entry(
            "control.result",
            f"control {control}/{name}",
            outcome=Outcome.SUCCESS if good else Outcome.FAILURE,
            origin="local",
            reason=reason,
            fields={key: text for key, text in fields.items() if text},
        )
        return self.add(entry, at)

    def summary(
        self,
        begins: float,
        ends: float,
        tallies: Mapping[Check, tuple[Status, int, Mapping[str, int]]],
    ) -> Record:
        results = {
            f"{check[0]}/{check[1]}": {"status": status.value, "level": level, **counts}
            for check, (status, level, counts) in tallies.items()
        }
        fields = {"begins": moment(begins), "ends": moment(ends), "results": json.dumps(results)}
        return self.add(Entry("controls.summary", "controls", origin="local", fields=fields), ends)

    def outage(self, word: str, name: str, check: Check, at: float, **fields: str) -> Record:
        bad = word != "recovered"
        entry = Entry(
            f"outage.{word}",
            f"control {check[0]}",
            outcome=Outcome.FAILURE if bad else Outcome.SUCCESS,
            origin="local",
            reason=fields.pop("reason", "it does not run"),
            fields={"outage": name, "control": check[0], "function": check[2], **fields},
        )
        return self.add(entry, at)

    def act(self, by: str, kind: str, subject: str, at: float, ticket: str = "") -> Record:
        entry = Entry(kind, subject, by=by, actor=Actor.HUMAN, origin="10.0.0.7", ticket=ticket)
        return self.add(entry, at)

    def passing(self, begins: float, ends: float, *checks: Check, level: int = 3) -> None:
        """Hour after hour of looks that pass; at the beginning each is told."""
        for check in checks:
            self.result(check, Status.PASS, begins, level)
        at = begins
        while at < ends:
            until = min(at + HOUR, ends)
            self.summary(at, until, {check: (Status.PASS, level, {"pass": 60}) for check in checks})
            at = until


def question(
    begins: float,
    ends: float,
    hosts: Mapping[str, str],
    of: Framework = AUDIT_ONLY,
    made_at: float = 0.0,
    definitions: Mapping[str, ControlSpec] = {},
) -> Question:
    return Question(
        "shop", of, begins, ends, made_at or ends + DAY, "alice", "0.6.0", hosts, definitions
    )


def evidence(asked: Question, *logs: Log) -> Evidence:
    found = Evidence(asked)
    for log in logs:
        for line in log.lines:
            found.take(parse(line))
    return found
