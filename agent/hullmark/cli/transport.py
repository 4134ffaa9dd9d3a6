"""One exchange with a master, over its Unix socket or over TLS. What goes wrong is one of three things.

NotReachedError   nothing was sent, so nothing was done
LostError         something was sent and no whole answer came: whether it was done is not known
Forbidden         this user may not use the socket
"""

from __future__ import annotations

import errno
import io
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Optional, cast

from hullmark.cli.address import Address
from hullmark.cli.httpreader import CUT_OFF, MalformedError, Response
from hullmark.cli.stillness import SIGN_S, Ear, Patience, StillError, remedy, still
from hullmark.errors import Forbidden

if TYPE_CHECKING:
    import ssl

CONNECT_S = 5.0
ANSWER_MAX_BYTES = 64 << 20
LINE_MAX_BYTES = 4 << 20


SIGN_PATH = "/v1/ca"
"""Costs a master nothing, and is for everybody."""
_API_PORT = "people use the API port, 7442 by default: --master https://HOST:7442"
_OTHER_PORT = f"if this is the agents' port: {_API_PORT}; else ask again, and see the master's log"


class NotReachedError(OSError):
    """There is no connection. `remedy` empty: nothing in particular."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class LostError(OSError):
    """The answer did not come, or not all of it, or it is not one of a master. `remedy` as above."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True)
class Answer:
    """`stale_s`: how old, in seconds, what a master tells is, where it does not lead; empty where it does."""

    status: int
    body: bytes
    stale_s: str = ""


