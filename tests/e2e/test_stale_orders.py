"""A stale order, sent straight to the agent's sync while it pulls an image, is refused and recorded."""

from __future__ import annotations

import dataclasses
import json
import random
import threading
from pathlib import Path

import pytest

from hullmark.model.epoch import Epoch
from hullmark.model.orders import Orders, Tombstone
from hullmark.model.protocol import ORDERS_PATH, POLL_PATH
from hullmark.model.wire import from_wire
from tests.cluster import OneHostCluster, wait_until
from tests.e2e.apps import apply_sleeper, processes
from tests.e2e.conftest import IMAGE
from tests.e2e.leader import FalseLeader
from tests.integration.registry import Registry
from tests.integration.relay import Relay

pytestmark = pytest.mark.one_engine


def accepted(cluster: OneHostCluster) -> Orders:
    """The orders that the agent has on its disk."""
    _, _, body = (cluster.folder / "agent" / "state-a.json").read_text().partition("\n")
    return from_wire(Orders, json.loads(body)["orders"])


def refusals(cluster: OneHostCluster) -> list[str]:
    events = cluster.json("events")["events"]
    return [event["message"] for event in events if event["kind"] == "order.refused"]


def is_pulling(cluster: OneHostCluster) -> bool:
    return any(
        one["status"] and one["status"]["phase"] == "pulling" for one in cluster.instances("slow")
    )


@pytest.mark.parametrize("lie", ["in the poll", "in the orders"])
def test_stale_orders_during_a_pull(
    own: OneHostCluster, registry: Registry, tmp_path: Path, lie: str
) -> None:
    apply_sleeper(own, IMAGE, replicas=2)
    before = processes(own)
    stale = kill_everything(accepted(own))
    own.master.kill()
    own.master.start()  # a new term: what was accepted before is stale from now on
    own.wait_for_master()
    wait_until(lambda: accepted(own).epoch > stale.epoch, "the agent follows the new term")
    now = accepted(own)
    name = f"{lie.replace(' ', '')}/web:1"
    registry.push(name, files={"/stone": random.Random(lie).randbytes(1 << 20)})
    with Relay(registry.port, bytes_per_s=100_000) as relay:
        apply_sleeper(own, f"{relay.host}/{name}", name="slow", wait=False)
        wait_until(lambda: is_pulling(own), "the image is being pulled", 60)
        relay.pause()
        own.master.kill()
        claimed = stale.epoch if lie == "in the poll" else now.epoch
        with FalseLeader(
            tmp_path / "false",
            own.folder / "master",
            own.cluster_id,
            own.agents_port,
            name=now.leader,
            polled_epoch=claimed,
            orders=stale,
        ) as false:
            wanted = POLL_PATH if lie == "in the poll" else ORDERS_PATH
            wait_until(lambda: false.asked.get(wanted, 0) >= 2, "the agent heard the lie", 60)
        threading.Timer(1.0, relay.resume).start()
        own.master.start()
        own.wait_for_master()
        wait_until(lambda: processes(own, "slow"), "the pull ends and the app runs", 90)
    assert any(f"epoch {stale.epoch} has passed" in why for why in refusals(own)), refusals(own)
    assert processes(own) == before, "nothing of the stale order was done"
    made = next(found for name, found in own.containers().items() if name.startswith("slow."))
    epoch = Epoch.parse(made["Config"]["Labels"]["io.hullmark.epoch"])
    assert epoch > now.epoch, "made under the orders of the leader that came back"


def kill_everything(orders: Orders) -> Orders:
    """What a leader of the same epoch could have ordered: remove all that runs."""
    return dataclasses.replace(
        orders,
        assignments=(),
        bundles={},
        tombstones=tuple(Tombstone(one.instance, orders.epoch) for one in orders.assignments),
        revision=orders.revision + 1000,
    )
