"""One master and one agent on loopback, as real processes: for the demo, the bench and the end-to-end tests.

    with OneHostCluster(folder, engine_socket) as cluster:
        cluster.hullmark("apply", "--wait", "compose.yaml")

Everything that the cluster writes is below `folder`. Its daemons die with the process that started them,
also when that one is killed; the containers are the engine's, and stay until `remove_containers`.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Optional, TypeVar

import docker
import docker.errors
import yaml

from tests.controls import own_controls
from tests.sdk import api_client
from tests.warmcommand import WarmCommand

PR_SET_PDEATHSIG = 1  # prctl(2)
LABEL_CLUSTER = "io.hullmark.cluster"

ClusterT = TypeVar("ClusterT", bound="Cluster")

_libc = ctypes.CDLL(None, use_errno=True)
_warm = WarmCommand()


def die_with_parent() -> None:
    """For `preexec_fn`: the child gets SIGKILL when the thread that started it ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """This process's, in which Python keeps what it compiled, as it does for a user."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def free_port() -> int:
    """A TCP port on loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    condition: Callable[[], Any],
    what: str,
    timeout_s: float = 30.0,
    seen: Callable[[], object] = str,
) -> Any:
    """The condition's first true value. Raises AssertionError naming `what`, and what is seen instead, when time runs out. It rests for as
    long as a look took: who waits leaves the processor to what is waited for."""
    deadline = time.monotonic() + timeout_s
    while True:
        began = time.monotonic()
        value = condition()
        if value:
            return value
        ended = time.monotonic()
        if ended > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what} {seen()}".rstrip())
        time.sleep(max(0.05, min(ended - began, deadline - ended)))


class Daemon:
    """One daemon's process and its log file. `start` after `kill` starts it again. `environment` is added to
    this process's own."""

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        self.name = name
        self.command = command
        self.log = log
        self.environment: dict[str, str] = {}
        self.process: Optional[subprocess.Popen[bytes]] = None

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.name} was not started"
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        assert not self.running, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env={**_environment(), **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a terminal's Ctrl-C is for the tester, which then ends it
                preexec_fn=die_with_parent,
            )

    def kill(self, number: int = signal.SIGKILL, timeout_s: float = 15.0) -> None:
        """Send a signal and wait for the end; a daemon that is down already is fine."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(
                f"{self.name} did not end {timeout_s:g} s after signal {number}"
            ) from None


def apart(folder: Path, options: str = "") -> str:
    """These lines of an agent's configuration, and some by which it has nothing to do with the policy and the proxy of the machine itself, where that has some."""
    given = yaml.safe_load(options) or {}
    own = {
        "policy_dir": f"{folder}/policy.d",
        "proxy": f"{{folder: '{folder}/no-proxy', run_dir: '{folder}/no-proxy'}}",
    }
    lines = (f"{key}: {value}\n" for key, value in own.items() if key not in given)
    return "".join(lines) + options


