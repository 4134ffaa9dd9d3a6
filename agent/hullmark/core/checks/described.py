"""What the engine says of containers, as judges of them read it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Optional

from hullmark.core.checks.judge import Seen, error, not_understood, untold
from hullmark.model.control import Finding, Reading, Trouble

SHOWN_MOST = 5


@dataclass(frozen=True)
class Container:
    """`host` is what it was given of the host: limits, rights, namespaces. `bounding`: its capabilities, None where the engine
    doesn't tell them. `made`: the label that says what it was made with, empty where Hullmark did not make it."""

    image: str
    image_id: str
    user: str
    apparmor: str
    host: Mapping[str, Any]
    mounts: tuple[Mapping[str, Any], ...]
    bounding: Optional[tuple[str, ...]] = None
    made: str = ""


def described(reading: Reading) -> Optional[Container]:
    """None where it isn't understood."""
    said = loaded(reading)
    if not isinstance(said, dict) or not isinstance(said.get("host"), dict):
        return None
    host, mounts, bounding = said["host"], said.get("mounts"), said.get("bounding")
    if not isinstance(mounts, list) or not all(isinstance(one, dict) for one in mounts):
        return None
    lists = (host.get(key) or [] for key in ("CapAdd", "CapDrop", "SecurityOpt", "Devices"))
    if not host or not all(isinstance(each, list) for each in lists):
        return None
    return Container(
        str(said.get("image") or ""),
        str(said.get("image_id") or ""),
        str(said.get("user") or ""),
        str(said.get("apparmor") or ""),
        host,
        tuple(mounts),
        tuple(str(each) for each in bounding) if isinstance(bounding, list) else None,
        str(said.get("made") or ""),
    )


def engine_untold(seen: Seen) -> Optional[Finding]:
    """The finding where there is no engine, or it did not answer."""
    engine = seen.find("engine")
    if engine is None:
        return error("the engine: not looked at")
    finding = untold(engine)
    if finding is not None:
        return finding
    said = loaded(engine)
    known = isinstance(said, dict) and said.get("name") in ("docker", "podman")
    return None if known else not_understood(engine)


def of_each(seen: Seen, kind: str) -> Iterator[tuple[str, Reading]]:
    """What was read of each container, with its name: readings called `KIND:NAME`."""
    for reading in seen.readings:
        head, colon, name = reading.name.partition(":")
        if colon and head == kind:
            yield name, reading


def listed(reading: Optional[Reading]) -> Optional[tuple[str, ...]]:
    """None where it is no list of texts."""
    said = loaded(reading) if reading is not None and reading.trouble is Trouble.NONE else None
    if not isinstance(said, list) or not all(isinstance(each, str) for each in said):
        return None
    return tuple(said)


def loaded(reading: Reading) -> Any:
    """None where it is no JSON."""
    try:
        return json.loads(reading.text)
    except (ValueError, RecursionError):
        return None


def excused(excuses: Sequence[str], name: str, what: str) -> bool:
    return any(fnmatchcase(f"{name} {what}", each) for each in excuses)


def joined(reasons: Sequence[str]) -> str:
    more = len(reasons) - SHOWN_MOST
    return "; ".join(reasons[:SHOWN_MOST]) + (f"; and {more} more" if more > 0 else "")
