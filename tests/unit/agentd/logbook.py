"""An audit log in memory, which can be made to fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, cast

from hullmark.agentd.auditing import Auditing
from hullmark.agentd.problems import Problems
from hullmark.errors import AuditUnavailable, HullmarkError
from hullmark.host.auditfile import AuditFile
from hullmark.model.audit import Entry, Record, Stage


class Logbook:
    """Stands where an AuditFile does. `room` False: nothing but what is essential is taken; `reserve` False: nor that."""

    def __init__(self, left_open: Sequence[Record] = ()) -> None:
        self.entries: list[Entry] = []
        self.essential: list[bool] = []
        self.room = self.reserve = True
        self.left_open = tuple(left_open)
        self.closed = False
        self.findings: tuple[str, ...] = ()
        self.appending: Callable[[Entry], None] = lambda entry: None

    def append(self, entry: Entry, *, essential: bool = False) -> int:
        self.appending(entry)
        if not (self.room or (essential and self.reserve)):
            raise AuditUnavailable("the disk is full")
        self.entries.append(entry)
        self.essential.append(essential)
        return len(self.entries)

    def open_intents(self) -> tuple[Record, ...]:
        return self.left_open

    @property
    def trouble(self) -> str:
        return "" if self.room else "the disk is full"

    def recover(self) -> bool:
        return self.room

    def close(self) -> None:
        self.closed = True

    @property
    def short(self) -> list[tuple[str, str, str]]:
        """(kind, stage, outcome) of each record."""
        return [(one.kind, one.stage.value, one.outcome.value) for one in self.entries]


def auditing_of(book: Logbook, problems: Problems | None = None, **more: Any) -> Auditing:
    """Serves host `h1`."""
    made = Auditing(lambda host_id: cast(AuditFile, book), problems or Problems(), **more)
    made.serve("h1")
    return made


def record(entry: Entry, seq: int = 1, at: str = "1970-01-01T00:16:40.000000Z") -> Record:
    return Record(seq, "0" * 64, "host:h1", "boot", at, entry, "f" * 64)


def intent(kind: str, subject: str, **more: Any) -> Entry:
    return Entry(kind, subject, Stage.INTENT, **more)


def refuses(error: HullmarkError) -> Callable[[str], AuditFile]:
    """Opens no log."""

    def opened(host_id: str) -> AuditFile:
        raise error

    return opened
