"""A question to a daemon over its socket, and its answer as a reading."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import replace
from typing import Union

from hullmark.host.eye import Eye
from hullmark.model.control import Reading, Trouble

Address = Union[str, tuple[str, int]]
"""The path of a Unix socket, or a host and a port."""
_CHUNK = 4096
_CREDENTIALS = struct.Struct("3i")


def ask(
    eye: Eye,
    name: str,
    source: str,
    address: Address,
    question: bytes,
    *,
    end: bytes,
    most: int = 16 << 10,
    timeout_s: float = 10.0,
) -> Reading:
    """What is answered up to `end`, which is not part of it, or until the other side closes. `facts` has the `peer` of a Unix
    socket: the number of the process that listens. Nobody listens: `FAILED`; `MISSING` is a socket that isn't there."""
    told, answer = converse(
        eye, name, source, address, question, end=end, most=most, timeout_s=timeout_s
    )
    return replace(told, text=answer.decode("utf-8", "replace"))


def converse(
    eye: Eye,
    name: str,
    source: str,
    address: Address,
    question: bytes,
    *,
    end: bytes,
    most: int,
    timeout_s: float,
) -> tuple[Reading, bytes]:
    """The same for an answer that is no text: a reading without one, and the answer."""
    at, ends_at = eye.wall(), time.monotonic() + min(timeout_s, eye.left_s)
    peer = {}
    answer = bytearray()
    try:
        with _connected(eye, address, ends_at) as connection:
            peer = _peer(connection)
            connection.sendall(question)
            while len(answer) < most and not answer.endswith(end):
                connection.settimeout(_left_s(ends_at))
                chunk = connection.recv(_CHUNK)
                if not chunk:
                    break
                answer += chunk
    except (OSError, ValueError, OverflowError) as error:  # the latter two: an address that is none
        said, trouble = str(error), _trouble(error)
        return Reading(name, source, errors=said, trouble=trouble, facts=peer, at=at), b""
    said_all = bytes(answer[:most])
    said_all = said_all[: -len(end)] if said_all.endswith(end) else said_all
    return Reading(name, source, facts=peer, cut=len(answer) >= most, at=at), said_all


def _connected(eye: Eye, address: Address, ends_at: float) -> socket.socket:
    if not isinstance(address, str):
        return socket.create_connection(address, _left_s(ends_at))
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(_left_s(ends_at))
        connection.connect(str(eye.at(address)))
    except OSError:
        connection.close()
        raise
    return connection


def _left_s(ends_at: float) -> float:
    left_s = ends_at - time.monotonic()
    if left_s <= 0:
        raise socket.timeout("no time left")
    return left_s


def _peer(connection: socket.socket) -> dict[str, str]:
    if connection.family != socket.AF_UNIX:
        return {}
    given = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return {"peer": str(_CREDENTIALS.unpack(given)[0])}


def _trouble(error: Exception) -> Trouble:
    if isinstance(error, socket.timeout):
        return Trouble.TIMED_OUT
    if isinstance(error, FileNotFoundError):
        return Trouble.MISSING
    return Trouble.DENIED if isinstance(error, PermissionError) else Trouble.FAILED
