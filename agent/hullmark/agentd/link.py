"""Requests to the leader: mutual TLS, the next master when one does not answer, errors as ours."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Callable, Optional, TypeVar

import requests

from hullmark.agentd import enrolment, pulse
from hullmark.agentd.deadline import Adapter, Deadline
from hullmark.agentd.enrolment import Enrolment
from hullmark.agentd.identity import Identity, Signature
from hullmark.agentd.masters import Masters
from hullmark.errors import Forbidden, InvalidInput, MasterUnavailable, NotFound, Refused
from hullmark.model import jsontext
from hullmark.model.protocol import TASKS_PATH, NotLeader
from hullmark.model.wire import canonical, from_wire, to_wire

T = TypeVar("T")

CONNECT_S = 5.0
AMONG_CONNECT_S = 2.0
"""The same where there is another master: one that is gone must not keep a host from the next for long."""
TASK_TIMEOUT_S = 30.0
ANSWER_S = 5.0
"""How much longer than until its first byte an answer may take in all."""
ANSWER_MAX_BYTES = 64 << 20
"""Far above the orders of a host that runs thousands of instances."""


class Leaderless(MasterUnavailable):
    """A master answers, and can't lead now, or does not: another may in a moment."""


class Elsewhere(Leaderless):
    """A master said who leads, and that one is called next."""


class Link:
    """May be used from any thread: each has its own connection. A changed identity is used from the next request on.

    `call` raises MasterUnavailable where no master answers, Forbidden where this host is refused, BrokenState
    while the host's own files can't be used, Refused for any other "no". A master that answers nothing is left by all
    threads at once: what others wait for there is cut.
    """

    def __init__(self, identity: Identity, masters: tuple[str, ...] = ()) -> None:
        self._identity = identity
        self._masters = Masters(identity.folder, masters, lambda: identity.usable()[0])
        self._local = threading.local()
        self._troubles: dict[str, str] = {}
        self._lock = threading.Lock()
        self._waiting: dict[Deadline, str] = {}

    @property
    def number(self) -> int:
        """Of the masters' URLs that are known. Raises BrokenState."""
        return len(self._masters.all())

    def urls(self) -> tuple[str, ...]:
        """Of all masters that are known, the preferred ones first. Raises BrokenState."""
        return self._masters.all()

    def learn(self, masters: Sequence[str]) -> None:
        """What the leader says of all masters; none where it doesn't say. Raises BrokenState."""
        self._masters.learn(masters)

    def call(self, path: str, body: Any, answer: type[T], timeout_s: float) -> tuple[T, float]:
        """The answer, and the monotonic time from before the request was sent. What failed because the certificate
        was renewed meanwhile is asked once more, with the new one: it was refused, or the old one's file was gone."""
        signature = self._identity.usable()[1]
        try:
            return self._call(path, body, answer, timeout_s)
        except (Forbidden, MasterUnavailable):
            if signature == self._identity.usable()[1]:
                raise
            return self._call(path, body, answer, timeout_s)

    def _call(self, path: str, body: Any, answer: type[T], timeout_s: float) -> tuple[T, float]:
        master, session = self._session()
        begin = time.monotonic()
        connect_s = self._connect_s()
        deadline = Deadline(connect_s + timeout_s + ANSWER_S)
        try:
            with pulse.elsewhere(), self._waits(master, deadline), deadline:
                response = session.post(
                    master + path,
                    data=canonical(to_wire(body)),
                    headers={"Content-Type": "application/json"},
                    timeout=(connect_s, timeout_s),
                    allow_redirects=False,
                    stream=True,
                )
                content = bounded(response)
            if deadline.passed:  # a head that was cut reads like a whole one
                raise requests.Timeout("cut")
        except (requests.RequestException, OSError) as error:
            self._forget()
            if deadline.passed:
                raise self._unavailable(master, requests.Timeout(deadline.why)) from error
            raise self._unavailable(master, error) from error
        data = self._data(master, response, content)
        self._masters.answered(master)
        self._troubles.clear()
        return decoded(answer, data, master), begin

    def send_task(self, task_id: str, lines: Iterator[bytes]) -> None:
        """Stream a task's answer. Raises as `call` does, also when the leader stops listening. The lines may take any
        time; what the leader answers after them may not."""
        master, session = self._session()
        deadline = Deadline(TASK_TIMEOUT_S + ANSWER_S)
        try:
            with self._waits(master, deadline), contextlib.ExitStack() as ending:
                response = session.post(
                    f"{master}{TASKS_PATH}{task_id}",
                    data=_then(lines, lambda: ending.enter_context(deadline)),
                    headers={"Content-Type": "application/x-ndjson"},
                    timeout=(self._connect_s(), TASK_TIMEOUT_S),
                    allow_redirects=False,
                    stream=True,
                )
                content = bounded(response)
            if deadline.passed:
                raise requests.Timeout("its answer was not whole in time")
        except (requests.RequestException, OSError) as error:
            raise MasterUnavailable(f"{master} stopped listening: {reason(error)}") from error
        finally:
            self._forget()
        self._data(master, response, content)

    def next_master(self) -> None:
        """The one that answers is not believed. Raises BrokenState."""
        self._masters.leave(self._masters.current())

    def _connect_s(self) -> float:
        return AMONG_CONNECT_S if self.number > 1 else CONNECT_S

    @contextlib.contextmanager
    def _waits(self, master: str, deadline: Deadline) -> Iterator[None]:
        """Meanwhile this call is cut where another thread finds that the master is silent."""
        with self._lock:
            self._waiting[deadline] = master
        try:
            yield
        finally:
            with self._lock:
                del self._waiting[deadline]

    def _give_up(self, master: str) -> None:
        """It answers nothing."""
        if self.number == 1:
            return
        self._masters.leave(master, silent=True)
        with self._lock:
            for one, to in self._waiting.items():
                if to == master:
                    one.end("it did not answer another question of this host either")

    def _session(self) -> tuple[str, requests.Session]:
        enrolled, signature = self._identity.usable()
        master = self._masters.current()
        known: tuple[Signature, Optional[requests.Session]]
        known = getattr(self._local, "session", ((), None))
        if known[1] is not None and known[0] == signature:
            return master, known[1]
        self._forget()
        session = session_of(self._identity.folder, enrolled)
        self._local.session = signature, session
        return master, session

    def _forget(self) -> None:
        """The next request of this thread connects anew."""
        _, session = getattr(self._local, "session", ((), None))
        if session is not None:
            session.close()
            self._local.session = (), None

    def _data(self, master: str, response: requests.Response, content: bytes) -> Any:
        try:
            data = jsontext.loads(content)
        except ValueError:
            data = {}
        if response.status_code == 200:
            return data
        said = data if isinstance(data, dict) else {}
        if response.status_code == 421:
            told = decoded(NotLeader, said, master)
            text = f"{master} does not lead; {told.leader or 'nobody'} does"
            named = self._masters.follow(master, f"https://{told.address}" if told.address else "")
            raise Elsewhere(text) if named else Leaderless(text)
        message = str(said.get("message") or f"status {response.status_code}")
        remedy = str(said.get("remedy") or "")
        if response.status_code in (401, 403):
            raise Forbidden(f"{master} refuses this host: {message}", remedy=remedy)
        if response.status_code == 404:
            raise NotFound(f"{master}: {message}", remedy=remedy)
        if response.status_code >= 500:
            self._masters.leave(master)
            kind = Leaderless if response.status_code == 503 else MasterUnavailable
            raise kind(f"{master}: {message}", remedy=remedy)
        raise Refused(f"{master}: {message}", remedy=remedy)

    def _unavailable(self, master: str, error: Exception) -> MasterUnavailable:
        """Names every master that was tried since one answered last, so that the text stays the same."""
        self._give_up(master)
        text = reason(error)
        self._troubles[master] = text
        remedy = f"check that a master runs at {master} and that nothing between blocks it"
        if "certificate" in text.lower():
            remedy = "check both clocks, and that the master has the certificate of this cluster"
        each = "; ".join(f"{one}: {why}" for one, why in sorted(self._troubles.items()))
        return MasterUnavailable(f"no master answers: {each}", remedy=remedy)


