"""A snapshot of a cluster in a file: JSON lines that say what they are, and end with a checksum and a signature.

    {"format": "hullmark.snapshot/1", "cluster_id": ..., "revision": ..., ...}   the head
    {"key": "/hullmark/apps/shop", "value": "{...}"}                             one line for each key, by key
    {"count": 12, "sha256": ..., "signature": ..., ...}                          the end

`sha256` is over every byte before the last line, so a file that was cut off, or changed anywhere, shows it. The signature is over
the end's other fields, and so over all of it.

    GET    /v1/snapshot                    -> the file, line by line

Left out is what belongs to a process or to a person's session: who leads, the terms so far, what masters say of themselves,
logins. The values of apps are as they were applied: environment values too, so a snapshot is as secret as those.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hullmark.errors import BrokenState, InvalidInput
from hullmark.model import jsontext, names
from hullmark.model.epoch import Epoch
from hullmark.model.wire import T, canonical, from_wire, to_wire

FORMAT = "hullmark.snapshot/1"
_FAMILY = "hullmark.snapshot/"
LINE_MAX_BYTES = 8 << 20
"""A value has at most 1 MiB in the store; as a string of JSON it may be longer."""

LEFT_OUT = (
    names.LEADER_KEY,
    names.PULSE_KEY,
    names.TERMS_KEY,
    names.RESTORING_KEY,
    names.MASTERS,
    names.SESSIONS,
)
"""Keys, and prefixes of keys."""

KINDS = {
    "apps": names.APPS,
    "hosts": names.HOSTS,
    "assignments": names.ASSIGNMENTS,
    "generations": names.HISTORY,
    "rollouts": names.ROLLOUTS,
    "homes": names.HOMES,
    "tokens": names.TOKENS,
    "invites": names.INVITES,
    "requests": names.REQUESTS,
    "event_batches": names.EVENTS,
}
"""What is counted for people, by its prefix."""


@dataclass(frozen=True)
class Head:
    """`epoch` is the one in which it was saved; `revision` the store's, at which all of it stood so. `saved_at` is in seconds
    since 1970, `version` the saving master's."""

    cluster_id: str
    epoch: Epoch
    revision: int
    saved_at: float
    master: str
    version: str
    by: str
    format: str = ""


@dataclass(frozen=True)
class Item:
    key: str
    value: str


@dataclass(frozen=True)
class End:
    """`algorithm` and `chain_pem` are as in an `IncarnationProof`."""

    count: int
    sha256: str
    algorithm: str
    signature: str = ""
    chain_pem: str = ""

    def signed(self) -> bytes:
        """What the signature is over."""
        return canonical(
            {
                "kind": FORMAT,
                "count": self.count,
                "sha256": self.sha256,
                "algorithm": self.algorithm,
            }
        )


def is_kept(key: str) -> bool:
    """Whether a snapshot has this key of the store."""
    return not key.startswith(LEFT_OUT)


def line(value: Any) -> bytes:
    return canonical(to_wire(value)) + b"\n"


def counted(keys: Iterable[str]) -> dict[str, int]:
    """How many there are of each kind, in the order of `KINDS`; those of which there are none too."""
    found = Counter(
        kind for key in keys for kind, prefix in KINDS.items() if key.startswith(prefix)
    )
    return {kind: found[kind] for kind in KINDS}


def held(counts: Mapping[str, int]) -> str:
    """What `counted` found, in words."""
    found = (f"{number} {kind.replace('_', ' ')}" for kind, number in counts.items() if number)
    return ", ".join(found) or "nothing but the cluster"


class Reader:
    """Reads a snapshot line by line, and knows at its end that nothing is missing or changed: `items` yields each entry, and
    raises BrokenState at the latest when it ends where the file is not what was saved. `head` is there from the
    beginning, `end` after the last item. The signature is not looked at here."""

    end: End

    def __init__(self, lines: Iterator[bytes]) -> None:
        """Lines with or without their ends. Raises BrokenState for what is no snapshot, or one of a newer form."""
        self._lines = lines
        self._sha256 = hashlib.sha256()
        first = next(lines, b"").rstrip(b"\n")
        self._sha256.update(first + b"\n")
        try:
            given = jsontext.loads(first)
        except ValueError:
            given = None
        form = given.get("format") if isinstance(given, dict) else None
        if not isinstance(form, str) or not form.startswith(_FAMILY):
            raise BrokenState("it is no snapshot of Hullmark's", remedy="name another file")
        if form != FORMAT:
            raise BrokenState(
                f"it has the form {form[:60]}; this Hullmark reads {FORMAT}",
                remedy="use the version of Hullmark that saved it, or a newer one",
            )
        self.head = _read(Head, given, "its first line")

    def items(self) -> Iterator[Item]:
        count, last = 0, b""
        for raw in self._lines:
            text = raw.rstrip(b"\n")
            if last:
                item = _item(last, count + 1)
                count += 1
                self._sha256.update(last + b"\n")
                yield item
            last = text
        self.end = _end(last)
        if self.end.count != count:
            raise _damaged(f"it should have {self.end.count} entries, and has {count}")
        if self.end.sha256 != self._sha256.hexdigest():
            raise _damaged("its checksum does not fit what it holds")


def _item(text: bytes, number: int) -> Item:
    where = f"its entry {number}"
    return _read(Item, _parsed(text, where), where)


def _end(text: bytes) -> End:
    """The last line. One that was cut off is mostly no JSON, and else an entry."""
    try:
        given = jsontext.loads(text) if text else None
    except ValueError:
        given = None
    if not isinstance(given, dict) or "sha256" not in given:
        raise BrokenState(
            "it is cut off: its end is missing",
            remedy="copy it again from where it was saved; or use another snapshot",
        )
    return _read(End, given, "its last line")


def _parsed(text: bytes, where: str) -> Any:
    try:
        return jsontext.loads(text)
    except ValueError as error:
        raise _damaged(f"{where} can't be read") from error


def _read(cls: type[T], given: Any, where: str) -> T:
    """Fields that are not known here are a newer version's."""
    try:
        return from_wire(cls, given, ignore_unknown=True)
    except InvalidInput as error:
        raise _damaged(f"{where} can't be read: {error}") from error


def _damaged(what: str) -> BrokenState:
    return BrokenState(
        f"it is damaged: {what}",
        remedy="copy it again from where it was saved; or use another snapshot",
    )
