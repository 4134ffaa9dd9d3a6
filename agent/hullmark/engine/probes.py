"""How checks look at an engine and its containers: by reading calls only. What an engine says is cut down to what is judged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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

Look = Callable[[Any, Mapping[str, object]], tuple[Reading, ...]]
"""With an eye, and what a controls file gave."""


def looks(engine: Engine, sources: Sources = NO_SOURCES) -> Mapping[str, Look]:
    """By kind. Of what the engine does not answer a reading says why. `sources`: what else is known of containers' ports."""
    first = containerlooks.First()
    kinds: Mapping[str, Callable[[Sight, Mapping[str, object]], Iterator[Reading]]] = {
        "engines.settings": lambda sight, given: settings(engine, sight, given),
        "engines.routing": lambda sight, given: routing(sight),
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


def routing(sight: Sight) -> Iterator[Reading]:
    """`forwarding`, and where the kernel forwards `rules` and `old_rules`: what nft shows, and what iptables does, which may be others."""
    forwarding = sight.file("forwarding", "/proc/sys/net/ipv4/ip_forward")
    yield forwarding
    if forwarding.text.strip() == "1":
        yield sight.run("rules", ["nft", "--stateless", "list", "ruleset"], most=RULES_MOST)
        yield sight.run("old_rules", ["iptables-save"], most=RULES_MOST)


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
