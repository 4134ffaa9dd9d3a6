"""Looks at how a host gets its security updates. Nothing is fetched, installed, or written to apt's cache."""

from __future__ import annotations

from collections.abc import Mapping

from hullmark.host.eye import Eye, Probe
from hullmark.host.programs import installed
from hullmark.model.control import Reading, Trouble

UNATTENDED_STAMP = "/var/lib/apt/periodic/unattended-upgrades-stamp"
LISTS = "/var/lib/apt/lists"
# Any of these is newer after lists were fetched, also where they had not changed.
FETCHED = (
    LISTS,
    f"{LISTS}/partial",
    "/var/lib/apt/periodic/update-success-stamp",
    "/var/lib/apt/periodic/update-stamp",
)
REBOOT_REQUIRED = ("/run/reboot-required", "/var/run/reboot-required")
# What makes that file.
REBOOT_TELLERS = (
    "/etc/kernel/postinst.d/unattended-upgrades",
    "/usr/share/update-notifier/notify-reboot-required",
)
DNF_AUTOMATIC = ("dnf-automatic", "/usr/lib/systemd/system/dnf5-automatic.timer")
DNF_TIMERS = "/etc/systemd/system/timers.target.wants/dnf*automatic*.timer"
_PACKAGES = "/var/lib/dpkg/status"


def see_unattended(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    """Only these two parts of apt's configuration: others may hold passwords."""
    program = installed(eye, "program", ["unattended-upgrade"])
    if program.trouble is not Trouble.NONE:
        return (program,)
    more = _more(given)
    periodic = eye.run("periodic", ["apt-config", *more, "dump", "APT::Periodic"])
    origins = eye.run("origins", ["apt-config", *more, "dump", "Unattended-Upgrade"])
    return (program, periodic, origins)


def see_last_run(eye: Eye, _: Mapping[str, object]) -> tuple[Reading, ...]:
    program = installed(eye, "program", ["unattended-upgrade"])
    if program.trouble is not Trouble.NONE:
        return (program,)
    return (program, eye.stat("stamp", UNATTENDED_STAMP), *_fetched(eye))


def see_pending(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    program = installed(eye, "program", ["apt-get"])
    if program.trouble is not Trouble.NONE:
        return (program,)
    source = str(given.get("source") or "security").lower()
    found = [path for path in eye.paths(f"{LISTS}/*") if source in path.lower()]
    return (
        program,
        eye.stat("stamp", UNATTENDED_STAMP),
        eye.stat("lists", LISTS),
        eye.stat("packages", _PACKAGES),
        *_fetched(eye),
        Reading("security", f"{LISTS}/*{source}*", text="\n".join(found), at=eye.wall()),
        _simulated(eye, given),
    )


def _simulated(eye: Eye, given: Mapping[str, object]) -> Reading:
    """What an upgrade would install. Said twice that it is simulated: a file of configuration between could say otherwise."""
    return eye.run(
        "upgrade",
        [
            "apt-get",
            "--simulate",
            "-qq",
            "-o",
            "Debug::NoLocking=true",
            "-o",
            "Dir::Cache::pkgcache=",
            "-o",
            "Dir::Cache::srcpkgcache=",
            *_more(given),
            "--simulate",
            "dist-upgrade",
        ],
    )


def see_reboot(eye: Eye, _: Mapping[str, object]) -> tuple[Reading, ...]:
    tellers = installed(eye, "program", REBOOT_TELLERS)
    found = [eye.stat("reboot", path) for path in REBOOT_REQUIRED]
    wanted = [one for one in found if one.trouble is not Trouble.MISSING]
    return (tellers, (wanted or found)[0])


def see_dnf_automatic(eye: Eye, _: Mapping[str, object]) -> tuple[Reading, ...]:
    program = installed(eye, "program", DNF_AUTOMATIC)
    if program.trouble is not Trouble.NONE:
        return (program,)
    timers = Reading("timers", DNF_TIMERS, text="\n".join(eye.paths(DNF_TIMERS)), at=eye.wall())
    return (program, timers, eye.file("config", "/etc/dnf/automatic.conf"))


def _fetched(eye: Eye) -> list[Reading]:
    return [eye.stat(f"fetched {path}", path) for path in FETCHED]


def _more(given: Mapping[str, object]) -> list[str]:
    config = given.get("config")
    return ["-c", str(config)] if config else []


PROBES: Mapping[str, Probe] = {
    "updates.unattended": see_unattended,
    "updates.last_run": see_last_run,
    "updates.pending": see_pending,
    "updates.reboot": see_reboot,
    "updates.dnf_automatic": see_dnf_automatic,
}
