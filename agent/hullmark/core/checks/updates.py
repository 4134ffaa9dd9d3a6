"""Whether security updates come: told to, done lately, none left behind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Optional, Union

from hullmark.core.checks import ages
from hullmark.core.checks.judge import (
    Judge,
    Seen,
    error,
    failed,
    not_understood,
    untold,
)
from hullmark.core.checks.programs import look
from hullmark.model.control import Finding, Reading, Trouble
from hullmark.model.durations import age

_SHOWN_MOST = 4
_SETTING = re.compile(r'^([\w:/-]+) "(.*)";$', re.M)
_INSTALL = re.compile(r"^Inst (\S+) \[[^]\s]+\] \(\S+ ([^)]*)\)", re.M)
"""A package that is installed, and where its new version comes from."""
_LINE = re.compile(r"(?:Inst|Conf|Remv|Purg) \S+ .*")


# -- unattended-upgrades


def judge_unattended(seen: Seen) -> Finding:
    absent = untold(look(seen, "program"))
    if absent is not None:
        return absent
    periodic, origins = _settings(seen, "periodic"), _settings(seen, "origins")
    if isinstance(periodic, Finding):
        return periodic
    if isinstance(origins, Finding):
        return origins
    if _is_off(periodic.get("APT::Periodic::Enable", "1")):
        return failed("apt's periodic work is switched off: APT::Periodic::Enable")
    for name in ("Unattended-Upgrade", "Update-Package-Lists"):
        if _is_off(periodic.get(f"APT::Periodic::{name}", "0")):
            return failed(f"APT::Periodic::{name} is off or not set")
    chosen = [key for key, value in origins.items() if _ORIGINS.match(key) and value]
    if not chosen:
        return failed("unattended-upgrades is told of no origin: it installs nothing")
    return seen.passed()


_ORIGINS = re.compile(r"Unattended-Upgrade::(?:Origins-Pattern|Allowed-Origins)::")


def _settings(seen: Seen, name: str) -> Union[Mapping[str, str], Finding]:
    """By their keys; those of a list, which all have the same, by a number after it. A finding where they can't be told."""
    reading = look(seen, name)
    if reading.trouble is Trouble.MISSING:
        return error("apt-config is not on this host")
    unread = untold(reading)
    if unread is not None:
        return unread
    found = _SETTING.findall(reading.text)
    lines = [line for line in reading.text.splitlines() if line.strip()]
    if reading.code or len(found) != len(lines):
        return not_understood(reading)
    return {
        f"{key}{number}" if key.endswith("::") else key: value
        for number, (key, value) in enumerate(found)
    }


def _is_off(value: str) -> bool:
    return value.strip().lower() in ("", "0", "false", "no", "off", "disable")


# -- when it ran


def judge_last_run(seen: Seen) -> Finding:
    absent = untold(look(seen, "program"))
    if absent is not None:
        return absent
    stamp = look(seen, "stamp")
    if stamp.trouble is Trouble.MISSING:
        return failed("unattended-upgrades has never come to its end on this host")
    at = ages.mtime(stamp)
    old = untold(stamp) or ages.unlike(
        "the last run of unattended-upgrades", at, seen.now, seen.number("max_age")
    )
    stale = old or _stale(seen)
    return stale or seen.passed(f"ran {age(seen.now - (at or 0.0))} ago")


def _stale(seen: Seen) -> Optional[Finding]:
    """The finding where apt's lists are old; None where they are young."""
    times = [ages.mtime(one) for one in seen.readings if one.name.startswith("fetched ")]
    known = [at for at in times if at is not None]
    if not known:
        return error("when apt fetched its lists can't be told")
    return ages.unlike("the list of packages", max(known), seen.now, seen.number("max_list_age"))


# -- what is pending


