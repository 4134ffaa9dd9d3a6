"""A host's proxy, started as its package starts it, with a log that tests can read.

    with Proxy(port=free_port()) as proxy:
        with OneHostCluster(folder, socket, agent_options=proxy.agent_options) as cluster:
            ...
        proxy.kill()               # its launcher starts it again
        proxy.records(outcome="refused")

It runs in the host's network namespace, with a folder `/dev` of its own, so that what it logs comes here and not to
the machine's log. Its processes and files go with the tester, also when that one is killed.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Optional

from hullmark.engine.haproxyabilities import Abilities, abilities_of
from tests.cluster import wait_until
from tests.integration import process
from tests.integration.daemon import required
from tests.integration.namespaces import HostNetwork
from tests.integration.workspace import Workspace

LAUNCHER = Path(__file__).resolve().parents[1] / "packaging/files/proxy"
RANGE = "10.214.0.0/16"
"""Where service addresses come from unless a master is told otherwise."""
# Device numbers: the kernel's Documentation/admin-guide/devices.txt.
DEVICES = {"null": (1, 3), "zero": (1, 5), "random": (1, 8), "urandom": (1, 9)}
RUN = 'mount --bind "$1" /dev; shift; exec "$@"'


class Proxy:
    """`network`: the namespace of its host; None: the tests' own. `port`: where other hosts' proxies reach it."""

    def __init__(self, network: Optional[HostNetwork] = None, port: int = 7443) -> None:
        self.network = network
        self.port = port
        namespace = network.namespace if network is not None else None
        self.workspace = Workspace.make("proxy", namespace=namespace)
        self.folder = self.workspace.path / "state"
        self.run_dir = self.workspace.path / "run"
        self.output = self.workspace.path / "output.log"
        """What launcher and HAProxy say on standard output and error."""
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._log = Log(self._make_devices() / "log")

    @property
    def agent_options(self) -> str:
        """Lines of the configuration of its host's agent."""
        return f"proxy: {{folder: '{self.folder}', run_dir: '{self.run_dir}', port: {self.port}}}\n"

    @property
    def inside(self) -> list[str]:
        return self.network.inside if self.network is not None else []

    @property
    def pid(self) -> int:
        """Of HAProxy's main process; 0 where it wrote none."""
        with contextlib.suppress(OSError, ValueError):
            return int((self.run_dir / "pid").read_text())
        return 0

    @property
    def workers(self) -> list[int]:
        """Of the main process, those of former configurations too, as long as they have connections."""
        with contextlib.suppress(OSError):
            return [
                int(each)
                for each in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            ]
        return []

    @property
    def launched(self) -> bool:
        """Whether a launcher is there that keeps it running."""
        return self._process is not None and self._process.poll() is None

    @property
    def running(self) -> bool:
        return self.pid != 0 and Path(f"/proc/{self.pid}").exists()

    def start(self) -> None:
        """Under its launcher, which starts it again whenever it ends. Returns when it has a worker."""
        assert self._process is None, "the proxy was started already"
        required("haproxy")
        folders = ("--folder", str(self.folder), "--run-dir", str(self.run_dir))
        launch = ["sh", str(LAUNCHER), "supervise", *folders]
        devices = str(self.workspace.path / "dev")
        apart = ["unshare", "--mount", "--propagation=slave", "sh", "-ec", RUN, "sh", devices]
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [*self.inside, *apart, *launch],
                env={**os.environ, **self.workspace.marker},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_until(lambda: self.workers, f"the proxy has a worker (see {self.output})", 15)

    def kill(self) -> int:
        """SIGKILL for HAProxy's main process; the launcher lives. The killed pid."""
        killed = self.pid
        os.kill(killed, signal.SIGKILL)
        return killed

    def end(self) -> None:
        """Launcher and HAProxy end in good order, and stay away until `start`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(15)
            self._process = None

    def crash(self) -> None:
        """Launcher and HAProxy end at once, as where their host does, and stay away until `start`."""
        process.kill_workspace(self.workspace.path)
        if self._process is not None:
            self._process.wait(15)
            self._process = None

    def stop(self) -> None:
        """The end: processes, files, and service addresses on loopback. Idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._log.close()
        self.workspace.remove()
        if self.network is None:
            remove_addresses()

    def lines(self) -> list[str]:
        """What it has logged until now."""
        return [line for _, line in list(self._log.lines)]

    def trouble(self, since: float, until: float) -> list[str]:
        """What it has logged between two times (as time.time() has them), without connections that went well."""
        found = [line for at, line in list(self._log.lines) if since <= at <= until]
        return [line for line in found if '"outcome":"success"' not in line]

    def records(self, **fields: object) -> list[dict[str, Any]]:
        """What it has logged as JSON, where all these fields have these values."""
        found = []
        for line in self.lines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line[line.index("{") :]))
        return [one for one in found if all(one.get(key) == fields[key] for key in fields)]

    def __enter__(self) -> Proxy:
        try:
            self.start()
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

    def _make_devices(self) -> Path:
        folder = self.workspace.path / "dev"
        folder.mkdir()
        for name, (major, minor) in DEVICES.items():
            os.mknod(folder / name, 0o666 | 0o020000, os.makedev(major, minor))
        return folder


def abilities() -> Abilities:
    """Of the HAProxy that is tested."""
    return abilities_of(
        subprocess.run(["haproxy", "-v"], check=True, stdout=subprocess.PIPE, text=True).stdout
    )


class Log:
    """A datagram socket where a syslog daemon would listen."""

    def __init__(self, path: Path) -> None:
        self.lines: list[tuple[float, str]] = []
        """Each with the time when it came."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        path.chmod(0o666)  # the proxy's worker is not root
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while line := self._socket.recv(65536):
            self.lines.append((time.time(), line.decode(errors="replace").rstrip("\n\0")))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)
        self._thread.join(5)
        self._socket.close()


def service_addresses(inside: tuple[str, ...] = ()) -> list[str]:
    """Those on the loopback device, of this namespace or of the one that a command enters."""
    command = [*inside, "ip", "-j", "-4", "address", "show", "dev", "lo"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = [one["local"] for link in json.loads(done.stdout) for one in link["addr_info"]]
    owned = ipaddress.IPv4Network(RANGE)
    return [address for address in found if ipaddress.IPv4Address(address) in owned]


def remove_addresses() -> None:
    """From the loopback device of this namespace, which outlives the proxy."""
    for address in service_addresses():
        command = ["ip", "address", "delete", f"{address}/32", "dev", "lo"]
        subprocess.run(command, stderr=subprocess.DEVNULL)
