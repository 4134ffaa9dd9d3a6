"""Lines: the connections of agents, each one object from its first request to its end."""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import dataclass
from functools import partial
from typing import Callable, Optional

from aiohttp import web


@dataclass(frozen=True, eq=False)
class Line:
    """Compared by identity. `address` is without the port, `began_at` the monotonic time of its first request."""

    address: str
    is_open: Callable[[], bool]
    began_at: float = 0.0


_LINES: weakref.WeakKeyDictionary[asyncio.Transport, Line] = weakref.WeakKeyDictionary()


def line_of(request: web.BaseRequest, address: str, now: float) -> Line:
    """The same for each request on one connection. Raises ConnectionResetError where that is gone."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the connection is gone")
    line = _LINES.get(transport)
    if line is None:
        seen = weakref.ref(transport)
        line = _LINES[transport] = Line(address, partial(_is_open, seen), now)
    return line


def _is_open(seen: Callable[[], Optional[asyncio.Transport]]) -> bool:
    transport = seen()
    return transport is not None and not transport.is_closing()
