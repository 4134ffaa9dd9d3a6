"""A master and three hosts, as real processes: two with Docker, one with Podman.

    with Fleet(folder) as fleet:
        fleet.hullmark("apply", "--wait", "compose.yaml")
        fleet.hosts["web2"].network.cut()

Each host has a network namespace of its own with an address on the tests' private bridge, where the master is at
`HOST_ADDRESS`. Hosts can therefore be cut off, also in one direction only. Call `enter_private_network` first.
With `proxy=True` each has a proxy too, so that services reach each other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from tests.cluster import Cluster, Daemon, apart, containers_in, remove_all_in, wait_until
from tests.controls import own_controls
from tests.integration.engines import Engine, docker_engine, podman_engine
from tests.integration.namespaces import HOST_ADDRESS, HostNetwork
from tests.proxy import Proxy

KINDS: Mapping[str, Callable[..., Engine]] = {
    "web1": docker_engine,
    "web2": docker_engine,
    "web3": podman_engine,
}
IMAGE = "localhost/hullmark-test:1"
PROXY_CONTROLS = ("service-proxy", "container-routing")
"""What is looked at on a host with a proxy; the second more often than it is shipped."""
ROUTING = """\
controls:
  - id: container-routing
    function: container-routing
    title: Neighbours that route containers' networks to this host
    rationale: They may reach what nobody declared.
    remediation: Drop what they send.
    checks: [{id: rules, kind: engines.routing, interval: 5s, timeout: 4s}]
"""
QUICK_S = 4.0
"""`lost_after` where a test is about what happens and not about when."""
QUICK_MASTER = f"lost_after: {QUICK_S:g}s\n"
QUICK_AGENT = "poll_hold: 1s\n"


@dataclass(frozen=True)
class Container:
    """One container of the cluster as its engine has it. The same name may be on two hosts."""

    host: str
    name: str
    inspected: Mapping[str, Any]

    @property
    def running(self) -> bool:
        return bool(self.inspected["State"]["Running"])

    @property
    def life(self) -> tuple[str, str, str, int]:
        """What differs once it was made anew or started again."""
        state = self.inspected["State"]
        return self.host, self.inspected["Id"], state["StartedAt"], state["Pid"]

    def label(self, key: str) -> str:
        return str(self.inspected["Config"]["Labels"][f"io.hullmark.{key}"])

    @property
    def slot(self) -> str:
        """`app/service.number`."""
        return f"{self.label('app')}/{self.label('service')}.{self.label('slot')}"


class Host:
    """One host: its network, its engine, its agent, and its proxy where it has one."""

    def __init__(
        self, folder: Path, network: HostNetwork, engine: Engine, proxy: Optional[Proxy] = None
    ) -> None:
        self.name = network.name
        self.network = network
        self.engine = engine
        self._proxy = proxy
        self.config = folder / f"{self.name}.yaml"
        self.state = folder / self.name
        self.registries = folder / "registries.d"
        self.options = QUICK_AGENT
        """More lines of its agent's configuration."""
        self._controls = folder / f"{self.name}-controls"
        command = [*network.inside, *Cluster.daemon("agentd", self.config)]
        self.agent = Daemon(f"agent of {self.name}", command, folder / f"{self.name}.log")

    def write_configuration(self) -> None:
        options = self.options + (self._proxy.agent_options if self._proxy else "")
        self.config.write_text(
            f"state_dir: {self.state}\n"
            f"audit: {{dir: '{self.state}-audit', copies: none}}\n"
            f"host_name: {self.name}\n"
            f"engine: {{socket: '{self.engine.socket}'}}\n"
            f"registries_dir: {self.registries}\n"
            f"{self._looked_at()}{apart(self.state, options)}"
        )

    def _looked_at(self) -> str:
        if self._proxy is None:
            return own_controls(self._controls)
        return own_controls(self._controls, ROUTING, besides=PROXY_CONTROLS)

    @property
    def has_proxy(self) -> bool:
        return self._proxy is not None

    @property
    def proxy(self) -> Proxy:
        assert self._proxy is not None, f"{self.name} has no proxy"
        return self._proxy

    def __repr__(self) -> str:
        return f"<{self.name} {self.engine.name}>"


