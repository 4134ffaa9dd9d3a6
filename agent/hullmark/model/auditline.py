"""The exact bytes of a record: one line of the audit log.

Compact JSON in ASCII, its keys in this order: `seq`, `prev`, `log`, `boot`, `at`, then the entry's (what is empty is left out,
but for the six that PCI DSS 10.2.2 asks for), and `hash` last. The hash is SHA-256 over the line's own bytes up to, and
without, `,"hash":"`; the hash of the record before is among them. So anybody can check record 8 of a file that begins with
record 1:

    sed -n 8p audit.log | sed 's/,"hash":"[0-9a-f]*"}$//' | tr -d '\\n' | sha256sum

and its `prev` is the `hash` of line 7.
"""

from __future__ import annotations

import enum
import json
import re
from hashlib import sha256
from typing import NamedTuple, Optional

from hullmark.errors import InvalidInput, Problem
from hullmark.model import jsontext
from hullmark.model.audit import Entry, Record
from hullmark.model.wire import from_wire

TAIL = b',"hash":"'
TAIL_BYTES = len(TAIL) + 64 + len(b'"}')
"""From the comma before `hash` to the closing brace."""
VALUE_MAX_CHARACTERS = 4096
"""A longer value is cut and says how long it was: a record is no place for a document."""
FIELDS_MAX = 64

_ALWAYS = ("kind", "stage", "outcome", "by", "actor", "origin", "subject")
_PLACED = ("seq", "prev", "log", "boot", "at", "hash")
_REST = (
    "of",
    "reason",
    "ticket",
    "request_id",
    "epoch",
    "container_id",
    "image_digest",
)
_encode = json.JSONEncoder(separators=(",", ":")).encode
_PLACE = re.compile(
    rb'\{"seq":([1-9][0-9]{0,18}),"prev":"([0-9a-f]{64})","log":"([^"\\]+)","boot":"[^"\\]*","at":"([^"\\]+)",'
)


class Place(NamedTuple):
    """Where a line says that it belongs. `at` is RFC 3339."""

    seq: int
    prev: str
    log: str
    at: str
    hash: str


def line_of(entry: Entry, *, seq: int, prev: str, log: str, boot: str, at: str) -> bytes:
    """The record's line, with its line end. `at` is RFC 3339 in UTC with microseconds (`moments.moment`)."""
    return placed(rest_of(entry), seq=seq, prev=prev, source=source_of(log, boot), at=at)


def source_of(log: str, boot: str) -> bytes:
    """The part of a line that is the same for all of one log and boot."""
    return f'"log":{_encode(log)},"boot":{_encode(boot)}'.encode("ascii")


def rest_of(entry: Entry) -> bytes:
    """The part of a line that is the entry's, which may be made before its place is known."""
    values: dict[str, object] = {name: _short(getattr(entry, name)) for name in _ALWAYS}
    for name in _REST:
        value = getattr(entry, name)
        if value:
            values[name] = _short(value)
    if entry.fields:
        values["fields"] = _fields(entry)
    return _encode(values)[1:-1].encode("ascii")


def placed(rest: bytes, *, seq: int, prev: str, source: bytes, at: str) -> bytes:
    """The line that `rest_of` and `source_of` are parts of."""
    body = b'{"seq":%d,"prev":"%s",%s,"at":"%s",%s' % (
        seq,
        prev.encode(),
        source,
        at.encode(),
        rest,
    )
    return b'%s%s%s"}\n' % (body, TAIL, sha256(body).hexdigest().encode())


def place_of(line: bytes) -> Optional[Place]:
    """What a line says of its place, whether its hash is right or not. None: it is no record's."""
    found = _PLACE.match(line)
    said = hash_of(line)
    if found is None or not said:
        return None
    seq, prev, log, at = found.groups()
    return Place(
        int(seq), prev.decode(), log.decode("utf-8", "replace"), at.decode("ascii", "replace"), said
    )


def is_good(line: bytes) -> bool:
    """Whether a line's hash is that of its own bytes."""
    said = hash_of(line)
    return bool(said) and said == digest_of(line)


def hash_of(line: bytes) -> str:
    """The hash that a line says it has; '' where it says none."""
    text = line.rstrip(b"\n")
    tail = text[-TAIL_BYTES:]
    if not (tail.startswith(TAIL) and tail.endswith(b'"}')):
        return ""
    return tail[len(TAIL) : -2].decode("ascii", "replace")


def digest_of(line: bytes) -> str:
    """The hash that the line's bytes give."""
    return sha256(line.rstrip(b"\n")[:-TAIL_BYTES]).hexdigest()


def parse(line: bytes) -> Record:
    """Raises InvalidInput for what is no record, or one whose hash is not that of its bytes."""
    if not is_good(line):
        raise InvalidInput([Problem("a record's hash is not that of its bytes")])
    try:
        values = jsontext.loads(line)
        placed = {name: values.pop(name) for name in _PLACED}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise InvalidInput([Problem(f"no record of an audit log: {error}")]) from error
    entry = from_wire(Entry, values, ignore_unknown=True)
    if type(placed["seq"]) is not int or not all(
        isinstance(placed[name], str) for name in _PLACED[1:]
    ):
        raise InvalidInput([Problem("a record's place is not well-formed")])
    return Record(entry=entry, **placed)


def _fields(entry: Entry) -> dict[str, object]:
    kept = list(entry.fields.items())[:FIELDS_MAX]
    return {str(key)[:VALUE_MAX_CHARACTERS]: _short(value) for key, value in kept}


def _short(value: object) -> object:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, str) and len(value) > VALUE_MAX_CHARACTERS:
        return f"{value[:VALUE_MAX_CHARACTERS]}... ({len(value)} characters)"
    return value
