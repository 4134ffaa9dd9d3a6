"""An app's output, from every host that has it: lines are merged as they come, one JSON line each.

A host that does not answer is named in a line of its own (stream `hullmark`), and so is one whose stream ended too
early. The queue between agents and reader is bounded, so a slow reader slows the agents down, and
nothing piles up here. While following, hosts that get instances later are asked too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Optional

from hullmark.core.absence import ENGINE_AWAY
from hullmark.core.roster import Roster
from hullmark.errors import InvalidInput, NotFound
from hullmark.masterd.desk import Desk
from hullmark.masterd.refusals import no_app
from hullmark.masterd.tasks import Mark, Piece, Question
from hullmark.model import jsontext
from hullmark.model.api import LogRecord
from hullmark.model.moments import just_after, moment
from hullmark.model.orders import InstanceId
from hullmark.model.snapshot import Snapshot
from hullmark.model.wire import from_wire

LINES_HELD = 256
"""Between all agents and one reader."""
BEGIN_S = 4.0
"""A host that has not begun to answer by then is said not to answer."""
LOOK_S = 1.0
"""How often a reader that follows looks for other hosts, and for its own end."""
AGAIN_S = 2.0
"""While following, a host whose stream ended is asked again after this time: a container may have started."""
OURS = "hullmark"


@dataclass(frozen=True)
class Wanted:
    """`slot` 0: all. `tail` None: all lines; it counts for each instance. `since`: as the engine takes it."""

    app: str
    service: str = ""
    slot: int = 0
    tail: Optional[int] = None
    since: str = ""
    follow: bool = False

    def covers(self, instance: InstanceId) -> bool:
        return (
            instance.app == self.app
            and self.service in ("", instance.service)
            and self.slot in (0, instance.slot)
        )

    def arguments(self) -> dict[str, str]:
        """Of the task; what is not set is left out."""
        found = {
            "app": self.app,
            "service": self.service,
            "slot": str(self.slot) if self.slot else "",
            "tail": "" if self.tail is None else str(self.tail),
            "since": self.since,
            "follow": "true" if self.follow else "",
        }
        return {key: value for key, value in found.items() if value}


class LogReader:
    """One reader's stream. `close` when it goes away: the agents stop then."""

    def __init__(self, desk: Desk, wanted: Wanted) -> None:
        """Raises NotFound where there is no such app, service or slot, and no instance left of it."""
        self._desk = desk
        self._wanted = wanted
        self._questions: dict[str, Question] = {}
        self._silent: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._newest: dict[str, str] = {}
        self._open: set[str] = set()
        hosts = self._hosts()
        if not hosts:
            _must_be_known(desk.cluster.snapshot(), wanted)
        self._lines = desk.hub.reader(LINES_HELD)
        for host_id in hosts:
            self._ask(host_id)

    def _hosts(self) -> list[str]:
        """Those that have matching instances, or have them to remove."""
        found = []
        for host_id, orders in sorted(self._desk.cluster.snapshot().assignments.items()):
            items = [item.instance for item in orders.assignments]
            items += [item.instance for item in orders.tombstones]
            if any(self._wanted.covers(instance) for instance in items):
                found.append(host_id)
        return found

    def _ask(self, host_id: str, arguments: Optional[Mapping[str, str]] = None) -> None:
        chosen = self._wanted.arguments() if arguments is None else arguments
        self._questions[host_id] = self._desk.hub.ask(host_id, "logs", chosen, self._lines)
        self._silent[host_id] = self._desk.clock() + BEGIN_S
        self._open.add(host_id)

    def close(self) -> None:
        self._desk.hub.leave(self._lines)
        for question in self._questions.values():
            question.close()

    async def records(self) -> AsyncIterator[Optional[LogRecord]]:
        """Lines as they come, and None about once a second while there are none."""
        for remark in self._blind():
            yield remark
        while self._open or self._wanted.follow:
            piece = await self._lines.take(LOOK_S)
            if self._lines.closed:
                return
            if piece is not None:
                record = self._taken(piece)
                if record is not None:
                    yield record
            else:
                yield None
            for remark in self._overdue():
                yield remark
            if self._wanted.follow and piece is None:
                self._look_for_more()

    def _blind(self) -> list[LogRecord]:
        """Remarks on hosts whose agents can't read their engine: what they send is nothing."""
        observed = self._desk.cluster.snapshot().observed
        return [
            self._remark(host_id, f"{problem.message}; its lines are missing")
            for host_id in sorted(self._open)
            if host_id in observed
            for problem in observed[host_id].problems
            if problem.code in ENGINE_AWAY
        ]

    def _taken(self, piece: Piece) -> Optional[LogRecord]:
        host_id = piece.host_id
        self._silent.pop(host_id, None)
        if piece.mark is Mark.BEGUN:
            return None
        if piece.mark is Mark.ENDED:
            self._over(host_id)
            return None
        if piece.mark is Mark.BROKEN:
            self._over(host_id)
            return self._remark(host_id, "its agent stopped in the middle; lines may be missing")
        try:
            record = from_wire(LogRecord, jsontext.loads(piece.line), ignore_unknown=True)
        except (ValueError, InvalidInput):
            return self._remark(host_id, "its agent sent something that is not a line of output")
        if record.at and record.stream != OURS:
            self._newest[host_id] = record.at
        return dataclasses.replace(record, host=self._name(host_id))

    def _over(self, host_id: str) -> None:
        self._open.discard(host_id)
        self._ended[host_id] = self._desk.clock()
        self._questions[host_id].close()

    def _overdue(self) -> list[LogRecord]:
        """Remarks on hosts that did not begin to answer. While following they may still begin."""
        now, found = self._desk.clock(), []
        for host_id, until in list(self._silent.items()):
            if now >= until:
                del self._silent[host_id]
                found.append(self._remark(host_id, "it does not answer; its lines are missing"))
                if not self._wanted.follow:
                    self._over(host_id)
        return found

    def _look_for_more(self) -> None:
        """Ask hosts that are new to this stream, and those that ended, for what came since."""
        now = self._desk.clock()
        for host_id in self._hosts():
            if host_id not in self._questions:
                self._ask(host_id)
            elif host_id not in self._open and now - self._ended[host_id] >= AGAIN_S:
                arguments = self._wanted.arguments()
                since = just_after(self._newest.get(host_id, ""))
                if since:
                    arguments.pop("tail", None)
                    arguments["since"] = since
                self._ask(host_id, arguments)

    def _name(self, host_id: str) -> str:
        record = self._desk.cluster.host(host_id)
        return record.name if record is not None else host_id

    def _remark(self, host_id: str, text: str) -> LogRecord:
        at = self._desk.wall()
        name = self._name(host_id)
        return LogRecord("", name, OURS, moment(at), f"host {name}: {text}")


def _must_be_known(snapshot: Snapshot, wanted: Wanted) -> None:
    """Raises NotFound for what the app doesn't have; what it has may have no instance yet."""
    record = snapshot.apps.get(wanted.app)
    if record is None:
        raise no_app(wanted.app)
    if wanted.service and wanted.service not in record.app.services:
        services = ", ".join(sorted(record.app.services))
        raise NotFound(
            f"app {wanted.app} has no service {wanted.service}", remedy=f"its services: {services}"
        )
    if wanted.service and wanted.slot > Roster.of(snapshot).wanted(record, wanted.service):
        raise NotFound(
            f"{wanted.app}/{wanted.service} has no slot {wanted.slot}",
            remedy=f"hullmark ps {wanted.app}",
        )
