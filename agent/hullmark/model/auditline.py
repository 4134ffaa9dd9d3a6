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
from typing import Any, NamedTuple, Optional

from hullmark.errors import InvalidInput, Problem
from hullmark.model import jsontext
from hullmark.model.audit import Entry, Record
from hullmark.model.wire import from_wire

TAIL = b',"hash":"'
TAIL_BYTES = len(TAIL) + 64 + len(b'"}')
"""From the comma before `hash` to the closing brace."""
VALUE_MAX_CHARACTERS = 4096
"""A longer value is cut and says how long it was: a record is no place for a document."""
LONGER = {"readings": 32 << 10, "results": 32 << 10}
"""Fields whose value is JSON of a bounded length, which is worth nothing once it is cut."""
FIELDS_MAX = 64
REST_MAX_BYTES = 160 << 10
"""Where an entry takes more than this its values are cut shorter, so that every line is one that masters take in."""
_SHORTER = (VALUE_MAX_CHARACTERS, 512, 64)

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
    found = b""
    for most in _SHORTER:
        found = _encode(_values(entry, most))[1:-1].encode("ascii")
        if len(found) <= REST_MAX_BYTES:
            break
    return found


def _values(entry: Entry, most: int) -> dict[str, object]:
    values: dict[str, object] = {name: _short(getattr(entry, name), most) for name in _ALWAYS}
    for name in _REST:
        value = getattr(entry, name)
        if value:
            values[name] = _short(value, most)
    if entry.fields:
        values["fields"] = _fields(entry, most)
    return values


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
    """Raises InvalidInput for what is no record, or one whose hash is not that of its bytes. A name that stands twice in an object is refused: of the place that
    `place_of` sees, or of what people find in the bytes, a reader of JSON would see another one."""
    if not is_good(line):
        raise InvalidInput([Problem("a record's hash is not that of its bytes")])
    try:
        values = jsontext.loads(line, object_pairs_hook=_each_once)
        placed = {name: values.pop(name) for name in _PLACED}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise InvalidInput([Problem(f"no record of an audit log: {error}")]) from error
    if b"\\u" in line:
        values = _of_whole_characters(values)
    entry = from_wire(Entry, values, ignore_unknown=True)
    if type(placed["seq"]) is not int or not all(
        isinstance(placed[name], str) for name in _PLACED[1:]
    ):
        raise InvalidInput([Problem("a record's place is not well-formed")])
    if place_of(line) != Place(*(placed[name] for name in Place._fields)):
        raise InvalidInput([Problem("a record's place does not stand at its beginning")])
    return Record(entry=entry, **placed)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands in it twice")
    return found


def _of_whole_characters(values: dict[str, Any]) -> dict[str, Any]:
    """Halves of characters, which JSON can have and nothing else takes, become question marks."""
    text = json.dumps(values, ensure_ascii=False).encode("utf-8", "replace")
    found: dict[str, Any] = jsontext.loads(text)
    return found


def _fields(entry: Entry, most: int) -> dict[str, object]:
    kept = list(entry.fields.items())[:FIELDS_MAX]
    return {
        str(key)[:most]: _short(value, LONGER.get(key, most) if most == _SHORTER[0] else most)
        for key, value in kept
    }


def _short(value: object, most: int) -> object:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, str) and len(value) > most:
        return f"{value[:most]}... ({len(value)} characters)"
    return value