class Cluster(ABC):
    """A master with the embedded store, and the command line to it. Subclasses add hosts."""

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        self.folder = folder
        self.address = address
        self.master_socket = f"unix://{folder}/m.sock"
        self.api_port = free_port()
        self.agents_port = free_port()
        self.master_config = folder / "master.yaml"
        self.master_options = ""
        """More lines of `master.yaml`."""
        self.cluster_id = ""
        self.master = Daemon(
            "master", self.daemon("masterd", self.master_config), folder / "master.log"
        )

    @abstractmethod
    def set_up(self) -> None:
        """Bring up all of it; return when it can be used."""

    @abstractmethod
    def stop(self) -> None:
        """End all daemons, also after a `set_up` that failed."""

    def __enter__(self: ClusterT) -> ClusterT:
        try:
            self.set_up()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.stop()

    def set_up_master(self) -> None:
        """Initialise the cluster, start its master, wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write_master_config()
        self.hullmark("master", "init", "--config", str(self.master_config))
        self.master.start()
        self.wait_for_master()
        self.cluster_id = str(
            json.loads(self.look("status", "--output", "json").stdout)["cluster_id"]
        )

    def write_master_config(self) -> None:
        self.master_config.write_text(
            f"state_dir: {self.folder}/master\n"
            f"audit: {{dir: '{self.folder}/master-audit', copies: none}}\n"
            "name: m1\n"
            f"socket: {self.folder}/m.sock\n"
            f"addresses: [{self.address}]\n"
            f"api: {{listen: '{self.address}:{self.api_port}'}}\n"
            f"agents: {{listen: '{self.address}:{self.agents_port}'}}\n"
            f"{'' if 'alerts:' in self.master_options else 'alerts: {log: none}'}\n"
            f"{self.master_options}"
        )

    def enroll_host(
        self, name: str, config: Path, *options: str, inside: Sequence[str] = ()
    ) -> None:
        """Invite a host and enroll its agent. `inside` goes before the command that the host runs."""
        token = self.folder / f"{name}.token"
        self.hullmark("invite", name, "--token-file", str(token))
        enroll = ("agent", "enroll", "--config", str(config), "--token-file", str(token))
        self.hullmark(*enroll, *options, inside=inside)
        token.unlink()

    def host_views(self) -> dict[str, dict[str, Any]]:
        """What `hosts` says of each host, by name; the exit code tells of problems, and is not looked at."""
        done = self.look("hosts", "--output", "json")
        found = json.loads(done.stdout)["hosts"] if done.returncode in (0, 1) else []
        return {host["name"]: host for host in found}

    def instances(self, app: str) -> list[dict[str, Any]]:
        """What `ps` says of an app's instances."""
        found: list[dict[str, Any]] = self.json("ps", app)["instances"]
        return found

    def wait_for_master(self, timeout_s: float = 20.0) -> None:
        """Until it answers, whatever it then says: 2 is what it says before it has heard any host."""
        wait_until(
            lambda: self.look("status", "--output", "json").returncode in (0, 1, 2),
            f"the master answers (see {self.master.log})",
            timeout_s,
        )

    def command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).parent / "hullmark"), *arguments]

    def run(
        self, *arguments: str, timeout_s: float = 120.0, inside: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line against this cluster; the exit code is the caller's to judge. `inside` goes before
        the command, such as one that enters a host's namespace."""
        return subprocess.run(
            [*inside, *self.command(*arguments)],
            env=self._variables(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def hullmark(
        self, *arguments: str, timeout_s: float = 120.0, inside: Sequence[str] = ()
    ) -> str:
        """Run the command line, expect exit code 0, and give its output."""
        done = self.run(*arguments, timeout_s=timeout_s, inside=inside)
        assert done.returncode == 0, (
            f"hullmark {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout

    def look(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """As `run`, for a question, which may be asked many times a second: of the command that is imported already."""
        return _warm.run(arguments, self._variables(), 120.0)

    def json(self, *arguments: str) -> Any:
        """A question's answer, expecting exit code 0."""
        done = self.look(*arguments, "--output", "json")
        assert done.returncode == 0, (
            f"hullmark {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return json.loads(done.stdout)

    def _variables(self) -> dict[str, str]:
        return {**_environment(), "HULLMARK_MASTER": self.master_socket, "NO_COLOR": "1"}

    @staticmethod
    def daemon(package: str, config: Path) -> list[str]:
        """The command line of a daemon."""
        return [
            sys.executable,
            "-m",
            f"hullmark.{package}",
            "run",
            "--config",
            str(config),
        ]


class OneHostCluster(Cluster):
    """A master with the embedded store, and one enrolled host named `host`."""

    def __init__(
        self, folder: Path, engine_socket: str, *, host: str = "box", agent_options: str = ""
    ) -> None:
        super().__init__(folder)
        self.engine_socket = engine_socket
        self.host = host
        self.agent_config = folder / "agent.yaml"
        self.agent_options = agent_options
        self.agent_controls = ""
        """Lines of its agent's configuration that say which controls there are; empty: none."""
        self.agent = Daemon("agent", self.daemon("agentd", self.agent_config), folder / "agent.log")

    def set_up(self) -> None:
        """Initialise the master, start it, enroll the host, start its agent, wait until it is ready."""
        self.set_up_master()
        self.agent_config.write_text(
            f"state_dir: {self.folder}/agent\n"
            f"audit: {{dir: '{self.folder}/agent-audit', copies: none}}\n"
            f"host_name: {self.host}\n"
            f"engine: {{socket: '{self.engine_socket}'}}\n"
            f"registries_dir: {self.folder}/registries.d\n"
            f"{self.agent_controls or own_controls(self.folder / 'agent-controls')}"
            f"{apart(self.folder, self.agent_options)}"
        )
        self.enroll()
        self.agent.start()
        self.wait_for_host()

    def enroll(self, *options: str) -> None:
        self.enroll_host(self.host, self.agent_config, *options)

    def stop(self) -> None:
        self.agent.kill(signal.SIGTERM)
        self.master.kill(signal.SIGTERM)

    def wait_for_host(self, timeout_s: float = 20.0) -> None:
        wait_until(
            lambda: self.host_views().get(self.host, {}).get("state") == "ready",
            f"host {self.host} is ready (see {self.agent.log})",
            timeout_s,
        )

    def host_view(self) -> dict[str, Any]:
        """What `hosts` says of this host."""
        return self.host_views()[self.host]

    def containers(self) -> dict[str, dict[str, Any]]:
        """This cluster's containers as the engine itself has them: inspect answers by name."""
        return containers_in(self.engine_socket, self.cluster_id)

    def remove_containers(self) -> None:
        """Remove all that this cluster made in the engine."""
        remove_all_in(self.engine_socket, self.cluster_id)


def containers_in(engine_socket: str, cluster_id: str) -> dict[str, dict[str, Any]]:
    """A cluster's containers as an engine itself has them: inspect answers by name."""
    client = api_client(engine_socket)
    try:
        found = {}
        for row in client.containers(all=True, filters={"label": f"{LABEL_CLUSTER}={cluster_id}"}):
            try:
                inspected = client.inspect_container(row["Id"])
            except docker.errors.APIError as error:
                if is_gone(error):
                    continue
                raise
            found[inspected["Name"].lstrip("/")] = inspected
        return found
    finally:
        client.close()


def is_gone(error: docker.errors.APIError) -> bool:
    """Podman calls it a fault where a container goes in the middle of what is asked of it."""
    return isinstance(error, docker.errors.NotFound) or "no such container" in str(error)


MISCOUNTED_S = 15.0


class _Removal:
    """`trouble` is what the engine said last of a network that is not to be removed yet."""

    def __init__(self, client: docker.APIClient, label: Mapping[str, str]) -> None:
        self._client = client
        self._label = label
        self._since: dict[str, float] = {}
        self.trouble = ""

    def of_containers(self) -> None:
        for row in self._client.containers(all=True, filters=self._label):
            try:
                self._client.remove_container(row["Id"], force=True, v=True)
            except docker.errors.APIError as error:
                if not is_gone(error):
                    raise

    def of_network(self, network: str) -> bool:
        """Docker says that it has active endpoints while a container that an agent was removing, or making, is on its way. 20.10 may also go on to count one
        that is gone: a network on which it names nobody for so long is left to the engine, which ends with the tests."""
        try:
            self._client.remove_network(network)
        except docker.errors.APIError as error:
            if "active endpoints" not in str(error):
                raise
            self.trouble = str(error)
            self.of_containers()
            since = self._since.setdefault(network, time.monotonic())
            named = self._client.inspect_network(network)["Containers"]
            return not named and time.monotonic() - since > MISCOUNTED_S
        return True


def remove_all_in(engine_socket: str, cluster_id: str) -> None:
    """Remove all that a cluster made in an engine."""
    client = api_client(engine_socket)
    try:
        label = {"label": f"{LABEL_CLUSTER}={cluster_id}"}
        removal = _Removal(client, label)
        removal.of_containers()
        for row in client.networks(filters=label):
            wait_until(
                partial(removal.of_network, row["Id"]),
                f"{row['Name']} is nobody's",
                60.0,
                seen=lambda: removal.trouble,
            )
        for row in client.volumes(filters=label)["Volumes"] or ():
            client.remove_volume(row["Name"])
    finally:
        client.close()
