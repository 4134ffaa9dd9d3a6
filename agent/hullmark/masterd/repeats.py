"""A change that is asked for twice is done once.

The answer to a request id is written in the same transaction as the change, so a repeat after a lost answer,
a killed master or a change of leader gets that answer and does nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from hullmark.errors import Conflict, InvalidInput, Problem
from hullmark.masterd import riding
from hullmark.masterd.leadership import Leadership, size_bytes
from hullmark.masterd.view import View, decode, encode
from hullmark.model import wire
from hullmark.model.names import REQUESTS
from hullmark.model.records import RequestRecord
from hullmark.store.protocol import MAX_TRANSACTION_BYTES, Compare, Put, Write

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
RESERVED_BYTES = 4096
"""Of a transaction, for the fence's key and the compares."""


@dataclass(frozen=True)
class Asked:
    """A request, by what a repeat of it must have in common with it."""

    request_id: str
    body_sha256: str


def asked(verb: str, subject: str, request: Any) -> Asked:
    """Of a request that is a dataclass with a `request_id`. Raises InvalidInput where that isn't one."""
    problems = list(id_problems(request.request_id))
    if problems:
        raise InvalidInput(problems)
    body = [verb, subject, wire.to_wire(request)]
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return Asked(request.request_id, hashlib.sha256(text.encode()).hexdigest())


def id_problems(request_id: str, field: str = "request_id") -> Iterator[Problem]:
    if not REQUEST_ID.fullmatch(request_id):
        allowed = "1 to 128 letters, digits and . _ : -"
        yield Problem("not a request id", field=field, allowed=allowed)


class Repeats:
    def __init__(self, leadership: Leadership, view: View) -> None:
        self._leadership = leadership
        self._view = view

    def answer(self, cls: type[wire.T], request: Asked) -> Optional[wire.T]:
        """What this request got as its answer before. Raises Conflict where its id was another's."""
        known = self._view.requests.get(request.request_id)
        return None if known is None else _repeated(cls, known, request)

    async def commit(
        self,
        request: Asked,
        answer: wire.T,
        at: float,
        compares: Sequence[Compare],
        writes: Sequence[Write],
        *,
        subject: str,
        remedy: str,
    ) -> wire.T:
        """The change and its answer in one transaction. Raises Conflict where a compare doesn't hold, InvalidInput
        with the remedy where it is too large for the store, and what `Leadership.commit` does."""
        key = REQUESTS + request.request_id
        # The request comes first: it tells afterwards whether a transaction without an answer happened.
        before, together = riding.aboard(
            [Compare(key, 0), *compares], [kept(request, answer, at), *writes]
        )
        _must_fit(subject, together, remedy)
        done = await self._leadership.commit(before, together)
        if done.succeeded:
            riding.arrived()
            return answer
        # An earlier attempt whose outcome was unknown may have happened after all.
        entry = await self._leadership.read(key)
        if entry is None:
            raise Conflict(f"{subject} was changed at the same moment", remedy="ask again")
        return _repeated(type(answer), decode(RequestRecord, key, entry.value), request)


def kept(request: Asked, answer: Any, at: float) -> Put:
    """What a repeat of the request finds."""
    text = wire.canonical(wire.to_wire(answer)).decode()
    record = RequestRecord(request.request_id, at, request.body_sha256, text)
    return Put(REQUESTS + request.request_id, encode(record))


def _repeated(cls: type[wire.T], known: RequestRecord, request: Asked) -> wire.T:
    """The answer that a request id got. Raises Conflict where it was another request's."""
    if known.body_sha256 != request.body_sha256:
        raise Conflict(
            f"request id {known.request_id} was used for another request",
            remedy="use a new request id for a new change",
        )
    return decode(cls, REQUESTS + known.request_id, known.answer.encode())


def _must_fit(subject: str, writes: Sequence[Write], remedy: str) -> None:
    size, limit = size_bytes(writes), MAX_TRANSACTION_BYTES - RESERVED_BYTES
    if size > limit:
        raise InvalidInput(
            [Problem(f"{subject} takes {size} bytes", allowed=f"at most {limit} bytes")],
            remedy=remedy,
        )
