"""The API client: questions and changes as `model/api.py` has them, errors as `errors.py` has them.

A change whose answer was lost is sent again with the same request id, which does nothing twice.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Callable, Optional, TypeVar

from hullmark import errors
from hullmark.cli.address import Address, parse_https
from hullmark.cli.heldanswer import HeldError
from hullmark.cli.stillness import SIGN_S
from hullmark.cli.transport import CONNECT_S, Answer, LostError, NotReachedError, Transport
from hullmark.errors import (
    HullmarkError,
    InvalidInput,
    MasterUnavailable,
    Problem,
    StaleEpoch,
    StoreUnavailable,
)
from hullmark.launchers import look_command, start_command
from hullmark.model import jsontext
from hullmark.model.wire import canonical, from_wire

T = TypeVar("T")

ANSWER_S = 30.0
"""Longer than a master takes to give up: it asks agents for 20 s when an image's tag is resolved."""
QUICK_S = 6.0
"""How long the first answer is waited for where there are other masters: one that is frozen is followed by another by
then. One that is only slow is asked again with the same request id, and waited for longer. A question to a single master waits as long before
it looks whether that does anything at all; see `Client._quiet_s`."""
QUIET_LEAST_S = 0.5
RETRY_S = 12.0
"""How long a change whose answer was lost is sent again: a master that was restarted, or another one, leads by then."""
READ_S = 6.0
"""The same for a question."""
RETRY_FIRST_S = 0.2
RETRY_MOST_S = 2.0
HELD = 202


def new_request_id() -> str:
    return os.urandom(16).hex()


