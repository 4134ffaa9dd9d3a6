"""A TCP relay that makes a server on loopback slow, or silent.

with Relay(registry.port, bytes_per_s=20_000) as slow:
    client.images.pull(f"{slow.host}/team/web:1")
    slow.pause()
"""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Optional


class Relay:
    """A TCP relay to a port on loopback that lets through `bytes_per_s` to each client, or nothing while paused."""

    CHUNKS_PER_S = 20

    def __init__(self, target_port: int, *, bytes_per_s: Optional[int] = None) -> None:
        self.target_port = target_port
        self.bytes_per_s = bytes_per_s
        self._open = threading.Event()
        self._open.set()
        self._ended = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.host = f"127.0.0.1:{self.port}"

    def pause(self) -> None:
        self._open.clear()

    def resume(self) -> None:
        self._open.set()

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
                server = socket.create_connection(("127.0.0.1", self.target_port))
                self._sockets += [client, server]
                for pair in ((client, server, None), (server, client, self.bytes_per_s)):
                    threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket, bytes_per_s: Optional[int]) -> None:
        size = max(1, bytes_per_s // self.CHUNKS_PER_S) if bytes_per_s else 1 << 16
        with contextlib.suppress(OSError):
            while not self._ended.is_set():
                data = source.recv(size)
                if not data:
                    break
                self._open.wait()
                sink.sendall(data)
                if bytes_per_s:
                    self._ended.wait(len(data) / bytes_per_s)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
