"""What an engine can't do for a container: said before it is made, instead of left out in silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hullmark.errors import Refused
from hullmark.model.app import ContainerSpec

CGROUPS_V2 = Path("/sys/fs/cgroup/cgroup.controllers")
"""There where the cgroups are of version 2 alone: cgroups(7)."""


def check(spec: ContainerSpec, engine_name: str) -> None:
    """Raises Refused naming every key that the engine would leave out."""
    problems = list(lacking(spec, engine_name, cgroups_v2=CGROUPS_V2.exists()))
    if problems:
        raise Refused("; ".join(problems), remedy="leave it out, or run the service on Docker")


def lacking(spec: ContainerSpec, engine_name: str, *, cgroups_v2: bool) -> Iterator[str]:
    if engine_name != "podman":
        return
    if spec.domainname:
        yield "domainname: Podman sets none; write it into hostname"
    if spec.dns and spec.networks:
        yield "dns: with name servers of its own a container on Podman doesn't find its app's services by name"
    if spec.cgroup == "private" and not cgroups_v2:
        yield "cgroup private: Podman gives containers a cgroup namespace of their own on cgroups version 2 only"


def check_platform(spec: ContainerSpec, image: Mapping[str, Any]) -> None:
    """Raises Refused for an image of another platform, which Podman would run all the same. `image` is the
    engine's description of it."""
    found = f"{image.get('Os')}/{image.get('Architecture')}"
    wanted = "/".join(spec.platform.split("/")[:2])
    if wanted and wanted != found:
        raise Refused(
            f"image {spec.image} on this host is of platform {found}, not {spec.platform}",
            remedy="pull or load the other one, or take `platform` away",
        )
