"""A master of the tests' own on a Unix socket: it answers as it is told, and remembers what it was asked."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, Callable, Optional, Union
from urllib.parse import parse_qs, urlsplit

from hullmark.model.wire import to_wire


@dataclass(frozen=True)
class Request:
    """`query` has the last value of each name; `body` is the JSON value, None without one."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    authorization: str


@dataclass(frozen=True)
class Raw:
    """Bytes sent as they are, instead of an answer; then the connection is closed."""

    content: bytes = b""


@dataclass(frozen=True)
class Status:
    """An answer with another status than 200."""

    status: int
    body: Any


@dataclass(frozen=True)
class Lines:
    """A chunked answer, one JSON value on each line. `cut`: the connection breaks after them."""

    items: tuple[Any, ...]
    cut: bool = False


class Silence:
    """Nothing is answered until the master stops."""


Reply = Union[Raw, Status, Lines, Silence, Any]
Script = Union[list, Reply, Callable[[Request], Reply]]


class FakeMaster:
    """`answers` by method and path: a reply, a list of them (the last one is repeated), or a function of
    the request. A dataclass is sent in its wire form."""

    def __init__(self, path: str) -> None:
        self.url = f"unix://{path}"
        self.requests: list[Request] = []
        self.answers: dict[str, Script] = {}
        self.stopped = threading.Event()
        self._server = _Server(path, self)
        # Looked at often, so that a test's end doesn't have to wait for it.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,))
        self._thread.start()

    def stop(self) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reply(self, request: Request) -> Reply:
        self.requests.append(request)
        found = self.answers.get(f"{request.method} {request.path}")
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if callable(found):
            found = found(request)
        if found is None:
            return Status(404, {"error": "NotFound", "message": f"nothing at {request.path}"})
        return found

    def asked(self, method: str) -> list[Request]:
        return [request for request in self.requests if request.method == method]


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: str, master: FakeMaster) -> None:
        super().__init__(path, _Handler)
        self.master = master


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        login = self.headers.get("Authorization", "")
        reply = self.server.master.reply(Request(self.command, parts.path, query, body, login))
        if isinstance(reply, Silence):
            self.server.master.stopped.wait(10)
            self.close_connection = True
        elif isinstance(reply, Raw):
            self.wfile.write(reply.content)
            self.close_connection = True
        elif isinstance(reply, Lines):
            self._lines(reply)
        else:
            status, value = (
                (reply.status, reply.body) if isinstance(reply, Status) else (200, reply)
            )
            self._send(status, json.dumps(to_wire(value)).encode())

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _lines(self, reply: Lines) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for item in reply.items:
            line = json.dumps(to_wire(item)).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        if reply.cut:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        return None


def refusal(error: str, message: str, status: int, remedy: Optional[str] = None) -> Status:
    body = {"error": error, "message": message}
    return Status(status, body if remedy is None else {**body, "remedy": remedy})
