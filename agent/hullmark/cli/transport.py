"""One HTTP exchange with a master, over its Unix socket or over TLS. What goes wrong becomes one of three outcomes.

NotReached   nothing was sent, so nothing was done
Lost         something was sent and no whole answer came: whether it was done is not known
Forbidden    this user may not use the socket
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from hullmark.cli.address import Address
from hullmark.errors import Forbidden

CONNECT_S = 5.0
ANSWER_MAX_BYTES = 64 << 20
LINE_MAX_BYTES = 1 << 20


class NotReachedError(OSError):
    """There is no connection."""


class LostError(OSError):
    """The answer did not come, or not all of it, or it is not one of a master."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CONNECT_S)
        self.sock.connect(self._path)


class Transport:
    """Keeps its connection from one exchange to the next. Not for several threads."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._connection: Optional[http.client.HTTPConnection] = None

    def exchange(self, method: str, target: str, body: bytes, timeout_s: float) -> Answer:
        """Raises NotReachedError, LostError, Forbidden."""
        response = self._send(method, target, body, timeout_s)
        try:
            content = response.read(ANSWER_MAX_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise LostError(f"the answer was cut off ({_why(error)})") from error
        if len(content) > ANSWER_MAX_BYTES:
            self.close()
            raise LostError(f"the answer is larger than {ANSWER_MAX_BYTES >> 20} MiB")
        return Answer(response.status, content)

    def lines(self, target: str, timeout_s: float) -> tuple[Answer, Iterator[bytes]]:
        """An answer whose body comes line by line, for as long as it takes. With a status other than 200
        the answer has its body, and there are no lines."""
        response = self._send("GET", target, b"", timeout_s)
        if response.status != 200:
            return Answer(response.status, response.read(ANSWER_MAX_BYTES)), iter(())
        return Answer(200, b""), self._read_lines(response)

    def _read_lines(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        while True:
            try:
                line = response.readline(LINE_MAX_BYTES)
            except socket.timeout:
                continue
            except (OSError, http.client.HTTPException) as error:
                self.close()
                raise LostError(f"the connection broke ({_why(error)})") from error
            if not line:
                return
            yield line

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(
        self, method: str, target: str, body: bytes, timeout_s: float
    ) -> http.client.HTTPResponse:
        headers = {"Content-Type": "application/json"} if body else {}
        if self.address.token:
            headers["Authorization"] = f"Bearer {self.address.token}"
        connection = self._connected(timeout_s)
        try:
            connection.request(method, target, body or None, headers)
            return connection.getresponse()
        except socket.timeout as error:
            self.close()
            raise LostError(f"no answer within {timeout_s:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise LostError(f"the answer did not come ({_why(error)})") from error

    def _connected(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._connection is None or self._connection.sock is None:
            self._connection = self._connect()
        self._connection.sock.settimeout(timeout_s)
        return self._connection

    def _connect(self) -> http.client.HTTPConnection:
        address = self.address
        connection: http.client.HTTPConnection
        if address.path:
            connection = _UnixConnection(address.path, CONNECT_S)
        else:
            connection = http.client.HTTPSConnection(
                address.host, address.port, timeout=CONNECT_S, context=_context(address)
            )
        try:
            connection.connect()
        except PermissionError as error:
            raise Forbidden(
                f"this user may not use {address}", remedy="use sudo, or hullmark login"
            ) from error
        except OSError as error:
            connection.close()
            raise NotReachedError(_why(error)) from error
        return connection


def _context(address: Address) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(address.ca_file)
    return context


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
