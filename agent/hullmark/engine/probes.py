"""How checks look at an engine and its containers: by reading calls only. What an engine says is cut down to what is judged."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Callable

from hullmark.engine import containerlooks
from hullmark.engine.boundary import EngineMissing
from hullmark.engine.containerlooks import Sight
from hullmark.engine.docker_api import LIBPOD
from hullmark.engine.listenerlooks import NO_SOURCES, Sources, listeners
from hullmark.engine.protocol import Engine
from hullmark.errors import HullmarkError, NotFound
from hullmark.model.control import Reading, Trouble

INFO = (
    *("SecurityOptions", "LiveRestoreEnabled", "ExperimentalBuild", "LoggingDriver", "Debug"),
    *("RegistryConfig", "Warnings", "Driver", "CgroupVersion", "DefaultRuntime", "ServerVersion"),
)
SETTINGS = (
    *("hosts", "tls", "tlsverify", "icc", "userland-proxy", "iptables", "live-restore", "debug"),
    *("no-new-privileges", "log-driver", "default-ulimits", "insecure-registries", "userns-remap"),
    *("seccomp-profile", "experimental", "default-cgroupns-mode", "bridge"),
)
"""Of Docker's file: no other setting is judged, and some hold passwords."""


RULES_MOST = 1 << 20
"""Bytes of rules."""
BRIDGE_NAME = "com.docker.network.bridge.name"
LINKS = "/sys/class/net"
WIRED = ("device", "lower_*", "tun_flags")
"""What the kernel shows of a bridge's port that is a card, is on another link as a VLAN is, or is a program's, as of a virtual
machine; of containers' none of these."""
FORWARDING = ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf/*/forwarding")
FORWARDING6 = (
    "/proc/sys/net/ipv6/conf/all/forwarding",
    "/proc/sys/net/ipv6/conf/*/force_forwarding",
)
"""For the whole host, and where not by interface. With IPv6 `forwarding` of an interface is what kind of host it is there; from Linux 6.17 on
`force_forwarding` has it forward (Documentation/networking/ip-sysctl.rst)."""

Look = Callable[[Any, Mapping[str, object]], tuple[Reading, ...]]
"""With an eye, and what a controls file gave."""


def looks(engine: Engine, sources: Sources = NO_SOURCES) -> Mapping[str, Look]:
    """By kind. Of what the engine does not answer a reading says why. `sources`: what else is known of containers' ports."""
    first = containerlooks.First()
    kinds: Mapping[str, Callable[[Sight, Mapping[str, object]], Iterator[Reading]]] = {
        "engines.settings": lambda sight, given: settings(engine, sight, given),
        "engines.routing": lambda sight, given: routing(engine, sight, given),
        "containers.settings": lambda sight, given: containerlooks.settings(engine, sight),
        "containers.drift": lambda sight, given: containerlooks.drift(engine, sight, first),
        "containers.files": lambda sight, given: containerlooks.files(engine, sight, given),
        "containers.listeners": lambda sight, given: listeners(engine, sight, sources),
    }
    return {kind: _guarded(engine, look) for kind, look in kinds.items()}


def _guarded(
    engine: Engine, look: Callable[[Sight, Mapping[str, object]], Iterator[Reading]]
) -> Look:
    def guarded(sight: Sight, given: Mapping[str, object]) -> tuple[Reading, ...]:
        found: list[Reading] = []
        try:
            info = engine.info()
            text = json.dumps({"name": info.name, "version": info.version})
            found.append(Reading("engine", info.socket, text, at=sight.wall()))
            found += look(sight, given)
        except HullmarkError as error:
            trouble = Trouble.MISSING if isinstance(error, EngineMissing) else Trouble.FAILED
            at = sight.wall()
            found = [one for one in found if one.name != "engine"]
            found.append(Reading("engine", "engine", errors=str(error), trouble=trouble, at=at))
        return tuple(found)

    return guarded


def settings(engine: Engine, sight: Sight, given: Mapping[str, object]) -> Iterator[Reading]:
    """`info`, and of Docker `bridge`, `settings`, `arguments`, of Podman `podman`; `socket` and the folder of settings."""
    info = engine.info()
    said = engine.told("/info")
    kept = {key: said[key] for key in INFO if key in said}
    kept["Swarm"] = (said.get("Swarm") or {}).get("LocalNodeState", "")
    yield _json("info", "GET /info", kept, sight)
    if info.name == "podman":
        own = engine.told(f"{LIBPOD}/info")
        host = own.get("host") or {}
        kept = {key: host.get(key) for key in ("security", "logDriver", "remoteSocket")}
        registries = own.get("registries") or {}
        yield _json("podman", "GET libpod/info", {**kept, "registries": registries}, sight)
    else:
        yield _bridge(engine, sight)
        path = str(given.get("settings") or "")
        yield _chosen(sight.file("settings", path))
        yield sight.stat("folder", path.rpartition("/")[0] or "/")
        pid = sight.file("arguments", str(given.get("pid_file") or ""))
        if pid.trouble is Trouble.NONE and pid.text.strip().isdigit():
            yield sight.file("arguments", f"/proc/{pid.text.strip()}/cmdline")
        else:
            yield pid
    if info.socket.startswith("unix://"):
        yield sight.stat("socket", info.socket[len("unix://") :])


