"""Whom alerts go to, on loopback: a webhook, a mail server, a syslog socket. Each keeps what it got."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Hook:
    """`answers` are the status codes of the next requests; after them 200."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.headers: dict[str, str] = {}
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.headers = dict(self.headers)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                code = hook.answers.pop(0) if hook.answers else 200
                if code == 200:
                    hook.got.append(json.loads(body))
                self.send_response(code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_words: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook/s3cret"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Mail(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as a sender needs."""

    def handle(self) -> None:
        self._say("220 test")
        for raw in self.rfile:
            line = raw.decode().strip()
            word = line[:4].upper()
            if word == "DATA":
                self._say("354 go on")
                content = b""
                while (part := self.rfile.readline()) not in (b".\r\n", b""):
                    content += part[1:] if part.startswith(b"..") else part
                self.server.post.got.append(message_from_bytes(content))  # type: ignore[attr-defined]
            elif word == "QUIT":
                self._say("221 bye")
                return
            elif word == "RCPT":
                to = line.partition(":")[2]
                refused = self.server.post.refuses.get(to.strip("<>"))  # type: ignore[attr-defined]
                if refused:
                    self._say(refused)
                    continue
                self.server.post.to.append(to)  # type: ignore[attr-defined]
            self._say("250 test" if word != "EHLO" else "250-test\r\n250 8BITMIME")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class Post:
    """A mail server."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.to: list[str] = []
        self.refuses: dict[str, str] = {}
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail)
        self._server.daemon_threads = True
        self._server.post = self  # type: ignore[attr-defined]
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Log:
    """A socket as /dev/log is. `command` is a daemon's command line that writes there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self._got: list[str] = []

    @property
    def got(self) -> list[str]:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._got.append(self._socket.recv(65536).decode())
        return list(self._got)

    def command(self, command: list[str]) -> list[str]:
        python, _, module, *more = command
        code = (
            "import runpy, sys\n"
            "from hullmark.host import logsocket\n"
            f"logsocket.SYSLOG = {str(self.path)!r}\n"
            f"sys.argv = [{module!r}, *sys.argv[1:]]\n"
            f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)\n"
        )
        return [python, "-c", code, *more]

    def close(self) -> None:
        self._socket.close()


class Receivers:
    def __init__(self, folder: Path) -> None:
        self.hook, self.post, self.log = Hook(), Post(), Log(folder / "log")

    @property
    def options(self) -> str:
        """Lines of a daemon's configuration."""
        mail = (
            f"{{to: [soc@example.org], from: hullmark@example.org, server: '{self.post.address}'}}"
        )
        return f"alerts: {{log: syslog, webhook: '{self.hook.url}', mail: {mail}}}\n"

    def numbers(self) -> tuple[int, int, int]:
        return len(self.hook.got), len(self.post.got), len(self.log.got)

    def wait_for(self, numbers: tuple[int, int, int], timeout_s: float = 15.0) -> None:
        """Until so many came by webhook, mail and syslog. Fails at once where there are more."""
        deadline = time.monotonic() + timeout_s
        while self.numbers() != numbers:
            got, late = self.numbers(), time.monotonic() > deadline
            wrong = late or any(one > most for one, most in zip(got, numbers))
            assert not wrong, f"{got} alerts, not {numbers}: {self.hook.got}"
            time.sleep(0.05)

    def close(self) -> None:
        for one in (self.hook, self.post, self.log):
            one.close()


@contextlib.contextmanager
def receivers(folder: Path) -> Iterator[Receivers]:
    folder.mkdir(parents=True, exist_ok=True)
    made = Receivers(folder)
    try:
        yield made
    finally:
        made.close()