class Client:
    """Of the masters that these addresses are of, the first one that leads is found, and stayed with. `clock` and `sleep`
    are for tests."""

    def __init__(
        self,
        addresses: Sequence[Address],
        answer_s: float = ANSWER_S,
        retry_s: float = RETRY_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._addresses = tuple(addresses)
        self._transport = self._to(self._addresses[0])
        self._answer_s = answer_s
        self._retry_s = retry_s
        self._clock = clock
        self._sleep = sleep
        self._patient = len(self._addresses) == 1
        self._warned = False
        self.decided: Optional[Callable[[bytes], bool]] = None
        """Waits where a change waits for a second person, by that answer; whether one decided. Left out, nobody waits."""

    @property
    def address(self) -> Address:
        """Of the master that was asked last."""
        return self._transport.address

    def close(self) -> None:
        self._transport.close()

    def ask(
        self,
        cls: type[T],
        path: str,
        query: Mapping[str, object] = {},
        hold_s: float = 0.0,
        only_s: Optional[float] = None,
    ) -> T:
        """A question; changes nothing. `hold_s` is how long the master may hold it. `only_s`: it is asked once, and all masters together have so
        long to answer. Raises what `errors` has for the master's answer, MasterUnavailable where none comes."""
        target = path + _query(query)
        answer_s = self._answer_s + hold_s
        if only_s is not None:
            answer_s = min(answer_s, only_s / len(self._addresses))

        def once() -> bytes:
            return self._exchange("GET", target, b"", answer_s)

        if only_s is not None:
            return self.decoded(cls, once())

        several = len(self._addresses) > 1
        return self.decoded(cls, self._again(once, min(READ_S, self._retry_s), several=several))

    def change(self, method: str, path: str, request: Any) -> bytes:
        """A change, or a question with a body: a request's wire form. Its answer, for `decoded`: a caller who
        imports what it needs for that after the call loses no time before it. Raises as `ask`, HeldError where it waits for a second person;
        sent again for a while where its answer was lost or the store did not answer."""
        body = canonical(request)

        def once() -> bytes:
            return self._exchange(method, path, body, self._answer_s)

        while True:
            try:
                return self._again(once, self._retry_s, several=True)
            except HeldError as held:
                if self.decided is None or not self.decided(held.body):
                    raise

    def _again(self, once: Callable[[], bytes], retry_s: float, *, several: bool) -> bytes:
        """Until it goes well or has gone wrong for so long. Where nothing was sent, and nobody is about to lead, there is
        nothing to wait for. `several`: an answer that was lost, or a store that is silent, is worth another try."""
        deadline = self._clock() + retry_s
        pause_s, sent = RETRY_FIRST_S, False
        while True:
            try:
                return once()
            except StaleEpoch:
                sent = True
                if self._clock() + pause_s > deadline:
                    raise
            except (MasterUnavailable, StoreUnavailable) as error:
                sent = sent or (several and not isinstance(error.__cause__, NotReachedError))
                if not sent or self._clock() + pause_s > deadline:
                    raise
            self._sleep(pause_s * (0.5 + os.urandom(1)[0] / 512))
            pause_s = min(2 * pause_s, RETRY_MOST_S)

    def decoded(self, cls: type[T], text: bytes) -> T:
        """Raises MasterUnavailable for what isn't such an answer."""
        try:
            return from_wire(cls, jsontext.loads(text), ignore_unknown=True)
        except (ValueError, InvalidInput) as error:
            raise MasterUnavailable(
                f"{self.address} gave an answer that can't be read",
                remedy="see whether a Hullmark master of this version listens there",
            ) from error

    def lines(self, cls: type[T], path: str, query: Mapping[str, object] = {}) -> Iterator[T]:
        """Values that come one by one, until the master ends the answer."""
        for line in self.raw_lines(path, query):
            yield self.decoded(cls, line)

    def raw_lines(self, path: str, query: Mapping[str, object] = {}) -> Iterator[bytes]:
        """As they come, without their ends. Raises as `ask`."""
        found: Iterator[bytes] = iter(())

        def begin() -> Answer:
            nonlocal found
            answer, found = self._transport.lines(
                path + _query(query), self._answer_s, quiet_s=self._quiet_s
            )
            return answer

        def once() -> bytes:
            return self._of_leader(begin)

        self._again(once, min(READ_S, self._retry_s), several=len(self._addresses) > 1)
        try:
            yield from found
        except (NotReachedError, LostError) as error:
            raise self._unavailable(error) from error

    def once(self, cls: type[T], path: str, request: Any) -> Iterator[T]:
        """Values that come one by one, of something that must not be done twice: sent again only where a master says
        that it does not lead, or there is no connection. Raises as `ask`."""
        found: Iterator[bytes] = iter(())

        def begin() -> Answer:
            nonlocal found
            answer, found = self._transport.lines(path, self._answer_s, "POST", canonical(request))
            return answer

        self._of_leader(begin, once=True)
        try:
            for line in found:
                if line.strip():
                    yield self.decoded(cls, line)
        except (NotReachedError, LostError) as error:
            raise self._unavailable(error) from error

    def _exchange(self, method: str, target: str, body: bytes, timeout_s: float) -> bytes:
        def once() -> Answer:
            quick_s = max(0.0, timeout_s - self._answer_s) + QUICK_S
            limit_s = timeout_s if self._patient else min(timeout_s, quick_s)
            quiet_s = self._quiet_s if method == "GET" else None
            if quiet_s is not None and QUIET_LEAST_S <= limit_s - SIGN_S < quiet_s:
                quiet_s = round(limit_s - SIGN_S, 1)  # so that there is time left to look
            return self._transport.exchange(method, target, body, limit_s, quiet_s)

        return self._of_leader(once)

    @property
    def _share_s(self) -> float:
        """How long each master has to give a sign of life, so that all that hang are found out in the time that one is given."""
        return (QUICK_S + SIGN_S) / len(self._addresses)

    @property
    def _quiet_s(self) -> float:
        """How long a question waits before it looks whether the master does anything at all."""
        return min(QUICK_S, max(QUIET_LEAST_S, self._share_s - SIGN_S))

    def _of_leader(self, exchange: Callable[[], Answer], *, once: bool = False) -> bytes:
        """The body of a good answer. A master that doesn't lead may say who does; each is asked once. Where none leads, what
        one knew last is as good as there is. Raises what the last one said, and where none said anything what came of each. `once`: what may have been done is
        not asked of another."""
        asked: set[Address] = set()
        known: Optional[Answer] = None
        trouble: Optional[HullmarkError] = None
        silent: list[str] = []
        address: Optional[Address] = self.address
        while address is not None:
            asked.add(address)
            self._go(address)
            try:
                answer = exchange()
            except (NotReachedError, LostError) as error:
                found = self._unavailable(error)
                silent.append(found.message)
                if trouble is None or not isinstance(error, NotReachedError):
                    trouble = found
                    trouble.__cause__ = error
                if once and not isinstance(error, NotReachedError):
                    raise trouble from error
                self._patient = self._patient or isinstance(error, LostError)
                address = self._next(asked)
                continue
            if answer.status == 200 and not answer.stale_s:
                return answer.body
            if answer.status == 200:
                known, knows = answer, address
                address = self._next(asked)
                continue
            if answer.status == HELD:
                raise HeldError(answer.body)
            trouble = self._error(answer)
            if answer.status not in ((421,) if once else (421, 503)):
                raise trouble
            # 503: it is cut off from the store, or from the leader. Another may not be.
            address = self._named(answer, asked) or self._next(asked)
        self._go(self._addresses[0])
        if known is not None:
            self._warn_of(known, knows)
            return known.body
        assert trouble is not None
        if len(silent) > 1 and len(silent) == len(asked):
            raise MasterUnavailable("; ".join(silent), remedy=trouble.remedy) from trouble.__cause__
        raise trouble

    def _warn_of(self, known: Answer, master: Address) -> None:
        """Once: a command that looks again and again is told already."""
        if not self._warned:
            from hullmark.cli.failure import warn  # for this only: see `change`

            warn(
                [
                    f"no master that leads was reached: {master} tells what it knew {known.stale_s} s ago"
                ]
            )
        self._warned = True

    def _go(self, address: Address) -> None:
        if address != self.address:
            self._transport.close()
            self._transport = self._to(address)

    def _to(self, address: Address) -> Transport:
        several = len(self._addresses) > 1
        return Transport(address, min(CONNECT_S, self._share_s) if several else None)

    def _next(self, asked: Collection[Address]) -> Optional[Address]:
        return next((each for each in self._addresses if each not in asked), None)

    def _named(self, answer: Answer, asked: Collection[Address]) -> Optional[Address]:
        """The leader that a master names, where this login is of use there and it was not asked yet."""
        leader = _leader_of(answer)
        if leader is None or not self.address.token:
            return None
        there = dataclasses.replace(self.address, host=leader.host, port=leader.port)
        return None if there in asked else there

    def _unavailable(self, error: OSError) -> MasterUnavailable:
        if isinstance(error, LostError):
            remedy = error.remedy or f"ask again; look at the master: {look_command('masterd')}"
            return MasterUnavailable(f"{self.address}: {error}", remedy=remedy)
        if isinstance(error, NotReachedError) and error.remedy:
            return MasterUnavailable(f"{self.address}: {error}", remedy=error.remedy)
        remedy = f"start it: {start_command('masterd')}; or name another one: --master URL"
        if self.address.token:
            remedy = "check the address and the master; or name another one: --master URL"
        return MasterUnavailable(f"no master answers at {self.address}: {error}", remedy=remedy)

    def _error(self, answer: Answer) -> HullmarkError:
        from hullmark.model.api import ErrorAnswer  # for errors only: see `change`

        try:
            told = from_wire(ErrorAnswer, jsontext.loads(answer.body), ignore_unknown=True)
        except (ValueError, InvalidInput):
            if answer.status == 421:
                return self._no_leader(answer)
            return MasterUnavailable(
                f"{self.address} answered with status {answer.status} and no explanation",
                remedy="see whether a Hullmark master listens there",
            )
        if answer.status == 401 and self.address.token_file:
            return errors.Forbidden(
                f"{self.address} does not know the login in {self.address.token_file}: {told.message}",
                remedy="on the master: hullmark login --token-file FILE, then copy FILE there",
            )
        kind = getattr(errors, told.error, None)
        if not (isinstance(kind, type) and issubclass(kind, HullmarkError)):
            kind = errors.Refused
        if issubclass(kind, InvalidInput):
            problems = [
                Problem(p.message, p.file, p.line, p.field, p.allowed) for p in told.problems
            ]
            return InvalidInput(problems or [Problem(told.message)], remedy=told.remedy)
        error: HullmarkError = kind(told.message, remedy=told.remedy)
        return error

    def _no_leader(self, answer: Answer) -> MasterUnavailable:
        leader = _leader_of(answer)
        where = f"; the leader is at {leader}" if leader is not None else ", and knows no leader"
        return MasterUnavailable(
            f"{self.address} does not lead{where}",
            remedy="ask the leader: --master URL; or again in a moment",
        )


def _leader_of(answer: Answer) -> Optional[Address]:
    """The leader's API in the answer of a master that does not lead, None where it isn't said."""
    try:
        return parse_https(str(jsontext.loads(answer.body).get("leader", "")))
    except (ValueError, AttributeError):
        return None


def _query(values: Mapping[str, object]) -> str:
    """`?name=value&...`; what is None, empty or False is left out."""
    given = {
        name: "true" if value is True else value
        for name, value in values.items()
        if value not in (None, "") and value is not False
    }
    if not given:
        return ""
    from urllib.parse import urlencode

    return "?" + urlencode(given)
