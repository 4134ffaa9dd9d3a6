"""Volumes and tmpfs of a service, short and long forms.

A relative bind can't mean the host's folder, because the app may run on any host: one regular file is
shipped as a config, anything else is an error that says what to do.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Optional

from hullmark.compose import forms, values
from hullmark.compose.dangers import warn_mount
from hullmark.compose.files import MAX_CONFIG_BYTES, Shelf, Unreadable, local_path
from hullmark.compose.findings import Node
from hullmark.compose.judging import judge
from hullmark.document import MapValue
from hullmark.model.app import FileRef, Mount, MountKind

SHORT = "[SOURCE:]TARGET[:OPTIONS], TARGET an absolute path"
WAY_OUT = (
    "an absolute path on the hosts, a named volume, or `configs`, which ship single files of at most"
    f" {MAX_CONFIG_BYTES >> 10} KiB"
)
_PROPAGATIONS = ("shared", "slave", "private", "rshared", "rslave", "rprivate")


@dataclass
class Found:
    """`shipped`: files that came with relative binds."""

    mounts: list[Mount] = field(default_factory=list)
    shipped: list[FileRef] = field(default_factory=list)


class Mounts:
    """Reads the mounts of one service. `volumes` has the app's declared ones."""

    def __init__(self, shelf: Shelf, volumes: Collection[str]) -> None:
        self._shelf = shelf
        self._volumes = volumes

    def read(self, service: Node) -> Found:
        found = Found()
        listed = service.get("volumes")
        for item in listed.items() if listed is not None else ():
            mount = _long(item) if isinstance(item.value, MapValue) else _short(item)
            if mount is not None:
                self._add(item, mount, found)
        for mount in service.text_or_list("tmpfs", tmpfs):
            found.mounts.append(mount)
        return found

    def _add(self, item: Node, mount: Mount, found: Found) -> None:
        if mount.kind is MountKind.VOLUME and mount.source:
            if mount.source not in self._volumes:
                item.missing("volume", mount.source, self._volumes, "or a path")
        elif mount.kind is MountKind.BIND and not mount.source.startswith("/"):
            self._ship(item, mount, found)
            return
        warn_mount(item, mount)
        found.mounts.append(mount)

    def _ship(self, item: Node, mount: Mount, found: Found) -> None:
        try:
            path = local_path(self._shelf.project, mount.source)
            reference, config = self._shelf.ship(path, mount.target)
        except Unreadable as error:
            item.wrong(f"a relative bind ships one file with the app, but {error}", WAY_OUT)
            return
        item.note(
            f"{path} is shipped with the app as it is now, read-only:"
            f" {config.size_bytes} bytes, sha256 {config.sha256}"
        )
        found.shipped.append(reference)


def tmpfs(value: object) -> Mount:
    """`PATH[:OPTIONS]`. Engines set noexec, nosuid and nodev by themselves."""
    allowed = "PATH[:size=SIZE,mode=MODE,ro]"
    path, _, options = values.text(forms.LINE)(value).partition(":")
    if not forms.MOUNT_PATH.holds(path):
        raise ValueError(allowed)
    mount = Mount(MountKind.TMPFS, posixpath.normpath(path))
    for option in filter(None, options.split(",")):
        name, _, given = option.partition("=")
        if name == "size":
            mount = replace(mount, tmpfs_size_bytes=values.size(forms.BYTES)(given))
        elif name == "mode":
            mount = replace(mount, tmpfs_mode=values.mode(forms.TMPFS_MODE)(given))
        elif option in ("ro", "rw"):
            mount = replace(mount, read_only=option == "ro")
        elif option not in ("noexec", "nosuid", "nodev"):
            raise ValueError(allowed)
    return mount


def _short(item: Node) -> Optional[Mount]:
    text = item.read(values.text(forms.LINE), "")
    if not text:
        return None
    parts = text.split(":")
    source, target, options = "", parts[0], ""
    if len(parts) > 1:
        source, target = parts[0], parts[1]
        options = parts[2] if len(parts) == 3 else ""
    if len(parts) > 3 or not forms.MOUNT_PATH.holds(target) or (len(parts) > 1 and not source):
        item.unfit(SHORT)
        return None
    bind = source.startswith(("/", ".", "~"))
    kind = MountKind.BIND if bind else MountKind.VOLUME
    mount = _placed(item, Mount(kind, posixpath.normpath(target), source))
    return _with_options(item, mount, options) if mount is not None else None


