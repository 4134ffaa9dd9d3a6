"""A false leader: it has the cluster's certificate and says to agents what a test wants it to say.

It stands where the real master stood (the same port), as a master would that was cut off, restored from an
old copy, or taken over.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

from hullmark.model.epoch import Epoch
from hullmark.model.orders import Orders, Task
from hullmark.model.protocol import (
    ORDERS_PATH,
    POLL_PATH,
    REPORT_PATH,
    TASKS_PATH,
    OrdersAnswer,
    PollAnswer,
    ReportAnswer,
)
from hullmark.model.wire import to_wire
from hullmark.pki import certificates
from hullmark.pki.authority import Authority
from hullmark.pki.tls import server_context


class FalseLeader:
    """`polled_epoch` is what its polls claim, `orders` what it then gives, `tasks` what it wants done once. `asked` counts
    requests by path; `told` has what tasks were answered, by their ids."""

    def __init__(
        self,
        folder: Path,
        master_state: Path,
        cluster_id: str,
        port: int,
        *,
        name: str,
        polled_epoch: Epoch,
        orders: Orders,
        tasks: tuple[Task, ...] = (),
    ) -> None:
        self.asked: dict[str, int] = {}
        self.told: dict[str, str] = {}
        self._answers: dict[str, Any] = {
            POLL_PATH: lambda: PollAnswer(
                polled_epoch,
                name,
                time.time(),
                changed=True,
                tasks=tasks if POLL_PATH in self.asked else (),
                tasks_last=len(tasks),
            ),
            ORDERS_PATH: lambda: OrdersAnswer(orders),
            REPORT_PATH: lambda: ReportAnswer(orders.epoch, name),
        }
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        context = _context(folder, master_state, cluster_id)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> FalseLeader:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        leader = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                given = self._given()
                leader.asked[self.path] = leader.asked.get(self.path, 0) + 1
                answer = leader._answers.get(self.path)
                is_task = self.path.startswith(TASKS_PATH)
                if is_task:
                    name = self.path[len(TASKS_PATH) :]
                    leader.told[name] = leader.told.get(name, "") + given.decode()
                body = json.dumps(to_wire(answer()) if answer else {}).encode()
                self.send_response(200 if answer or is_task else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _given(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                found = b""
                while True:
                    size = int(self.rfile.readline(), 16)
                    found += self.rfile.read(size)
                    self.rfile.readline()
                    if not size:
                        return found

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        return Handler


def _context(folder: Path, master_state: Path, cluster_id: str) -> ssl.SSLContext:
    authority = Authority.load(master_state / "pki")
    key = certificates.new_key()
    chain = authority.issue_master(
        key.public_key(), cluster_id, "false", ["127.0.0.1"], time.time(), 3600.0
    )
    folder.mkdir(exist_ok=True)
    certificate_file, key_file = folder / "false.pem", folder / "false.key"
    certificate_file.write_bytes(chain)
    key_file.write_bytes(certificates.key_pem(key))
    return server_context(certificate_file, key_file, master_state / "pki" / "root.pem")
