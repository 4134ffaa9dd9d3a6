"""Requests to etcd's JSON gateway: several members with failover, mutual TLS, a password token, and what each failure means.

A read goes on to the next member whenever one does not answer it. What writes goes on only where the member surely did
nothing; else it is OutcomeUnknown. Whichever member answered last is asked first.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

import requests

from hullmark.errors import Forbidden, HullmarkError, OutcomeUnknown, Refused, StoreUnavailable
from hullmark.store import connection, dialect
from hullmark.store.dialect import Verdict

CONNECT_S = 1.0
ANSWER_S = 2.5
"""How long a member may take for one answer. Shorter than the time in which a leader has to hear of its pulse."""

SHUNNED_S = 5.0
"""For how long a member that did not answer is asked last."""

SLOW_S = 0.9
"""A member that keeps a request waiting for longer is asked last by others meanwhile."""

_UNAVAILABLE = (
    "check that etcd runs on its machines and that they hear each other: etcdctl endpoint health"
)


@dataclass(frozen=True)
class Access:
    """`password` is called for each new token; it may raise a HullmarkError. Without `user` there is none."""

    endpoints: tuple[str, ...]
    ca: str = ""
    cert: str = ""
    key: str = ""
    user: str = ""
    password: Callable[[], str] = field(default=str, repr=False)


class NoAnswer(Exception):
    """One member gave no answer that tells anything. `sent` False: it was not even asked."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


class Rejected(Exception):
    """etcd's "no", with what it means."""

    def __init__(self, verdict: Verdict, message: str) -> None:
        super().__init__(message)
        self.verdict = verdict
        self.message = message


class Stream:
    """The messages of a watch as they come. `cut` ends it from another thread."""

    def __init__(self, answer: requests.Response, sending: connection.Sending) -> None:
        self._answer = answer
        self.cut = sending.cut

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """Raises NoAnswer where it breaks, is silent for its time-out or says what is no JSON."""
        rest = b""
        try:
            for chunk in self._answer.iter_content(chunk_size=None):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield json.loads(line)
        except (requests.RequestException, OSError, ValueError) as error:
            raise NoAnswer(connection.words(error), sent=True) from error


