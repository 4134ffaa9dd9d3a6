from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds.form import Form, Kind, Parameter

RULES: Mapping[str, str] = {
    "seccomp": "a seccomp profile is in force",
    "mac": "AppArmor or SELinux confines containers",
    "no-new-privileges": "containers gain no privileges by default",
    "cgroup-namespaces": "containers have control group namespaces of their own by default",
    "user-namespaces": "root in a container isn't root on the host, or the engine isn't root's",
    "tcp": "the API is not served over TCP, or only to clients with a verified certificate",
    "registries": "no registry is taken without verified TLS but on loopback",
    "files": "only root and the socket's group may use the engine, and only root changes its settings",
    "icc": "containers on the default bridge don't reach each other",
    "iptables": "the engine keeps its own packet filter rules",
    "live-restore": "containers outlive a restart of the engine",
    "userland-proxy": "ports are published by the kernel, not by a process for each",
    "logging": "what containers print is kept",
    "experimental": "experimental features are off",
    "debug": "debugging is off",
    "swarm": "swarm mode is off",
    "storage": "the storage driver is one that is still maintained",
    "ulimits": "containers have default limits",
}
USUAL = tuple(name for name in RULES if name not in ("user-namespaces", "ulimits"))

KINDS: Mapping[str, Kind] = {
    "engines.settings": Kind(
        "the engine's effective settings are hardened ones",
        level=2,
        interval_s=300.0,
        timeout_s=30.0,
        parameters={
            "rules": Parameter(Form.TEXTS, f"what is looked at, of: {', '.join(RULES)}", USUAL),
            "except": Parameter(Form.TEXTS, "which of them this host is excused from", ()),
            "settings": Parameter(
                Form.PATH, "Docker's file of settings", "/etc/docker/daemon.json"
            ),
            "pid_file": Parameter(Form.PATH, "where Docker says its process", "/run/docker.pid"),
        },
        needs="engine",
        not_exercised="settings are the engine's own word: none of them is tried out",
    ),
    "engines.routing": Kind(
        "who routes containers' networks to the host does not get into them",
        level=2,
        interval_s=60.0,
        timeout_s=15.0,
        needs="engine",
        not_exercised="no packet is sent; a neighbour's packet without an answer may get in under a container's address, and networks that come later outside the host's range aren't looked at",
    ),
}
