"""Clients that keep changing apps over TLS, and record each try: what was sent where, when, and what came back.

A request keeps its id until a master says what became of it. A try is `unknown` once something was sent and no answer came, or the
answer says that the store's is not known; it is `refused` where nothing can have been done.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Optional

from hullmark import compose
from hullmark.model.wire import to_wire
from tests.chaos.record import Try
from tests.fleet import IMAGE

CONNECT_S = 0.5
ANSWER_S = 4.0
AGAIN_S = 0.05
GIVE_UP_S = 15.0

APP = """\
name: {name}
services:
  one:
    image: {image}
    command: [sleep, "100000"]
    init: true
    pull_policy: never
    stop_grace_period: 1s
    network_mode: bridge
    environment: {{MARK: "{mark}"}}
    deploy: {{replicas: {replicas}, update_config: {{parallelism: 0, monitor: 0s, order: stop-first}}}}
"""


def compiled(folder: Path, name: str, mark: str, replicas: int) -> Any:
    """The wire form of a small app."""
    file = folder / f"load-{name}-{threading.get_ident()}.yaml"
    file.write_text(APP.format(name=name, image=IMAGE, mark=mark, replicas=replicas))
    return to_wire(compose.load([str(file)], environment={}).app)


class Door:
    """One client's way to both masters: the one that answered last first."""

    def __init__(self, addresses: Iterable[str], port: int, root: Path, token: str) -> None:
        self._addresses = list(addresses)
        self._port = port
        self._token = token
        self._trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._trust.load_verify_locations(root)

    def change(
        self,
        app: str,
        method: str,
        path: str,
        body: Mapping[str, Any],
        tries: list[Try],
        give_up_s: float = GIVE_UP_S,
    ) -> Optional[Try]:
        """Until it is done or refused for good; each try is added to `tries`. None when it was given up."""
        until = time.monotonic() + give_up_s
        while True:
            one, final = self._try(app, method, path, body)
            tries.append(one)
            if final:
                return one
            if time.monotonic() > until:
                return None
            self._addresses.append(self._addresses.pop(0))
            time.sleep(AGAIN_S)
        return None

    def _try(self, app: str, method: str, path: str, body: Mapping[str, Any]) -> tuple[Try, bool]:
        address, sent_s = self._addresses[0], time.monotonic()

        def ended(outcome: str, generation: int = 0, detail: str = "") -> Try:
            now = time.monotonic()
            request_id = str(body["request_id"])
            return Try(request_id, app, sent_s, now, address, outcome, generation, detail)

        connection = http.client.HTTPSConnection(
            address, self._port, context=self._trust, timeout=CONNECT_S
        )
        try:
            try:
                connection.connect()
            except OSError as error:
                return ended("refused", detail=f"not reached: {error}"), False
            assert isinstance(connection.sock, socket.socket)
            connection.sock.settimeout(ANSWER_S)
            head = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
            try:
                connection.request(method, path, json.dumps(body), head)
                answer = connection.getresponse()
                status, raw = answer.status, answer.read()
            except (OSError, http.client.HTTPException) as error:
                return ended("unknown", detail=repr(error)), False
        finally:
            connection.close()
        if status == 200:
            return ended("done", int(json.loads(raw)["generation"])), True
        told = raw.decode(errors="replace")[:300]
        if status >= 500:
            return ended("unknown", detail=f"{status} {told}"), False
        return ended("refused", detail=f"{status} {told}"), status != 421


class Client:
    """Changes apps of its own and one that all clients share, one request after the other, until it is stopped."""

    def __init__(self, name: str, folder: Path, door: Door, seed: int) -> None:
        self.name = name
        self.tries: list[Try] = []
        self._folder = folder
        self._door = door
        self._chance = random.Random(f"{seed} {name}")
        self._count = itertools.count(1)
        self._ending = threading.Event()
        self._ended_well = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """After the request that is under way."""
        self._ending.set()
        self._thread.join(GIVE_UP_S + ANSWER_S + 5)
        assert not self._thread.is_alive(), f"{self.name} does not end"
        assert self._ended_well, f"{self.name} failed: see what its thread wrote"

    def _run(self) -> None:
        while not self._ending.is_set():
            self._change_once()
            self._ending.wait(self._chance.uniform(0.3, 1.0))
        self._ended_well = True

    def _change_once(self) -> None:
        number = next(self._count)
        app = self._chance.choice([self.name, self.name, "shared"])
        request_id = f"{self.name}-{number}-{self._chance.getrandbits(48):012x}"
        replicas = self._chance.randint(1, 2)
        path = f"/v1/apps/{app}"
        known = any(one.app == app and one.outcome == "done" for one in self.tries)
        if known and self._chance.random() < 0.4:
            body = {"services": {"one": replicas}, "request_id": request_id}
            self._door.change(app, "POST", f"{path}/scale", body, self.tries)
            return
        wish = compiled(self._folder, app, f"{self.name} {number}", replicas)
        self._door.change(app, "PUT", path, {"app": wish, "request_id": request_id}, self.tries)