def _with_options(item: Node, mount: Mount, options: str) -> Optional[Mount]:
    for option in filter(None, options.split(",")):
        if option in ("ro", "rw"):
            mount = replace(mount, read_only=option == "ro")
        elif option == "nocopy" and mount.kind is MountKind.VOLUME:
            mount = replace(mount, no_copy=True)
        elif option in ("z", "Z") and mount.kind is MountKind.BIND:
            mount = replace(mount, selinux=option)
        elif option in ("z", "Z"):
            item.warn(f"ignored: option {option}; engines label their own volumes")
        elif option in _PROPAGATIONS and mount.kind is MountKind.BIND:
            mount = replace(mount, propagation=option)
        elif option in ("cached", "delegated", "consistent"):
            item.warn(f"ignored: option {option} is about Docker on a Mac")
        else:
            item.wrong(
                f"option {option[:40]!r} does not fit here",
                "ro, rw; for a bind z, Z and its propagation; for a volume nocopy",
            )
            return None
    return mount


def _placed(item: Node, mount: Mount) -> Optional[Mount]:
    """The mount if its source can be one; an absolute bind's source in its simplest form."""
    if mount.kind is MountKind.VOLUME:
        if forms.optional(forms.KEY).holds(mount.source):
            return mount
        item.wrong(f"{mount.source[:80]!r} is neither a path nor the name of a volume", SHORT)
        return None
    if not mount.source.startswith("/"):
        return mount
    source = posixpath.normpath(mount.source)
    source = source[1:] if source.startswith("//") else source
    if forms.BIND_SOURCE.holds(source):
        return replace(mount, source=source)
    item.wrong(f"{mount.source[:80]!r} does not fit here", forms.BIND_SOURCE.allowed)
    return None


def _long(item: Node) -> Optional[Mount]:
    if not judge(item, "services.*.volumes[]"):
        return None
    kinds = tuple(kind.value for kind in MountKind)
    if not item.has("type") or not item.has("target"):
        item.wrong("needs a type and a target", ", ".join(kinds))
        return None
    kind = item.field_of("type", values.choice(*kinds), "")
    target = item.field_of("target", values.text(forms.MOUNT_PATH), "")
    source = item.field_of("source", values.text(forms.LINE), "")
    for other in kinds:
        if other != kind and item.has(other):
            item.child(other).wrong(f"has no meaning with type {kind}")
    if not kind or not target:
        return None
    if kind == "tmpfs" and source:
        item.child("source").wrong("a tmpfs has no source")
    if kind == "bind" and not source:
        item.wrong("a bind needs a source", "an absolute path on the hosts")
        return None
    mount = Mount(
        MountKind(kind),
        posixpath.normpath(target),
        "" if kind == "tmpfs" else source,
        read_only=item.field_of("read_only", values.boolean, False),
    )
    placed = mount if kind == "tmpfs" else _placed(item, mount)
    details = item.get(kind)
    return placed if placed is None or details is None else _detailed(details, placed)


def _detailed(details: Node, mount: Mount) -> Mount:
    kind = mount.kind
    if not judge(details, f"services.*.volumes[].{kind.value}"):
        return mount
    if kind is MountKind.BIND:
        return replace(
            mount,
            propagation=details.field_of("propagation", values.text(forms.PROPAGATION), ""),
            selinux=details.field_of("selinux", values.text(forms.SELINUX), ""),
            create_host_path=details.field_of("create_host_path", values.boolean, True),
        )
    if kind is MountKind.VOLUME:
        return replace(mount, no_copy=details.field_of("nocopy", values.boolean, False))
    tmpfs_mode = None
    if details.has("mode"):
        tmpfs_mode = details.child("mode").read(values.mode(forms.TMPFS_MODE), 0)
    size = details.field_of("size", values.size(forms.BYTES), 0)
    return replace(mount, tmpfs_size_bytes=size, tmpfs_mode=tmpfs_mode)
