"""A master's file of heads: what it vouches for, in a chain of its own that only ever grows.

One line is one entry, which has what about a second brought:

    {"prev":"3f...","number":8,"at":"2026-11-29T05:40:01.123456Z","master":"m1","heads":[...],"digest":"9c...","link":"a1..."}

`digest` is the SHA-256 of the line's bytes between the comma before `"number"` and the comma before `"digest"`, both left out. `link` is the
SHA-256 of `prev` and `digest`, one after the other as they stand there, and `prev` is the link of the entry before (64 zeros in the
first). So who has one link and the digests since works out the newest link, and needs no content: that is how a host sees that the
file which vouched for it has only grown. By hand, for a line in the file `entry`:

    sed 's/^{"prev":"[0-9a-f]*",//; s/,"digest":.*//' entry | tr -d '\\n' | sha256sum      the digest
    printf %s%s PREV DIGEST | sha256sum                                                   the link

An entry may also have `refused`: heads that did not extend what the file has of their log. From then on no head of that log is taken, until an
entry has it in `accepted`, by an operator's word.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from hullmark.errors import InvalidInput, Problem
from hullmark.model import jsontext
from hullmark.model.audit import Head, Seal, SignedHead
from hullmark.model.wire import from_wire, to_wire

FIRST_LINK = "0" * 64
"""`prev` of the first entry."""
LINKS_MOST = 10_000
"""Digests in one answer: about 670 KiB."""

SEQ_MOST = 10**18
AT_MOST = 1e11
"""Seconds since 1970: a few thousand years."""
_HASH = re.compile("[0-9a-f]{64}")

_PREV, _DIGEST, _LINK = b'{"prev":"', b',"digest":"', b'","link":"'
_HEX = 64
_BODY = len(_PREV) + _HEX + len(b'",')
_TAIL = len(_DIGEST) + _HEX + len(_LINK) + _HEX + len(b'"}')


@dataclass(frozen=True)
class Break:
    """A head that did not extend what a file has of its log, and why not, in words."""

    head: Head
    why: str


@dataclass(frozen=True)
class Acceptance:
    """An operator's word that a log goes on from whatever it is now. `by` is who, as far as the master knows."""

    log: str
    by: str


@dataclass(frozen=True)
class Content:
    """What an entry says. `at` is RFC 3339 in UTC."""

    number: int
    at: str
    master: str
    heads: tuple[SignedHead, ...] = ()
    refused: tuple[Break, ...] = ()
    accepted: tuple[Acceptance, ...] = ()


@dataclass(frozen=True)
class Entry:
    """An entry in its place."""

    prev: str
    content: Content
    digest: str
    link: str


def is_sound(head: Head) -> bool:
    """Whether it says what a head says, and nothing at length: what hosts send stands in the file for good."""
    return (
        0 < head.seq <= SEQ_MOST
        and _HASH.fullmatch(head.hash) is not None
        and 0 <= head.at < AT_MOST
    )


def link_after(prev: str, digest: str) -> str:
    return hashlib.sha256((prev + digest).encode()).hexdigest()


def follow(link: str, digests: Iterable[str]) -> str:
    """The link that so many more entries lead to."""
    for digest in digests:
        link = link_after(link, digest)
    return link


def line_of(prev: str, content: Content) -> tuple[bytes, Entry]:
    """The entry's line, with its newline, and the entry."""
    body = json.dumps(to_wire(content), separators=(",", ":"), ensure_ascii=False).encode()[1:-1]
    digest = hashlib.sha256(body).hexdigest()
    link = link_after(prev, digest)
    line = b'%s%s",%s%s%s%s%s"}\n' % (
        _PREV,
        prev.encode(),
        body,
        _DIGEST,
        digest.encode(),
        _LINK,
        link.encode(),
    )
    return line, Entry(prev, content, digest, link)


