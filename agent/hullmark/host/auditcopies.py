"""Copies of audit records to the journal or to syslog, for those who read there. The file is the record.

    the log's thread ── take ──▶ a queue ──▶ a thread of its own ──▶ the socket

Whatever a copy waits for, the log does not wait for it: a queue that is full, or a socket that takes nothing, loses copies, and they
are counted. The journal gets fields by its own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL), syslog gets RFC 5424.
"""

from __future__ import annotations

import os
import queue
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Callable, Optional

from hullmark import log
from hullmark.errors import InvalidInput
from hullmark.host.logsocket import (
    ENTERPRISE,
    JOURNAL,
    SYSLOG,
    LogSocket,
    destination,
    escaped,
    journal_field,
)
from hullmark.model.audit import Outcome, Record
from hullmark.model.auditline import parse

_log = log.get("audit")

QUEUE_MAX = 2000
"""Groups of records that wait."""
CLOSE_S = 2.0

MESSAGE_IDS: Mapping[str, str] = {
    "agent": "6f0ad7e4c1a84b3f9b5c3a0e52d1f001",
    "alert": "6f0ad7e4c1a84b3f9b5c3a0e52d1f019",
    "app": "6f0ad7e4c1a84b3f9b5c3a0e52d1f00f",
    "audit": "6f0ad7e4c1a84b3f9b5c3a0e52d1f002",
    "certificate": "6f0ad7e4c1a84b3f9b5c3a0e52d1f010",
    "change": "6f0ad7e4c1a84b3f9b5c3a0e52d1f003",
    "cluster": "6f0ad7e4c1a84b3f9b5c3a0e52d1f011",
    "container": "6f0ad7e4c1a84b3f9b5c3a0e52d1f004",
    "control": "6f0ad7e4c1a84b3f9b5c3a0e52d1f01a",
    "controls": "6f0ad7e4c1a84b3f9b5c3a0e52d1f01b",
    "exec": "6f0ad7e4c1a84b3f9b5c3a0e52d1f005",
    "host": "6f0ad7e4c1a84b3f9b5c3a0e52d1f012",
    "image": "6f0ad7e4c1a84b3f9b5c3a0e52d1f006",
    "incident": "6f0ad7e4c1a84b3f9b5c3a0e52d1f018",
    "login": "6f0ad7e4c1a84b3f9b5c3a0e52d1f007",
    "master": "6f0ad7e4c1a84b3f9b5c3a0e52d1f008",
    "network": "6f0ad7e4c1a84b3f9b5c3a0e52d1f009",
    "order": "6f0ad7e4c1a84b3f9b5c3a0e52d1f00a",
    "orders": "6f0ad7e4c1a84b3f9b5c3a0e52d1f013",
    "outage": "6f0ad7e4c1a84b3f9b5c3a0e52d1f017",
    "policy": "6f0ad7e4c1a84b3f9b5c3a0e52d1f00b",
    "request": "6f0ad7e4c1a84b3f9b5c3a0e52d1f00c",
    "rollout": "6f0ad7e4c1a84b3f9b5c3a0e52d1f014",
    "session": "6f0ad7e4c1a84b3f9b5c3a0e52d1f015",
    "token": "6f0ad7e4c1a84b3f9b5c3a0e52d1f016",
    "unmanaged": "6f0ad7e4c1a84b3f9b5c3a0e52d1f00d",
    "volume": "6f0ad7e4c1a84b3f9b5c3a0e52d1f00e",
}
"""By the first word of a record's kind. They never change: people search for them."""
OTHER_ID = "6f0ad7e4c1a84b3f9b5c3a0e52d1f0ff"
"""Of every other kind."""

_FACILITY = 13
"""Log audit (RFC 5424)."""
_INFO, _WARNING = 6, 4
_FIELDS = (
    "kind",
    "by",
    "origin",
    "subject",
    "reason",
    "ticket",
    "request_id",
    "epoch",
    "container_id",
    "image_digest",
)

Send = Callable[[Record, bytes], None]
"""Raises OSError."""


