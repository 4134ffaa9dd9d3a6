"""HTTP connections to etcd that tell what became of a request: whether a byte of it was sent, over which socket, and which
certificate the other side showed."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any, Optional

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

POOL_SIZE = 16
"""Connections to one member that are kept; more may be made."""

_of_thread = threading.local()


class _Plain(HTTPConnection):
    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        _of_thread.sent, _of_thread.socket = True, self.sock
        super().send(data)


class _Secure(HTTPSConnection):
    shown: dict[str, bytes]

    def connect(self) -> None:
        super().connect()
        shown = self.sock.getpeercert(binary_form=True)  # type: ignore[union-attr]
        self.shown[f"https://{_bracketed(self.host)}:{self.port}"] = shown or b""

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        _of_thread.sent, _of_thread.socket = True, self.sock
        super().send(data)


def _bracketed(host: str) -> str:
    return f"[{host.strip('[]')}]" if ":" in host else host


class Adapter(HTTPAdapter):
    """`shown`: by endpoint, the certificate (DER) that it showed when a connection to it was last made."""

    def __init__(self) -> None:
        self.shown: dict[str, bytes] = {}
        super().__init__(pool_connections=POOL_SIZE, pool_maxsize=POOL_SIZE)

    def init_poolmanager(self, *given: Any, **more: Any) -> None:
        super().init_poolmanager(*given, **more)
        secure = type("Secure", (_Secure,), {"shown": self.shown})
        pools: Any = self.poolmanager
        pools.pool_classes_by_scheme = {
            "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": _Plain}),
            "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
        }


class Sending:
    """What became of one request that this thread sends inside `watched`."""

    def __init__(self) -> None:
        self.socket: Optional[socket.socket] = None

    @property
    def sent(self) -> bool:
        return bool(getattr(_of_thread, "sent", False))

    def keep_socket(self) -> None:
        """So that another thread may `cut` it."""
        self.socket = getattr(_of_thread, "socket", None)

    def cut(self) -> None:
        """Whoever reads from the connection finds it at its end. From any thread."""
        if self.socket is not None:
            with contextlib.suppress(OSError):  # it is closed already
                # Not the TLS socket's own method: that takes the session away from the thread that reads.
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


def begin() -> Sending:
    """Before a request of this thread."""
    _of_thread.sent, _of_thread.socket = False, None
    return Sending()


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that led to it, the innermost last."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = [getattr(one, "reason", None), *one.args, one.__cause__, one.__context__]
        waiting += [each for each in inner if isinstance(each, BaseException)]


def is_tls_refusal(error: BaseException) -> bool:
    """The other side did not take this side's certificate, or this side not the other's: no request was looked at. With TLS
    1.3 a client hears of it only after it has sent."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        if isinstance(cause, ssl.SSLError) and "ALERT" in str(cause.reason or ""):
            return True
    return False


def words(error: BaseException) -> str:
    """The innermost reason, for people."""
    texts = []
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate: {cause.verify_message}"
        if isinstance(cause, (TimeoutError, socket.timeout)):
            return "no answer in time"
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {str(cause.reason or cause).lower().replace('_', ' ')}"
        if isinstance(cause, OSError) and cause.strerror:
            texts.append(cause.strerror.lower())
    return texts[-1] if texts else str(error)[:200]
