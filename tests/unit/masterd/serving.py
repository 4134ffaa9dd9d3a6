"""A whole master in this process, with its ports on loopback and its Unix socket, and callers of all three."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Optional

import aiohttp

from hullmark.config import MasterConfig, load_master
from hullmark.core.changes import changes
from hullmark.errors import Problem
from hullmark.masterd.daemon import Master
from hullmark.masterd.init import init
from hullmark.model.app import App
from hullmark.model.epoch import Epoch
from hullmark.model.host import HostFacts
from hullmark.model.observed import HostState
from hullmark.model.outage import Outage
from hullmark.model.wire import from_wire, to_wire
from hullmark.pki import certificates
from hullmark.pki.invites import Invite
from tests.unit.pki.callers import client_context


def config_in(folder: Path, **more: Any) -> MasterConfig:
    """All defaults, except that everything is below the folder, and ports are free ones."""
    main = folder / "master.yaml"
    main.write_text(
        f"audit: {{dir: '{folder}/audit', copies: none}}\nalerts: {{log: none}}\n"
        f"state_dir: {folder}/master\nname: m1\nsocket: {folder}/m.sock\naddresses: [127.0.0.1]\n"
    )
    config = load_master(str(main)).config
    free = {"api_listen": "127.0.0.1:0", "agents_listen": "127.0.0.1:0"}
    return dataclasses.replace(config, **{**free, **more})


def nothing_wrong(app: App) -> Sequence[Problem]:
    return ()


def master_of(config: MasterConfig) -> Master:
    return Master(config, check=nothing_wrong, shown=lambda app: {"name": app.name})


class Host:
    """An enrolled host with its certificate; `run` names its agent's life."""

    def __init__(self, served: Served, name: str, answer: dict[str, Any], key: Any) -> None:
        self.host_id: str = answer["host_id"]
        self.name = name
        self._served = served
        folder = served.folder / f"host-{name}"
        folder.mkdir(exist_ok=True)
        (folder / "key").write_bytes(certificates.key_pem(key))
        (folder / "pem").write_text(answer["chain_pem"])
        self.context = client_context(served.root, folder / "pem", folder / "key")

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        url = f"https://127.0.0.1:{self._served.agents_port}{path}"
        return await self._served.ask("POST", url, body, context=self.context)

    async def begin(
        self, run: str = "run-1", outages: tuple[Outage, ...] = (), addresses: tuple[str, ...] = ()
    ) -> None:
        """Be heard, with a full report."""
        status, _ = await self.post("/agent/v1/poll", {"run": run, "hold_s": 0})
        assert status == 200
        facts = HostFacts(architecture="x86_64", cpus=4, memory_bytes=8 << 30, addresses=addresses)
        state = HostState(facts=facts, outages=outages)
        report = changes(
            None, state, host_id=self.host_id, run=run, sequence=1, epoch=Epoch(1, 1), events=()
        )
        status, answer = await self.post("/agent/v1/report", to_wire(report))
        assert (status, answer.get("resend", False)) == (200, False)

    async def settled(self, run: str = "run-1", **more: Any) -> dict[str, Any]:
        """A poll's body that knows the newest orders."""
        _, answer = await self.post("/agent/v1/orders", {})
        orders = answer["orders"]
        known = {"epoch": orders["epoch"], "revision": orders.get("revision", 0)}
        return {"run": run, **known, **more}


