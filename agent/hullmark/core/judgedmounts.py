"""What policy says of a container's mounts: paths of the host, and volumes, which can be paths of the host by another name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hullmark.core import judgedpaths, judgedvolumes
from hullmark.core.judgement import Case, cited

KINDS = ("bind", "volume")
PROPAGATIONS = ("private", "rprivate", "slave", "rslave", "shared", "rshared")
_OF_ITS_OWN = ("", "private", "rprivate")
RELABEL = ("z", "Z")
VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_OPTIONS = frozenset({"ro", "rw", "nocopy", *RELABEL, *PROPAGATIONS})
TMPFS_OPTION = re.compile(
    r"(size|mode|uid|gid|nr_inodes)=[0-9]+[kmgKMG%]?|ro|rw|noexec|nosuid|nodev"
)
_PARTS_OPTIONS = frozenset(',"\n\r')
"""Podman makes `type=bind,source=...,dst=...` of a mount and parts it again (pkg/specgenutil)."""


@dataclass(frozen=True)
class Asked:
    """One mount as a request has it. `source` is a path or a volume's name, empty for a new anonymous volume."""

    source: str
    target: str
    write: bool = True
    relabel: bool = False
    propagation: str = ""

    @property
    def is_path(self) -> bool:
        return self.source.startswith("/")


def asked(host: Mapping[str, Any]) -> Iterator[Asked]:
    """All mounts of a HostConfig but tmpfs, as far as they can be read; `judge` says what of it can't be."""
    for mount in host.get("Mounts") or ():
        options = mount.get("BindOptions") or {}
        if mount.get("Type") not in KINDS:
            continue
        yield Asked(
            mount.get("Source") or "",
            mount.get("Target") or "",
            not mount.get("ReadOnly"),
            propagation=options.get("Propagation") or "",
        )
    for text in host.get("Binds") or ():
        parts = text.split(":")
        options = parts[2].split(",") if len(parts) > 2 else []
        if len(parts) in (2, 3):
            yield Asked(
                parts[0],
                parts[1],
                "ro" not in options,
                any(word in RELABEL for word in options),
                next((word for word in options if word in PROPAGATIONS), ""),
            )


def judge(case: Case, host: Mapping[str, Any]) -> None:
    for mount in host.get("Mounts") or ():
        _check_kind(case, mount)
    for text in host.get("Binds") or ():
        _check_text(case, text)
    for target, options in (host.get("Tmpfs") or {}).items():
        _check_tmpfs(case, target, options)
    for mount in asked(host):
        if mount.is_path:
            _judge_bind(case, mount)
        elif mount.source:
            judgedvolumes.judge_named(case, mount.source)


def _check_kind(case: Case, mount: Mapping[str, Any]) -> None:
    kind, source, target = mount.get("Type"), mount.get("Source") or "", mount.get("Target") or ""
    if case.started:
        return
    shown = f"the mount of {cited(source)} at {cited(target)}"
    if case.sights.engine == "podman" and set(source + target) & _PARTS_OPTIONS:
        case.never(f"{shown}: Podman would read it as several options")
    path = kind == "bind" and source.startswith("/")
    if not path and not (kind == "volume" and (not source or VOLUME_NAME.fullmatch(source))):
        case.never(f"{shown} is of the type {cited(kind)}, or of a source, that is not known here")
    spread = (mount.get("BindOptions") or {}).get("Propagation") or ""
    if spread and spread not in PROPAGATIONS:
        case.never(f"{shown} has the propagation {cited(spread)}, which is not known")
    _check_target(case, target)


def _check_text(case: Case, text: str) -> None:
    """`SOURCE:TARGET[:OPTIONS]`, in which nothing but the two colons may part it."""
    shown, parts = f"the mount {cited(text)}", text.split(":")
    if len(parts) not in (2, 3):
        case.never(f"{shown} can be read in more than one way")
        return
    if not (parts[0].startswith("/") or VOLUME_NAME.fullmatch(parts[0])):
        case.never(f"{shown} has a source that is neither a path nor a volume")
    _check_target(case, parts[1])
    words = parts[2].split(",") if len(parts) == 3 else []
    for word in words:
        if word not in _OPTIONS or words.count(word) > 1:
            case.never(f"{shown} has the option {cited(word)}, which is not known")
    if {"ro", "rw"} <= set(words) or sum(word in PROPAGATIONS for word in words) > 1:
        case.never(f"{shown} contradicts itself")


def _check_target(case: Case, target: str) -> None:
    if not target.startswith("/") or ":" in target:
        case.never(f"{cited(target)}, where something is to be mounted, is no absolute path")
    if judgedpaths.is_view(target):
        case.never(f"{cited(target)}, where something is to be mounted, {judgedpaths.IS_VIEW}")


def _check_tmpfs(case: Case, target: str, options: str) -> None:
    if case.started:
        return
    _check_target(case, target)
    for word in options.split(","):
        if word and not TMPFS_OPTION.fullmatch(word):
            told = f"the tmpfs {cited(target)} has the option {cited(word)}, which is not known"
            case.never(told)


def _judge_bind(case: Case, mount: Asked) -> None:
    plain = not mount.write and not mount.relabel and mount.propagation in _OF_ITS_OWN
    if plain and mount.source in case.sights.own_files:
        return
    spread = mount.propagation or "rprivate"
    known = case.rules["mounts.propagation"].items
    if known is not None and spread not in known and spread.lstrip("r") not in known:
        case.no("mounts.propagation", f"{spread} is not allowed for {cited(mount.source)}")
    judgedpaths.judge(case, mount.source, write=mount.write or mount.relabel)
