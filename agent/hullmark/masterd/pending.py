"""Changes that wait for a second person, as the store keeps them: whole, until they are decided.

A change is carried out by whoever would have carried it out at once; that it is done rides in the same transaction (`riding`). So a
leader that dies between the two does neither, and its successor has the change waiting as it was.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Callable, Optional

from hullmark import log
from hullmark.core.changecontrol import same_person
from hullmark.errors import Conflict, Forbidden, InvalidInput, NotFound, Problem, Refused
from hullmark.masterd.events import Tell
from hullmark.masterd.leadership import size_bytes
from hullmark.masterd.repeats import RESERVED_BYTES, Asked, Repeats, asked, kept
from hullmark.masterd.riding import Rider
from hullmark.masterd.term import Term
from hullmark.masterd.view import encode
from hullmark.model.change import Change
from hullmark.model.changecontrol import (
    OPEN,
    Asker,
    Decision,
    DecisionAnswer,
    PendingList,
    PendingRecord,
    PendingState,
    PendingView,
)
from hullmark.model.moments import day
from hullmark.model.names import PENDING
from hullmark.store.protocol import MAX_TRANSACTION_BYTES, Compare, Put

WAITING_MOST = 100
OWN_MOST = 20
"""Of one requester, so that none keeps the others' from being asked for."""
WAITING_MOST_BYTES = 16 << 20
"""Of all that wait together: every master has them in memory."""
REASON_MOST = 500
EXPIRED_AT_ONCE = 20

_log = log.get("changes")


def change_id(request_id: str) -> str:
    """What people type. The same request has the same one, so that asking twice keeps one change."""
    return hashlib.sha256(request_id.encode()).hexdigest()[:8]


