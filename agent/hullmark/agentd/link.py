"""Requests to the leader: mutual TLS, the next master when one does not answer, errors as ours."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional, TypeVar

import requests

from hullmark.agentd import enrolment
from hullmark.agentd.enrolment import Enrolment
from hullmark.errors import Forbidden, InvalidInput, MasterUnavailable, NotFound, Refused
from hullmark.model.protocol import TASKS_PATH, NotLeader
from hullmark.model.wire import canonical, from_wire, to_wire

T = TypeVar("T")

CONNECT_S = 5.0
ANSWER_MAX_BYTES = 64 << 20


class Link:
    """May be used from any thread: each has its own connections.

    `call` raises MasterUnavailable where no master answers, Forbidden where this host is refused, Refused
    for any other "no".
    """

    def __init__(self, folder: Path, enrolled: Enrolment, masters: tuple[str, ...] = ()) -> None:
        self._folder = folder
        self._masters = masters or enrolled.masters
        self._current = 0
        self._local = threading.local()

    @property
    def master(self) -> str:
        return self._masters[self._current % len(self._masters)]

    def next_master(self) -> None:
        self._current += 1

    def call(self, path: str, body: Any, answer: type[T], timeout_s: float) -> tuple[T, float]:
        """The answer, and the monotonic time from before the request was sent."""
        begin = time.monotonic()
        try:
            response = self._session().post(
                self.master + path,
                data=canonical(to_wire(body)),
                headers={"Content-Type": "application/json"},
                timeout=(CONNECT_S, timeout_s),
            )
            data = self._data(response)
        except requests.RequestException as error:
            self._forget()
            raise self._unavailable(error) from error
        return _decoded(answer, data, self.master), begin

    def send_task(self, task_id: str, lines: Iterator[bytes]) -> None:
        """Stream a task's answer. Raises as `call` does, also when the leader stops listening."""
        try:
            response = self._session().post(
                self.master + TASKS_PATH + task_id,
                data=lines,
                headers={"Content-Type": "application/x-ndjson"},
                timeout=(CONNECT_S, 30.0),
            )
            self._data(response)
        except (requests.RequestException, OSError) as error:
            self._forget()
            raise self._unavailable(error) from error

    def _session(self) -> requests.Session:
        session: Optional[requests.Session] = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False
            session.verify = str(self._folder / enrolment.ROOT)
            session.cert = (
                str(self._folder / enrolment.CERTIFICATE),
                str(self._folder / enrolment.KEY),
            )
            self._local.session = session
        return session

    def _forget(self) -> None:
        """The next request connects anew, with the certificate that is then there."""
        session: Optional[requests.Session] = getattr(self._local, "session", None)
        if session is not None:
            session.close()
            self._local.session = None

    def _data(self, response: requests.Response) -> Any:
        try:
            data = json.loads(response.content)
        except ValueError:
            data = {}
        if response.status_code == 200:
            return data
        if response.status_code == 421:
            leader = from_wire(NotLeader, data, ignore_unknown=True)
            self.next_master()
            raise MasterUnavailable(
                f"{self.master} does not lead; {leader.leader or 'nobody'} does"
            )
        message = str(data.get("message", "")) if isinstance(data, dict) else ""
        message = message or f"status {response.status_code}"
        if response.status_code in (401, 403):
            raise Forbidden(f"{self.master} refuses this host: {message}")
        if response.status_code == 404:
            raise NotFound(message)
        if response.status_code >= 500:
            raise MasterUnavailable(f"{self.master}: {message}")
        raise Refused(f"{self.master}: {message}")

    def _unavailable(self, error: Exception) -> MasterUnavailable:
        master = self.master
        self.next_master()
        cause: BaseException = error
        while cause.__cause__ or cause.__context__:
            cause = cause.__cause__ or cause.__context__ or cause
        text = str(cause) or type(cause).__name__
        remedy = f"check that a master runs at {master} and that nothing between blocks it"
        if "certificate" in text.lower():
            remedy = "check both clocks, and that the master has the certificate of this cluster"
        return MasterUnavailable(f"{master} does not answer: {text[:300]}", remedy=remedy)


def _decoded(answer: type[T], data: Any, master: str) -> T:
    try:
        return from_wire(answer, data, ignore_unknown=True)
    except InvalidInput as error:
        raise Refused(f"{master} answers with something else: {error.message[:200]}") from error
