"""What a service's data on its hosts, and its host ports, come to with several instances and several hosts.

Warnings only: whoever writes the file may know better. They are made from the model, because a master says the
same when only a number of replicas is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hullmark.compose.findings import OWN, Node
from hullmark.model.app import (
    ENTRUSTED,
    ContainerSpec,
    DeployMode,
    DeploySpec,
    Mount,
    MountKind,
    PortMode,
    PortSpec,
    UpdateOrder,
    Volume,
)


def warn_local_data(
    service: Node, spec: ContainerSpec, deploy: DeploySpec, volumes: Mapping[str, Volume]
) -> None:
    for text in sharing(spec, deploy):
        service.child("volumes").warn(text)
    for name, config in (("update_config", deploy.update), ("rollback_config", deploy.rollback)):
        if config.order is UpdateOrder.START_FIRST:
            for text in _overlap(spec):
                service.child("deploy").child(name).child("order").warn(text)
    for text in _emptiness(spec, deploy, volumes):
        service.child(OWN).child("on_host_lost").warn(text)


def warn_crowding(
    service: Node, spec: ContainerSpec, deploy: DeploySpec, ports: Sequence[PortSpec]
) -> None:
    """With start-first the old instance has the host port until the new one serves, so that needs another host. A port that
    proxies answer is nobody's obstacle."""
    fixed = [
        port
        for port in ports
        if port.mode is PortMode.HOST and port.published_first == port.published_last != 0
    ]
    if not fixed:
        return
    port = f"host port {fixed[0].published_first}/{fixed[0].protocol}"
    at_home = deploy.on_host_lost not in ENTRUSTED and any(map(_is_data, spec.mounts))
    stays = at_home or deploy.mode is DeployMode.GLOBAL
    for name, config in (("update_config", deploy.update), ("rollback_config", deploy.rollback)):
        if config.order is UpdateOrder.START_FIRST:
            service.child("deploy").child(name).child("order").warn(
                f"can't work: a new instance stays on the host of the old one, which has {port}"
                if stays
                else f"needs a host more than there are instances: the old one has {port} until the new one serves"
            )


def sharing(spec: ContainerSpec, deploy: DeploySpec) -> Iterator[str]:
    """Several instances of a service may stand on one host, and a host has each volume once."""
    alone = deploy.placement.max_replicas_per_node == 1 or deploy.mode is DeployMode.GLOBAL
    if alone or deploy.replicas < 2:
        return
    for mount in spec.mounts:
        if mount.kind is MountKind.VOLUME and mount.source and not mount.read_only:
            yield f"{deploy.replicas} instances share {_name(mount)} where they are on one host"


def _overlap(spec: ContainerSpec) -> Iterator[str]:
    """With start-first a slot has its old and its new instance for a while, and data keeps both on one host."""
    for mount in spec.mounts:
        if _is_data(mount) and not mount.read_only:
            yield f"two instances use {_name(mount)} at the same time while one follows the other"


def _emptiness(
    spec: ContainerSpec, deploy: DeploySpec, volumes: Mapping[str, Volume]
) -> Iterator[str]:
    """An instance that is started elsewhere finds there what that host has, which may be nothing. A bind that
    is only read is the host's own file: whoever mounts it knows that each host has one."""
    if deploy.on_host_lost not in ENTRUSTED or deploy.mode is DeployMode.GLOBAL:
        return
    for mount in spec.mounts:
        there = mount.kind is MountKind.BIND and mount.read_only
        if _is_data(mount) and not there and _is_on_the_host(mount, volumes):
            yield (
                f"{_name(mount)} stays behind on a lost host:"
                " the instance that is started elsewhere may find it empty"
            )


def _is_data(mount: Mount) -> bool:
    """Whether it outlives the container: not so a tmpfs, and a volume without a name."""
    return mount.kind is not MountKind.TMPFS and mount.source != ""


def _is_on_the_host(mount: Mount, volumes: Mapping[str, Volume]) -> bool:
    """Not so where a volume's driver gets the data from elsewhere, as with NFS."""
    volume = volumes.get(mount.source) if mount.kind is MountKind.VOLUME else None
    if volume is None or volume.external:
        return True
    kind = volume.driver_options.get("type", "none")
    return volume.driver in ("", "local") and kind in ("none", "bind", "")


def _name(mount: Mount) -> str:
    return f"volume {mount.source}" if mount.kind is MountKind.VOLUME else mount.source
