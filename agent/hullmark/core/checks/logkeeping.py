"""What became of logs since the look before, and how long they are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple, Optional

from hullmark.core.checks import ages, programs
from hullmark.core.checks.judge import Seen, error, failed, not_applicable, not_understood, untold
from hullmark.model.control import Finding, Reading, Status, Trouble

DAY_S = 86400.0
_EARLIER_S = 5.0
_PACKED = (".gz", ".xz", ".bz2", ".zst", ".lz4", ".Z")
_SETTING = re.compile(r"^\s*([A-Za-z_]+)\s*=\s*(.*?)\s*$", re.MULTILINE)
_NUMBER = re.compile(r"-?[0-9]{1,18}")


class _File(NamedTuple):
    path: str
    size: int
    inode: str
    mtime: float

    @property
    def is_packed(self) -> bool:
        return self.path.endswith(_PACKED)


class _Log(NamedTuple):
    """`itself` is None where the log's own file is gone, and only rotated ones are there."""

    itself: Optional[_File]
    beside: tuple[_File, ...]


_NONE = _Log(None, ())


def _logs(reading: Reading) -> Optional[dict[str, _Log]]:
    """None where a line is none that `host/rotated.py` writes."""
    found: dict[str, _Log] = {}
    for line in reading.text.splitlines():
        fields = line.split("\t")
        mtime = ages.number(fields[4]) if len(fields) == 5 else None
        if mtime is None or not _NUMBER.fullmatch(fields[2]):
            return None
        log, path = fields[:2]
        file = _File(path, int(fields[2]), fields[3], mtime)
        known = found.get(log, _NONE)
        if path == log:
            found[log] = known._replace(itself=file)
        else:
            found[log] = known._replace(beside=(*known.beside, file))
    return found


def judge_truncation(seen: Seen) -> Finding:
    files, former = programs.look(seen, "files"), seen.former("files")
    told = untold(files)
    if told is not None:
        return told
    now = _logs(files)
    if now is None:
        return not_understood(files)
    if files.cut:
        return error(f"{files.source}: more files than are looked at")
    before = _logs(former) if former is not None and former.trouble is Trouble.NONE else None
    if former is None or before is None:
        if not now:
            return not_applicable(f"{files.source}: none of these logs is on this host")
        return Finding(
            Status.NOT_RUN, reason="the first look: there is none before to compare with"
        )
    for path, log in before.items():
        lost = _lost(path, log, now.get(path, _NONE), former.at)
        if lost is not None:
            return lost
    if not now and not before:
        return not_applicable(f"{files.source}: none of these logs is on this host")
    return seen.passed(f"{len(now)} logs")


def _lost(path: str, before: _Log, now: _Log, at: float) -> Optional[Finding]:
    """The finding where what was in this log is nowhere any more."""
    was, itself = before.itself, now.itself
    if was is None or was.size == 0:
        return None
    if itself is not None and itself.inode == was.inode and itself.size >= was.size:
        return None
    moved = [file for file in now.beside if file.inode == was.inode and file.size >= was.size]
    if moved or _copied(was, before, now, at):
        return None
    what = f"held {was.size} bytes before, and no rotated file holds them"
    if itself is None:
        return failed(f"{path} is gone: it {what}")
    if itself.inode == was.inode:
        return failed(f"{path} was cut to {itself.size} bytes: it {what}")
    return failed(f"{path} was replaced: it {what}")


def _copied(was: _File, before: _Log, now: _Log, at: float) -> bool:
    """Whether a file came beside it that may hold all of it: as large, as copytruncate leaves it, or packed. One that was there
    before under another name is none, but for a copy that was just made at the look before (`at`), with the log not cut yet."""
    known = {(file.inode, file.size) for file in before.beside}
    new = [
        file
        for file in now.beside
        if (file.inode, file.size) not in known
        or (file.size == was.size and file.mtime >= at - _EARLIER_S)
    ]
    if any(not file.is_packed and file.size >= was.size for file in new):
        return True
    # A rotation also packs the file that was rotated before: that one is not what is looked for.
    there = {file.inode for file in now.beside}
    packed_since = [
        file for file in before.beside if not file.is_packed and file.inode not in there
    ]
    return sum(file.is_packed and file.size > 0 for file in new) > len(packed_since)


