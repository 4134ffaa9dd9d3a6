"""An end to each request as a whole: `requests` only bounds the wait for the next byte, so that a master which answers a byte
at a time would be waited for without end. Old ones (2.25) don't even do that where the request's body is streamed."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Any, Optional

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

SILENT_S = 30.0
"""How long a peer may neither take nor send anything, where the request does not say."""

_PROBES = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""A machine that is no longer there is noticed after 5 s while a poll is held (tcp(7)): its kernel answers none of these."""

_of_thread = threading.local()


class _Plain(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _connected(self.sock)


class _Secure(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _connected(self.sock)


def _connected(sock: Any) -> None:
    if sock.gettimeout() is None:
        sock.settimeout(SILENT_S)
    for level, option, value in _PROBES:
        sock.setsockopt(level, option, value)
    _of_thread.socket = sock


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


def connected() -> Optional[Any]:
    """The connection that this thread's requests go by."""
    found: Optional[Any] = getattr(_of_thread, "socket", None)
    return found


def goes_by(connection: Optional[Any]) -> None:
    """This thread, which has several connections, goes on by that one."""
    _of_thread.socket = connection


class Adapter(HTTPAdapter):
    """Its connections are known to the deadlines of the thread that made them. One connection for each thread."""

    def init_poolmanager(self, *given: Any, **more: Any) -> None:
        super().init_poolmanager(*given, **more)
        pools: Any = self.poolmanager
        pools.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}


class Deadline:
    """While it is entered, this thread's connection is cut once the time is over; `passed` tells so, and `why` in words."""

    def __init__(self, after_s: float) -> None:
        self.passed = False
        self.why = f"its answer was not whole after {after_s:g} s"
        self._after_s = after_s
        self._over = threading.Event()
        self._place = _of_thread.__dict__

    def __enter__(self) -> Deadline:
        self._timer = threading.Timer(self._after_s, self._cut)
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._timer.cancel()

    def end(self, why: str) -> None:
        """Cut it now. May be called from any thread, while it is entered."""
        self.why = why
        self._cut()

    def _cut(self) -> None:
        self.passed = True
        connected: Optional[socket.socket] = self._place.get("socket")
        if connected is not None:
            with contextlib.suppress(OSError):  # it is closed already
                # Not the TLS socket's own method: that takes the session away from the thread that reads.
                socket.socket.shutdown(connected, socket.SHUT_RDWR)
