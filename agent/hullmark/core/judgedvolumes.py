"""What policy says of volumes. The local driver's options are those of mount(8): by them a volume can be any folder or disk of the host.

Docker gives them to mount(2) from the daemon's own folder, `/`, so that `etc` is `/etc` too; Podman to the command `mount`. Both
take `bind` among the options whatever the type says. Podman reads the names of options without regard to case. `mount` takes `bind=`
for `bind`, and a device that begins with `-` for an option: with `--fstab=FILE` a file says what is mounted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hullmark.core import judgedpaths
from hullmark.core.judgement import Case, cited
from hullmark.model.policy import VolumeSight

OPTIONS = ("type", "o", "device", "size", "inodes")
BARE = frozenset({"", "none", "bind"})
MEMORY = frozenset({"tmpfs", "ramfs"})
SHARES = frozenset({"cifs", "smb3"})
"""Their devices are `//SERVER/SHARE`."""
REMOTE = SHARES | frozenset({"nfs", "nfs4", "ceph", "glusterfs"})
DISKS = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "vfat", "iso9660", "squashfs"})
"""File systems of a device, which has to be a path then. Others (overlay, proc, devtmpfs, ...) only where a file names them."""
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
"""A volume that the engine made for one container. No new container may ask for one by its name."""
_MOVES = frozenset({"bind", "rbind", "move"})
"""Options by which the device is a folder, whatever the type says."""
_NAMES_FOLDERS = ("lowerdir", "upperdir", "workdir")


def judge_named(case: Case, name: str) -> None:
    """A volume that a container names. One that doesn't exist becomes an empty one of the local driver."""
    sight = case.sights.volumes.get(name)
    own = sight.app == case.sights.app if sight else name.startswith(f"{case.sights.app}_")
    if (
        case.started
        and _ANONYMOUS.fullmatch(name)
        and (not sight or not (sight.options or sight.app))
    ):
        own = True
    if not own and not case.lists("volumes.external", name):
        case.no("volumes.external", f"volume {cited(name)} is not of app {case.sights.app}")
    if sight is not None:
        judge_settings(case, sight, f"volume {cited(name)}")


def judge_settings(case: Case, volume: VolumeSight, shown: str) -> None:
    driver = volume.driver or "local"
    if not case.lists("volumes.drivers", driver):
        case.no("volumes.drivers", f"{shown} has the driver {cited(driver)}")
    if driver != "local":
        return
    options = _folded(volume.options)
    kind, words = _kind(options), _words(options)
    device = options.get("device", "")
    if device or kind != "none":
        _judge_kind(case, kind, device, shown)
    read_only = kind == "none" and "ro" in words and not words & {"rw", "remount"}
    for path in paths_of(volume):
        judgedpaths.judge(case, path, write=not read_only, what=f" of {shown}")
    for folder in _folders(options):
        if not folder.startswith("/"):
            case.never(f"{shown} names the folder {cited(folder)}, which is no absolute path")


def check_options(case: Case, options: Mapping[str, str], shown: str) -> None:
    """Of a volume about to be made by the local driver."""
    for option in options:
        if option not in OPTIONS:
            case.never(f"{shown} has the option {cited(option)}, which is not known")


def paths_of(volume: VolumeSight) -> tuple[str, ...]:
    """Of the host, that a volume of the local driver gives to who mounts it."""
    if (volume.driver or "local") != "local":
        return ()
    options = _folded(volume.options)
    found = [path for path in _paths(options.get("o", "")) if path.startswith("/")]
    device = options.get("device", "")
    if device.startswith("/") and _kind(options) not in REMOTE:
        found.append(device)
    return tuple(dict.fromkeys(found))


def _judge_kind(case: Case, kind: str, device: str, shown: str) -> None:
    rule = case.rules["volumes.types"]
    known = kind in {"none"} | MEMORY | REMOTE | DISKS
    if not case.lists("volumes.types", kind) and kind != "none":
        case.no("volumes.types", f"{shown} is a file system of type {cited(kind)}")
    elif not known and kind not in (rule.items or ()):
        case.no(
            "volumes.types",
            f"{shown} is a file system of type {cited(kind)}, which is allowed by name only",
        )
    local = device.startswith("/") and not (kind in SHARES and device.startswith("//"))
    if device.startswith("-") or (kind in REMOTE and local):
        case.never(f"{shown} names the device {cited(device)}, which is none of type {cited(kind)}")
    if kind in DISKS | {"none"} and not device.startswith("/"):
        case.never(f"{shown} names the device {cited(device)}, which is no absolute path")


def _folded(options: Mapping[str, str]) -> dict[str, str]:
    return {key.lower(): value for key, value in options.items()}


def _kind(options: Mapping[str, str]) -> str:
    """`none` for a folder of the host."""
    kind = options.get("type", "").strip().lower()
    return "none" if kind in BARE or _words(options) & _MOVES else kind


def _words(options: Mapping[str, str]) -> set[str]:
    return {word.partition("=")[0].strip().lower() for word in options.get("o", "").split(",")}


def _paths(text: str) -> Iterator[str]:
    """Everything in the options of a mount that could be a path."""
    for word in text.split(","):
        _, _, value = word.strip().rpartition("=")
        yield from value.split(":")


def _folders(options: Mapping[str, str]) -> Iterator[str]:
    for word in options.get("o", "").split(","):
        key, _, value = word.strip().partition("=")
        if key in _NAMES_FOLDERS:
            yield from value.split(":")
