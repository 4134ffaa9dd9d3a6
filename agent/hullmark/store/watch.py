"""The changes of one etcd, kept from a watch stream that is resumed after each break.

One stream follows all keys of a scope, so that each change to any of them tells how far all of them are known. Kept are
the latest changes, from `base` (not included) to `seen`, without a gap; whoever asks for older ones makes the stream begin
there again. A stream that says nothing for SILENT_S is taken for dead and resumed, at the next member where there is one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Callable, Optional

from hullmark.errors import Forbidden, HullmarkError, Refused, StoreUnavailable
from hullmark.store import dialect
from hullmark.store.dialect import Verdict
from hullmark.store.gateway import Gateway, NoAnswer, Rejected, Stream
from hullmark.store.protocol import Change, Changes, Compacted

SILENT_S = 2.5
"""More than lies between two things that a pair writes, and less than the time after which a standby takes over: where the member
that it followed was lost together with the leader, another one is asked by then."""

CATCH_UP_S = 2.0
"""How long is waited for the stream to get to the revision that the store has."""

AGAIN_S = 0.25
"""Between a failure and the next try, unless somebody asks."""

SHORT_STREAMS = 3
"""So many that broke at once, one after the other, are a failure."""

KEPT_CHANGES = 4096
KEPT_BYTES = 8 << 20


class Watch:
    """`revision` gives the store's own, confirmed by a quorum; it raises as the store does."""

    def __init__(self, gateway: Gateway, scope: str, revision: Callable[[], int]) -> None:
        self._gateway = gateway
        self._scope = scope
        self._revision = revision
        self._state = threading.Condition()
        self._kept: deque[Change] = deque()
        self._kept_bytes = 0
        self._base = self._seen = -1
        """-1: no stream is wanted."""
        self._course = 0
        """Counts up when the stream has to begin elsewhere."""
        self._compacted = 0
        self._failure: Optional[HullmarkError] = None
        self._tries = 0
        self._stream: Optional[Stream] = None
        self._thread: Optional[threading.Thread] = None
        self._closed = False

    def changes(self, prefix: str, after: int, wait_s: float) -> Changes:
        """As Store.changes. A failure of the stream is raised to whoever waits while it happens."""
        deadline = time.monotonic() + wait_s
        found = self._wait(prefix, after, deadline, 0)
        if found is None:
            current = self._revision()
            found = self._wait(prefix, after, time.monotonic() + CATCH_UP_S, current)
        return found or Changes((), max(after, self._seen))

    def forget(self, revision: int) -> None:
        """The store was compacted up to there."""
        with self._state:
            self._compacted = max(self._compacted, revision)

    def close(self) -> None:
        with self._state:
            self._closed = True
            if self._stream is not None:
                self._stream.cut()
            self._state.notify_all()

    def _wait(self, prefix: str, after: int, deadline: float, upto: int) -> Optional[Changes]:
        """Until there is a change, or nothing and `upto` (if not 0) is reached. None: not in time."""
        self._follow_from(after)
        with self._state:
            tries = self._tries
            while True:
                self._check(after, tries)
                if self._seen == -1:  # what it followed was compacted away; `after` was not
                    self._begin(after)
                found = tuple(
                    change
                    for change in self._kept
                    if change.revision > after and change.key.startswith(prefix)
                )
                if found or 0 < upto <= self._seen:
                    return Changes(found, max(after, self._seen))
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return None
                self._state.wait(left_s)

    def _check(self, after: int, tries: int) -> None:
        if self._closed:
            raise StoreUnavailable("the store was closed")
        if after < self._compacted:
            raise Compacted(f"changes up to {self._compacted} are gone")
        if after < self._base:  # more came at once than is kept, while this one waited
            raise Compacted(f"changes up to {self._base} are not kept any more")
        if self._failure is not None and self._tries > tries:
            raise _again(self._failure)

    def _follow_from(self, after: int) -> None:
        """Have a stream that gives what came after that revision."""
        if 0 <= self._base <= after:
            return
        begin = min(after, self._revision())
        with self._state:
            if self._seen == -1 or begin < self._base:
                self._begin(begin)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="etcd-watch", daemon=True)
                self._thread.start()

    def _begin(self, after: int) -> None:
        """With the state held."""
        self._base = self._seen = after
        self._kept.clear()
        self._kept_bytes = 0
        self._course += 1
        if self._stream is not None:
            self._stream.cut()
        self._state.notify_all()

    def _run(self) -> None:
        """The stream's own thread."""
        short = 0
        while True:
            with self._state:
                while self._seen == -1 and not self._closed:
                    self._state.wait()
                if self._closed:
                    return
                course, after = self._course, self._seen
            began = time.monotonic()
            failure, broke = self._try(course, after)
            short = short + 1 if broke and time.monotonic() - began < AGAIN_S else 0
            with self._state:
                if course != self._course:
                    continue
                if failure is not None and not (broke and short < SHORT_STREAMS):
                    self._failure = failure
                    self._tries += 1
                    self._state.notify_all()
                if failure is not None and (short or not broke):
                    self._state.wait(AGAIN_S)

    def _try(self, course: int, after: int) -> tuple[Optional[HullmarkError], bool]:
        """One stream, to its end: why it ended, and whether it only broke, so that the next may go on."""
        try:
            self._revision()  # and so by a member that is part of a quorum
            self._follow(course, after)
        except (Refused, StoreUnavailable) as error:
            return error, False
        except (NoAnswer, Rejected, Compacted) as error:
            return StoreUnavailable(f"etcd's changes can't be followed: {error}"), True
        return None, True

    def _follow(self, course: int, after: int) -> None:
        token = self._gateway.token
        request = {**dialect.prefix_range(self._scope), "start_revision": str(max(after, 0) + 1)}
        with self._gateway.watch({"create_request": request}, SILENT_S) as stream:
            with self._state:
                if course != self._course or self._closed:
                    return
                self._stream = stream
            try:
                self._take_all(course, after, stream, token)
            finally:
                self._stream = None

    def _take_all(self, course: int, after: int, stream: Stream, token: str) -> None:
        behind_until = 0
        for message in stream:
            result = message.get("result")
            if result is None:
                code, words = dialect.said(message)
                raise Rejected(dialect.verdict(code, words), words)
            if result.get("canceled"):
                self._cancelled(course, result, token)
                return
            if result.get("created"):
                behind_until = dialect.revision_of(result)
                self._began(course)
            events = result.get("events", ())
            if events and after < behind_until:
                self._check_kept(course, after)
            if events and not self._take(course, events):
                return
            after = max(after, self._seen)

    def _began(self, course: int) -> None:
        with self._state:
            if course == self._course:
                self._failure = None

    def _take(self, course: int, events: list[Mapping[str, Any]]) -> bool:
        """Keep what came; False: the stream has to begin elsewhere."""
        changes = sorted(map(dialect.change_of, events), key=lambda one: (one.revision, one.key))
        with self._state:
            if course != self._course or self._closed:
                return False
            self._kept.extend(changes)
            self._kept_bytes += sum(map(_size, changes))
            self._seen = max(self._seen, changes[-1].revision)
            while len(self._kept) > KEPT_CHANGES or self._kept_bytes > KEPT_BYTES:
                self._drop_oldest()
            self._state.notify_all()
        return True

    def _drop_oldest(self) -> None:
        """All of the oldest revision."""
        self._base = self._kept[0].revision
        while self._kept and self._kept[0].revision == self._base:
            self._kept_bytes -= _size(self._kept.popleft())

    def _check_kept(self, course: int, after: int) -> None:
        """What comes from the past is whole only if nothing of it was compacted: etcd says so by itself except where the
        first revision asked for is the very one up to which it was compacted, and a deletion there is gone."""
        key = dialect.encoded((self._scope or "/").encode())
        body = {"key": key, "count_only": True, "revision": str(max(after, 1))}
        try:
            self._gateway.read("/v3/kv/range", body)
        except Rejected as error:
            if error.verdict is not Verdict.COMPACTED:
                raise
            self._lost(course, after + 1)
            raise

    def _cancelled(self, course: int, result: Mapping[str, Any], token: str) -> None:
        compacted = int(result.get("compact_revision", 0))
        if compacted:
            self._lost(course, compacted)
            return
        reason = str(result.get("cancel_reason", ""))
        meaning = dialect.verdict(0, reason)
        if meaning is Verdict.LOGIN:
            self._gateway.forget_token(token)
        elif meaning is Verdict.FORBIDDEN:
            raise Forbidden(f"etcd refuses: {reason}", remedy=dialect.remedy(reason))
        raise Rejected(meaning, reason or "it ended the watch")

    def _lost(self, course: int, compacted: int) -> None:
        """What the stream was to begin with is gone; who asks for later changes makes it begin there."""
        with self._state:
            self._compacted = max(self._compacted, compacted)
            if course == self._course:
                self._base = self._seen = -1
                self._kept.clear()
                self._kept_bytes = 0
                self._course += 1
            self._state.notify_all()


def _size(change: Change) -> int:
    return len(change.key) + len(change.value or b"")


def _again(failure: HullmarkError) -> HullmarkError:
    """One for each who waits: an exception that several threads raise would gather all their traces."""
    return type(failure)(failure.message, remedy=failure.remedy)
