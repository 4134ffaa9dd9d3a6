"""A pair of masters with a store of three, and three hosts: real processes, each machine in a network namespace of its own.

    with Pair(folder) as pair:
        pair.hullmark("apply", "--wait", "compose.yaml")
        pair.leader().kill()

    machine   address        what runs there
    m1        192.0.2.21     master m1, etcd member e1
    m2        192.0.2.22     master m2, etcd member e2
    w1        192.0.2.23     etcd member e3: the witness
    web1-3    192.0.2.11-13  an engine and an agent each

The wires meet in `lan0` of the tests' own namespace, where the command line runs. `Links` cuts single pairs of machines.
Call `enter_private_network` first, and make and end the bed in the process's first thread.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Optional

from tests.chaos.storeeye import StoreEye
from tests.cluster import Cluster, Daemon, wait_until
from tests.fleet import KINDS, QUICK_AGENT, Fleet, Host
from tests.integration.engines import Engine
from tests.integration.etcd import NEWEST, EtcdCluster, EtcdMember
from tests.integration.namespaces import HostNetwork

MACHINES = {"m1": "192.0.2.21", "m2": "192.0.2.22", "w1": "192.0.2.23"}
API_PORT = 7442
AGENTS_PORT = 7441
STORE_MIB = 320
"""Room for a member of etcd: its log takes 64 MiB ahead, twice."""


class Master:
    """One of the pair: its machine, its process, its own Unix socket."""

    def __init__(self, folder: Path, network: HostNetwork) -> None:
        self.name = network.name
        self.network = network
        self.folder = folder / self.name
        self.config = folder / f"{self.name}.yaml"
        self.state = self.folder / "state"
        self.socket = self.folder / "m.sock"
        self.log = folder / f"{self.name}.log"
        self.api_url = f"https://{network.address}:{API_PORT}"
        self.agents_url = f"https://{network.address}:{AGENTS_PORT}"
        command = [*network.inside, *Cluster.daemon("masterd", self.config)]
        self.daemon = Daemon(self.name, command, self.log)

    @property
    def running(self) -> bool:
        return self.daemon.running

    @property
    def pid(self) -> int:
        return self.daemon.pid

    def start(self) -> None:
        self.daemon.start()

    def stop(self) -> None:
        """In an orderly way: leadership is given back."""
        self.resume()
        self.daemon.kill(signal.SIGTERM)

    def kill(self) -> None:
        self.daemon.kill(signal.SIGKILL)

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        if self.running:
            os.kill(self.pid, signal.SIGCONT)

    def __repr__(self) -> str:
        return f"<master {self.name}>"


class Pair(Fleet):
    """`kinds`: the hosts and their engines. `master_options`: more lines of both masters' configuration. `proxy`: whether each host has one."""

    def __init__(
        self,
        folder: Path,
        kinds: Mapping[str, Callable[..., Engine]] = KINDS,
        *,
        version: str = NEWEST,
        master_options: str = "",
        agent_options: str = QUICK_AGENT,
        proxy: bool = False,
    ) -> None:
        super().__init__(folder, kinds, proxy=proxy)
        self.master_options = master_options
        self.agent_options = agent_options
        self.version = version
        self.masters: dict[str, Master] = {}
        self.machines: dict[str, HostNetwork] = {}

    def set_up(self) -> None:
        """Store, both masters, engines and agents; a master leads, the other stands by, all hosts are ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, address in MACHINES.items():
            network = self._resources.enter_context(HostNetwork(name, address))
            self.machines[name] = network
        self._start_store()
        for name in ("m1", "m2"):
            self.masters[name] = Master(self.folder, self.machines[name])
            self.write_configuration(self.masters[name])
        self._start_masters()
        self.add_hosts()
        self.wait_for_hosts()

    def add_hosts(self) -> None:
        for number, name in enumerate(self._kinds, 11):
            network = self._resources.enter_context(HostNetwork(name, f"192.0.2.{number}"))
            engine = self._kinds[name](network=network)
            self._resources.callback(engine.stop)
            self.hosts[name] = Host(self.folder, network, engine, self._proxy(network))
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._start_engine, self.hosts.values()))
        for host in self.hosts.values():
            host.options = self.agent_options
            host.write_configuration()
            self.enroll_host(host.name, host.config, inside=host.network.inside)
            host.agent.start()

    def _start_store(self) -> None:
        folder = self.folder / "etcd"
        self.etcd = EtcdCluster(folder, self.version, networks=list(self.machines.values()))
        for member in self.etcd.members:
            member.data = folder / f"{member.name}-disk" / "data"
            disk = member.data.parent
            disk.mkdir()
            options = f"size={STORE_MIB}m,mode=0700"
            mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
            subprocess.run(mount, check=True)
            self._resources.callback(_unmount, disk)
        self._resources.enter_context(self.etcd)
        self.eye = StoreEye(self.etcd)

    def member(self, machine: str) -> EtcdMember:
        """The member of etcd on a machine."""
        return next(one for one in self.etcd.members if one.address == MACHINES[machine])

    def write_configuration(self, master: Master) -> None:
        master.folder.mkdir(exist_ok=True)
        master.config.write_text(
            f"state_dir: {master.state}\n"
            f"audit: {{dir: '{master.folder}/audit', copies: none}}\n"
            f"name: {master.name}\n"
            f"socket: {master.socket}\n"
            f"addresses: [{master.network.address}]\n"
            f"api: {{listen: '{master.network.address}:{API_PORT}'}}\n"
            f"agents: {{listen: '{master.network.address}:{AGENTS_PORT}'}}\n"
            f"{self.etcd.master_yaml()}{self.master_options}"
        )

    def _start_masters(self) -> None:
        first, second = self.masters.values()
        self.master, self.master_config = first.daemon, first.config
        self.hullmark("master", "init", "--config", str(first.config), inside=first.network.inside)
        first.start()
        self.master_socket = f"unix://{first.socket}"
        self.wait_for_master()
        status = self.look("status", "--output", "json")  # degraded: there is one master so far
        self.cluster_id = str(json.loads(status.stdout)["cluster_id"])
        self.join(second)
        second.start()
        self.master_socket = ",".join(f"unix://{one.socket}" for one in self.masters.values())
        wait_until(second.socket.exists, f"{second.name} stands by (see {second.log})")

    def join(self, second: Master) -> None:
        """The second master gets an authority of its own, which the first one signs for an invite."""
        token = self.folder / f"{second.name}.token"
        self.hullmark("master", "invite", second.name, "--token-file", str(token))
        options = ("--config", str(second.config), "--token-file", str(token), "--no-start")
        url = self.masters["m1"].api_url
        self.hullmark("master", "join", url, *options, inside=second.network.inside)
        token.unlink()

    def stop(self) -> None:
        for host in self.hosts.values():
            host.agent.kill()
        self.kill_masters()
        self._resources.close()

    def kill_masters(self) -> None:
        for master in self.masters.values():
            master.kill()

    def leader(self, timeout_s: float = 15.0) -> Master:
        """Whoever the store says leads, and whose process runs; waits for one."""

        def found() -> Optional[Master]:
            name = self.eye.leader().leader.partition("@")[0]
            master = self.masters.get(name)
            return master if master is not None and master.running else None

        leader: Master = wait_until(found, "a master leads", timeout_s)
        return leader

    def standby(self) -> Master:
        """The other one, which may be down."""
        leader = self.leader()
        return next(one for one in self.masters.values() if one is not leader)

    def ask(self, master: Master, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command line against one master's own socket."""
        return self.run("--master", f"unix://{master.socket}", *arguments)

    def look_at(self, master: Master, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same for a question, as `look`."""
        return self.look("--master", f"unix://{master.socket}", *arguments)

    def heal(self) -> None:
        """Whatever a test did to machines and processes: all of them work again, and no host has problems."""
        for network in [*self.machines.values(), *(host.network for host in self.hosts.values())]:
            network.heal()
        for member in self.etcd.members:
            if member.running:
                member.resume()
            else:
                member.start()
        for member in self.etcd.members:
            member.wait()
        for master in self.masters.values():
            master.resume()
            if not master.running:
                master.start()
        for host in self.hosts.values():
            if not host.engine.running:
                host.engine.start()
            if host.has_proxy and not host.proxy.launched:
                host.proxy.start()
            if not host.agent.running:
                host.agent.start()
            os.kill(host.agent.pid, signal.SIGCONT)
        self.wait_for_hosts(60)


class Links:
    """Cuts between single machines, by dropping packets where they arrive: nobody's routes or wires are touched."""

    def __init__(self, networks: Mapping[str, HostNetwork]) -> None:
        self._networks = networks
        self._rules: list[tuple[str, Path, list[str]]] = []

    def cut(
        self, source: str, target: str, *, loss: float = 1.0, match: Sequence[str] = ()
    ) -> None:
        """What `source` sends to `target` doesn't arrive, or a part of it. One way; once more for the other. `match`: of
        packets, as iptables-extensions(8) says it; all where it is empty."""
        rule = ["-s", self._networks[source].address, *match]
        if loss < 1:
            rule += ["-m", "statistic", "--mode", "random", "--probability", f"{loss:g}"]
        self._iptables(target, "-I", rule)
        self._rules.append((target, self._networks[target].path, rule))

    def cut_both(
        self, one: str, other: str, *, loss: float = 1.0, match: Sequence[str] = ()
    ) -> None:
        self.cut(one, other, loss=loss, match=match)
        self.cut(other, one, loss=loss, match=match)

    def isolate(self, name: str, others: Sequence[str] = ()) -> None:
        """From the named machines, or from all others."""
        for other in others or [each for each in self._networks if each != name]:
            self.cut_both(name, other)

    def dropped(self) -> int:
        """Packets that the cuts have dropped."""
        found = 0
        for target in {target for target, _, _ in self._rules}:
            listing = ["iptables", "-w", "-L", "INPUT", "-n", "-v", "-x"]
            command = [*self._networks[target].inside, *listing]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found += sum(
                int(line.split()[0]) for line in done.stdout.splitlines() if " DROP " in line
            )
        return found

    def heal(self) -> None:
        """A machine that was booted meanwhile has no cuts any more."""
        while self._rules:
            target, where, rule = self._rules.pop()
            if self._networks[target].path == where:
                self._iptables(target, "-D", rule)

    def _iptables(self, target: str, verb: str, rule: Sequence[str]) -> None:
        command = [*self._networks[target].inside, "iptables", "-w", verb, "INPUT", *rule]
        subprocess.run([*command, "-j", "DROP"], check=True)


def _unmount(disk: Path) -> None:
    subprocess.run(["umount", "-l", str(disk)], stderr=subprocess.DEVNULL)