class Gateway:
    """From any thread."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._order = list(access.endpoints)
        self._shunned: dict[str, float] = {}
        self._waiting: dict[object, tuple[str, float]] = {}
        self._token = ""
        self._lock = threading.Lock()
        self._login = threading.Lock()
        self._no_login: dict[str, tuple[float, NoAnswer]] = {}
        """By endpoint: when the last login there was not answered, and why."""
        self._closed = False
        self.unguarded = False
        """etcd asks nobody for a password, although there is a user."""
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment is not for the store
        self._session.verify = access.ca or True
        self._session.cert = (access.cert, access.key) if access.cert else None
        self._adapter = connection.Adapter()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)

    def shown(self, endpoint: str) -> bytes:
        """The certificate (DER) that a member showed last; empty: none yet."""
        return self._adapter.shown.get(endpoint, b"")

    def close(self) -> None:
        """Every later call raises StoreUnavailable."""
        self._closed = True
        self._session.close()

    def read(self, path: str, body: Mapping[str, Any], within_s: float = ANSWER_S) -> Any:
        """The answer of the first member that gives one. Raises Rejected, Forbidden or StoreUnavailable."""
        return self._ask_round(path, body, within_s, writes=False)

    def write(self, path: str, body: Mapping[str, Any], within_s: float = ANSWER_S) -> Any:
        """As `read`, and OutcomeUnknown where it was sent and no answer tells what became of it."""
        return self._ask_round(path, body, within_s, writes=True)

    def ask(self, endpoint: str, path: str, body: Mapping[str, Any], within_s: float) -> Any:
        """One member only, without a token, as for its own status. Raises NoAnswer or Rejected."""
        return self._answer(endpoint, path, body, within_s, token="")

    def figure(self, endpoint: str, name: str, within_s: float) -> Optional[float]:
        """One of the figures that a member publishes for monitoring; None where it doesn't, or not here."""
        try:
            answer = self._session.get(
                endpoint + "/metrics", timeout=(CONNECT_S, within_s), allow_redirects=False
            )
            for line in answer.text.splitlines():
                if line.startswith(name + " "):
                    return float(line.split()[1])
        except (requests.RequestException, OSError, ValueError):
            return None
        return None

    @contextmanager
    def watch(self, body: Mapping[str, Any], silent_s: float) -> Iterator[Stream]:
        """A stream from the member that answered last; it breaks after `silent_s` without a word. Raises NoAnswer
        or Rejected, and StoreUnavailable or Forbidden where there is no token."""
        endpoint = self._candidates()[0]
        token = self._token_for(endpoint)
        answer, sending = self._post(endpoint, "/v3/watch", body, silent_s, token, stream=True)
        sending.keep_socket()
        with answer:
            if answer.status_code != requests.codes.ok:
                raise _rejected(answer)
            try:
                yield Stream(answer, sending)
            except NoAnswer:
                self._shun(endpoint)
                raise

    def forget_token(self, token: str) -> None:
        """So that the next request fetches another. One that is not in use any more is forgotten already."""
        with self._lock:
            if self._token == token:
                self._token = ""

    @property
    def token(self) -> str:
        return self._token

    def _ask_round(
        self, path: str, body: Mapping[str, Any], within_s: float, *, writes: bool
    ) -> Any:
        failures = []
        for endpoint in self._candidates():
            try:
                with self._waits(endpoint):
                    answer = self._ask(endpoint, path, body, within_s)
            except NoAnswer as error:
                self._shun(endpoint)
                if writes and error.sent:
                    raise OutcomeUnknown(
                        f"etcd at {endpoint} did not say what became of a transaction: {error.reason}",
                        remedy=_UNAVAILABLE,
                    ) from error
                failures.append(f"{endpoint}: {error.reason}")
            except Rejected as error:
                if error.verdict is not Verdict.FULL:
                    raise
                raise _full(error, writes=writes) from error
            else:
                self._prefer(endpoint)
                return answer
        raise StoreUnavailable(f"etcd does not answer: {'; '.join(failures)}", remedy=_UNAVAILABLE)

    def _ask(self, endpoint: str, path: str, body: Mapping[str, Any], within_s: float) -> Any:
        """One member, with a token, and with another where that one is not taken."""
        for _ in range(2):
            token = self._token_for(endpoint)
            try:
                return self._answer(endpoint, path, body, within_s, token)
            except Rejected as error:
                if error.verdict is Verdict.ELSEWHERE:
                    raise NoAnswer(error.message, sent=False) from error
                if error.verdict is Verdict.UNKNOWN:
                    raise NoAnswer(error.message, sent=True) from error
                if error.verdict is not Verdict.LOGIN:
                    raise _told(error) from error
                self.forget_token(token)
        raise NoAnswer("it takes no token", sent=False)

    def _token_for(self, endpoint: str) -> str:
        """Raises NoAnswer (not sent), or Forbidden where the password is wrong. Whoever waited for another's login there, which was not
        answered, doesn't try again: while no quorum is left, all would wait for each other."""
        if not self.access.user:
            return ""
        asked_at = time.monotonic()
        with self._login:
            if not self._token and not self.unguarded:
                failed_at, error = self._no_login.get(endpoint, (-math.inf, None))
                if error is not None and failed_at >= asked_at:
                    raise NoAnswer(error.reason, sent=False)
                try:
                    self._token = self._authenticate(endpoint)
                except NoAnswer as failed:
                    self._no_login[endpoint] = time.monotonic(), failed
                    raise
            return self._token

    def _authenticate(self, endpoint: str) -> str:
        try:
            body = {"name": self.access.user, "password": self.access.password()}
        except HullmarkError as error:
            raise StoreUnavailable(
                f"etcd's password can't be had: {error.message}", remedy=error.remedy
            ) from error
        try:
            answer = self._answer(endpoint, "/v3/auth/authenticate", body, ANSWER_S, token="")
        except NoAnswer as error:
            raise NoAnswer(error.reason, sent=False) from error
        except Rejected as error:
            if error.verdict is Verdict.UNGUARDED:
                self.unguarded = True
                return ""
            if error.verdict in (Verdict.UNKNOWN, Verdict.ELSEWHERE):
                raise NoAnswer(error.message, sent=False) from error
            raise _told(error) from error
        return str(answer.get("token", ""))

    def _answer(
        self, endpoint: str, path: str, body: Mapping[str, Any], within_s: float, token: str
    ) -> Any:
        answer, _ = self._post(endpoint, path, body, within_s, token)
        if answer.status_code != requests.codes.ok:
            raise _rejected(answer)
        try:
            return answer.json()
        except ValueError as error:
            raise NoAnswer("its answer is no JSON", sent=True) from error

    def _post(
        self,
        endpoint: str,
        path: str,
        body: Mapping[str, Any],
        within_s: float,
        token: str,
        *,
        stream: bool = False,
    ) -> tuple[requests.Response, connection.Sending]:
        if self._closed:
            raise StoreUnavailable("the store was closed")
        sending = connection.begin()
        try:
            answer = self._session.post(
                endpoint + path,
                data=json.dumps(body).encode(),
                headers={"Authorization": token} if token else {},
                timeout=(CONNECT_S, within_s),
                stream=stream,
                allow_redirects=False,
            )
        except (requests.RequestException, OSError, ValueError) as error:
            taken = sending.sent and not connection.is_tls_refusal(error)
            raise NoAnswer(connection.words(error), sent=taken) from error
        return answer, sending

    @contextmanager
    def _waits(self, endpoint: str) -> Iterator[None]:
        """A request is under way there."""
        request = object()
        with self._lock:
            self._waiting[request] = endpoint, time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                del self._waiting[request]

    def _candidates(self) -> list[str]:
        """The one that answered last first; those that did not answer lately, or keep somebody waiting now, last."""
        now = time.monotonic()
        with self._lock:
            last = {one for one, began in self._waiting.values() if now - began > SLOW_S}
            last.update(one for one, until in self._shunned.items() if until > now)
            return sorted(self._order, key=lambda one: one in last)

    def _prefer(self, endpoint: str) -> None:
        with self._lock:
            self._shunned.pop(endpoint, None)
            if self._order[0] != endpoint:
                self._order.remove(endpoint)
                self._order.insert(0, endpoint)

    def _shun(self, endpoint: str) -> None:
        with self._lock:
            self._shunned[endpoint] = time.monotonic() + SHUNNED_S
            self._order.remove(endpoint)
            self._order.append(endpoint)


def _rejected(answer: requests.Response) -> Rejected:
    """From what is no success, in any of the forms that etcd has."""
    try:
        document = answer.json()
    except ValueError:
        document = answer.text[:200].strip()
    code, message = dialect.said(document) if isinstance(document, Mapping) else (0, str(document))
    return Rejected(dialect.verdict(code, message), message or f"HTTP {answer.status_code}")


def _told(error: Rejected) -> Exception:
    """For whoever called: what is about the request stays Rejected."""
    if error.verdict is Verdict.FORBIDDEN:
        return Forbidden(
            f"etcd refuses: {error.message}",
            remedy=dialect.remedy(error.message),
        )
    if error.verdict is Verdict.REFUSED:
        return Refused(f"etcd refuses: {error.message}")
    return error


def _full(error: Rejected, *, writes: bool) -> StoreUnavailable:
    """The transaction that passes the quota may happen, and is answered as each one after it, which does not."""
    kind = OutcomeUnknown if writes else StoreUnavailable
    return kind(f"etcd is full: {error.message}", remedy=dialect.remedy(error.message))