class _Rule(NamedTuple):
    pattern: str
    rotate: int
    days: int
    maxage: int
    size: str
    file: str

    @property
    def kept_days(self) -> Optional[int]:
        """How long a line is kept at the least; None where only sizes say it, or nothing is ever removed."""
        by_count = (
            None if self.rotate < 0 or self.size or not self.days else self.rotate * self.days
        )
        by_age = self.maxage or None
        known = [each for each in (by_count, by_age) if each is not None]
        if self.rotate == 0:
            return 0
        return min(known, default=None)

    @property
    def words(self) -> str:
        each = {1: "daily", 7: "weekly", 30: "monthly", 365: "yearly"}.get(self.days, "")
        age = f", maxage {self.maxage}" if self.maxage else ""
        return f"rotate {self.rotate} {self.size or each}{age} in {self.file}"


def judge_retention(seen: Seen) -> Finding:
    files, logrotate = programs.look(seen, "files"), programs.look(seen, "logrotate")
    told = untold(files)
    if told is not None:
        return told
    logs, rules = _logs(files), _rules(logrotate)
    if logs is None:
        return not_understood(files)
    if not logs:
        return not_applicable(f"{files.source}: none of these logs is on this host")
    if logrotate.trouble not in (Trouble.NONE, Trouble.MISSING):
        return untold(logrotate) or not_understood(logrotate)
    if rules is None:
        return not_understood(logrotate)
    if files.cut:
        return error(f"{files.source}: more files than are looked at")
    auditd = _auditd(programs.look(seen, "auditd"))
    for path, log in logs.items():
        short = _too_short(seen, path, log, rules, auditd)
        if short is not None:
            return short
    return seen.passed(
        f"neither logrotate nor auditd removes any of {len(logs)} logs before {seen.number('days'):.0f} days"
    )


def _too_short(
    seen: Seen, path: str, log: _Log, rules: Sequence[_Rule], auditd: Mapping[str, str]
) -> Optional[Finding]:
    wanted = seen.number("days")
    rule = next((one for one in rules if fnmatchcase(path, one.pattern)), None)
    if rule is not None and rule.kept_days is not None:
        if rule.kept_days < wanted:
            return failed(
                f"{path} is kept for {rule.kept_days} days, less than {wanted:.0f}: {rule.words}",
                "a larger `rotate`, or say in `days` what is kept elsewhere",
            )
        return None
    most = rule.rotate if rule is not None else _kept_by_auditd(path, auditd)
    # By size: how far back it goes is only known once nothing more fits.
    oldest = min((file.mtime for file in log.beside), default=seen.now)
    days = (seen.now - oldest) / DAY_S
    if most is not None and 0 < most <= len(log.beside) and days < wanted:
        why = rule.words if rule is not None else f"num_logs = {auditd.get('num_logs')}"
        return failed(f"{path} goes back {days:.0f} days only, less than {wanted:.0f}: {why}")
    return None


def _kept_by_auditd(path: str, auditd: Mapping[str, str]) -> Optional[int]:
    """How many rotated files there are at the most; None where it isn't auditd's log, or auditd removes none."""
    count = auditd.get("num_logs", "")
    is_its = path == auditd.get("log_file", "/var/log/audit/audit.log")
    rotates = auditd.get("max_log_file_action", "").lower() == "rotate"
    if not (is_its and rotates and count.isdecimal() and len(count) < 6):
        return None
    return int(count) - 1


def _auditd(reading: Reading) -> Mapping[str, str]:
    return {key.lower(): value for key, value in _SETTING.findall(reading.text)}


def _rules(reading: Reading) -> Optional[list[_Rule]]:
    """None where a line is none that `host/logrotate.py` writes."""
    found = []
    for line in reading.text.splitlines():
        fields = line.split("\t")
        if len(fields) != 6 or not all(_NUMBER.fullmatch(each) for each in fields[1:4]):
            return None
        pattern, rotate, days, maxage, size, file = fields
        found.append(_Rule(pattern, int(rotate), int(days), int(maxage), size, file))
    return found
