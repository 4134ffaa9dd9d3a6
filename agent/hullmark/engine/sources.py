"""The files of the host that a container needs, which have to be there."""

from __future__ import annotations

from pathlib import Path

from hullmark.errors import Refused
from hullmark.model.app import Bundle, MountKind


def check(bundle: Bundle) -> None:
    """Files on the host that the container needs. Raises Refused naming the one that is missing."""
    for mount in bundle.container.mounts:
        needed = mount.kind is MountKind.BIND and not mount.create_host_path
        if needed and not Path(mount.source).exists():
            raise Refused(
                f"{mount.source} does not exist on this host",
                remedy="make it, or allow create_host_path",
            )
    for reference in bundle.container.secrets:
        path = bundle.secrets[reference.source].path
        if not Path(path).is_file():
            raise Refused(
                f"secret {reference.source}: {path} is not a file on this host",
                remedy="put the secret there, readable by root only",
            )
