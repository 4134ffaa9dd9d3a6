"""What of an engine's effective settings is not as it should be. Podman has no daemon: what only a daemon has does not apply to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from hullmark.core.checks import routing
from hullmark.core.checks.judge import (
    Judge,
    Seen,
    error,
    failed,
    first_line,
    not_applicable,
    not_understood,
    untold,
)
from hullmark.model.checkkinds.engines import RULES
from hullmark.model.control import Finding, Reading, Trouble

_LOOPBACK = ("127.0.0.0/8", "::1/128")
_OLD_STORAGE = frozenset({"aufs", "devicemapper", "overlay"})
SHOWN_MOST = 4


class _Untold(Exception):
    """What a rule needs was not said."""


@dataclass(frozen=True)
class Facts:
    """`options`: of the file of settings, with those of the command line over them."""

    seen: Seen
    podman: bool
    info: Mapping[str, Any]
    own: Mapping[str, Any]
    bridge: Optional[Mapping[str, Any]]
    options: Mapping[str, Any]
    options_known: bool

    def of(self, key: str) -> Any:
        if key not in self.info:
            raise _Untold(f"the engine says nothing of {key}")
        return self.info[key]

    def option(self, key: str, usual: Any) -> Any:
        if not self.options_known:
            raise _Untold("with which words dockerd was started is not known")
        return self.options.get(key, usual)

    def secured_by(self, name: str) -> Mapping[str, str]:
        """A security option's words; empty where it isn't there."""
        for each in self.of("SecurityOptions") or ():
            words = dict(part.partition("=")[::2] for part in str(each).split(","))
            if words.get("name") == name:
                return words
        return {}


def judge(seen: Seen) -> Finding:
    facts = _facts(seen)
    if isinstance(facts, Finding):
        return facts
    wanted = seen.texts("rules") or tuple(RULES)
    excused = seen.texts("except")
    unknown = [each for each in (*wanted, *excused) if each not in RULES]
    if unknown:
        return error(f"no such rule: {unknown[0]}; known are {', '.join(RULES)}")
    wrong: list[str] = []
    unclear: list[str] = []
    apart: list[str] = []
    for rule in (each for each in wanted if each not in excused):
        if facts.podman and rule not in _PODMANS:
            apart.append(rule)
            continue
        try:
            said = (_PODMANS if facts.podman else _DOCKERS)[rule](facts)
        except _Untold as why:
            unclear.append(f"{rule}: {why}")
            continue
        except (TypeError, ValueError, AttributeError, KeyError):
            unclear.append(f"{rule}: what the engine says of it is not understood")
            continue
        if said:
            wrong.append(f"{said} ({rule})")
    if wrong:
        return failed(_joined(wrong))
    if unclear:
        return error(_joined(unclear))
    asked = len(wanted) - len(apart)
    if not asked:
        return not_applicable("Podman has no daemon, and none of this applies to it")
    return seen.passed(f"not on Podman: {', '.join(apart)}" if apart else "")


def _joined(reasons: list[str]) -> str:
    more = len(reasons) - SHOWN_MOST
    return "; ".join(reasons[:SHOWN_MOST]) + (f"; and {more} more" if more > 0 else "")


def _facts(seen: Seen) -> Union[Facts, Finding]:
    engine = seen.find("engine")
    if engine is None:
        return error("the engine: not looked at")
    finding = untold(engine)
    if finding is not None:
        return finding
    name = _object(engine).get("name")
    info = seen.find("info")
    if name not in ("docker", "podman") or info is None or not _object(info):
        return not_understood(engine if name not in ("docker", "podman") or info is None else info)
    bridge, own = seen.find("bridge"), seen.find("podman")
    options, known = _options(seen)
    return Facts(
        seen,
        name == "podman",
        _object(info),
        _object(own) if own is not None else {},
        None if bridge is None or bridge.trouble is Trouble.MISSING else _object(bridge),
        options,
        known,
    )


def _object(reading: Reading) -> Mapping[str, Any]:
    try:
        said = json.loads(reading.text)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _options(seen: Seen) -> tuple[Mapping[str, Any], bool]:
    """And whether these are all that are in force."""
    file, words = seen.find("settings"), seen.find("arguments")
    if (
        file is None
        or words is None
        or words.trouble is not Trouble.NONE
        or "dockerd" not in words.text
    ):
        return {}, False
    options: dict[str, Any] = {}
    if file.trouble is Trouble.NONE and file.text.strip():
        options.update(_object(file))
        if not options and file.text.strip() not in ("{}", ""):
            return {}, False
    elif file.trouble not in (Trouble.NONE, Trouble.MISSING):
        return {}, False
    hosts = list(options.get("hosts") or ()) if isinstance(options.get("hosts"), list) else []
    given = words.text.split("\0")
    for number, word in enumerate(given[1:], 1):
        if not word.startswith("-"):
            continue
        key, equals, value = word.lstrip("-").partition("=")
        following = given[number + 1] if number + 1 < len(given) else ""
        if key in ("H", "host"):
            hosts.append(value if equals else following)
        else:
            options[key] = value if equals else "true"
    return {**options, "hosts": hosts}, True


def _on(value: Any) -> bool:
    return str(value).lower() in ("true", "1")


def _seccomp(facts: Facts) -> str:
    profile = facts.secured_by("seccomp").get("profile", "")
    return "" if profile not in ("", "unconfined") else "no seccomp profile is in force"


def _mac(facts: Facts) -> str:
    there = facts.secured_by("apparmor") or facts.secured_by("selinux")
    return "" if there else "neither AppArmor nor SELinux confines containers"


def _no_new_privileges(facts: Facts) -> str:
    there = facts.secured_by("no-new-privileges") or _on(facts.option("no-new-privileges", False))
    return "" if there else "containers can gain privileges by default"


def _cgroup_namespaces(facts: Facts) -> str:
    if facts.of("CgroupVersion") != "2" and not facts.secured_by("cgroupns"):
        return "control groups are of version 1, and containers see the host's"
    mode = facts.option("default-cgroupns-mode", "private")
    return "" if mode == "private" else "containers see the host's control groups"


def _user_namespaces(facts: Facts) -> str:
    there = facts.secured_by("userns") or facts.secured_by("rootless")
    return "" if there else "root in a container is root on the host"


def _tcp(facts: Facts) -> str:
    warned = [each for each in facts.of("Warnings") or () if "API is accessible on http" in each]
    over_tcp = [each for each in facts.option("hosts", []) if str(each).startswith("tcp:")]
    if warned or (over_tcp and not _on(facts.option("tlsverify", False))):
        where = first_line(str(over_tcp[0]), 60) if over_tcp else "a TCP port"
        return f"the API is served on {where} to everybody"
    return ""


def _registries(facts: Facts) -> str:
    said = facts.of("RegistryConfig")
    ranges = [each for each in said["InsecureRegistryCIDRs"] or () if each not in _LOOPBACK]
    indexes = (said.get("IndexConfigs") or {}).items()
    names = [name for name, one in indexes if not one.get("Secure", True) and not _local(name)]
    return f"a registry without verified TLS: {(ranges + names)[0]}" if ranges or names else ""


def _local(name: str) -> bool:
    return name.partition(":")[0] in ("localhost", "127.0.0.1")


def _podmans_registries(facts: Facts) -> str:
    said = facts.own["registries"]
    names = [
        name
        for name, one in said.items()
        if isinstance(one, dict) and one.get("Insecure") and not _local(name)
    ]
    return f"a registry without verified TLS: {names[0]}" if names else ""


def _podmans_tcp(facts: Facts) -> str:
    if facts.seen.find("socket") is None:
        raise _Untold("how Podman's API is reached is not known")
    return ""


def _files(facts: Facts) -> str:
    socket = facts.seen.find("socket")
    if socket is None:
        raise _Untold("the engine's socket is no file")
    for reading, most in (
        (socket, 0o660),
        (facts.seen.find("settings"), 0o644),
        (facts.seen.find("folder"), 0o755),
    ):
        if reading is None or (reading.trouble is Trouble.MISSING and reading is not socket):
            continue
        if reading.trouble is not Trouble.NONE:
            raise _Untold(f"{reading.source}: {reading.trouble.value}")
        mode = int(reading.facts["mode"], 8)
        if mode & ~most:
            return f"{reading.source} has mode {mode:04o}, more than {most:04o}"
        if int(reading.facts["uid"]) != 0:
            return f"{reading.source} is user {reading.facts['uid']}'s, not root's"
    return ""


def _icc(facts: Facts) -> str:
    if facts.bridge is None:
        return ""
    reach = facts.bridge["Options"].get("com.docker.network.bridge.enable_icc", "true")
    return "" if reach == "false" else "containers on the default bridge reach each other"


def _iptables(facts: Facts) -> str:
    return "" if _on(facts.option("iptables", True)) else "the engine makes no packet filter rules"


def _live_restore(facts: Facts) -> str:
    return "" if facts.of("LiveRestoreEnabled") is True else "containers end with the engine"


def _userland_proxy(facts: Facts) -> str:
    return (
        "published ports go through a process each"
        if _on(facts.option("userland-proxy", True))
        else ""
    )


def _logging(facts: Facts) -> str:
    driver = facts.own["logDriver"] if facts.podman else facts.of("LoggingDriver")
    return "" if driver not in ("", "none") else "nothing that containers print is kept"


def _experimental(facts: Facts) -> str:
    return "" if facts.of("ExperimentalBuild") is False else "experimental features are on"


def _debug(facts: Facts) -> str:
    return "" if facts.of("Debug") is False else "the engine runs with debugging"


def _swarm(facts: Facts) -> str:
    return "" if facts.of("Swarm") in ("inactive", "") else f"swarm mode is {facts.of('Swarm')}"


def _storage(facts: Facts) -> str:
    driver = facts.of("Driver")
    return f"the storage driver is {driver}" if not driver or driver in _OLD_STORAGE else ""


def _ulimits(facts: Facts) -> str:
    there = facts.option("default-ulimits", None) or facts.option("default-ulimit", None)
    return "" if there else "containers have no default limits"


_DOCKERS: Mapping[str, Callable[[Facts], str]] = {
    "seccomp": _seccomp,
    "mac": _mac,
    "no-new-privileges": _no_new_privileges,
    "cgroup-namespaces": _cgroup_namespaces,
    "user-namespaces": _user_namespaces,
    "tcp": _tcp,
    "registries": _registries,
    "files": _files,
    "icc": _icc,
    "iptables": _iptables,
    "live-restore": _live_restore,
    "userland-proxy": _userland_proxy,
    "logging": _logging,
    "experimental": _experimental,
    "debug": _debug,
    "swarm": _swarm,
    "storage": _storage,
    "ulimits": _ulimits,
}
_PODMANS: Mapping[str, Callable[[Facts], str]] = {
    "seccomp": _seccomp,
    "mac": _mac,
    "user-namespaces": _user_namespaces,
    "tcp": _podmans_tcp,
    "registries": _podmans_registries,
    "files": _files,
    "logging": _logging,
}

JUDGES: Mapping[str, Judge] = {"engines.settings": judge, "engines.routing": routing.judge}
