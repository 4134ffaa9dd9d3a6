"""The gate in front of a listener's connections: how many there may be, and how long a silent one may stay.

aiohttp waits for the first request of a connection without end. So its protocol is wrapped: a connection whose
first request has no complete header after `HEADER_S` is closed, and so is one too many. Only asyncio's public
interface of a protocol is used, which is the same in all versions.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Callable, Optional

from aiohttp import web

from hullmark import log

HEADER_S = 10.0

_log = log.get("gate")


class Gate:
    """A protocol factory. `most` is the number of connections at a time, `each` that of one address."""

    def __init__(
        self, inner: Callable[[], asyncio.Protocol], name: str, most: int, each: int
    ) -> None:
        self._inner = inner
        self._name = name
        self._most = most
        self._each = each
        self._inside: Counter[str] = Counter()
        self._told = False

    def __call__(self) -> asyncio.Protocol:
        return _Guarded(self, self._inner())

    def enter(self, address: str) -> bool:
        total = sum(self._inside.values())
        if total < self._most and self._inside[address] < self._each:
            self._inside[address] += 1
            return True
        if not self._told:
            _log.warning(
                "too many connections", listener=self._name, most=self._most, address=address
            )
        self._told = True
        return False

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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if isinstance(peer, tuple) else ""
        if not self._gate.enter(self._address):
            transport.abort()
            return
        self._let_in = True
        self._timer = asyncio.get_running_loop().call_later(HEADER_S, transport.abort)
        self._inner.connection_made(transport)

    def request_came(self) -> None:
        """The first request's header is complete."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self.request_came()
        if self._let_in:
            self._let_in = False
            self._gate.leave(self._address)
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._let_in:
            self._inner.data_received(data)

    def eof_received(self) -> Optional[bool]:
        return self._inner.eof_received() if self._let_in else None

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


def request_came(request: web.BaseRequest) -> None:
    """Tell the gate that a connection brought a request."""
    transport = request.transport
    guarded = None if transport is None else transport.get_protocol()
    if isinstance(guarded, _Guarded):
        guarded.request_came()
