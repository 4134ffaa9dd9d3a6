from __future__ import annotations

from collections.abc import Mapping

from hullmark.model.checkkinds.form import Form, Kind, Parameter

RULES: Mapping[str, str] = {
    "privileged": "no container is privileged",
    "namespaces": "none has the host's network, pid, ipc, uts or user namespace",
    "capabilities": "none has capabilities beyond the engine's default",
    "devices": "none has devices of the host",
    "unconfined": "none runs without seccomp, AppArmor or SELinux where the engine has it",
    "engine-socket": "none has an engine's socket",
    "host-paths": "none has the host's own folders, such as /, /etc or /proc",
    "propagation": "none hands mounts back to the host",
    "no-new-privileges": "none can gain privileges",
    "root": "none runs as root",
    "writable-root": "none can write to its image's files",
    "memory": "each has a limit of memory",
    "pids": "each has a limit of processes",
    "cpu": "each has a limit or weight of processor time",
}
USUAL = tuple(name for name in RULES if name != "cpu")
PATHS = (
    *("/", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/sys", "/usr"),
    *("/bin", "/sbin", "/run", "/var", "/var/run", "/var/lib", "/var/lib/docker"),
    *(
        "/var/lib/containerd",
        "/var/lib/containers",
        "/var/log",
        "/etc/hullmark",
        "/var/lib/hullmark",
    ),
)
_EXCEPT = Parameter(Form.TEXTS, "excused: `CONTAINER RULE`, each with * and ?", ())

KINDS: Mapping[str, Kind] = {
    "containers.settings": Kind(
        "containers that are up run with hardened settings",
        level=2,
        interval_s=300.0,
        timeout_s=60.0,
        parameters={
            "rules": Parameter(Form.TEXTS, f"what is looked at, of: {', '.join(RULES)}", USUAL),
            "except": _EXCEPT,
            "paths": Parameter(Form.PATHS, "folders of the host that no container may have", PATHS),
        },
        needs="engine",
        not_exercised="settings are the engine's own word: nobody tries to break out of a container",
    ),
    "containers.drift": Kind(
        "containers run with what they were made with: image, rights, mounts, user, limits",
        level=2,
        interval_s=300.0,
        timeout_s=60.0,
        parameters={"except": _EXCEPT},
        needs="engine",
        not_exercised="limits that were changed before the agent started, of containers that Hullmark did not make",
    ),
    "containers.files": Kind(
        "no executable was added or changed in a container that is up",
        level=2,
        interval_s=300.0,
        timeout_s=60.0,
        parameters={
            "except": Parameter(Form.TEXTS, "excused: `CONTAINER PATH`, each with * and ?", ()),
            "most": Parameter(
                Form.NUMBER,
                "how many changed files are looked at in one look, of all containers",
                200,
            ),
        },
        needs="engine",
        not_exercised="volumes and memory file systems, which are no part of the image; scripts that are read, not executed",
    ),
    "containers.listeners": Kind(
        "containers that Hullmark made listen only on ports that they declared",
        level=2,
        interval_s=300.0,
        timeout_s=60.0,
        parameters={
            "except": Parameter(
                Form.TEXTS, "excused: `CONTAINER PORT/PROTOCOL`, each with * and ?", ()
            )
        },
        needs="engine",
        not_exercised="what listens between two looks; UDP ports from 32768 on, which the kernel gives to callers; loopback in a network of the container's own",
    ),
}
