"""What a host's proxy has to do with the other parts of an agent."""

from __future__ import annotations

from pathlib import Path

from hullmark.agentd.hostnames import HostsFiles
from hullmark.agentd.hostproxy import in_need
from hullmark.engine.protocol import Container, ContainerState
from hullmark.model.orders import InstanceId
from tests.unit.agentd.fakes import CLUSTER, EPOCH, Agent, bundle_of, orders_of

WEB, DB, OLD = (InstanceId("shop", name, 1, 1) for name in ("web", "db", "old"))


def container(instance: InstanceId, cluster_id: str) -> Container:
    name, state = instance.container_name, ContainerState.EXITED
    return Container(f"id-{name}", name, instance, cluster_id, "f" * 64, EPOCH, state)


def test_whoever_exists_or_is_to_be_keeps_a_hosts_file(tmp_path: Path) -> None:
    """One that another cluster left behind too: its engine starts it again after a crash, or a boot."""
    agent = Agent(tmp_path / "agent")
    for one in (container(DB, CLUSTER), container(OLD, "another")):
        agent.engine.containers[one.container_id] = one
    agent.observer.look()
    files = HostsFiles(tmp_path / "hosts")
    paths = [Path(files.write(one, "x\n")) for one in (WEB, DB, OLD)]
    files.sweep(in_need(orders_of([(WEB, bundle_of())]), agent.observer))
    assert all(path.exists() for path in paths)
    files.sweep(in_need(orders_of(), agent.observer))
    assert [path.exists() for path in paths] == [False, True, True]
