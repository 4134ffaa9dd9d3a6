"""What a service manager is told: sd_notify(3), without its library."""

from __future__ import annotations

import os
import socket

from hullmark import log


def notify(state: str) -> None:
    """Send `READY=1` and the like. Nothing happens where no manager asked for it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(state.encode(), address)
    except OSError as error:
        log.get("notify").warning("the service manager was not told", why=str(error))
