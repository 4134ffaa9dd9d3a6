"""Whether a listening socket can be had. HAProxy starts with all that it is told to listen on, or not at all: one port that another program has must not keep
the rest of a plan away."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from hullmark.model.proxyplan import Bind

_NOT_TO_BE_HAD = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.ENODEV)


def taken(binds: Iterable[Bind]) -> tuple[Bind, ...]:
    """Those that can't be had now: the port is another's, the address or the interface isn't there. Not to be asked of what the proxy itself has."""
    return tuple(one for one in sorted(binds) if not _is_free(one))


def _is_free(bind: Bind) -> bool:
    family = socket.AF_INET6 if ":" in bind.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            if bind.interface:
                name = bind.interface.encode() + b"\0"
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
            probe.bind((bind.address, bind.port))
        except OSError as error:
            return error.errno not in _NOT_TO_BE_HAD
    return True
