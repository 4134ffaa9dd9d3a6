"""A message of ours on the way into a log: by the socket that every program on the host logs to."""

from __future__ import annotations

import errno
import os
import socket
import time

from hullmark.host.eye import Eye
from hullmark.model.control import Reading, Trouble

SEND_S = 2.0
TAG = "hullmark-agent"
_USER_NOTICE = 13  # RFC 3164: facility user, severity notice


def syslog(eye: Eye, name: str, path: str, text: str) -> Reading:
    """To a syslog socket, as syslog(3) would."""
    moment = time.strftime("%b %e %H:%M:%S", time.localtime(eye.wall()))
    line = f"<{_USER_NOTICE}>{moment} {TAG}[{os.getpid()}]: {text}"
    return _send(eye, name, path, line.encode(), socket.SOCK_DGRAM)


def journal(eye: Eye, name: str, path: str, text: str, nonce: str) -> Reading:
    """To journald's own socket. The field `HULLMARK_CANARY` has the nonce, so that it is found without reading the rest."""
    lines = (
        f"MESSAGE={text}",
        "PRIORITY=5",
        f"SYSLOG_IDENTIFIER={TAG}",
        f"HULLMARK_CANARY={nonce}",
    )
    return _send(
        eye, name, path, "".join(f"{line}\n" for line in lines).encode(), socket.SOCK_DGRAM
    )


def _send(eye: Eye, name: str, path: str, message: bytes, kind: socket.SocketKind) -> Reading:
    """`MISSING` where there is no such socket; `TIMED_OUT` where it is full, as nobody reads; `FAILED` where nobody listens."""
    at = eye.wall()
    trouble, errors = Trouble.NONE, ""
    try:
        with socket.socket(socket.AF_UNIX, kind) as one:
            one.settimeout(min(SEND_S, max(eye.left_s, 0.01)))
            one.connect(str(eye.at(path)))
            one.sendall(message if kind is socket.SOCK_DGRAM else message + b"\n")
    except FileNotFoundError as error:
        trouble, errors = Trouble.MISSING, str(error)
    except PermissionError as error:
        trouble, errors = Trouble.DENIED, str(error)
    except socket.timeout as error:
        trouble, errors = Trouble.TIMED_OUT, str(error)
    except OSError as error:
        if error.errno == errno.EPROTOTYPE and kind is socket.SOCK_DGRAM:
            return _send(eye, name, path, message, socket.SOCK_STREAM)
        trouble, errors = Trouble.FAILED, str(error)
    return Reading(name, path, errors=errors, trouble=trouble, at=at)
