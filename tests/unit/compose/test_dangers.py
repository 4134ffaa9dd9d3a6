"""Warnings of what gives a container more of the host than a container should have."""

from __future__ import annotations

import pytest

from tests.unit.compose.apps import web_warnings


@pytest.mark.parametrize(
    ("lines", "warning"),
    [
        ("privileged: true", "web.privileged: gives the container the host"),
        ("pid: host", "web.pid: gives the container the host's processes"),
        ("ipc: host", "web.ipc: gives the container the shared memory"),
        ("userns_mode: host", "web.userns_mode: gives the container the host's user ids"),
        ("network_mode: host", "web.network_mode: gives the container the host's network"),
        ("cgroup: host", "web.cgroup: gives the container the host's control groups"),
        ("cap_add: [ALL]", "web.cap_add: ALL gives the container the host"),
        ("cap_add: [CAP_SYS_ADMIN]", "web.cap_add: SYS_ADMIN gives the container the host"),
        ("cap_add: [sys_module]", "web.cap_add: SYS_MODULE gives"),
        ("cap_add: [SYS_PTRACE]", "web.cap_add: SYS_PTRACE gives"),
        ("cap_add: [NET_ADMIN]", "web.cap_add: NET_ADMIN gives"),
        ("security_opt: ['seccomp:unconfined']", "takes away the filter of system calls"),
        ("security_opt: [apparmor=unconfined]", "takes away AppArmor"),
        ("security_opt: ['label=disable']", "takes away SELinux"),
        ("devices: [/dev/sda, /dev/fuse]", "devices of the host: /dev/sda, /dev/fuse"),
        ("volumes: ['/:/host:ro']", "volumes[0]: gives the container all of the host's files"),
        ("volumes: ['/etc/:/host']", "volumes[0]: gives the container the host's configuration"),
        ("volumes: ['/proc:/host']", "volumes[0]: gives the container the host's processes"),
        ("volumes: ['/sys:/host']", "volumes[0]: gives the container the host's kernel settings"),
        ("volumes: ['//var/../etc:/x']", "the host's configuration"),
        ("volumes: ['/var/run/docker.sock:/s:ro']", "may use the engine's socket is its root"),
        ("volumes: ['/run/podman/podman.sock:/s']", "may use the engine's socket is its root"),
        ("volumes: ['/var/lib/docker/volumes:/v']", "the engine's data"),
        ("volumes: ['/var/lib/containerd/io.containerd.snapshotter.v1:/v']", "the engine's data"),
        ("volumes: ['/var/lib/hullmark:/v']", "the keys of this host"),
        ("volumes: [{type: bind, source: /run, target: /r}]", "the host's sockets"),
    ],
)
def test_what_gives_the_host_away_is_said_once(lines: str, warning: str) -> None:
    found = web_warnings(lines)
    assert len(found) == 1
    assert warning in found[0]
    assert found[0].startswith("compose.yaml:4: services.web.")


@pytest.mark.parametrize(
    "lines",
    [
        "privileged: false",
        "cap_add: [NET_BIND_SERVICE]",
        "security_opt: ['no-new-privileges:true']",
        "volumes: ['/etc/localtime:/etc/localtime:ro', '/srv/data:/data', '/var/lib/shop:/x']",
        "volumes: ['/var/lib/docker-shop:/x', '/etcetera:/y']",
    ],
)
def test_the_rest_is_quiet(lines: str) -> None:
    assert web_warnings(lines) == []


def test_a_volume_that_binds_the_host_is_no_way_around() -> None:
    more = "volumes:\n  all: {driver_opts: {type: none, o: 'bind,ro', device: /}}\n"
    found = web_warnings("volumes: ['all:/x']", more)
    assert len(found) == 1
    assert "volumes.all: gives the container all of the host's files" in found[0]
    nfs = "volumes:\n  all: {driver_opts: {type: nfs, o: addr=192.0.2.1, device: '/'}}\n"
    assert web_warnings("volumes: ['all:/x']", nfs) == []
