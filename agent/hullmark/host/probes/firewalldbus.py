"""How firewalld is asked: by its D-Bus interface, which takes milliseconds, where `firewall-cmd` takes half a second each time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from hullmark.host.eye import Eye
from hullmark.model.control import Reading, Trouble

ZONES_MOST = 20
SERVICES_MOST = 100
TABLE_MOST = 1 << 20
PROGRAM = "/usr/sbin/firewalld"
ENABLED = (
    "/etc/systemd/system/dbus-org.fedoraproject.FirewallD1.service",
    "/etc/systemd/system/multi-user.target.wants/firewalld.service",
)
_ZONE = re.compile(r"/org/fedoraproject/FirewallD1/config/zone/\w+")
_STOPPED = re.compile(r"\) [TtZX] ")


def daemon(eye: Eye) -> tuple[Reading, ...]:
    """`program`, `enabled` (MISSING where it isn't), `owner` of its name on the bus, `process` as /proc has its state, `words` its
    command line."""
    program = eye.stat("program", PROGRAM)
    if program.trouble is not Trouble.NONE:
        return (program,)
    owner = eye.run(
        "owner",
        [
            "busctl",
            "--json=short",
            "call",
            "org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "GetConnectionUnixProcessID",
            "s",
            "org.fedoraproject.FirewallD1",
        ],
    )
    readings = [program, _enabled(eye), owner]
    pid = _value(owner)
    if isinstance(pid, int):
        readings.append(eye.file("process", f"/proc/{pid}/stat"))
        words = eye.file("words", f"/proc/{pid}/cmdline")
        readings.append(replace(words, text=words.text.replace("\0", " ")))
    return tuple(readings)


def _enabled(eye: Eye) -> Reading:
    """Whether it is started at boot; a host without systemd has no word on it."""
    if eye.stat("enabled", "/run/systemd/system").trouble is Trouble.MISSING:
        return Reading("enabled", "/run/systemd/system", text="no systemd", at=eye.wall())
    found = [eye.stat("enabled", path) for path in ENABLED]
    return next((each for each in found if each.trouble is Trouble.NONE), found[0])


def zones(eye: Eye, process: Reading) -> Iterator[Reading]:
    """`state`, `default`, `active`; of each zone that is active or the default one `runtime:ZONE` and `permanent:ZONE`; of their
    services `service:NAME`; `config`, and `live`, the kernel's table."""
    if process.trouble is not Trouble.NONE or _STOPPED.search(process.text):
        return
    state = _asked(eye, "state")
    default = _asked(eye, "default")
    active = _asked(eye, "active")
    yield from (state, default, active)
    found = _value(active)
    names = {str(_value(default) or ""), *(found if isinstance(found, dict) else ())} - {""}
    services: list[str] = []
    for name in sorted(names)[:ZONES_MOST]:
        runtime = _zone(eye, name)
        yield runtime
        yield _permanent(eye, name)
        services += [each for each in _listed(runtime, "services") if each not in services]
    yield from _services(eye, services)
    yield eye.file("config", "/etc/firewalld/firewalld.conf")
    yield eye.run(
        "live", ["nft", "--stateless", "list", "table", "inet", "firewalld"], most=TABLE_MOST
    )


def _asked(eye: Eye, what: str) -> Reading:
    """The words are said here in full, so that it can be seen that they only ask."""
    if what == "state":
        return eye.run(
            what,
            [
                "busctl",
                "--json=short",
                "get-property",
                "org.fedoraproject.FirewallD1",
                "/org/fedoraproject/FirewallD1",
                "org.fedoraproject.FirewallD1",
                "state",
            ],
        )
    if what == "default":
        return eye.run(
            what,
            [
                "busctl",
                "--json=short",
                "call",
                "org.fedoraproject.FirewallD1",
                "/org/fedoraproject/FirewallD1",
                "org.fedoraproject.FirewallD1",
                "getDefaultZone",
            ],
        )
    return eye.run(
        what,
        [
            "busctl",
            "--json=short",
            "call",
            "org.fedoraproject.FirewallD1",
            "/org/fedoraproject/FirewallD1",
            "org.fedoraproject.FirewallD1.zone",
            "getActiveZones",
        ],
    )


def _zone(eye: Eye, name: str) -> Reading:
    return eye.run(
        f"runtime:{name}",
        [
            "busctl",
            "--json=short",
            "call",
            "org.fedoraproject.FirewallD1",
            "/org/fedoraproject/FirewallD1",
            "org.fedoraproject.FirewallD1.zone",
            "getZoneSettings2",
            "s",
            name,
        ],
    )


def _permanent(eye: Eye, name: str) -> Reading:
    path = eye.run(
        f"permanent:{name}",
        [
            "busctl",
            "--json=short",
            "call",
            "org.fedoraproject.FirewallD1",
            "/org/fedoraproject/FirewallD1/config",
            "org.fedoraproject.FirewallD1.config",
            "getZoneByName",
            "s",
            name,
        ],
    )
    where = _value(path)
    if not isinstance(where, str) or not _ZONE.fullmatch(where):
        return path
    return eye.run(
        f"permanent:{name}",
        [
            "busctl",
            "--json=short",
            "call",
            "org.fedoraproject.FirewallD1",
            where,
            "org.fedoraproject.FirewallD1.config.zone",
            "getSettings2",
        ],
    )


def _services(eye: Eye, names: list[str]) -> Iterator[Reading]:
    """With those that they include."""
    waiting, seen = list(names), set(names)
    for _ in range(SERVICES_MOST):
        if not waiting:
            return
        name = waiting.pop()
        found = _service(eye, name)
        yield found
        for each in _listed(found, "includes"):
            if each not in seen:
                seen.add(each)
                waiting.append(each)


def _service(eye: Eye, name: str) -> Reading:
    return eye.run(
        f"service:{name}",
        [
            "busctl",
            "--json=short",
            "call",
            "org.fedoraproject.FirewallD1",
            "/org/fedoraproject/FirewallD1",
            "org.fedoraproject.FirewallD1",
            "getServiceSettings2",
            "s",
            name,
        ],
    )


def _value(reading: Reading) -> object:
    """What the call gave; None where it gave none."""
    try:
        answer = json.loads(reading.text)
    except ValueError:
        return None
    data = answer.get("data") if isinstance(answer, dict) else None
    return data[0] if isinstance(data, list) and len(data) == 1 else data


def _listed(reading: Reading, key: str) -> list[str]:
    value = _value(reading)
    entry = value.get(key) if isinstance(value, dict) else None
    data = entry.get("data") if isinstance(entry, dict) else None
    return [each for each in data if isinstance(each, str)] if isinstance(data, list) else []
