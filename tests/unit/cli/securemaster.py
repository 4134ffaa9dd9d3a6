"""A master's HTTPS port on loopback, with a certificate of the tests' own authority."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
import time
from pathlib import Path
from typing import Any

from hullmark.masterd.certificate import CERTIFICATE, KEY, ensure_certificate
from hullmark.model.wire import to_wire
from hullmark.pki.authority import ROOT_CERTIFICATE, create_authority


class Site:
    """The authority, in a folder. `root` is the file that clients trust."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / ROOT_CERTIFICATE
        authority = create_authority(folder, "c1", time.time())
        ensure_certificate(folder, authority, "c1", "m1", ["127.0.0.1"], time.time())


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what some tests are about."""


class SecureMaster:
    """Gives every question the same answer, and remembers the logins."""

    def __init__(
        self,
        site: Site,
        answer: Any,
        status: int = 200,
        *,
        agents: bool = False,
        hangs_up: bool = False,
    ) -> None:
        """`agents`: it asks for a client's certificate, as the agents' port does. `hangs_up`: it gives no
        answer."""
        logins: list[str] = []
        content = json.dumps(to_wire(answer)).encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                logins.append(self.headers["Authorization"])
                if hangs_up:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                return None

        self.logins = logins
        self._server = _Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(site.folder / CERTIFICATE, site.folder / KEY)
        if agents:
            context.load_verify_locations(site.root)
            context.verify_mode = ssl.CERT_REQUIRED
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
