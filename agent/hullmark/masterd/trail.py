"""Reading the audit logs that a master has: its own, and those that it was sent. All of it blocks; it is called in a thread.

Lines are given as they stand in their logs, in the order of their times. Clocks of hosts differ, so between logs that order is not
what happened first; within one log it is that of its records.
"""

from __future__ import annotations

import heapq
import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Optional

from hullmark.core import auditquery, tracing
from hullmark.errors import InvalidInput
from hullmark.host.auditfile import AuditFile
from hullmark.host.auditreading import seq_of
from hullmark.masterd.received import Records
from hullmark.model.audit import Record
from hullmark.model.auditline import parse
from hullmark.model.audittrail import Query, Trace

PAGE = 2000
"""Lines of the own log that are read at a time."""
TRACED_MOST = 20_000
"""Records of one trace."""

_BEGIN = re.compile(
    rb'\{"seq":([0-9]{1,19}),"prev":"[^"]*","log":"[^"]*","boot":"[^"]*","at":"([^"]{1,40})"'
)

Sieve = Callable[[bytes], bool]


@dataclass(frozen=True)
class Found:
    """`line` is without its end."""

    record: Record
    line: bytes


class Trail:
    """`own` is this master's log, None where it can't be read. `names` are those of hosts and masters, by log."""

    def __init__(
        self,
        own_log: str,
        own: Optional[AuditFile],
        records: Records,
        names: Mapping[str, str],
    ) -> None:
        self._own_log = own_log
        self._own = own
        self._records = records
        self._names = names

    def logs(self, named: str = "") -> list[str]:
        """Those that there are; with a name those of it. Raises AuditUnavailable."""
        found = sorted({self._own_log, *self._records.logs()})
        if not named:
            return found
        wanted = auditquery.log_named(named, {log: self._names.get(log, "") for log in found})
        return [log for log in found if log in wanted]

    def find(self, query: Query, after: Mapping[str, int]) -> Iterator[Found]:
        """`after`: of a log only records after that number. Raises AuditUnavailable."""
        each = [self._matching(log, query, after.get(log, 0)) for log in self.logs(query.log)]
        return heapq.merge(*each, key=lambda found: found.record.at)

    def newest(self, query: Query, most: int) -> list[Found]:
        """The last of all, oldest first."""
        return list(deque(self.find(query, {}), most))

    def ends(self) -> dict[str, int]:
        """The number of each log's newest record. Raises AuditUnavailable."""
        found = {log: self._records.tail(log).seq for log in self._records.logs()}
        if self._own is not None:
            found[self._own_log] = self._own.head.seq
        return found

    def trace(self, what: str) -> Trace:
        """Raises AuditUnavailable."""
        search = tracing.Search(what, TRACED_MOST)
        while search.goes_on:
            texts = tuple(auditquery.as_written(text) for text in search.texts)
            for log in self.logs():
                for line in self._lines(log, partial(_any_in, texts), texts=texts):
                    record = _read(line)
                    if record is not None and record.log == log:
                        search.look(record)
            search.turn()
        return tracing.trace(what, search.records, self._names, whole=search.whole)

    def _matching(self, log: str, query: Query, after: int) -> Iterator[Found]:
        texts = auditquery.needles(query)
        for line in self._lines(log, _wanted(query, texts, after), after, texts[:1]):
            record = _read(line)
            if record is not None and record.log == log and auditquery.matches(record, query):
                yield Found(record, line)

    def _lines(
        self, log: str, wanted: Sieve, after: int = 0, texts: Collection[bytes] = ()
    ) -> Iterator[bytes]:
        """`texts`: one of them stands in each line that is wanted, where there are any."""
        if log == self._own_log:
            return filter(wanted, self._own_lines(after))
        found = self._records.find(lambda _, line: wanted(line), {log}, after=after, texts=texts)
        return (line for _, line in found)

    def _own_lines(self, after: int) -> Iterator[bytes]:
        first = after + 1
        while self._own is not None:
            lines = [line.rstrip(b"\n") for line in self._own.read(first, PAGE)]
            if not lines:
                return
            yield from lines
            first = max(first, seq_of(lines[-1])) + 1


def _read(line: bytes) -> Optional[Record]:
    """None for what is no record: `audit verify` says so, this is for reading what there is."""
    try:
        return parse(line)
    except InvalidInput:
        return None


def _wanted(query: Query, texts: Collection[bytes], after: int) -> Sieve:
    """Tells most of what isn't asked for before all of a line is read."""

    def wanted(line: bytes) -> bool:
        if not all(text in line for text in texts):
            return False
        found = _BEGIN.match(line)
        if found is None or int(found[1]) <= after:
            return False
        at = found[2].decode("ascii", "replace")
        return not (query.since and at < query.since) and not (query.until and at >= query.until)

    return wanted


def _any_in(texts: Collection[bytes], line: bytes) -> bool:
    return any(text in line for text in texts)
