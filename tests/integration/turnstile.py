"""A Unix socket before an engine's own, which stops one call of its API just before it arrives, or just after it was done.

with Turnstile(engine.path, folder / "engine.sock") as engine:
    engine.stop_at(r"POST /containers/[^/]+/start", done=True)
    ...
    engine.caught.wait(20)      # the engine has started it, and its client does not know
    engine.let_go()
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Optional

_REQUEST = re.compile(rb"^([A-Z]+) (?:/v[0-9.]+)?(/[^ ?]*)")


class Turnstile:
    """A caught call's connection is cut by `let_go`: what did not arrive by then never does."""

    def __init__(self, target: Path, path: Path) -> None:
        self.socket = f"unix://{path}"
        self.caught = threading.Event()
        self._target = target
        self._pattern: Optional[re.Pattern[str]] = None
        self._done = False
        self._free = threading.Event()
        self._free.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)

    def stop_at(self, call: str, *, done: bool) -> None:
        """The next call whose method and path, without the API's version, are this."""
        self.caught.clear()
        self._free.clear()
        self._done = done
        self._pattern = re.compile(call)

    def let_go(self) -> None:
        self._pattern = None
        self._free.set()

    def __enter__(self) -> Turnstile:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.let_go()
        for each in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._target))
                self._sockets += [client, server]
                held = threading.Event()
                for way in ((client, server, held, False), (server, client, held, True)):
                    threading.Thread(target=self._copy, args=way, daemon=True).start()

    def _copy(
        self, source: socket.socket, sink: socket.socket, held: threading.Event, answers: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(1 << 16)
                if not data:
                    break
                if not answers and self._catches(data):
                    held.set()
                if held.is_set() and answers == self._done:
                    self.caught.set()
                    self._free.wait()
                    break
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _catches(self, data: bytes) -> bool:
        found = _REQUEST.match(data)
        if found is None or self._pattern is None:
            return False
        if self._pattern.fullmatch(f"{found[1].decode()} {found[2].decode()}") is None:
            return False
        self._pattern = None
        return True
