"""Looks at log files: who may read them, how long they are, how long they are kept, and the end of our own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Optional

from hullmark.host import auditlast, auditreading, logrotate, rotated
from hullmark.host.eye import Eye, Probe
from hullmark.host.freespace import space
from hullmark.model.control import Reading, Trouble

FILES_MOST = 2000
_END_BYTES = 512 << 10  # more than the longest record
_RECORDS = 3


def _permissions(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    """`files`: path, mode, type, owner and group of each, with tabs between."""
    users, groups = _names(eye, "/etc/passwd"), _names(eye, "/etc/group")
    at, lines = eye.wall(), []
    troubles: list[str] = []
    paths = [path for pattern in _texts(given, "paths") for path in eye.paths(pattern)]
    for path in list(dict.fromkeys(paths))[:FILES_MOST]:
        seen = eye.stat("", path)
        if seen.trouble is Trouble.NONE:
            facts = seen.facts
            owner = users.get(facts["uid"], facts["uid"])
            group = groups.get(facts["gid"], facts["gid"])
            lines.append("\t".join([_shown(path), facts["mode"], facts["type"], owner, group]))
        elif seen.trouble is not Trouble.MISSING:
            troubles.append(f"{_shown(path)}: {seen.errors}")
    source = ", ".join(_texts(given, "paths"))
    cut = len(paths) > FILES_MOST
    text, errors = "\n".join(lines), "\n".join(troubles)
    return (Reading("files", source, text=text, errors=errors, cut=cut, at=at),)


def _truncation(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    return (rotated.listed(eye, "files", _texts(given, "paths"), _texts(given, "rotated")),)


def _retention(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    return (
        rotated.listed(eye, "files", _texts(given, "paths")),
        logrotate.told(eye, "logrotate", str(given.get("logrotate") or "/etc/logrotate.conf")),
        eye.file("auditd", str(given.get("auditd") or "/etc/audit/auditd.conf")),
    )


def _own_chain(eye: Eye, given: Mapping[str, object]) -> tuple[Reading, ...]:
    """What is remembered is read first: it is never before the log, so that the log may only be further by then."""
    path, last = str(given.get("path") or ""), str(given.get("last") or "")
    end = auditlast.load(eye.at(last))
    remembered = Reading("remembered", last, trouble=Trouble.MISSING, at=eye.wall())
    if end is not None:
        facts = {"log": end.log, "seq": str(end.seq), "hash": end.hash}
        remembered = Reading("remembered", last, facts=facts, at=eye.wall())
    log = _newest(eye, path)
    if log.trouble is Trouble.NONE and not log.text:
        log = _newest_closed(eye, path) or log
    return remembered, log, space(eye, "space", path)


def _newest(eye: Eye, path: str) -> Reading:
    """The last whole lines of a file."""
    log = eye.file("log", path, most=_END_BYTES, keep_end=True)
    lines = log.text.split("\n")[:-1]
    return dataclasses.replace(log, text="".join(f"{line}\n" for line in lines[-_RECORDS:]))


def _newest_closed(eye: Eye, path: str) -> Optional[Reading]:
    """The file that grows has nothing yet where the one before it was only just closed."""
    folder = path.rpartition("/")[0]
    try:
        closed = [one for one in auditreading.files_of(eye.at(path)) if one.first is not None]
    except OSError:
        return None
    return _newest(eye, f"{folder}/{closed[-1].path.name}") if closed else None


def _names(eye: Eye, path: str) -> dict[str, str]:
    """By number, of /etc/passwd or /etc/group."""
    found: dict[str, str] = {}
    for line in eye.file("", path, most=1 << 20).text.splitlines():
        fields = line.split(":")
        if len(fields) > 2:
            found.setdefault(fields[2], fields[0])
    return found


def _shown(path: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in path)


def _texts(given: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = given.get(name)
    return tuple(str(one) for one in value) if isinstance(value, (tuple, list)) else ()


PROBES: Mapping[str, Probe] = {
    "logfiles.permissions": _permissions,
    "logfiles.truncation": _truncation,
    "logfiles.retention": _retention,
    "logfiles.own_chain": _own_chain,
}