class Served:
    """A running master, and one session that callers share."""

    def __init__(self, folder: Path, master: Master, session: aiohttp.ClientSession) -> None:
        self.folder = folder
        self.socket = folder / "m.sock"
        self.root = folder / "master" / "pki" / "root.pem"
        self.master = master
        self.agents_port, self.api_port = master.ports
        self._session = session
        self._local: Optional[aiohttp.ClientSession] = None

    async def ask(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        context: Optional[ssl.SSLContext] = None,
        token: str = "",
        session: Optional[aiohttp.ClientSession] = None,
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        chosen = self._session if session is None else session
        async with chosen.request(
            method, url, data=data, headers=headers, ssl=True if context is None else context
        ) as answer:
            raw = await answer.read()
            assert answer.headers["Content-Type"].startswith("application/"), raw
            return answer.status, json.loads(raw) if raw else None

    async def local(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """As root on the master's own machine."""
        connector = aiohttp.UnixConnector(path=str(self.socket))
        async with aiohttp.ClientSession(connector=connector) as session:
            return await self.ask(method, f"http://master{path}", body, session=session)

    async def api(
        self, method: str, path: str, body: Any = None, token: str = ""
    ) -> tuple[int, Any]:
        url = f"https://127.0.0.1:{self.api_port}{path}"
        return await self.ask(method, url, body, context=client_context(self.root), token=token)

    async def token(self) -> str:
        status, answer = await self.local("POST", "/v1/sessions", {})
        assert status == 200, answer
        return str(answer["token"])

    async def enroll(self, name: str = "h1") -> Host:
        status, answer = await self.local("POST", "/v1/invites", {"host": name})
        assert status == 200, answer
        invite = Invite.parse(answer["token"])
        key = certificates.new_key()
        request = {
            "host": name,
            "secret": invite.secret,
            "csr_pem": certificates.new_request(key, name).decode(),
        }
        status, answer = await self.api("POST", "/v1/enroll", request)
        assert status == 200, answer
        return Host(self, name, answer, key)

    async def read(self, cls: Any, path: str) -> Any:
        """An answer as its dataclass, read strictly."""
        status, answer = await self.local("GET", path)
        assert status == 200, answer
        return from_wire(cls, answer)

    @contextlib.asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[asyncio.StreamReader]:
        """The raw answer of a GET over the Unix socket, header included, as it comes."""
        reader, writer = await asyncio.open_unix_connection(str(self.socket))
        writer.write(f"GET {path} HTTP/1.0\r\nHost: master\r\n\r\n".encode())
        try:
            yield reader
        finally:
            writer.close()

    async def raw(self, request: bytes) -> bytes:
        """What the Unix socket answers to these bytes, until it closes the connection."""
        reader, writer = await asyncio.open_unix_connection(str(self.socket))
        writer.write(request)
        writer.write_eof()
        try:
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def serving(folder: Path, **more: Any) -> AsyncIterator[Served]:
    config = config_in(folder, **more)
    init(config)
    master, stopping, ready = master_of(config), asyncio.Event(), asyncio.Event()
    life = asyncio.ensure_future(master.run(stopping, ready.set))
    waiting = asyncio.ensure_future(ready.wait())
    await asyncio.wait({life, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if life.done():
        life.result()
    try:
        async with aiohttp.ClientSession() as session:
            yield Served(folder, master, session)
    finally:
        stopping.set()
        try:
            await life
        finally:
            await asyncio.sleep(0.02)  # so that TLS connections say goodbye before the loop ends


def serve(folder: Path, test: Callable[[Served], Awaitable[None]], **more: Any) -> None:
    """Run a test against a master of its own."""

    async def run() -> None:
        async with serving(folder, **more) as served:
            await asyncio.wait_for(test(served), 30)

    asyncio.run(run())


async def eventually(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for something to become true. Fails after ten seconds."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + 10
    while not await condition():
        assert clock() < deadline, f"not within 10 s: {what}"
        await asyncio.sleep(0.02)


# Its image is the host's own, so no host is asked for its digest.
APP = {
    "name": "shop",
    "services": {"web": {"container": {"image": "web:1", "pull_policy": "never"}}},
}
PULLED = {"name": "shop", "services": {"web": {"container": {"image": "web:1"}}}}


def apply_body(request_id: str = "r1", **more: Any) -> dict[str, Any]:
    return {"app": APP, "request_id": request_id, **more}