class Copies:
    """`name` is the daemon's, as its lines in the log have it. `take` is what an AuditFile is given."""

    def __init__(self, wanted: str, name: str, send: Optional[Send] = None) -> None:
        where = destination(wanted)
        self._send = send or (_Journal(name) if where == "journal" else _Syslog(name))
        self._queue: queue.Queue[Optional[Sequence[bytes]]] = queue.Queue(QUEUE_MAX)
        self._lock = threading.Lock()
        self._sent = self._lost = 0
        self._wanted = where != "none"
        self._thread: Optional[threading.Thread] = None

    @property
    def sent(self) -> int:
        """Records of which copies were taken since the start."""
        return self._sent

    @property
    def lost(self) -> int:
        """Records of which they were not."""
        return self._lost

    def take(self, lines: Sequence[bytes]) -> None:
        """Neither waits nor raises. Called by one thread, that of the log."""
        if not self._wanted:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="audit copies", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait(lines)
        except queue.Full:
            self._count(lost=len(lines))

    def close(self) -> None:
        """What waits is sent, if that goes quickly."""
        if self._thread is not None:
            with suppress(queue.Full):
                self._queue.put(None, timeout=CLOSE_S)
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while True:
            lines = self._queue.get()
            if lines is None:
                return
            for line in lines:
                try:
                    self._send(parse(line), line.rstrip(b"\n"))
                except (OSError, InvalidInput):
                    self._count(lost=1)
                else:
                    self._count(sent=1)

    def _count(self, sent: int = 0, lost: int = 0) -> None:
        with self._lock:
            self._sent += sent
            before, self._lost = self._lost, self._lost + lost
        if len(str(self._lost)) > len(str(before)) or (lost and not before):
            _log.warning("copies of audit records are lost; the log has them", lost=self._lost)


def message(record: Record) -> str:
    """One sentence, without line ends: `alice (human): container.start shop/api.2: success`."""
    entry = record.entry
    outcome = f"{entry.outcome.value}: {entry.reason}" if entry.reason else entry.outcome.value
    text = f"{entry.by} ({entry.actor.value}): {entry.kind} {entry.subject}: {outcome}"
    return "".join(each if each.isprintable() else "?" for each in text)


def message_id(kind: str) -> str:
    return MESSAGE_IDS.get(kind.partition(".")[0], OTHER_ID)


def priority(record: Record) -> int:
    good = record.entry.outcome in (Outcome.PENDING, Outcome.SUCCESS)
    return _INFO if good else _WARNING


def journal_datagram(record: Record, line: bytes, name: str) -> bytes:
    entry = record.entry
    fields = {
        "MESSAGE": message(record),
        "MESSAGE_ID": message_id(entry.kind),
        "PRIORITY": str(priority(record)),
        "SYSLOG_FACILITY": str(_FACILITY),
        "SYSLOG_IDENTIFIER": f"{name}-audit",
        "HULLMARK_SEQ": str(record.seq),
        "HULLMARK_LOG": record.log,
        "HULLMARK_AT": record.at,
        "HULLMARK_STAGE": entry.stage.value,
        "HULLMARK_OUTCOME": entry.outcome.value,
        "HULLMARK_ACTOR": entry.actor.value,
        "HULLMARK_RECORD": line.decode("ascii", "replace"),
    }
    fields.update((f"HULLMARK_{key.upper()}", getattr(entry, key)) for key in _FIELDS)
    return b"".join(journal_field(key, value) for key, value in fields.items() if value)


def syslog_datagram(record: Record, line: bytes, name: str, host: str, pid: int) -> bytes:
    entry = record.entry
    values = {
        "seq": str(record.seq),
        "log": record.log,
        "stage": entry.stage.value,
        "outcome": entry.outcome.value,
        "hash": record.hash,
        **{key: getattr(entry, key) for key in _FIELDS},
    }
    pairs = "".join(f' {key}="{escaped(value)}"' for key, value in values.items() if value)
    head = f"<{_FACILITY * 8 + priority(record)}>1 {record.at} {host} {name}-audit {pid}"
    data = f"[hullmark@{ENTERPRISE}{pairs}]"
    return f"{head} {message_id(entry.kind)} {data} {message(record)}".encode("utf-8", "replace")


class _Journal:
    def __init__(self, name: str) -> None:
        self._name, self._socket = name, LogSocket(JOURNAL)

    def __call__(self, record: Record, line: bytes) -> None:
        self._socket.send(journal_datagram(record, line, self._name))


class _Syslog:
    def __init__(self, name: str) -> None:
        self._name, self._socket = name, LogSocket(SYSLOG)

    def __call__(self, record: Record, line: bytes) -> None:
        host = socket.gethostname() or "-"
        data = syslog_datagram(record, line, self._name, host, os.getpid())
        self._socket.send(data)
