"""A master alone, as a real process, and callers of its three doors that say exactly what a test wants them to say."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hullmark.core.changes import changes
from hullmark.model.epoch import Epoch
from hullmark.model.host import HostFacts
from hullmark.model.observed import HostState
from hullmark.model.wire import to_wire
from hullmark.pki import certificates
from hullmark.pki.invites import Invite
from tests.cluster import Cluster

ANSWER_S = 30.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def told(self) -> str:
        """Of an error: what is wrong, and what to do."""
        return f"{self.json['message']} / {self.json.get('remedy', '')}"


class LoneMaster(Cluster):
    """No engine and no agent. `roles`: more lines of its configuration."""

    def __init__(self, folder: Path, roles: str = "") -> None:
        super().__init__(folder)
        self.master_options = roles

    def set_up(self) -> None:
        self.set_up_master()

    def stop(self) -> None:
        self.master.kill(signal.SIGTERM)

    @property
    def root(self) -> Path:
        return self.folder / "master" / "pki" / "root.pem"

    def trust(self, certificate: str = "", key: str = "") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.root)
        if certificate:
            context.load_cert_chain(certificate, key)
        return context

    def local(self, method: str, path: str, body: Any = None) -> Answer:
        """As root, over the Unix socket."""
        connection = UnixConnection(str(self.folder / "m.sock"))
        return exchange(connection, method, path, body)

    def local_as(
        self, uid: int, method: str, path: str, body: Any = None, gid: int = 65534
    ) -> Answer:
        """As another user, over the Unix socket: from a child that gave up being root."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setgid(gid)
                os.setuid(uid)
                answer = self.local(method, path, body)
                with os.fdopen(writer, "wb") as pipe:
                    pipe.write(f"{answer.status}\n".encode() + answer.raw)
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            status, _, raw = pipe.read().partition(b"\n")
        os.waitpid(child, 0)
        return Answer(int(status), {}, raw)

    def api(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str = "",
        *,
        source: str = "127.0.0.1",
        headers: Mapping[str, str] = {},
    ) -> Answer:
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            self.api_port,
            context=self.trust(),
            source_address=(source, 0),
            timeout=ANSWER_S,
        )
        return exchange(connection, method, path, body, token, headers)

    @contextlib.contextmanager
    def begun(self, path: str, token: str) -> Iterator[http.client.HTTPResponse]:
        """An answer of the API's port that goes on."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.api_port, context=self.trust(), timeout=ANSWER_S
        )
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            yield connection.getresponse()
        finally:
            connection.close()

    def raw(self, request: bytes, *, head_only: bool = False) -> bytes:
        """What the API's port answers to these bytes over TLS, until it closes the connection."""
        plain = socket.create_connection(("127.0.0.1", self.api_port), timeout=ANSWER_S)
        with self.trust().wrap_socket(plain, server_hostname="127.0.0.1") as tls:
            parts: list[bytes] = []
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                tls.sendall(request)
                while not parts or parts[-1]:
                    parts.append(tls.recv(65536))
                    if head_only and b"\r\n\r\n" in b"".join(parts):
                        break
            return b"".join(parts)

    def agents(self, path: str, body: Any, certificate: str = "", key: str = "") -> Answer:
        """A request to the agents' port, with a client certificate or none. Raises OSError where there is no answer."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            self.agents_port,
            context=self.trust(certificate, key),
            timeout=ANSWER_S,
        )
        return exchange(connection, "POST", path, body)

    def token(self, name: str, role: str, **more: Any) -> str:
        """A machine's token, made by root."""
        body = {"name": name, "role": role, "request_id": os.urandom(8).hex(), **more}
        answer = self.local("POST", "/v1/tokens", body)
        assert answer.status == 200, answer.raw
        return str(answer.json["token"])

    def new_host(self, name: str) -> Host:
        """Enrolled through the API, as `agent enroll` does it."""
        invite = Invite.parse(self.local("POST", "/v1/invites", {"host": name}).json["token"])
        key = certificates.new_key()
        csr = certificates.new_request(key, name).decode()
        request = {"host": name, "secret": invite.secret, "csr_pem": csr}
        answer = self.api("POST", "/v1/enroll", request)
        assert answer.status == 200, answer.raw
        return Host(self, name, answer.json["host_id"], answer.json["chain_pem"].encode(), key)

    def log(self) -> str:
        return self.master.log.read_text()


class Host:
    """With any certificate, of whoever made it."""

    def __init__(self, master: LoneMaster, name: str, host_id: str, chain: bytes, key: Any) -> None:
        self.name, self.host_id, self._master = name, host_id, master
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=master.folder))
        (folder / "key").write_bytes(certificates.key_pem(key))
        (folder / "pem").write_bytes(chain)
        self._certificate, self._key = str(folder / "pem"), str(folder / "key")

    def poll(self) -> Answer:
        return self.post("/agent/v1/poll", {"run": "r1", "hold_s": 0})

    def post(self, path: str, body: Any) -> Answer:
        return self._master.agents(path, body, self._certificate, self._key)

    def begin(self) -> None:
        """Be heard, with a full report."""
        assert self.poll().status == 200
        state = HostState(facts=HostFacts(architecture="x86_64", cpus=4, memory_bytes=8 << 30))
        report = changes(
            None, state, host_id=self.host_id, run="r1", sequence=1, epoch=Epoch(1, 1), events=()
        )
        answer = self.post("/agent/v1/report", to_wire(report))
        assert answer.status == 200, answer.raw


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("master", timeout=ANSWER_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: Any = None,
    token: str = "",
    headers: Mapping[str, str] = {},
) -> Answer:
    """`body`: bytes as they are, anything else as JSON."""
    sent = {"Authorization": f"Bearer {token}"} if token else {}
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    if data is not None:
        sent["Content-Type"] = "application/json"
    try:
        connection.request(method, path, data, {**sent, **headers})
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.headers), answer.read())
    finally:
        connection.close()


def lone_master(roles: str = "") -> Iterator[LoneMaster]:
    """In a folder that all users may enter."""
    folder = Path(tempfile.mkdtemp(prefix="hm-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        master = LoneMaster(folder / "c", roles)
        with master:
            yield master
    finally:
        shutil.rmtree(folder)
