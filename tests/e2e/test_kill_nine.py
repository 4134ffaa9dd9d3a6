"""kill -9 of the agent, the master or both at random moments, while a client keeps changing the app.

Rules, checked against the engine's own history: no container is restarted, no slot ever runs twice, none is
lost, a service that nobody changed keeps its very processes, and the state converges.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from hullmark.model.audit import Actor, Outcome, Record, Stage
from tests.cluster import OneHostCluster, wait_until
from tests.e2e.auditlog import breaks, records, unended
from tests.e2e.history import History, doubled, restarted
from tests.integration.engines import Engine

ROUNDS = int(os.environ.get("HULLMARK_KILL_ROUNDS", "15"))
SEED = int(os.environ.get("HULLMARK_KILL_SEED", str(random.SystemRandom().randrange(1 << 32))))

APP = """\
name: shop
services:
  steady:
    image: {image}
    command: [sleep, "100000"]
    init: true
    deploy: {{replicas: 2}}
  changing:
    image: {image}
    command: [sleep, "100000"]
    init: true
    stop_grace_period: 1s
    environment: {{ROUND: "{round}"}}
    deploy: {{replicas: {replicas}, update_config: {{parallelism: 0, monitor: 0s}}}}
"""


class Client:
    """Keeps changing the app, and knows what it last asked for."""

    def __init__(self, cluster: OneHostCluster, image: str, chance: random.Random) -> None:
        self.cluster = cluster
        self.image = image
        self.chance = chance
        self.round = 0
        self.replicas = 2
        self.file = cluster.folder / "compose.yaml"

    def change(self) -> None:
        """Ask for another number of instances, another spec of them, or both."""
        kind = self.chance.choice(("scale", "spec", "both"))
        if kind != "spec":
            self.replicas = self.chance.choice([n for n in range(1, 6) if n != self.replicas])
        if kind != "scale":
            self.round += 1
        self.file.write_text(APP.format(image=self.image, round=self.round, replicas=self.replicas))

    def apply(self) -> bool:
        return self.cluster.run("apply", "--no-wait", str(self.file)).returncode == 0

    def wanted(self) -> dict[str, str]:
        """ROUND by slot, as it has to be in the end."""
        steady = {f"steady.{slot}": "" for slot in (1, 2)}
        return {**steady, **{f"changing.{n + 1}": str(self.round) for n in range(self.replicas)}}


def running(cluster: OneHostCluster) -> dict[str, tuple[str, int]]:
    """ROUND and process id by slot of the running containers; a slot that runs twice is an error."""
    found: dict[str, tuple[str, int]] = {}
    for inspected in cluster.containers().values():
        labels = inspected["Config"]["Labels"]
        slot = f"{labels['io.hullmark.service']}.{labels['io.hullmark.slot']}"
        if inspected["State"]["Running"]:
            assert slot not in found, f"{slot} runs twice"
            environment = dict(item.split("=", 1) for item in inspected["Config"]["Env"])
            found[slot] = (environment.get("ROUND", ""), inspected["State"]["Pid"])
    return found


def kill_at_random(cluster: OneHostCluster, chance: random.Random) -> str:
    """Kill one or both daemons at a random moment; start again what was killed."""
    time.sleep(chance.uniform(0.0, 1.2))
    victims = chance.choice(((cluster.agent,), (cluster.master,), (cluster.agent, cluster.master)))
    for victim in victims:
        old = victim.pid
        victim.kill()
        assert not Path(f"/proc/{old}").exists(), f"{victim.name} survived kill -9"
    time.sleep(chance.uniform(0.0, 0.3))
    for victim in victims:
        victim.start()
    return " and ".join(victim.name for victim in victims)


@pytest.mark.timeout(900)
def test_nothing_is_restarted_doubled_or_lost(engine: Engine, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    image = "localhost/hullmark-test:1"
    engine.load_image(image)
    with OneHostCluster(tmp_path, engine.socket) as cluster:
        client = Client(cluster, image, chance)
        client.change()
        assert client.apply()
        wait_until(lambda: set(running(cluster)) == set(client.wanted()), "the app runs", 60)
        steady = {slot: pid for slot, (_, pid) in running(cluster).items() if "steady" in slot}
        with History(engine.socket, cluster.cluster_id) as history:
            for number in range(ROUNDS):
                client.change()
                client.apply()  # may be cut off by the kill of the round before
                killed = kill_at_random(cluster, chance)
                where = f"seed {SEED}, round {number}, killed {killed}"
                wait_until(client.apply, f"the change is accepted ({where})", 30)
                wait_until(
                    lambda: (
                        {slot: have for slot, (have, _) in running(cluster).items()}
                        == client.wanted()
                    ),
                    f"the app converges ({where}): {client.wanted()}",
                    60,
                )
                now = {slot: pid for slot, (_, pid) in running(cluster).items() if slot in steady}
                assert now == steady, f"an unchanged service lost its processes ({where})"
            happenings = history.happenings()
        assert sum(found.action == "start" for found in happenings) >= ROUNDS // 2, (
            "the history saw too few starts to prove anything"
        )
        assert not list(doubled(happenings)), f"seed {SEED}"
        assert not list(restarted(happenings)), f"seed {SEED}"
        wait_until(
            lambda: len(cluster.containers()) == len(client.wanted()),
            "every replaced container is removed",
            30,
        )
        assert cluster.json("orphans")["orphans"] == []
        found = ended(cluster.folder / "agent-audit")
        actors = {one.entry.actor for one in found if one.entry.kind == "container.create"}
        assert actors == {Actor.HUMAN}, "who applied it is known to the host"
        asked = [
            one
            for one in ended(cluster.folder / "master-audit")
            if one.entry.kind == "request.apply"
        ]
        done = [one for one in asked if one.entry.outcome is Outcome.SUCCESS]
        assert len(done) > ROUNDS, "what was acknowledged is recorded"
        assert all(one.entry.by and one.entry.request_id for one in asked)


def ended(folder: Path) -> list[Record]:
    """The records of a log whose intents all have one outcome, and that is a chain."""
    wait_until(lambda: not unended(records(folder)), f"every intent of {folder} has its outcome")
    found = records(folder)
    told = [one.entry.of for one in found if one.entry.stage is Stage.OUTCOME]
    assert len(told) == len(set(told)), "no intent has two outcomes"
    assert breaks(folder) == []
    return found
