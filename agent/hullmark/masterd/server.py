"""The listeners: two ports with TLS and a Unix socket, bound before this master leads, served while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import stat
from collections.abc import Awaitable
from pathlib import Path
from typing import Callable, Optional

from aiohttp import web

from hullmark.errors import Conflict, HullmarkError, Refused
from hullmark.masterd.gate import Gate
from hullmark.pki.files import this_user

BACKLOG = 512
HANDSHAKE_S = 10.0
KEEPALIVE_S = 60.0
LINGER_S = 2.0
"""How long the rest of a body that was refused is read."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def bind_port(listen: str, key: str) -> socket.socket:
    """Listen on `ADDRESS:PORT`. `key` is the configuration's, for errors. Raises Conflict or Refused."""
    address, _, port = listen.rpartition(":")
    address = address.strip("[]")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    both = address == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            (address, int(port)), family=family, backlog=BACKLOG, dualstack_ipv6=both
        )
    except OSError as error:
        raise _cannot_listen(listen, key, port, error) from error


def _cannot_listen(listen: str, key: str, port: str, error: OSError) -> HullmarkError:
    if error.errno == errno.EADDRINUSE:
        return Conflict(
            f"{listen} is taken by another process",
            remedy=f"see who has it: ss -ltnp sport = :{port}   or set another `{key}`",
        )
    return Refused(f"can't listen on {listen}: {error.strerror}", remedy=f"set another `{key}`")


def bind_socket(path: Path, mode: int = 0o600) -> socket.socket:
    """Listen on a Unix socket. One that a dead master left is replaced. Raises Conflict or Refused."""
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _clear(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        # The mode holds from the start: nobody can connect in between.
        before = os.umask(0o777 & ~mode)
        try:
            listener.bind(str(path))
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
        finally:
            os.umask(before)
    except OSError as error:
        raise _no_socket(path, error) from error
    return listener


def _no_socket(path: Path, error: OSError) -> Refused:
    why = error.strerror or str(error)
    remedy = "set another `socket`"
    if isinstance(error, PermissionError):
        user = this_user()
        remedy = (
            f"its folder must be writable for {user}: install -d -o {user} -g {user} -m 0755 {path.parent}; "
            "or set another `socket`"
        )
    return Refused(f"can't listen on {path}: {why}", remedy=remedy)


def _clear(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise Refused(f"{path} is there, and is no socket", remedy="set another `socket`")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
                return
        raise Conflict(
            f"{path} is in use by another process",
            remedy="one master listens there; stop the other one, or set another `socket`",
        )


class Listener:
    """One of the three. `most`, `each`, `always`: of connections at a time, see `Gate`."""

    def __init__(
        self,
        name: str,
        listening: socket.socket,
        handler: Handler,
        most: int,
        context: Optional[ssl.SSLContext] = None,
        each: Optional[int] = None,
        always: frozenset[str] = frozenset(),
    ) -> None:
        self._name = name
        self._socket = listening
        self._handler = handler
        self._most = most
        self._context = context
        self._each = most if each is None else each
        self._always = always
        self._http: Optional[web.Server] = None
        self._server: Optional[asyncio.AbstractServer] = None

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    async def start(self) -> None:
        http = web.Server(
            self._handler,
            access_log=None,
            keepalive_timeout=KEEPALIVE_S,
            lingering_time=LINGER_S,
        )
        gate = Gate(http, self._name, self._most, self._each, self._always)
        loop = asyncio.get_running_loop()
        self._http = http
        if self._socket.family == socket.AF_UNIX:
            self._server = await loop.create_unix_server(gate, sock=self._socket, backlog=BACKLOG)
            return
        timeout_s = HANDSHAKE_S if self._context is not None else None
        self._server = await loop.create_server(
            gate,
            sock=self._socket,
            backlog=BACKLOG,
            ssl=self._context,
            ssl_handshake_timeout=timeout_s,
        )

    def close(self) -> None:
        """Take no new connection."""
        if self._server is not None:
            self._server.close()
        self._socket.close()

    async def stop(self, timeout_s: float) -> None:
        """End every connection; requests that are being answered have this long."""
        self.close()
        if self._http is not None:
            await self._http.shutdown(timeout_s)