class Fleet(Cluster):
    def __init__(
        self,
        folder: Path,
        kinds: Mapping[str, Callable[..., Engine]] = KINDS,
        *,
        proxy: bool = False,
    ) -> None:
        super().__init__(folder, HOST_ADDRESS)
        self.master_options = QUICK_MASTER
        self._kinds = kinds
        self._with_proxy = proxy
        self.hosts: dict[str, Host] = {}
        self._resources = contextlib.ExitStack()

    def set_up(self) -> None:
        """Engines, master and agents; all three hosts are ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for number, name in enumerate(self._kinds, 11):
            network = HostNetwork(name, f"192.0.2.{number}")
            self._resources.enter_context(network)
            engine = self._kinds[name](network=network)
            self._resources.callback(engine.stop)
            self.hosts[name] = Host(self.folder, network, engine, self._proxy(network))
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._start_engine, self.hosts.values()))
        self.set_up_master()
        for host in self.hosts.values():
            host.write_configuration()
            self.enroll_host(host.name, host.config, inside=host.network.inside)
            host.agent.start()
        self.wait_for_hosts()

    def stop(self) -> None:
        for host in self.hosts.values():
            host.agent.kill()
        self.master.kill()
        self._resources.close()

    def reconfigure(self, master: str, agent: str) -> None:
        """Other lines of configuration for the master and for every agent, which are started anew."""
        self.master_options = master
        self.write_master_config()
        for host in self.hosts.values():
            host.options = agent
            host.write_configuration()
            host.agent.kill()
        self.master.kill()
        self.master.start()
        for host in self.hosts.values():
            host.agent.start()
        self.wait_for_hosts()

    def kill_masters(self) -> None:
        self.master.kill()

    def heal(self) -> None:
        """Whatever a test did to networks, engines and daemons: all of them work again."""
        for host in self.hosts.values():
            host.network.heal()
            if not host.engine.running:
                host.engine.start()
            if host.has_proxy and not host.proxy.launched:
                host.proxy.start()
        if not self.master.running:
            self.master.start()
        for host in self.hosts.values():
            if not host.agent.running:
                host.agent.start()
        self.wait_for_hosts()

    def states(self) -> dict[str, str]:
        """Each host's state, as the master says."""
        return {name: view["state"] for name, view in self.host_views().items()}

    def wait_for_hosts(self, timeout_s: float = 40.0) -> None:
        """Until all of them are ready, and without problems."""
        wanted = dict.fromkeys(self.hosts, "ready")
        wait_until(lambda: self.states() == wanted, "all hosts are ready", timeout_s)
        wait_until(
            lambda: not self.problems(), "no host has problems", timeout_s, seen=self.problems
        )

    def problems(self) -> list[str]:
        """What the hosts say is wrong."""
        return [
            f"{name}: {problem['message']}"
            for name, view in self.host_views().items()
            for problem in view["problems"]
        ]

    def wait_for_state(self, host: str, state: str, timeout_s: float = 30.0) -> None:
        wait_until(lambda: self.states().get(host) == state, f"host {host} is {state}", timeout_s)

    def containers(self, app: str = "", host: str = "") -> list[Container]:
        """The cluster's containers in all engines, or one app's, or on one host."""
        found = [
            Container(name, container, inspected)
            for name, each in self.hosts.items()
            if host in ("", name) and each.engine.running
            for container, inspected in containers_in(each.engine.socket, self.cluster_id).items()
        ]
        return [one for one in found if app in ("", one.label("app"))]

    def running(self, app: str = "", host: str = "") -> list[Container]:
        return [one for one in self.containers(app, host) if one.running]

    def lives(self, app: str = "") -> set[tuple[str, str, str, int]]:
        """Of the running containers: equal sets mean that nothing was started, stopped or made anew."""
        return {one.life for one in self.running(app)}

    def volumes(self, name: str) -> list[str]:
        """The hosts whose engine has a volume of this name."""
        found = []
        for host in self.hosts.values():
            with contextlib.closing(host.engine.client()) as client:
                if any(volume.name == name for volume in client.volumes.list()):
                    found.append(host.name)
        return found

    def empty(self) -> None:
        """Remove every app, and whatever is left of one."""
        remove = ("rm", "--wait", "--volumes", "--timeout", "60s")
        with ThreadPoolExecutor() as pool:
            names = [app["name"] for app in self.json("apps")["apps"]]
            list(pool.map(lambda name: self.hullmark(*remove, name), names))
        for host in self.hosts.values():
            remove_all_in(host.engine.socket, self.cluster_id)

    def _proxy(self, network: HostNetwork) -> Optional[Proxy]:
        """Started before its engine: what was made last is stopped first."""
        return self._resources.enter_context(Proxy(network)) if self._with_proxy else None

    @staticmethod
    def _start_engine(host: Host) -> None:
        host.engine.start()
        host.engine.load_image(IMAGE)
