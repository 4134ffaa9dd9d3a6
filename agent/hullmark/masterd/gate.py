"""The gate in front of a listener's connections: how many there may be, and how long a silent one may stay.

aiohttp waits for the first request of a connection without end. So its protocol is wrapped: a connection whose
first request has no complete header after `HEADER_S`, or a later one's has none so long after its first byte, is
closed, and so is one too many. Only asyncio's public interface of a protocol is used, which is the same in all
versions.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from typing import Callable, Optional

from aiohttp import web

from hullmark import log

HEADER_S = 10.0

_CREDENTIALS = struct.Struct("iII")
"""struct ucred of unix(7): process, user, group."""

_log = log.get("gate")


class Gate:
    """A protocol factory. `most` is the number of connections at a time, `each` that of one source: an address, or
    a user on a Unix socket. Those of `always` are counted by themselves, so that others can't keep them out."""

    def __init__(
        self,
        inner: Callable[[], asyncio.Protocol],
        name: str,
        most: int,
        each: int,
        always: frozenset[str] = frozenset(),
    ) -> None:
        self._inner = inner
        self._name = name
        self._most = most
        self._each = each
        self._always = always
        self._inside: Counter[str] = Counter()
        self._told = False

    def __call__(self) -> asyncio.Protocol:
        return _Guarded(self, self._inner())

    def enter(self, address: str) -> bool:
        if self._has_room(address):
            self._inside[address] += 1
            return True
        if not self._told:
            _log.warning(
                "too many connections", listener=self._name, most=self._most, address=address
            )
        self._told = True
        return False

    def _has_room(self, address: str) -> bool:
        if address in self._always:
            return self._inside[address] < self._most
        total = sum(count for each, count in self._inside.items() if each not in self._always)
        return total < self._most and self._inside[address] < self._each

    def leave(self, address: str) -> None:
        self._inside[address] -= 1
        if not self._inside[address]:
            del self._inside[address]
            self._told = False


class _Guarded(asyncio.Protocol):
    """Forwards everything to aiohttp's protocol."""

    def __init__(self, gate: Gate, inner: asyncio.Protocol) -> None:
        self._gate = gate
        self._inner = inner
        self._let_in = False
        self._address = ""
        self._timer: Optional[asyncio.TimerHandle] = None
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._address = _source(transport)
        if not self._gate.enter(self._address):
            transport.abort()
            return
        self._let_in = True
        self._wait_for_header()
        self._inner.connection_made(transport)

    def _wait_for_header(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(HEADER_S, self._transport.abort)

    def request_came(self) -> None:
        """A request's header is complete: what comes now is its body."""
        self._busy = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def request_over(self) -> None:
        """What comes now is the next request's header."""
        self._busy = False

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self.request_came()
        if self._let_in:
            self._let_in = False
            self._gate.leave(self._address)
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._let_in:
            return
        if not self._busy and self._timer is None:
            self._wait_for_header()
        self._inner.data_received(data)

    def eof_received(self) -> Optional[bool]:
        return self._inner.eof_received() if self._let_in else None

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


def _source(transport: asyncio.Transport) -> str:
    """Who is counted: an address; on a Unix socket a user."""
    peer = transport.get_extra_info("peername")
    if isinstance(peer, tuple):
        return str(peer[0])
    connection = transport.get_extra_info("socket")
    if connection is None or connection.family != socket.AF_UNIX:
        return ""
    return f"uid {peer_of(connection)[1]}"


def peer_of(connection: socket.socket) -> tuple[int, int, int]:
    """Process, user and group of who connected to a Unix socket, by the kernel (SO_PEERCRED, unix(7))."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(raw)
    return pid, uid, gid


def request_came(request: web.BaseRequest) -> None:
    """Tell the gate that a connection brought a request."""
    guarded = _guarded(request)
    if guarded is not None:
        guarded.request_came()


def request_over(request: web.BaseRequest) -> None:
    """Tell the gate that the request has its answer."""
    guarded = _guarded(request)
    if guarded is not None:
        guarded.request_over()


def _guarded(request: web.BaseRequest) -> Optional[_Guarded]:
    transport = request.transport
    protocol = None if transport is None else transport.get_protocol()
    return protocol if isinstance(protocol, _Guarded) else None
