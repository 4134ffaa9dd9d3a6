"""Logs and the files that they were rotated to, as they are in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hullmark.host.eye import Eye
from hullmark.model.control import Reading, Trouble

LOGS_MOST = 200
FILES_MOST = 4000


def listed(eye: Eye, name: str, patterns: Sequence[str], elsewhere: Sequence[str] = ()) -> Reading:
    """The reading's text: a line for each log that is there, and each file that may have been one before: the log, the file's own
    path, its size, device and inode, and mtime, with tabs between. A log's own line is the one with the same path twice."""
    at, source = eye.wall(), ", ".join(patterns)
    # One that has no wildcard is a log also while it isn't there: what it was rotated to is looked for.
    named = [pattern for pattern in patterns if not any(each in pattern for each in "*?[")]
    found = dict.fromkeys([*named, *_matching(eye, patterns)])
    logs = [path for path in found if _is_plain(path)][:LOGS_MOST]
    lines = []
    for log in logs:
        for path in [log, *_beside(eye, log, elsewhere)]:
            row = _row(eye, log, path)
            if row:
                lines.append(row)
    return Reading(
        name, source, text="\n".join(lines[:FILES_MOST]), cut=len(lines) > FILES_MOST, at=at
    )


def _matching(eye: Eye, patterns: Sequence[str]) -> Iterator[str]:
    seen: set[str] = set()
    for pattern in patterns:
        for path in eye.paths(pattern):
            if path not in seen:
                seen.add(path)
                yield path


def _beside(eye: Eye, log: str, elsewhere: Sequence[str]) -> list[str]:
    """`syslog.1`, `messages-20261129.gz`; of `audit.log` also `audit-000000000001.log`, and `former-...-audit.log`: what our own
    becomes when the host joins a cluster."""
    folder, _, file = log.rpartition("/")
    stem, dot, ending = file.rpartition(".")
    patterns = [f"{log}.*", f"{log}-*", f"{folder}/former-*-{file}"]
    if dot and stem:
        patterns.append(f"{folder}/{stem}-*.{ending}*")
    return [path for path in _matching(eye, [*patterns, *elsewhere]) if path != log]


def _is_plain(path: str) -> bool:
    return not any(not each.isprintable() for each in path)


def _row(eye: Eye, log: str, path: str) -> str:
    """Empty where it is no regular file, or gone by now."""
    seen = eye.stat("", path)
    if seen.trouble is not Trouble.NONE or seen.facts["type"] != "100000" or not _is_plain(path):
        return ""
    facts = seen.facts
    return "\t".join(
        [log, path, facts["size"], f"{facts['device']}:{facts['inode']}", facts["mtime"]]
    )
