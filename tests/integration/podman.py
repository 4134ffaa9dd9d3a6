"""A private podman service."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from pathlib import Path
from typing import Optional

from tests.integration.daemon import Engine, required
from tests.integration.namespaces import HOST_ADDRESS, HostNetwork
from tests.integration.workspace import Workspace

# Folders of the machine that Podman, runc and netavark use whatever their options say.
SHARED = ("/run/netns", "/run/containers", "/run/runc")


class PodmanEngine(Engine):
    """Podman's service of the Docker API.

    It runs in a mount namespace of its own, which outlives the service: Podman keeps its containers' network
    namespaces, runc's state and the name server's files in folders that no option moves. The name
    server would answer for nobody after reading there what another Podman left.

    Without CAP_SYS_RESOURCE the limits that Podman sets by default are above what the machine allows;
    `default_ulimits` False leaves them, so that a container's own ulimits can be tried.
    """

    name = "podman"

    def __init__(
        self,
        workspace: Workspace,
        network: Optional[HostNetwork] = None,
        *,
        default_ulimits: bool = True,
    ) -> None:
        super().__init__(workspace, network)
        self.default_ulimits = default_ulimits
        self._holder: Optional[subprocess.Popen[str]] = None

    def start(self) -> None:
        if self._holder is None:
            self._write_configuration()
            self._holder = self._make_namespace()
        super().start()

    def stop(self) -> None:
        super().stop()
        if self._holder is not None:
            self._holder.wait()

    def command(self) -> list[str]:
        assert self._holder is not None
        return [
            "nsenter",
            f"--target={self._holder.pid}",
            "--mount",
            "--root",
            "--",
            required("podman"),
            "--root",
            f"{self.folder}/root",
            "--runroot",
            f"{self.folder}/run",
            "--tmpdir",
            f"{self.folder}/tmp",
            "system",
            "service",
            "--time=0",
            self.socket,
        ]

    @property
    def environment(self) -> dict[str, str]:
        return {
            **super().environment,
            "PODMAN_IGNORE_CGROUPSV1_WARNING": "yes",
            "CONTAINERS_CONF": f"{self.folder}/containers.conf",
            "CONTAINERS_STORAGE_CONF": f"{self.folder}/storage.conf",
            "CONTAINERS_REGISTRIES_CONF": f"{self.folder}/registries.conf",
            "REGISTRY_AUTH_FILE": f"{self.folder}/auth.json",
        }

    def _make_namespace(self) -> subprocess.Popen[str]:
        """A process that keeps the mount namespace until the workspace is removed."""
        mounts = " && ".join(f"mkdir -p {path} && mount -t tmpfs tmpfs {path}" for path in SHARED)
        script = f"{mounts} && echo ready && exec sleep infinity"
        holder = subprocess.Popen(
            [*self.inside, "unshare", "--mount", "--propagation=slave", "sh", "-ec", script],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        assert holder.stdout is not None
        with holder.stdout:
            assert holder.stdout.readline() == "ready\n", "podman: no mount namespace"
        return holder

    def _write_configuration(self) -> None:
        network = ipaddress.IPv4Network(self.workspace.addresses)
        subnets = list(network.subnets(new_prefix=24))
        pool = next(network.subnets(prefixlen_diff=1))
        limits = '["nofile=4096:4096", "nproc=4096:4096"]' if self.default_ulimits else "[]"
        (self.folder / "containers.conf").write_text(
            f"""\
[containers]
default_ulimits = {limits}
[engine]
runtime = "{Path(required("runc")).name}"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
[network]
network_backend = "netavark"
network_config_dir = "{self.folder}/networks"
default_subnet = "{subnets[-1]}"
default_subnet_pools = [{{"base" = "{pool}", "size" = 24}}]
"""
        )
        (self.folder / "storage.conf").write_text(
            f"""\
[storage]
driver = "overlay"
graphroot = "{self.folder}/root"
runroot = "{self.folder}/run"
"""
        )
        # Docker takes loopback registries without TLS by itself.
        (self.folder / "registries.conf").write_text(
            "".join(
                f'[[registry]]\nlocation = "{address}"\ninsecure = true\n'
                for address in ("127.0.0.1", HOST_ADDRESS)
            )
        )
        (self.folder / "auth.json").write_text(json.dumps({"auths": {}}))
