"""A master that takes its time to answer, on a port of this machine."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from types import TracebackType
from typing import Optional

DRIP_S = 0.1


class SlowMaster:
    """Says `first` to who asks first, then, where it `drips`, a byte every tenth of a second. `dripped`: how many.

    With `tls` it shakes hands `shakes_after_s` after it was called, None: never."""

    def __init__(
        self,
        first: bytes,
        *,
        drips: bool = True,
        tls: Optional[ssl.SSLContext] = None,
        shakes_after_s: Optional[float] = 0.0,
    ) -> None:
        self._first = first
        self._drips = drips
        self._tls = tls
        self._shakes_after_s = shakes_after_s
        self._over = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._socket.getsockname()[1]}"
        self.dripped = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> SlowMaster:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._over.set()
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        self._socket.settimeout(5)
        plain, _ = self._socket.accept()
        with plain, contextlib.suppress(OSError):
            if self._tls is None:
                self._answer(plain)
                return
            self._over.wait(self._shakes_after_s)
            if not self._over.is_set():
                with self._tls.wrap_socket(plain, server_side=True) as connection:
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(self._first)
        while not self._over.wait(DRIP_S):
            if self._drips:
                connection.sendall(b"x")
                self.dripped += 1
