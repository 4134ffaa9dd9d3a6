"""Looks at systemd's journal: its daemon, an entry of ours on its way through it, and what it says of itself."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

from hullmark.host import journalsettings, messages, programs
from hullmark.host.eye import Eye, Probe
from hullmark.host.freespace import space
from hullmark.host.probes.syslogs import PROGRAMS as SYSLOGS
from hullmark.model import canary
from hullmark.model.control import Reading, Trouble

DAEMON = ("/usr/lib/systemd/systemd-journald", "/lib/systemd/systemd-journald")
SOCKET = "/run/systemd/journal/socket"
BOOTED = "/run/systemd/system"
KEPT, FLEETING = "/var/log/journal", "/run/log/journal"
SUPPRESSED = "a596d6fe7bfa4994828e72309e95d61e"  # sd-messages.h: entries of a service were dropped
MISSED = "e9bf28e6e834481bb6f48f548ad13606"  # the kernel's, before journald could read them
_POLL_S = 0.3
_EARLIER_S = 60
_TOLD_MOST = 100
_TOLD_S = 600.0
"""How far back is asked in any case: looks may be rarer than the window is long."""


def _daemon(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    return (
        programs.installed(eye, "program", DAEMON),
        eye.stat("booted", BOOTED),
        programs.running(eye, "processes", ["systemd-journald"]),
    )


def _canary(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    looked = _daemon(eye, given)
    if any(each.trouble is not Trouble.NONE for each in looked) or not looked[-1].text:
        return looked
    nonce, since = eye.nonce(), int(eye.wall()) - _EARLIER_S
    text = canary.make(os.uname().nodename, nonce)
    sent = messages.journal(eye, "sent", SOCKET, text, nonce)
    within = _number(given, "within", 5.0) if sent.trouble is Trouble.NONE else 0.0
    record = _record(eye, nonce, since, within)
    folder = KEPT if eye.at(KEPT).is_dir() else FLEETING
    return (
        *looked,
        sent,
        record,
        journalsettings.read(eye, "settings"),
        space(eye, "space", f"{folder}/any"),
    )


def _record(eye: Eye, nonce: str, since: int, within: float) -> Reading:
    """Facts: `nonce`, `waited_s`. What the journal has not yet it may have a moment later."""
    begun_s = eye.left_s
    while True:
        found = eye.run(
            "record",
            [
                *("journalctl", "--quiet", "--output=json", "--lines=1"),
                *(f"--since=@{since}", f"HULLMARK_CANARY={nonce}"),
            ],
            timeout_s=5.0,
        )
        waited_s = begun_s - eye.left_s
        facts = {"nonce": nonce, "waited_s": f"{waited_s:.1f}"}
        over = found.text.strip() or found.code != 0 or waited_s >= within
        if over or not eye.pause(_POLL_S):
            return dataclasses.replace(found, facts=facts)


def _suppressed(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    since = int(eye.wall() - max(_number(given, "window", 120.0), _TOLD_S))
    return (
        programs.installed(eye, "program", DAEMON),
        eye.stat("booted", BOOTED),
        eye.run("newest", ["journalctl", "--quiet", "--output=json", "--lines=1"]),
        eye.run(
            "told",
            [
                *("journalctl", "--quiet", "--output=json", f"--lines={_TOLD_MOST}"),
                *(f"--since=@{since}", "_TRANSPORT=driver"),
                *(f"MESSAGE_ID={SUPPRESSED}", f"MESSAGE_ID={MISSED}"),
            ],
            most=256 << 10,
        ),
    )


def _persistent(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    files = [path for path in eye.paths(f"{KEPT}/*/system.journal") if eye.at(path).is_file()]
    return (
        programs.installed(eye, "program", DAEMON),
        eye.stat("booted", BOOTED),
        eye.stat("folder", KEPT),
        Reading("files", f"{KEPT}/*/system.journal", text="\n".join(files), at=eye.wall()),
        journalsettings.read(eye, "settings"),
        programs.running(eye, "syslogs", [name for each in SYSLOGS.values() for name in each]),
    )


def _space(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    folder = KEPT if eye.at(KEPT).is_dir() else FLEETING
    return (
        programs.installed(eye, "program", DAEMON),
        eye.stat("booted", BOOTED),
        eye.run("usage", ["journalctl", "--disk-usage"]),
        journalsettings.read(eye, "settings"),
        space(eye, "space", f"{folder}/any"),
    )


def _number(given: Mapping[str, object], name: str, default: float) -> float:
    value = given.get(name)
    return float(value) if isinstance(value, (int, float)) else default


PROBES: Mapping[str, Probe] = {
    "journal.daemon": _daemon,
    "journal.canary": _canary,
    "journal.suppressed": _suppressed,
    "journal.persistent": _persistent,
    "journal.space": _space,
}
