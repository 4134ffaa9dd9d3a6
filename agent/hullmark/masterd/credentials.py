"""Which certificates of hosts are worth anything: the newest of each, and the one before it until the newest is used.

A certificate may be good by its dates and signature and yet be worth nothing: its host was removed, or has enrolled
again, or has renewed it. Records of before certificates were kept (`certificate_sha256` empty) accept any of the
host's, until it renews.
"""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import Any, Callable

from hullmark import log
from hullmark.errors import Forbidden, StaleEpoch, StoreUnavailable
from hullmark.masterd.lines import Line
from hullmark.masterd.refusals import enroll_again
from hullmark.masterd.term import Term
from hullmark.masterd.view import encode
from hullmark.model.host import HostRecord
from hullmark.model.names import HOSTS
from hullmark.store.protocol import Compare, Put

TOLD_AGAIN_S = 600.0
"""A host that is refused asks again and again; one event in this time tells of it."""

ON_ITS_WAY_S = 5.0
"""After a renewal, for what another thread of the agent sent with the former certificate just then."""

_log = log.get("credentials")


@dataclass(frozen=True)
class _Ended:
    """A former certificate whose successor was used."""

    newest: str
    former: str
    at: float


def is_good(record: HostRecord, sha256: str) -> bool:
    known = {record.certificate_sha256, record.former_sha256} - {""}
    return sha256 in known or not record.certificate_sha256


def replaced(record: HostRecord) -> Forbidden:
    return Forbidden(
        f"this certificate of host {record.name} is not good any more: a newer one was made",
        remedy=enroll_again(record.name),
    )


class Credentials:
    """`tell` records an event: kind, subject, message, by whom, fields."""

    def __init__(
        self,
        term: Term,
        clock: Callable[[], float],
        tell: Callable[[str, str, str, str, dict[str, str]], None],
    ) -> None:
        self.clock = clock
        self._term = term
        self._tell = tell
        self._ended: dict[str, _Ended] = {}
        self._told_at: dict[str, float] = {}
        self._writing: set[asyncio.Future[Any]] = set()

    def is_worth(self, record: HostRecord, sha256: str, line: Line) -> bool:
        """Whether a call with this certificate is to be answered. The newest one's first use ends the former one at
        once, also where the store takes that later; what was on its way on a connection that stood is answered."""
        if not is_good(record, sha256):
            return self._is_on_its_way(record, sha256, line)
        ended = self._ended.get(record.host_id)
        if record.former_sha256 and sha256 == record.certificate_sha256:
            if ended is None or ended.newest != sha256:
                self._end_former(record)
        elif (
            ended is not None
            and sha256 == ended.former
            and ended.newest == record.certificate_sha256
        ):
            return self._is_on_its_way(record, sha256, line)
        return True

    def may_stay(self, host_id: str, sha256: str) -> bool:
        """Whether a request that was let in may still be answered: not of a host that was removed, or that has
        enrolled again. A renewal ends no request."""
        record = self._term.view.hosts.get(host_id)
        if record is None:
            return False
        ended = self._ended.get(host_id)
        renewed = ended is not None and ended == _Ended(record.certificate_sha256, sha256, ended.at)
        return renewed or is_good(record, sha256)

    def must_be_worth_still(self, host_id: str, sha256: str) -> None:
        """After a wait. Raises Forbidden."""
        if not self.may_stay(host_id, sha256):
            record = self._term.view.hosts.get(host_id)
            if record is not None:
                raise replaced(record)
            raise Forbidden("this host was removed from the cluster", remedy=enroll_again())

    def _is_on_its_way(self, record: HostRecord, sha256: str, line: Line) -> bool:
        ended = self._ended.get(record.host_id)
        return (
            ended is not None
            and (ended.newest, ended.former) == (record.certificate_sha256, sha256)
            and line.began_at < ended.at
            and self.clock() - ended.at < ON_ITS_WAY_S
        )

    def _end_former(self, record: HostRecord) -> None:
        host_id, newest = record.host_id, record.certificate_sha256
        self._ended[host_id] = _Ended(newest, record.former_sha256, self.clock())
        # Not before the answer: a store that is slow must not make hosts look silent.
        task = asyncio.ensure_future(self._term.whole(self._write(host_id, newest)))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    def refused(self, host_id: str, name: str, origin: str, why: str) -> None:
        """Tell of it, now and then. A host that was removed has its host id for a name."""
        now = self.clock()
        # A master that leads no more may not know a host that has enrolled since.
        due = now - self._told_at.get(host_id, -TOLD_AGAIN_S) >= TOLD_AGAIN_S
        if due and self._term.leadership.is_leader:
            self._told_at[host_id] = now
            fields = {"from": origin, "host_id": host_id}
            self._tell("host.refused", f"host {name}", why, "", fields)

    def forget(self, host_id: str) -> None:
        """It was removed."""
        self._ended.pop(host_id, None)

    async def _write(self, host_id: str, sha256: str) -> None:
        key = HOSTS + host_id
        try:
            async with self._term.one_at_a_time:
                record = self._term.view.hosts.get(host_id)
                if record is None or record.certificate_sha256 != sha256:
                    return
                done = await self._term.leadership.commit(
                    [Compare(key, self._term.view.modified(key))],
                    [Put(key, encode(dataclasses.replace(record, former_sha256="")))],
                )
        except (StoreUnavailable, StaleEpoch) as error:
            _log.warning("the end of a former certificate is not written", why=error.message)
        else:
            if done.succeeded:
                return
        self._ended.pop(host_id, None)  # the next use tries again
