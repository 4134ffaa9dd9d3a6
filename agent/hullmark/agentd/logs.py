"""What containers wrote, as JSON lines for the leader: several merged by time, and followed when asked.

Following is asking again: every round reads what came since the line that was sent last. So a container that is
restarted is followed on, one that is made meanwhile joins, and nothing hangs on a container that says nothing.
"""

from __future__ import annotations

import heapq
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Optional

from hullmark.agentd.observer import Observer
from hullmark.engine.protocol import Container, Engine, LogLine
from hullmark.errors import EngineUnavailable, InvalidInput, NotFound, Problem
from hullmark.model.api import LogRecord
from hullmark.model.moments import NS_PER_S, nanoseconds
from hullmark.model.wire import canonical, to_wire

ROUND_S = (0.2, 1.0)
"""Shortest and longest wait between two rounds: short while lines come."""
WINDOW = 1000
"""Lines that a round asks for from the end: reading from the end is cheap for an engine, from the start it isn't."""


@dataclass(frozen=True)
class LogQuestion:
    """`slot` None: all. `tail` is a number or `all`; `since` is seconds since 1970 as text, or empty."""

    app: str
    service: str = ""
    slot: Optional[int] = None
    tail: str = "all"
    since: str = ""
    follow: bool = False

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> LogQuestion:
        """Raises InvalidInput."""
        slot, tail, since = (
            given.get("slot", ""),
            given.get("tail") or "all",
            given.get("since", ""),
        )
        if slot and not slot.isdecimal():
            raise InvalidInput([Problem("not a slot", field="slot", allowed="a number")])
        if tail != "all" and not tail.isdecimal():
            raise InvalidInput([Problem("bad tail", field="tail", allowed="a number, or all")])
        if since and not re.fullmatch(r"\d+(\.\d+)?", since):
            raise InvalidInput([Problem("bad time", field="since", allowed="seconds since 1970")])
        return cls(
            given.get("app", ""),
            given.get("service", ""),
            int(slot) if slot else None,
            tail,
            since,
            given.get("follow", "").lower() in ("1", "true", "yes"),
        )

    def fits(self, container: Container) -> bool:
        instance = container.instance
        return (
            instance.app == self.app
            and self.service in ("", instance.service)
            and self.slot in (None, instance.slot)
        )


class _Reader:
    """How far a container's lines were sent: up to `last_ns`, and of that moment the lines `then`. Podman tells times by
    the second, so that a moment may have many."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.last_ns = 0
        self._then: list[LogLine] = []

    def new(self, lines: Iterator[LogLine]) -> Iterator[tuple[int, LogLine]]:
        """Those that were not sent yet; they count as sent from now on."""
        last_ns = self.last_ns
        same: list[LogLine] = []
        for line in lines:
            at_ns = nanoseconds(line.at) or last_ns
            if at_ns == last_ns and self._then:
                same.append(line)
            elif at_ns >= last_ns:
                yield from self._unsent(last_ns, same)
                same = []
                yield self._sent(at_ns, line)
        yield from self._unsent(last_ns, same)

    def _unsent(self, at_ns: int, same: list[LogLine]) -> Iterator[tuple[int, LogLine]]:
        """Of the lines of the last moment, those after the ones that were sent."""
        then = list(self._then)
        ends = range(len(then), len(same) + 1)
        end = next((end for end in ends if same[end - len(then) : end] == then), len(same))
        for line in same[end:]:
            yield self._sent(at_ns, line)

    def _sent(self, at_ns: int, line: LogLine) -> tuple[int, LogLine]:
        if at_ns > self.last_ns:
            self.last_ns, self._then = at_ns, []
        self._then.append(line)
        return at_ns, line


class Logs:
    """`host` is this host's name in the cluster, for the records."""

    def __init__(
        self, engine: Engine, observer: Observer, host: str, stopping: threading.Event
    ) -> None:
        self._engine = engine
        self._observer = observer
        self._host = host
        self._stopping = stopping

    def remark(self, text: str) -> bytes:
        """A line of our own among theirs."""
        at = datetime.fromtimestamp(time.time(), timezone.utc).isoformat().replace("+00:00", "Z")
        return _encoded(LogRecord("", self._host, "hullmark", at, text))

    def lines(self, question: LogQuestion) -> Iterator[bytes]:
        """One JSON line each. While following, an empty line where there was nothing to say: writing it
        shows whether somebody still listens."""
        try:
            self._engine.info()
        except EngineUnavailable as error:
            yield self.remark(f"no lines: {error.message}")
        readers: dict[str, _Reader] = {}
        first = self._add_readers(readers, question)
        yield from self._merged(
            [(reader, self._read(reader, question.tail, question.since)) for reader in first]
        )
        if not first and not question.follow:
            return
        wait_s = ROUND_S[0]
        while question.follow and not self._stopping.wait(wait_s):
            known = list(readers.values())
            joined = self._add_readers(readers, question)
            if not readers:
                return
            sources = [
                (one, self._since(one)) for one in known if one.container.container_id in readers
            ]
            sources += [(one, self._read(one, "all", question.since)) for one in joined]
            said = False
            for line in self._merged(sources):
                said = True
                yield line
            wait_s = ROUND_S[0] if said else min(wait_s * 1.5, ROUND_S[1])
            if not said:
                yield b"\n"

    def _add_readers(self, readers: dict[str, _Reader], question: LogQuestion) -> list[_Reader]:
        """Containers that came; those that went leave. Returns the ones that came."""
        here = {one.container_id: one for one in self._observer.seen() if question.fits(one)}
        for container_id in set(readers) - set(here):
            del readers[container_id]
        joined = [_Reader(one) for key, one in sorted(here.items()) if key not in readers]
        readers.update({one.container.container_id: one for one in joined})
        return joined

    def _since(self, reader: _Reader) -> Iterator[LogLine]:
        """What came after the line sent last, in order."""
        since = f"{reader.last_ns // NS_PER_S}.{reader.last_ns % NS_PER_S:09d}"
        window = list(self._read(reader, str(WINDOW), since))
        if len(window) < WINDOW:
            return iter(window)
        return self._read(reader, "all", since)

    def _read(self, reader: _Reader, tail: str, since: str) -> Iterator[LogLine]:
        """A container that is gone by now has no more lines; nor has one whose engine is down for the moment."""
        try:
            yield from self._engine.logs(
                reader.container.container_id, tail=tail, since=since, follow=False
            )
        except (NotFound, EngineUnavailable):
            return

    def _merged(self, sources: list[tuple[_Reader, Iterator[LogLine]]]) -> Iterator[bytes]:
        """Lines of several containers in order of time, each container's own order kept."""
        streams = [self._records(reader, lines) for reader, lines in sources]
        for _, record in heapq.merge(*streams, key=lambda one: one[0]):
            yield _encoded(record)

    def _records(
        self, reader: _Reader, lines: Iterator[LogLine]
    ) -> Iterator[tuple[int, LogRecord]]:
        instance = str(reader.container.instance)
        for at_ns, line in reader.new(lines):
            yield at_ns, LogRecord(instance, self._host, line.stream, line.at, line.text)


def _encoded(record: LogRecord) -> bytes:
    return canonical(to_wire(record)) + b"\n"