def routing(engine: Engine, sight: Sight, given: Mapping[str, object]) -> Iterator[Reading]:
    """`networks` that containers are on: their `subnets`, which of them are `taken` by an interface that is there, `bridges`, none where one
    isn't known, the `range` that was given, where the next ones are made, and `others`: bridges of the host that are no network's, or not
    only. `forwarding`, with a network of IPv6 `forwarding6`: 0 or 1, and
    where it is 0 the interfaces that forward all the same. Where the kernel forwards, or will with the next container, `rules` and
    `old_rules`, of IPv6 `old_rules6`: what nft shows, and what iptables does, which may be others."""
    if not sight.paths(f"{LINKS}/lo"):
        yield Reading("networks", LINKS, trouble=Trouble.MISSING, at=sight.wall())
        return
    before = _host_bridges(sight)
    networks = _bridged(engine)
    subnets = [subnet for network in networks for subnet in _subnets(network)]
    bridges = _bridges(engine, networks)
    there = [one for name, one in zip(bridges, networks) if name and _is_there(sight, name)]
    told = {
        "range": str(given.get("range") or ""),
        "subnets": subnets,
        "taken": [subnet for network in there for subnet in _subnets(network)],
        "bridges": [] if "" in bridges else sorted(bridges),
        # Those that were there before the engine was asked, and are still: a network's own comes and goes with it.
        "others": sorted(before & _host_bridges(sight) - (frozenset(bridges) - _wired(sight))),
    }
    yield _json("networks", "GET /networks", told, sight)
    forwarding = _forwarding(sight, "forwarding", FORWARDING)
    yield forwarding
    by_four = forwarding.text.strip() != "0" or engine.info().name == "podman"
    by_six = any(":" in subnet for subnet in subnets)
    if by_six:
        yield _forwarding(sight, "forwarding6", FORWARDING6)
    if by_four or by_six:
        yield sight.run("rules", ["nft", "--stateless", "list", "ruleset"], most=RULES_MOST)
    if by_four:
        yield sight.run("old_rules", ["iptables-save"], most=RULES_MOST)
    if by_six:
        yield sight.run("old_rules6", ["ip6tables-save"], most=RULES_MOST)


def _bridged(engine: Engine) -> list[Mapping[str, Any]]:
    """The kernel forwards nothing to containers on any other kind of network."""
    return [one for one in engine.told("/networks") if one.get("Driver") == "bridge"]


def _subnets(network: Mapping[str, Any]) -> list[str]:
    pools = (network.get("IPAM") or {}).get("Config") or ()
    return [str(pool["Subnet"]) for pool in pools if pool.get("Subnet")]


def _bridges(engine: Engine, networks: Iterable[Mapping[str, Any]]) -> list[str]:
    """Of each network its interface, empty where the engine doesn't say. Docker names one after its network's id, unless it is told a name;
    Podman's default network has another name here than among its own."""
    if engine.info().name == "podman":
        own = engine.told(f"{LIBPOD}/networks/json")
        known = {one.get("id"): str(one.get("network_interface") or "") for one in own}
        return [known.get(one.get("Id"), "") for one in networks]
    named = [(one.get("Options") or {}).get(BRIDGE_NAME) for one in networks]
    ids = [str(one.get("Id") or "")[:12] for one in networks]
    return [str(name or f"br-{network_id}") for name, network_id in zip(named, ids)]


def _host_bridges(sight: Sight) -> frozenset[str]:
    return frozenset(path.split("/")[-2] for path in sight.paths(f"{LINKS}/*/bridge"))


def _wired(sight: Sight) -> set[str]:
    """Links on others that aren't containers'. A network may be made on a bridge that is the host's own."""
    ends = (path for end in WIRED for path in sight.paths(f"{LINKS}/*/lower_*/{end}"))
    return {path[len(LINKS) + 1 :].partition("/")[0] for path in ends}


def _is_there(sight: Sight, interface: str) -> bool:
    """Podman makes one with the first container of its network."""
    return bool(sight.paths(f"/proc/sys/net/ipv4/conf/{interface}"))


def _forwarding(sight: Sight, name: str, places: tuple[str, str]) -> Reading:
    """Whether the kernel forwards; where not in general, by which interfaces, after the 0."""
    everywhere, each = places
    found = sight.file(name, everywhere)
    if found.text.strip() != "0":
        return found
    asked = [sight.file(path.split("/")[-2], path) for path in sight.paths(each)]
    forward = [one.name for one in asked if one.text.strip() not in ("", "0")]
    return replace(found, text=" ".join(["0", *forward]))


def _bridge(engine: Engine, sight: Sight) -> Reading:
    try:
        network = engine.inspected_network("bridge")
    except NotFound:
        return Reading("bridge", "GET /networks/bridge", trouble=Trouble.MISSING, at=sight.wall())
    kept = {"Options": network.get("Options") or {}}
    return _json("bridge", "GET /networks/bridge", kept, sight)


def _chosen(file: Reading) -> Reading:
    """Docker's file with what is judged of it; as it is where it isn't JSON."""
    try:
        said = json.loads(file.text)
    except (ValueError, RecursionError):
        return file
    if not isinstance(said, dict):
        return file
    text = json.dumps({key: said[key] for key in SETTINGS if key in said}, sort_keys=True)
    return Reading("settings", file.source, text, facts=file.facts, cut=file.cut, at=file.at)


def _json(name: str, source: str, value: object, sight: Sight) -> Reading:
    return Reading(name, source, json.dumps(value, sort_keys=True), at=sight.wall())
