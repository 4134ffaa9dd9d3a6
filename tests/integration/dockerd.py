"""A private dockerd."""

from __future__ import annotations

import contextlib
import ipaddress
import subprocess
from typing import Optional

from tests.integration import process
from tests.integration.daemon import Engine, required
from tests.integration.namespaces import HOST_ADDRESS, HostNetwork
from tests.integration.workspace import Workspace


class DockerEngine(Engine):
    name = "docker"

    def __init__(
        self,
        workspace: Workspace,
        network: Optional[HostNetwork] = None,
        *,
        live_restore: bool = True,
    ) -> None:
        super().__init__(workspace, network)
        self.live_restore = live_restore
        # Interface names have at most 15 characters.
        self.bridge = f"hmd{self.workspace.record.stem[-6:]}"

    def start(self) -> None:
        # The pid file of a killed daemon may name a living process by now.
        (self.folder / "docker.pid").unlink(missing_ok=True)
        (self.folder / "daemon.json").write_text("{}")
        self._make_bridge()
        super().start()

    def kill(self) -> None:
        """Also waits for the daemon's containerd, which the kernel ends with it: a dockerd started while that
        one is dying takes its pid file for a running containerd's."""
        super().kill()
        pid_file = self.folder / "exec/containerd/containerd.pid"
        with contextlib.suppress(FileNotFoundError):
            containerd = process.identity(int(pid_file.read_text()))
            if containerd is not None:
                process.wait_for_end(containerd)
            pid_file.unlink()

    def command(self) -> list[str]:
        network = ipaddress.IPv4Network(self.workspace.addresses)
        pools = next(network.subnets(prefixlen_diff=1))
        return [
            required("dockerd"),
            f"--config-file={self.folder}/daemon.json",
            f"--data-root={self.folder}/data",
            f"--exec-root={self.folder}/exec",
            f"--pidfile={self.folder}/docker.pid",
            f"--host={self.socket}",
            f"--bridge={self.bridge}",
            f"--default-address-pool=base={pools},size=24",
            f"--cgroup-parent={self.workspace.cgroup_parent}",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            *(["--live-restore"] if self.live_restore else []),
            *([f"--insecure-registry={HOST_ADDRESS}/32"] if self.network else []),
        ]

    def _make_bridge(self) -> None:
        shown = [*self.inside, "ip", "link", "show", "dev", self.bridge]
        if subprocess.run(shown, capture_output=True).returncode != 0:
            last = list(ipaddress.IPv4Network(self.workspace.addresses).subnets(new_prefix=24))[-1]
            for command in (
                f"link add name {self.bridge} type bridge",
                f"address add {last[1]}/24 dev {self.bridge}",
                f"link set {self.bridge} up",
            ):
                subprocess.run([*self.inside, "ip", *command.split()], check=True)