def session_of(folder: Path, enrolled: Enrolment) -> requests.Session:
    """With this host's certificate; it takes a master's only by the cluster's root."""
    session = requests.Session()
    session.trust_env = False
    for scheme in ("https://", "http://"):
        session.mount(scheme, Adapter())
    session.verify = str(folder / enrolment.ROOT)
    session.cert = str(folder / enrolled.certificate_name), str(folder / enrolled.key_name)
    return session


def _then(lines: Iterator[bytes], after: Callable[[], object]) -> Iterator[bytes]:
    """The lines; `after` is called once the last of them was taken."""
    yield from lines
    after()


def bounded(response: requests.Response) -> bytes:
    """The body, if it has a size that an answer may have. Raises ConnectionError of `requests`."""
    parts, size = [], 0
    for part in response.iter_content(65536):
        parts.append(part)
        size += len(part)
        if size > ANSWER_MAX_BYTES:
            response.close()
            raise requests.ConnectionError(f"its answer has more than {ANSWER_MAX_BYTES} bytes")
    return b"".join(parts)


def reason(error: BaseException) -> str:
    """The reason at the bottom of a chain of wrapped errors."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return (str(error) or type(error).__name__)[:300]


def decoded(answer: type[T], data: Any, master: str) -> T:
    """Raises Refused."""
    try:
        return from_wire(answer, data, ignore_unknown=True)
    except InvalidInput as error:
        raise Refused(f"{master} answers with something else: {error.message[:200]}") from error