def frame(line: bytes) -> tuple[str, bytes, str, str]:
    """A line's `prev`, the bytes under its digest, `digest` and `link`, as they stand there; without its newline. Raises InvalidInput
    for what is not of this form."""
    tail = line[-_TAIL:]
    sound = (
        len(line) > _BODY + _TAIL
        and line.startswith(_PREV)
        and line[_BODY - 2 : _BODY] == b'",'
        and tail.startswith(_DIGEST)
        and tail[len(_DIGEST) + _HEX :].startswith(_LINK)
        and tail.endswith(b'"}')
    )
    if not sound:
        raise _wrong("not an entry of a file of heads")
    prev = line[len(_PREV) : len(_PREV) + _HEX]
    digest = tail[len(_DIGEST) : len(_DIGEST) + _HEX]
    link = tail[-_HEX - 2 : -2]
    if not (prev + digest + link).isalnum():
        raise _wrong("not an entry of a file of heads")
    return prev.decode(), line[_BODY:-_TAIL], digest.decode(), link.decode()


def parse(line: bytes) -> Entry:
    """Raises InvalidInput for what is no entry, or whose digest or link is not that of its bytes."""
    prev, body, digest, link = frame(line)
    if hashlib.sha256(body).hexdigest() != digest or link_after(prev, digest) != link:
        raise _wrong("the entry was changed: its digest is not that of its bytes")
    try:
        data: Any = jsontext.loads(b"{" + body + b"}")
    except ValueError as error:
        raise _wrong("the entry is not JSON") from error
    return Entry(prev, from_wire(Content, data, ignore_unknown=True), digest, link)


def _wrong(message: str) -> InvalidInput:
    return InvalidInput([Problem(message)])


class Standing:
    """What a file of heads says, entry by entry: where it ends, the newest head of each log, and which logs it refuses."""

    def __init__(self) -> None:
        self.number = 0
        self.link = FIRST_LINK
        self.newest: dict[str, Head] = {}
        self.refused: dict[str, Break] = {}

    def feed(self, entry: Entry) -> str:
        """Why the entry doesn't follow; empty where it does, and then it counts."""
        content = entry.content
        if entry.prev != self.link or content.number != self.number + 1:
            return f"entry {content.number} does not follow entry {self.number}"
        self.number, self.link = content.number, entry.link
        for acceptance in content.accepted:
            self.refused.pop(acceptance.log, None)
            self.newest.pop(acceptance.log, None)
        for signed in content.heads:
            self.newest[signed.head.log] = signed.head
        for broken in content.refused:
            self.refused.setdefault(broken.head.log, broken)
        return ""

    def judge(self, head: Head) -> str:
        """Why the head doesn't extend what the file has of its log; empty where nothing speaks against it. Whether a longer log has
        the earlier head in it is seen by whoever has its records."""
        known = self.newest.get(head.log)
        if head.log in self.refused:
            return self.refused[head.log].why
        if known is None or head.seq > known.seq or head == known:
            return ""
        if head.seq == known.seq and head.hash == known.hash:
            return ""
        if head.seq < known.seq:
            return (
                f"its newest record is number {head.seq}, and it was vouched for up to number {known.seq}:"
                " it was put back to an earlier state, or shortened"
            )
        return f"its record number {head.seq} is not the one that was vouched for: it was replaced"


@dataclass(frozen=True)
class Known:
    """The newest entry of a master's file that was seen by somebody else; number 0: none."""

    number: int = 0
    link: str = FIRST_LINK


NOTHING_KNOWN = Known()


def extends(known: Known, links: Sequence[str], seal: Optional[Seal]) -> tuple[Known, str]:
    """What is known after an answer, and why the master's file is not the one that was known before; empty where it is. Without
    a seal what is known is not yet proven: only the seal at the end of the digests does that."""
    now = Known(known.number + len(links), follow(known.link, links))
    if seal is None:
        return now, ""
    if not known.number:
        return Known(
            seal.number, seal.link
        ), ""  # the first that is seen of it: there is nothing to hold it against
    if seal.number <= known.number:
        why = f"its file of heads ends at entry {seal.number}, and had entry {known.number} before"
        return known, why
    if (now.number, now.link) != (seal.number, seal.link):
        return known, f"its file of heads does not go on from entry {known.number} as it was before"
    return now, ""
