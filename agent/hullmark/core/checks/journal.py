"""Whether systemd's journal takes entries and keeps them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Optional

from hullmark.core.checks import programs
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
from hullmark.model import canary
from hullmark.model.control import Finding, Reading, Trouble
from hullmark.model.durations import age

FULL_BYTES = 1 << 20
_TAKES = re.compile(r"journals take up ([0-9]+(?:\.[0-9]+)?)([BKMGT])\b")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMGTkmgt]?)")
_MIB: Mapping[str, float] = {
    "B": 1 / (1 << 20),
    "": 1 / (1 << 20),
    "K": 1 / 1024,
    "M": 1.0,
    "G": 1024.0,
    "T": 1024.0 * 1024,
}


def _unlike(seen: Seen) -> Optional[Finding]:
    """The finding where there is no journal on this host, or nobody looked."""
    told = untold(programs.look(seen, "program"))
    if told is not None:
        return told
    booted = programs.look(seen, "booted")
    if booted.trouble is Trouble.MISSING:
        return not_applicable("this host was not booted by systemd")
    return untold(booted)


def _judge_daemon(seen: Seen) -> Finding:
    return _unlike(seen) or programs.dead(programs.look(seen, "processes")) or seen.passed()


def _judge_canary(seen: Seen) -> Finding:
    told = _unlike(seen) or programs.dead(programs.look(seen, "processes"))
    if told is not None:
        return told
    sent, record = programs.look(seen, "sent"), programs.look(seen, "record")
    if sent.trouble in (Trouble.MISSING, Trouble.TIMED_OUT):
        full = sent.trouble is Trouble.TIMED_OUT
        what = "is full, and nobody reads it" if full else "isn't there"
        return failed(f"{sent.source}, where programs log, {what}")
    told = untold(sent) or _unread(record)
    if told is not None:
        return told
    entries = _entries(record)
    if entries is None:
        return not_understood(record)
    return _arrived(seen, record, entries) if entries else _lost(seen, record)


def _arrived(seen: Seen, record: Reading, entries: list[dict[str, Any]]) -> Finding:
    nonce = record.facts.get("nonce", "")
    if not nonce or all(
        one.nonce != nonce
        for entry in entries
        for one in canary.find(str(entry.get("MESSAGE", "")))
    ):
        return not_understood(record)
    return seen.passed("read back by journalctl")


def _lost(seen: Seen, record: Reading) -> Finding:
    """Why it did not come, as far as can be told."""
    settings = _settings(seen)
    if settings.get("Storage", "").lower() == "none":
        return failed("journald runs, but keeps nothing: Storage=none in its configuration")
    space = programs.look(seen, "space")
    free = space.facts.get("free_bytes", "")
    if free.isdecimal() and int(free) < FULL_BYTES:
        return failed(
            f"journald runs but keeps nothing: the disk of {space.source} is full",
            f"free space on the disk of {space.source}: df -h {space.source}",
        )
    return failed(
        f"journald runs, but an entry was not in the journal after {record.facts.get('waited_s', '?')} s: it may be held back "
        "by the rate limit of the agent's own service",
        "`journalctl -u systemd-journald`; `systemctl restart systemd-journald`",
    )


def _judge_suppressed(seen: Seen) -> Finding:
    newest, told = programs.look(seen, "newest"), programs.look(seen, "told")
    unlike = _unlike(seen) or _unread(newest) or _unread(told)
    if unlike is not None:
        return unlike
    latest, entries = _entries(newest), _entries(told)
    if latest is None or entries is None:
        return not_understood(newest if latest is None else told)
    if not latest:
        return error("the journal holds nothing that could be read")
    since = _counted_since(seen)
    entries = [entry for entry in entries if _seconds(entry) >= since]
    counts = [_dropped(entry) for entry in entries]
    if None in counts:
        return not_understood(told)
    total = sum(count for count in counts if count is not None)
    if entries and total > seen.number("at_most"):
        said = first_line(str(entries[-1].get("MESSAGE", "")))
        return failed(
            f"journald threw {total} entries away in the last {age(seen.now - since)}: {said}",
            "find out why that service logs so much; LogRateLimitBurst= of its unit gives it more room",
        )
    return seen.passed("" if not entries else f"{total} entries were thrown away")


def _counted_since(seen: Seen) -> float:
    """For as long as the window says, and back to the look before in any case: what came after it was not seen by any."""
    before = seen.former("newest")
    since = seen.now - seen.number("window")
    return min(since, before.at) if before is not None and before.at > 0.0 else since


def _seconds(entry: Mapping[str, Any]) -> float:
    """Since 1970; of an entry without a time, one that counts in any case."""
    told = str(entry.get("__REALTIME_TIMESTAMP", ""))
    return int(told) / 1e6 if told.isdecimal() and len(told) < 18 else math.inf


def _dropped(entry: Mapping[str, Any]) -> Optional[int]:
    """Also of kernel messages, whose number only the text has. None where it can't be told."""
    count = str(entry.get("N_DROPPED", "")) or next(
        iter(re.findall(r"\b([0-9]+)\b", str(entry.get("MESSAGE", "")))), ""
    )
    return int(count) if count.isdecimal() and len(count) < 18 else None


