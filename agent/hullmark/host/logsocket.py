"""The sockets of journald and syslog, and how values are written for them (systemd.io/JOURNAL_NATIVE_PROTOCOL, RFC 5424)."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Optional

JOURNAL, SYSLOG = "/run/systemd/journal/socket", "/dev/log"
BY_SYSTEMD = "/run/systemd/system"
ENTERPRISE = 32473
"""RFC 5612: a number for those who have none of their own."""
SEND_S = 0.5


def destination(wanted: str, root: Path = Path("/")) -> str:
    """`journal`, `syslog` or `none`: what `auto` comes to on this host."""
    if wanted != "auto":
        return wanted
    return "journal" if (root / BY_SYSTEMD.lstrip("/")).is_dir() else "syslog"


def journal_field(key: str, value: str) -> bytes:
    """A value with a line end goes with its length before it, so that it can't begin a field of its own."""
    data = value.encode("utf-8", "replace")
    if b"\n" not in data:
        return b"%s=%s\n" % (key.encode(), data)
    return b"%s\n%s%s\n" % (key.encode(), len(data).to_bytes(8, "little"), data)


def escaped(value: str) -> str:
    """As a parameter's value of structured data."""
    plain = "".join(each if each.isprintable() else "?" for each in value)
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


class LogSocket:
    """For one thread. It is opened when it is first needed, and anew after a failure."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: Optional[socket.socket] = None

    def send(self, data: bytes) -> None:
        """Raises OSError."""
        if self._socket is None:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            made.settimeout(SEND_S)
            self._socket = made
        try:
            self._socket.sendto(data, self._path)
        except OSError:
            self._socket.close()
            self._socket = None
            raise