class PendingChanges:
    def __init__(self, term: Term, wall: Callable[[], float], tell: Tell) -> None:
        self._term = term
        self._wall = wall
        self._tell = tell
        self._repeats = Repeats(term.leadership, term.view)

    def named(self, change: str) -> PendingRecord:
        """Raises NotFound."""
        record = self._term.view.pending.get(change)
        if record is None:
            raise NotFound(f"there is no change {change[:64]}", remedy="hullmark changes")
        return record

    def of_request(self, request_id: str) -> Optional[PendingRecord]:
        record = self._term.view.pending.get(change_id(request_id))
        return record if record is not None and record.request_id == request_id else None

    def state_of(self, record: PendingRecord) -> PendingState:
        """Now: one whose time is over is expired also before the leader has written so."""
        over = record.state in OPEN and record.expires_at <= self._wall()
        return PendingState.EXPIRED if over else record.state

    def listed(self, *, every: bool, limit: int = 1000) -> PendingList:
        """Those that are open, or `every` one: the newest, the oldest of them first."""
        found = [
            record
            for record in self._term.view.pending.values()
            if every or self.state_of(record) in OPEN
        ]
        newest = sorted(found, key=lambda each: each.at)[-limit:]
        return PendingList(tuple(map(self.view, newest)))

    def view(self, record: PendingRecord) -> PendingView:
        state = self.state_of(record)
        return PendingView(
            record.change_id,
            record.request_id,
            record.kind,
            record.subject,
            record.asker.who,
            record.ticket,
            record.at,
            record.expires_at,
            record.rule,
            state,
            f"hullmark approve {record.change_id}" if state is PendingState.WAITING else "",
            record.decided_by,
            record.decided_at,
            record.why,
            record.summary,
            state is PendingState.APPROVED,
        )

    async def hold(self, record: PendingRecord, change: Change) -> PendingRecord:
        """Keep it until somebody decides. Raises Refused where too many wait, InvalidInput for one that is too large."""
        return await self._term.whole(self._hold(record, change))

    async def _hold(self, record: PendingRecord, change: Change) -> PendingRecord:
        put = Put(PENDING + record.change_id, encode(record))
        self._must_fit(put, record.asker.who)
        done = await self._term.leadership.commit([Compare(put.key, 0)], [put])
        if not done.succeeded:
            raise Conflict(f"change {record.change_id} is there already", remedy="ask again")
        fields = {
            "what": f"{record.kind.value} {record.subject}",
            "rule": record.rule,
            "until": day(record.expires_at),
        }
        self._tell("change.waiting", f"change {record.change_id}", change, fields)
        return record

    def _must_fit(self, put: Put, who: str) -> None:
        size, most = size_bytes([put]), MAX_TRANSACTION_BYTES - RESERVED_BYTES
        if size > most:
            raise InvalidInput(
                [Problem(f"this change takes {size} bytes", allowed=f"at most {most} bytes")],
                remedy="smaller files: keep large ones on the hosts and mount them",
            )
        waiting = [each for each in self._term.view.pending.values() if each.state in OPEN]
        own = sum(each.asker.who == who for each in waiting)
        if own >= OWN_MOST:
            raise Refused(
                f"{own} changes of {who} wait already",
                remedy="let them be decided first, or withdraw some: hullmark changes",
            )
        together = sum(each.size for each in waiting) + size
        if len(waiting) >= WAITING_MOST or together > WAITING_MOST_BYTES:
            raise Refused(
                f"{len(waiting)} changes wait already, {together >> 10} KiB with this one",
                remedy="decide some of them first: hullmark changes",
            )

    def must_wait(self, record: PendingRecord) -> None:
        """Raises Conflict for one that is decided or expired."""
        state = self.state_of(record)
        if state is PendingState.WAITING:
            return
        by = f" by {record.decided_by}" if record.decided_by else ""
        word = {
            PendingState.DONE: f"was approved{by}, and is done",
            PendingState.APPROVED: f"was approved{by}; its requester collects it",
            PendingState.EXPIRED: f"expired at {day(record.expires_at)}",
        }.get(state, f"was {state.value}{by}")
        raise Conflict(f"change {record.change_id} {word}", remedy="hullmark changes list --all")

    def must_be_another(self, record: PendingRecord, approver: Asker) -> None:
        """Raises Forbidden for who asked for it himself, or by a token of his."""
        token = self._term.view.tokens.get(record.asker.secret_sha256)
        if token is not None and (token.person or token.by) == approver.who:
            raise Forbidden(
                f"{approver.who} made token {token.name}, which asked for change {record.change_id}",
                remedy=f"another person has to: hullmark approve {record.change_id}",
            )
        if same_person(record.asker, approver):
            same = record.asker.who == approver.who
            why = "" if same else f", as {record.asker.who} with the same user id"
            raise Forbidden(
                f"{approver.who} asked for change {record.change_id}{why}, and can't approve it",
                remedy=f"another person has to: hullmark approve {record.change_id}",
            )

    def answered(self, change: str, decision: Decision, verb: str) -> Optional[DecisionAnswer]:
        """What this very request was answered before."""
        return self._repeats.answer(DecisionAnswer, asked(verb, change, decision))

    def done_with(self, record: PendingRecord, approver: str, now: float) -> PendingRecord:
        """As it is kept once it is approved. Of its body nothing is left where it is carried out with that."""
        state = PendingState.DONE
        return dataclasses.replace(
            record, state=state, decided_by=approver, decided_at=now, body=None, digests={}
        )

    def rider(
        self,
        record: PendingRecord,
        after: PendingRecord,
        compares: Sequence[Compare],
        asked_for: Optional[Asked] = None,
    ) -> Rider:
        """What is to be in the transaction of the change itself. `compares`: of what it was made for."""
        key = PENDING + record.change_id
        writes = [Put(key, encode(after))]
        if asked_for is not None:
            answer = DecisionAnswer(self.view(after))
            writes.append(kept(asked_for, answer, after.decided_at))
        before = [Compare(key, self._term.view.modified(key)), *compares]
        return Rider(before, writes, record.digests)

    async def settle(self, rider: Rider) -> None:
        """Where what rode with a change is not in the store, as the change had been made before: write it alone."""
        if rider.rode:
            return
        done = await self._term.whole(self._term.leadership.commit(rider.compares, rider.writes))
        if not done.succeeded:
            raise Conflict("this change was decided at the same moment", remedy="hullmark changes")

    async def decide(
        self,
        record: PendingRecord,
        state: PendingState,
        decision: Decision,
        change: Change,
        verb: str,
    ) -> DecisionAnswer:
        """Approved to be collected, refused, or withdrawn."""
        asked_for = asked(verb, record.change_id, decision)
        after = dataclasses.replace(
            record,
            state=state,
            decided_by=change.by,
            decided_at=change.at,
            why=decision.reason[:REASON_MOST],
        )
        if state not in OPEN:
            after = dataclasses.replace(after, body=None, digests={})
        key = PENDING + record.change_id
        answer = await self._term.whole(
            self._repeats.commit(
                asked_for,
                DecisionAnswer(self.view(after)),
                change.at,
                [Compare(key, self._term.view.modified(key))],
                [Put(key, encode(after))],
                subject=f"change {record.change_id}",
                remedy="ask again",
            )
        )
        self.tell(state.value, after, change)
        return answer

    def tell(self, word: str, record: PendingRecord, change: Change) -> None:
        fields = {"what": f"{record.kind.value} {record.subject}", "of": record.asker.who}
        if record.why:
            fields["why"] = record.why
        self._tell(f"change.{word}", f"change {record.change_id}", change, fields)

    async def expire(self) -> None:
        """Write of those whose time is over that it is."""
        now = self._wall()
        over = [
            record
            for record in self._term.view.pending.values()
            if record.state in OPEN and record.expires_at <= now
        ]
        for record in over[:EXPIRED_AT_ONCE]:
            key = PENDING + record.change_id
            after = dataclasses.replace(
                record, state=PendingState.EXPIRED, decided_at=now, body=None, digests={}
            )
            done = await self._term.leadership.commit(
                [Compare(key, self._term.view.modified(key))], [Put(key, encode(after))]
            )
            if done.succeeded:
                self.tell("expired", after, Change("", "", now, record.ticket))
