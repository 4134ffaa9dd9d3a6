"""Looks at what AIDE left: its baseline, its reports, and how its service ended. AIDE itself is never run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hullmark.host.eye import Eye, Probe
from hullmark.host.programs import installed
from hullmark.model.control import Reading, Trouble

_HEAD = 300  # bytes


def see_database(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    program = installed(eye, "program", ["aide"])
    if program.trouble is not Trouble.NONE:
        return (program,)
    paths = _texts(given, "paths")
    for path in paths:
        reading = eye.file("database", path, most=_HEAD)
        if reading.trouble is not Trouble.MISSING:
            return (program, reading)
    missing = Reading("database", ", ".join(paths), trouble=Trouble.MISSING, at=eye.wall())
    return (program, missing)


def see_last_run(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    """`program`, each `log PATH` that is there (and its `end PATH`, where it is long), `units` and `uptime` where systemd is."""
    program = installed(eye, "program", ["aide"])
    if program.trouble is not Trouble.NONE:
        return (program,)
    return (program, *_logs(eye, given), *_units(eye, given))


def _logs(eye: Eye, given: Mapping[str, object]) -> Iterator[Reading]:
    for path in _texts(given, "logs"):
        reading = eye.file(f"log {path}", path)
        if reading.trouble is not Trouble.MISSING:
            yield reading
        if reading.cut:
            yield eye.file(f"end {path}", path, keep_end=True)


def _units(eye: Eye, given: Mapping[str, object]) -> Iterator[Reading]:
    units = [each for each in _texts(given, "units") if not each.startswith("-")]
    if not units or not eye.at("/run/systemd/system").is_dir():
        return
    yield eye.file("uptime", "/proc/uptime")
    yield eye.run(
        "units",
        [
            "systemctl",
            "show",
            "--property=Id,LoadState,ExecMainCode,ExecMainStatus,ExecMainExitTimestampMonotonic",
            *units,
        ],
        timeout_s=5,
    )


def _texts(given: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = given.get(name)
    return tuple(str(one) for one in value) if isinstance(value, (list, tuple)) else ()


PROBES: Mapping[str, Probe] = {
    "aide.database": see_database,
    "aide.last_run": see_last_run,
}