def judge_pending(seen: Seen) -> Finding:
    absent = untold(look(seen, "program"))
    if absent is not None:
        return absent
    stale = _stale(seen)
    if stale is not None:
        return stale
    if not look(seen, "security").text.strip():
        return failed(
            f"apt has no list of an archive that is called {seen.text('source')}",
            "See apt's sources; where security updates come from an archive of another name, say it in `source`.",
        )
    upgrade = look(seen, "upgrade")
    unread = untold(upgrade)
    if unread is not None:
        return unread
    lines = [line for line in upgrade.text.splitlines() if line.strip()]
    if upgrade.code or not all(_LINE.match(line) for line in lines[: -1 if upgrade.cut else None]):
        return not_understood(upgrade)
    found, source = _INSTALL.findall(upgrade.text), seen.text("source").lower()
    waiting = [package for package, origin in found if source in origin.lower()]
    if upgrade.cut and not waiting:
        return error("apt would upgrade more packages than are read here")
    return _judge_waiting(waiting, seen) if waiting else seen.passed("none is pending")


def _judge_waiting(waiting: list[str], seen: Seen) -> Finding:
    shown = ", ".join(waiting[:_SHOWN_MOST]) + (" ..." if len(waiting) > _SHOWN_MOST else "")
    what = f"{len(waiting)} security updates are pending ({shown})"
    ran_at, listed_at = ages.mtime(look(seen, "stamp")), ages.mtime(look(seen, "lists"))
    changed_at = ages.mtime(look(seen, "packages"))
    if changed_at is None or listed_at is None:
        return error(f"{what}; for how long can't be told")
    if ran_at is not None and ran_at >= listed_at:
        return failed(
            f"{what}, and unattended-upgrades has left them behind",
            "Its log in /var/log/unattended-upgrades says why.",
        )
    if seen.now - changed_at > seen.number("max_age"):
        return failed(f"{what}, and no package has changed for {age(seen.now - changed_at)}")
    return seen.passed(what)


# -- restarts


def judge_reboot(seen: Seen) -> Finding:
    absent = untold(look(seen, "program"))
    if absent is not None:
        return absent
    reboot = look(seen, "reboot")
    if reboot.trouble is Trouble.MISSING:
        return seen.passed()
    at = ages.mtime(reboot)
    old = untold(reboot) or ages.unlike(
        "the wish for a restart", at, seen.now, seen.number("max_age")
    )
    return old or seen.passed(f"a restart is wished for since {age(seen.now - (at or 0.0))}")


# -- dnf-automatic


def judge_dnf_automatic(seen: Seen) -> Finding:
    absent = untold(look(seen, "program"))
    if absent is not None:
        return absent
    timers, config = look(seen, "timers"), look(seen, "config")
    unread = untold(timers)
    if unread is not None:
        return unread
    names = [path.rpartition("/")[2] for path in timers.text.splitlines()]
    if any(name.endswith("automatic-install.timer") for name in names):
        return seen.passed("its timer installs what it finds")
    if not any(re.fullmatch(r"dnf5?-automatic\.timer", name) for name in names):
        return failed("no timer of dnf-automatic that installs is enabled")
    return _judge_dnf_config(config, seen)


def _judge_dnf_config(config: Reading, seen: Seen) -> Finding:
    if config.trouble is Trouble.MISSING:
        return failed("dnf-automatic has no configuration: it installs nothing")
    unread = untold(config)
    if unread is not None:
        return unread
    said = re.findall(r"^[ \t]*apply_updates[ \t]*=[ \t]*(\w+)[ \t]*$", config.text, re.M)
    if "[commands]" not in config.text:
        return not_understood(config)
    if not said or _is_off(said[-1]):
        return failed("dnf-automatic installs nothing: apply_updates is off")
    if said[-1].lower() not in ("yes", "true", "1", "on"):
        return error(f"{config.source}: apply_updates = {said[-1][:40]} is not understood")
    return seen.passed("it installs what it finds")


JUDGES: Mapping[str, Judge] = {
    "updates.unattended": judge_unattended,
    "updates.last_run": judge_last_run,
    "updates.pending": judge_pending,
    "updates.reboot": judge_reboot,
    "updates.dnf_automatic": judge_dnf_automatic,
}
