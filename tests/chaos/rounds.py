"""One seeded round: a fault or two at a pair under load, their healing, and the rest after it.

    with Bed(folder) as bed:
        broken = bed.round(17)

The seed says which faults, at what, for how long, and what the clients ask for. What answers when is the machine's, so a seed
that failed is tried again a few times before it is called mended.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Optional

import docker.errors
import requests

from tests.chaos import ways
from tests.chaos.checker import Violation, check
from tests.chaos.faults import FAMILIES, FAULTS, HOST_SIDE, Doing
from tests.chaos.load import Client, Door
from tests.chaos.pair import API_PORT, MACHINES, Pair
from tests.chaos.record import Fault, History, Rest, Round, Running, Try, save
from tests.chaos.watching import AgentsEye, EngineEye, running
from tests.fleet import KINDS
from tests.integration.engines import Engine

LOST_AFTER_S = 10.0
REST_S = 60.0
CLIENTS = ("c1", "c2")
KINDS_OF_APPS = {"kept": "keep", "lone": "stop", "still": "replace", ways.APP: "keep"}
SERVICE = """\
name: {name}
services:
  one:
    image: localhost/hullmark-test:1
    command: [sleep, "100000"]
    init: true
    pull_policy: never
    stop_grace_period: 1s
    network_mode: bridge
{more}"""
MORE = {
    "kept": "    volumes: [data:/data]\nvolumes: {data: {}}\n",
    "lone": "    x-hullmark: {on_host_lost: stop}\n",
    "still": "    deploy: {replicas: 3}\n",
}


@dataclass
class Planned:
    """A fault, and when it is to begin and to be healed: seconds after the round's begin."""

    doing: Doing
    begin_s: float
    end_s: float
    began_s: float = 0.0


def drawn(pair: Pair, seed: int) -> list[Planned]:
    """The faults of a round, one or two, of different families."""
    chance = random.Random(seed)
    kinds = [chance.choice(FAULTS)]
    if chance.random() < 0.4:
        other = chance.choice(FAULTS)
        alike = any(
            issubclass(kinds[0], family) and issubclass(other, family) for family in FAMILIES
        )
        if other not in kinds and not alike:
            kinds.append(other)
    planned = []
    for kind in kinds:
        begin_s = chance.uniform(0.5, 2.0)
        planned.append(
            Planned(kind(pair, chance), begin_s, begin_s + chance.uniform(*kind.lasts_s))
        )
    return sorted(planned, key=lambda one: one.begin_s)