def _judge_persistent(seen: Seen) -> Finding:
    unlike = _unlike(seen)
    if unlike is not None:
        return unlike
    folder, files = programs.look(seen, "folder"), programs.look(seen, "files")
    syslogs = programs.look(seen, "syslogs")
    if seen.said("or_syslog") and syslogs.text.strip() and programs.dead(syslogs) is None:
        return not_applicable("a syslog daemon keeps what the journal holds")
    storage = _settings(seen).get("Storage", "").lower()
    if storage in ("volatile", "none"):
        return failed(f"the journal is not kept on the disk: Storage={storage}")
    if folder.trouble is Trouble.MISSING:
        return failed(
            "the journal is kept in memory only, and gone with the next boot: /var/log/journal isn't there",
            "`mkdir /var/log/journal`, then `systemctl restart systemd-journald`",
        )
    told = untold(folder) or untold(files)
    if told is not None:
        return told
    paths = files.text.splitlines()
    if not paths:
        return failed("/var/log/journal holds no journal", "`journalctl --flush`")
    if not all(path.endswith("/system.journal") for path in paths):
        return not_understood(files)
    return seen.passed()


def _judge_space(seen: Seen) -> Finding:
    usage, space = programs.look(seen, "usage"), programs.look(seen, "space")
    unlike = _unlike(seen) or _unread(usage) or untold(space)
    if unlike is not None:
        return unlike
    found = _TAKES.search(usage.text)
    free = space.facts.get("free_mib", "")
    if found is None or len(found.group(1)) > 15:
        return not_understood(usage)
    if not free.isdecimal() or len(free) > 15:
        return error(f"{space.source}: nobody knows how much room it has")
    used = float(found.group(1)) * _MIB[found.group(2)]
    most = seen.number("most_mib") or _mib(_settings(seen).get("SystemMaxUse", ""))
    if most and used > most * 1.05:  # its own files are rounded up
        return failed(f"the journal takes {used:.0f} MiB, more than {most:.0f}")
    if int(free) < seen.number("least_free_mib"):
        return failed(
            f"{free} MiB are free on the disk of {space.source}: journald throws old entries away"
        )
    return seen.passed(f"{used:.0f} MiB, {free} MiB free")


def _mib(size: str) -> float:
    found = _SIZE.fullmatch(size)
    if found is None or len(size) > 15:
        return 0.0
    return float(found.group(1)) * _MIB[found.group(2).upper()]


def _settings(seen: Seen) -> dict[str, str]:
    lines = (line.partition("=") for line in programs.look(seen, "settings").text.splitlines())
    return {key: value for key, _, value in lines}


def _unread(reading: Reading) -> Optional[Finding]:
    """journalctl is a part of what this host was booted by, so that it is missing is no reason to look away."""
    if reading.trouble is Trouble.MISSING:
        return error("journalctl isn't there, though systemd-journald is")
    told = untold(reading)
    if told is None and reading.code != 0:
        said = first_line(reading.errors) or first_line(reading.text) or "nothing"
        return error(f"{reading.source}: exit code {reading.code}, and said: {said}")
    return told


def _entries(reading: Reading) -> Optional[list[dict[str, Any]]]:
    """Of `--output=json`. None where a line is none."""
    found = []
    for line in reading.text.splitlines():
        if line.strip():
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                return None
            if not isinstance(entry, dict) or "__REALTIME_TIMESTAMP" not in entry:
                return None
            found.append(entry)
    return found


JUDGES: Mapping[str, Judge] = {
    "journal.daemon": _judge_daemon,
    "journal.canary": _judge_canary,
    "journal.suppressed": _judge_suppressed,
    "journal.persistent": _judge_persistent,
    "journal.space": _judge_space,
}