class Transport:
    """Keeps its connection from one exchange to the next. Not for several threads."""

    def __init__(self, address: Address, connect_s: Optional[float] = None) -> None:
        self.address = address
        self._connect_s = CONNECT_S if connect_s is None else connect_s
        self._socket: Optional[socket.socket] = None
        self._ear: Optional[Ear] = None
        self._file: Optional[BinaryIO] = None

    def exchange(
        self,
        method: str,
        target: str,
        body: bytes,
        timeout_s: float,
        quiet_s: Optional[float] = None,
    ) -> Answer:
        """`quiet_s`: how long it may say nothing until it is looked whether it does anything. Raises NotReachedError,
        LostError, Forbidden."""
        try:
            response = self._send(method, target, body, timeout_s, quiet_s)
            answer = Answer(response.status, response.read(ANSWER_MAX_BYTES), response.stale_s)
        except NotReachedError:
            raise  # as it is: its cause says why
        except (OSError, MalformedError) as error:
            raise self._failed(error, timeout_s) from error
        if not response.keeps:
            self.close()
        return answer

    def lines(
        self,
        target: str,
        timeout_s: float,
        method: str = "GET",
        body: bytes = b"",
        quiet_s: Optional[float] = None,
    ) -> tuple[Answer, Iterator[bytes]]:
        """An answer whose body comes line by line, for as long as it takes: once it begins, it may be silent
        for any time, and `timeout_s` bounds only its beginning. With a status other than 200
        the answer has its body, and there are no lines. Raises as `exchange`, later too."""
        try:
            response = self._send(method, target, body, timeout_s, quiet_s)
            if response.status != 200:
                return Answer(response.status, response.read(ANSWER_MAX_BYTES)), iter(())
        except NotReachedError:
            raise
        except (OSError, MalformedError) as error:
            raise self._failed(error, timeout_s) from error
        assert self._socket is not None
        self._socket.settimeout(None)
        return Answer(200, b""), self._read_lines(response)

    def _read_lines(self, response: Response) -> Iterator[bytes]:
        rest = b""
        try:
            for part in response.parts():
                *whole, rest = (rest + part).split(b"\n")
                yield from whole
                if len(rest) > LINE_MAX_BYTES:
                    raise MalformedError("a line without end")
        except (OSError, MalformedError) as error:
            raise self._failed(error, 0) from error
        finally:
            self.close()

    def close(self) -> None:
        for item in (self._file, self._socket):
            if item is not None:
                item.close()
        self._file = self._socket = self._ear = None

    def _lives(self) -> bool:
        """Whether the same master says anything at all: what it says, and that it hangs up, are both signs of life."""
        other = Transport(self.address, SIGN_S)
        try:
            other.exchange("GET", SIGN_PATH, b"", SIGN_S)
        except (NotReachedError, LostError) as error:
            return not isinstance(error.__cause__, (socket.timeout, StillError, BlockingIOError))
        finally:
            other.close()
        return True

    def _failed(self, error: Exception, timeout_s: float) -> OSError:
        self.close()
        if _wants_certificate(error):
            return LostError(
                "it wants a host's certificate: this looks like the agents' port",
                remedy=_API_PORT,
            )
        if self.address.token and (
            isinstance(error, ConnectionResetError) or str(error) == CUT_OFF
        ):
            # Nothing tells in TLS 1.3 that a certificate is missed, where the one who misses it hangs up first.
            return LostError(f"it hung up ({_why(error)})", remedy=_OTHER_PORT)
        if isinstance(error, StillError):
            return LostError(str(error), remedy())
        if isinstance(error, socket.timeout):
            return LostError(f"no answer within {timeout_s:g} s")
        return LostError(f"the answer did not come ({_why(error)})")

    def _send(
        self, method: str, target: str, body: bytes, timeout_s: float, quiet_s: Optional[float]
    ) -> Response:
        lines = [f"{method} {target} HTTP/1.1", "Host: hullmark", "Accept: application/json"]
        if self.address.token:
            lines.append(f"Authorization: Bearer {self.address.token}")
        if body or method != "GET":
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        connection, file, ear = self._connected()
        connection.settimeout(timeout_s)
        if quiet_s is not None:
            ear.patience = Patience(timeout_s, quiet_s, self._lives)
        try:
            connection.sendall("\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body)
        except OSError:
            connection.recv(1)  # who hangs up may have said why
            raise
        return Response(file)

    def _connected(self) -> tuple[socket.socket, BinaryIO, Ear]:
        if self._socket is None or self._file is None or self._ear is None:
            self._socket = self._connect()
            self._ear = Ear(self._socket)
            self._file = cast(BinaryIO, io.BufferedReader(self._ear))
        return self._socket, self._file, self._ear

    def _connect(self) -> socket.socket:
        address = self.address
        try:
            if address.path:
                return _to_socket(address.path, self._connect_s)
            return _to_port(address, self._connect_s)
        except PermissionError as error:
            raise Forbidden(
                f"this user may not use {address}",
                remedy="use sudo; or from another machine: hullmark login",
            ) from error
        except OSError as error:
            raise _not_reached(address, error) from error


def _not_reached(address: Address, error: OSError) -> NotReachedError:
    if isinstance(error, StillError):
        return NotReachedError(str(error), remedy())
    if address.path and error.errno == errno.EAGAIN:
        # unix(7): as many wait as its queue has places for.
        return NotReachedError("it takes no more connections, and answers none", remedy())
    if getattr(error, "verify_code", 0) not in _WRONG_NAME:
        return NotReachedError(_why(error))
    names = _names_of(address)
    known = f"is for {', '.join(names)}, not" if names else "is not"
    return NotReachedError(
        f"its certificate {known} for {address.host}",
        remedy="use such an address; or add this one to `addresses` in master.yaml on the master,"
        " and restart it",
    )


_WRONG_NAME = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL's x509_vfy.h."""


def _names_of(address: Address) -> Sequence[str]:
    """Whom the certificate names. Nothing is said to the one who shows it, and its root is still ours."""
    try:
        with _to_port(address, CONNECT_S, any_name=True) as connection:
            shown = connection.getpeercert() or {}
    except OSError:
        return ()
    names: Any = shown.get("subjectAltName", ())
    return [str(value) for kind, value in names if kind in ("DNS", "IP Address")]


def _wants_certificate(error: Exception) -> bool:
    """TLS 1.3 tells it after the handshake (RFC 8446, 6.2), TLS 1.2 in it."""
    return "CERTIFICATE_REQUIRED" in (getattr(error, "reason", None) or "")


def _to_socket(path: str, connect_s: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(connect_s)
    try:
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def _to_port(address: Address, connect_s: float, *, any_name: bool = False) -> ssl.SSLSocket:
    """Verified by the cluster's own root and nothing else. Raises StillError where nobody shakes hands."""
    import ssl  # takes longer to import than all of this module

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = not any_name
    context.load_verify_locations(address.ca_file)
    connection = socket.create_connection((address.host, address.port), connect_s)
    try:
        return context.wrap_socket(connection, server_hostname=address.host)
    except socket.timeout as error:
        connection.close()
        raise StillError(still(connect_s)) from error
    except BaseException:
        connection.close()
        raise


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