class Bed:
    """A pair under watch, for one round after the other."""

    def __init__(self, folder: Path, kinds: Mapping[str, Callable[..., Engine]] = KINDS) -> None:
        self.folder = folder
        options = f"lost_after: {LOST_AFTER_S:g}s\n"
        self.pair = Pair(folder, kinds, master_options=options, proxy=True)
        self.rounds: list[Round] = []
        self.faults: list[Fault] = []
        self.tries: list[Try] = []
        self.rests: list[Rest] = []
        self._engines: list[EngineEye] = []

    def __enter__(self) -> Bed:
        self.pair.__enter__()
        try:
            self._begin()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        for eye in self._engines:
            eye.stop()
        if hasattr(self, "_agents"):
            self._agents.stop()
        self.pair.stop()

    def _begin(self) -> None:
        self._engines = [EngineEye(host, self.pair.cluster_id) for host in self.pair.hosts.values()]
        self._agents = AgentsEye(self.pair.hosts)
        self._agents.start()
        for eye in self._engines:
            eye.start()
        self.token = self.folder / "token"
        create = ("token", "create", "chaos", "--role", "deployer")
        self.pair.hullmark(*create, "--token-file", str(self.token))
        apps = {app: SERVICE.format(name=app, more=more) for app, more in MORE.items()}
        apps[ways.APP] = ways.SERVICES
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._apply, apps, apps.values()))

    def _apply(self, app: str, text: str) -> None:
        file = self.folder / f"{app}.yaml"
        file.write_text(text)
        self.pair.hullmark("apply", "--wait", str(file))

    def door(self) -> Door:
        """A way to both masters for one client."""
        addresses = [MACHINES[name] for name in self.pair.masters]
        root = self.pair.masters["m1"].state / "pki" / "root.pem"
        return Door(addresses, API_PORT, root, self.token.read_text().strip())

    def round(self, seed: int) -> list[Violation]:
        """What it broke; the history so far is in `history`."""
        begin_s = time.monotonic()
        self._agents.look(also_same=True)
        clients = [Client(name, self.folder, self.door(), seed) for name in CLIENTS]
        for client in clients:
            client.start()
        try:
            self._do(drawn(self.pair, seed))
            self._wait_for_a_change(clients)
        finally:
            for client in clients:
                client.stop()
                self.tries += client.tries
        self._rest()
        self.rounds.append(Round(seed, begin_s, time.monotonic()))
        return check(self.history())

    def _do(self, planned: list[Planned]) -> None:
        zero = time.monotonic()
        for one in planned:
            time.sleep(max(0.0, zero + one.begin_s - time.monotonic()))
            one.began_s = time.monotonic()
            one.doing.begin()
        for one in sorted(planned, key=lambda each: each.end_s):
            time.sleep(max(0.0, zero + one.end_s - time.monotonic()))
            self._heal(one)

    def _heal(self, one: Planned) -> None:
        doing, lasted_s = one.doing, time.monotonic() - one.began_s
        doing.heal()
        control = not isinstance(doing, HOST_SIDE)
        unheard = tuple(self.pair.hosts) if control else doing.unheard
        self.faults.append(
            Fault(
                doing.name,
                doing.target,
                one.began_s,
                time.monotonic(),
                doing.proof,
                unheard,
                doing.broken,
                control=control,
                lasted_s=lasted_s,
                leaderless=doing.leaderless,
            )
        )

    @staticmethod
    def _wait_for_a_change(clients: list[Client], timeout_s: float = 20.0) -> None:
        """Until each client had a change acknowledged after the healing: what lasts longer shows in the rules."""
        healed_s = time.monotonic()
        while time.monotonic() < healed_s + timeout_s:
            if all(
                any(one.outcome == "done" and one.ended_s > healed_s for one in client.tries)
                for client in clients
            ):
                return
            time.sleep(0.1)

    def _rest(self) -> None:
        until = time.monotonic() + REST_S
        self._intruders: set[str] = set()
        why, found, generations = self._look()
        while why and time.monotonic() < until:
            time.sleep(0.5)
            why, found, generations = self._look()
        self._agents.look(also_same=True)
        now = time.monotonic()
        self.rests.append(Rest(now, not why, why, found, generations, tuple(self._intruders)))

    def _look(self) -> tuple[str, tuple[Running, ...], dict[str, int]]:
        """What is not as asked for yet, by engines, store and leader."""
        done = self.pair.look("apps", "--output", "json")
        if done.returncode not in (0, 1):
            return f"apps: exit {done.returncode}: {done.stderr.strip()}", (), {}
        generations = _generations(done.stdout)
        try:
            self.pair.eye.catch_up()
        except requests.RequestException as error:
            return f"the store: {error}", (), generations
        specs = {(spec.app, spec.generation) for spec in self.pair.eye.specs}
        if not specs.issuperset(generations.items()):
            return f"served, and not in the store: {set(generations.items()) - specs}", (), {}
        try:
            containers = self.pair.containers()
        except docker.errors.APIError as error:  # one that went while it was looked at
            return f"an engine: {error}", (), generations
        for eye, host in zip(self._engines, self.pair.hosts):
            eye.complete([one for one in containers if one.host == host and one.running])
        found = running(containers)
        states = self.pair.states()
        if set(states.values()) != {"ready"} or len(states) != len(self.pair.hosts):
            return f"hosts: {states}", found, generations
        wanted = self._wanted(generations)
        have = sorted((one.app, one.service, one.slot, one.generation) for one in found)
        if have != wanted:
            return f"runs {have}, wanted {wanted}", found, generations
        reached = ways.look(containers)
        self._intruders.update(reached.intruders)
        return reached.why, found, generations

    def _wanted(self, generations: Mapping[str, int]) -> list[tuple[str, str, int, int]]:
        specs = {(spec.app, spec.generation): spec for spec in self.pair.eye.specs}
        return sorted(
            (app, service, slot, spec.generations[service])
            for app, generation in generations.items()
            for spec in [specs[app, generation]]
            for service, replicas in spec.replicas.items()
            for slot in range(1, replicas + 1)
        )

    def history(self) -> History:
        happenings = [act for eye in self._engines for act in eye.happenings()]
        return History(
            LOST_AFTER_S,
            KINDS_OF_APPS,
            tuple(self.rounds),
            tuple(self.faults),
            tuple(self.tries),
            tuple(self.pair.eye.reigns),
            tuple(self.pair.eye.specs),
            tuple(self._agents.found()),
            tuple(sorted(happenings, key=lambda act: act.at_s)),
            tuple(self.rests),
        )

    def keep(self, folder: Path) -> None:
        """The history and the logs, for whoever looks for the cause."""
        save(self.history(), folder / "history.json")
        for log in [*self.folder.glob("*.log"), *self.folder.glob("etcd/*.log")]:
            (folder / log.name).write_bytes(log.read_bytes())


def _generations(text: str) -> dict[str, int]:
    return {one["name"]: int(one["generation"]) for one in json.loads(text)["apps"]}
