"""A TCP relay that makes a server slow, or silent, or lets its answers get lost.

with Relay(registry.port, bytes_per_s=20_000) as slow:
    client.images.pull(f"{slow.host}/team/web:1")
    slow.pause()
"""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Optional, Union


class Relay:
    """A relay to a port on loopback, or to a Unix socket, that lets through `bytes_per_s` to each client, or nothing
    while paused."""

    CHUNKS_PER_S = 20

    def __init__(self, target: Union[int, str], *, bytes_per_s: Optional[int] = None) -> None:
        self.target = target
        self.bytes_per_s = bytes_per_s
        self._open = threading.Event()
        self._open.set()
        self._ended = threading.Event()
        self._losing = threading.Event()
        self._sockets: list[socket.socket] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.host = f"127.0.0.1:{self.port}"

    def pause(self) -> None:
        self._open.clear()

    def resume(self) -> None:
        self._open.set()

    def lose_answers(self, losing: bool = True) -> None:
        """Requests get through; a connection is cut when its next answer begins."""
        (self._losing.set if losing else self._losing.clear)()

    def __enter__(self) -> Relay:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._ended.set()
        self._open.set()
        for each in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                server = self._connect()
                self._sockets += [client, server]
                for way in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._copy, args=way, daemon=True).start()

    def _connect(self) -> socket.socket:
        if isinstance(self.target, int):
            return socket.create_connection(("127.0.0.1", self.target))
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.target)
        return server

    def _copy(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        rate = self.bytes_per_s if answers else None
        size = max(1, rate // self.CHUNKS_PER_S) if rate else 1 << 16
        with contextlib.suppress(OSError):
            while not self._ended.is_set():
                data = source.recv(size)
                if not data or (answers and self._losing.is_set()):
                    break
                self._open.wait()
                sink.sendall(data)
                if rate:
                    self._ended.wait(len(data) / rate)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
