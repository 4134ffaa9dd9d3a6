"""What policy says of the networks that containers join, and of those that are made."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hullmark.core import judgedlimits, judgedrights
from hullmark.core.judgement import Case, cited
from hullmark.model.policy import NetworkSight

NO_NETWORK = "none"
SHARED = "bridge"
"""As rules name the engine's own network, which all containers that name none share."""
_MODES_OF_SHARED = ("", "default", SHARED)
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
ISOLATE = "isolate"
HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4"
_APART = ("true", "1", "strict")


def judge_joined(case: Case, body: Mapping[str, Any]) -> None:
    """By a container's mode, and by name."""
    mode = str((body.get("HostConfig") or {}).get("NetworkMode") or "")
    if mode == "host":
        judgedrights.judge_host_namespace(case, "network")
    elif mode != NO_NETWORK and not judgedrights.judge_joining(case, "network", mode):
        judge_network_named(case, mode)
    for name in endpoints(body):
        judge_network_named(case, name)


def endpoints(body: Mapping[str, Any]) -> Iterator[str]:
    yield from (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}


def named(body: Mapping[str, Any]) -> Iterator[str]:
    """Every network that has to be looked up."""
    mode = str((body.get("HostConfig") or {}).get("NetworkMode") or "")
    if mode not in ("host", NO_NETWORK, *_MODES_OF_SHARED) and ":" not in mode:
        yield mode
    yield from (name for name in endpoints(body) if name not in ("host", NO_NETWORK, SHARED))


def judge_network_named(case: Case, name: str) -> None:
    if name == NO_NETWORK:
        return
    if name == "host":
        judgedrights.judge_host_namespace(case, "network")
        return
    podmans = case.sights.engine == "podman" and name == "podman"
    if name in _MODES_OF_SHARED or podmans:
        if not case.lists("networks.external", SHARED):
            case.no("networks.external", "the engine's own network, which all containers share")
        return
    sight = case.sights.networks.get(name)
    if sight is None:
        case.never(f"network {cited(name)} is not on this host")
        return
    if sight.driver == "host":
        judgedrights.judge_host_namespace(case, "network")
        return
    if sight.app != case.sights.app and not case.lists("networks.external", sight.name):
        case.no("networks.external", f"network {cited(sight.name)} is not of app {case.sights.app}")
    _judge_settings(case, sight)


def _judge_settings(case: Case, network: NetworkSight) -> None:
    if not case.lists("networks.drivers", network.driver):
        case.no(
            "networks.drivers",
            f"network {cited(network.name)} has the driver {cited(network.driver)}",
        )


def judge_made(case: Case, body: Mapping[str, Any]) -> None:
    """A network that is about to be made."""
    name, driver = str(body.get("Name") or ""), str(body.get("Driver") or "bridge")
    if not NAME.fullmatch(name):
        case.never(f"network {cited(name)} has a name that is none")
    if driver in ("host", "null"):
        case.never(f"a network of the driver {cited(driver)} is the engine's own to make")
    _judge_settings(case, NetworkSight(name, driver))
    for option, value in (body.get("Options") or {}).items():
        if option == ISOLATE and value in _APART:
            continue
        if not case.lists("networks.options", option):
            case.no("networks.options", f"{cited(option)}={cited(value)} is not allowed here")
        if option.startswith(HOST_BINDING.rpartition("_")[0]):
            judgedlimits.judge_address(case, value, "ports.addresses")
    pools = case.rules["networks.subnets"].items
    for pool in (body.get("IPAM") or {}).get("Config") or ():
        if pools is not None and not _is_in(str(pool.get("Subnet") or ""), pools):
            case.no("networks.subnets", f"{cited(pool.get('Subnet'))} is not allowed here")


def _is_in(subnet: str, pools: tuple[str, ...]) -> bool:
    try:
        wanted: Any = ipaddress.ip_network(subnet, strict=False)
    except ValueError:
        return False
    return any(
        wanted.version == each.version and wanted.subnet_of(each)
        for each in judgedlimits.networks(pools)
    )
