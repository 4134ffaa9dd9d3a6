"""Whether logs can be read by few only, and whether the end of our own is sound. What became of logs is in `logkeeping`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Optional

from hullmark.core.chain import Verifier
from hullmark.core.checks import ages, logkeeping, programs
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
from hullmark.model.control import Finding, Reading, Trouble

FULL_BYTES = 64 << 10
_OCTAL = re.compile(r"[0-7]{1,6}")


def _judge_permissions(seen: Seen) -> Finding:
    files = programs.look(seen, "files")
    told = untold(files)
    if told is not None:
        return told
    lines = [line.split("\t") for line in files.text.splitlines() if line]
    if not all(len(line) == 5 and _OCTAL.fullmatch(line[1]) for line in lines):
        return not_understood(files)
    for line in lines:
        wrong = _open_to_others(seen, line[0], line[1], line[3], line[4])
        if wrong is not None:
            return wrong
    if files.errors.strip():
        return error(first_line(files.errors))
    if files.cut:
        return error(f"{files.source}: more files than are looked at")
    if not lines:
        return not_applicable(f"{files.source}: none of these logs is on this host")
    return seen.passed(f"{len(lines)} files and folders")


def _open_to_others(seen: Seen, path: str, mode: str, owner: str, group: str) -> Optional[Finding]:
    # Who may only enter a folder, or run a log, learns nothing by that.
    bits, most = int(mode, 8) & 0o666, int(seen.number("mode"))
    extra = bits & ~most
    if extra:
        whose = "others" if extra & 0o007 else f"the group {group}"
        whose = whose if extra & 0o077 else f"its owner {owner}"
        can = "change" if extra & 0o222 else "read"
        fewer = f"{int(mode, 8) & ~extra & 0o7777:04o}"
        return failed(
            f"{path} has the mode {mode}: {whose} can {can} it", f"`chmod {fewer} {path}`"
        )
    if owner not in seen.texts("owners"):
        return failed(f"{path} belongs to {owner}, who is none of those that may change logs")
    if bits & 0o060 and group not in seen.texts("groups"):
        return failed(f"{path} can be read by the group {group}, which is none of those that may")
    return None


def _judge_own_chain(seen: Seen) -> Finding:
    remembered, log = programs.look(seen, "remembered"), programs.look(seen, "log")
    if log.trouble is Trouble.MISSING and remembered.trouble is Trouble.MISSING:
        # Who looks is the agent, which has one: so it is somewhere else than a file of the site's says.
        return error(
            f"{log.source}: there is no audit log of Hullmark here",
            "a control of the site's that says `path` and `last` has to say them as agent.yaml does",
        )
    if log.trouble is Trouble.MISSING:
        return failed(f"{log.source} isn't there, though its end is remembered: it was removed")
    told = untold(log)
    if told is not None:
        return told
    verifier = Verifier()
    for line in log.text.splitlines(keepends=True):
        broken = verifier.feed(line.encode("utf-8", "replace"))
        if broken is not None:
            where = f"record {broken.seq}" if broken.seq else "a line"
            return failed(
                f"{log.source}: {where} near its end: {broken.why}", "`hullmark audit verify`"
            )
    if verifier.head is None:
        return error(f"{log.source} has no whole record")
    return (
        # First: what is in the reserve of a full disk is remembered too, and not in the log.
        _no_room(seen, log)
        or _unlike_remembered(seen, verifier, log)
        or ages.unlike(
            f"the newest record of {log.source}", ages.mtime(log), seen.now, seen.number("at_most")
        )
        or seen.passed(f"record {verifier.head.seq}")
    )


def _unlike_remembered(seen: Seen, verifier: Verifier, log: Reading) -> Optional[Finding]:
    remembered, head = programs.look(seen, "remembered"), verifier.head
    if remembered.trouble is Trouble.MISSING or head is None:
        return error(f"{remembered.source} can't be read: nobody knows whether the log was cut")
    told = untold(remembered)
    facts = remembered.facts
    seq = facts.get("seq", "")
    if told is not None or not seq.isdecimal() or len(seq) > 18:
        return told or not_understood(remembered)
    if facts.get("log") != head.log:
        return failed(f"{log.source} is another log than the one whose end is remembered")
    if head.seq < int(seq):
        return failed(
            f"{log.source} ends with record {head.seq}, and record {seq} was written: its end was cut off",
            "`hullmark audit verify`",
        )
    if head.seq == int(seq) and head.hash != facts.get("hash"):
        return failed(f"record {seq} of {log.source} is not the one that was written")
    return None


def _no_room(seen: Seen, log: Reading) -> Optional[Finding]:
    free = programs.look(seen, "space").facts.get("free_bytes", "")
    if free.isdecimal() and int(free) < FULL_BYTES:
        remedy = f"free space on the disk of {log.source}: df -h {log.source}"
        return failed(f"the disk of {log.source} is full", remedy)
    return None


JUDGES: Mapping[str, Judge] = {
    "logfiles.permissions": _judge_permissions,
    "logfiles.truncation": logkeeping.judge_truncation,
    "logfiles.retention": logkeeping.judge_retention,
    "logfiles.own_chain": _judge_own_chain,
}
