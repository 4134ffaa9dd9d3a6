"""The file of heads: its chain, what it says of each log, and that it only grows."""

from __future__ import annotations

import dataclasses
import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core.headsfile import (
    FIRST_LINK,
    Acceptance,
    Break,
    Content,
    Entry,
    Known,
    Standing,
    extends,
    follow,
    line_of,
    link_after,
    parse,
)
from hullmark.errors import InvalidInput
from hullmark.model.audit import Head, Seal, SignedHead

AT = "2026-11-29T05:40:01.000000Z"


def head(seq: int, log: str = "host:h1", mark: str = "a") -> Head:
    return Head(log, seq, (mark * 64)[:64], 1.5)


def signed(one: Head) -> SignedHead:
    return SignedHead(one, "f" * 64, "c2lnbmVk")


def lines_of(*contents: Content) -> tuple[list[bytes], list[Entry]]:
    lines, entries, prev = [], [], FIRST_LINK
    for content in contents:
        line, entry = line_of(prev, content)
        lines.append(line)
        entries.append(entry)
        prev = entry.link
    return lines, entries


def file_of(heads: list[Head]) -> tuple[list[bytes], list[Entry]]:
    return lines_of(
        *(Content(number, AT, "m1", (signed(one),)) for number, one in enumerate(heads, 1))
    )


def standing_of(entries: list[Entry]) -> Standing:
    standing = Standing()
    for entry in entries:
        assert standing.feed(entry) == ""
    return standing


def seal_of(entry: Entry) -> Seal:
    content = entry.content
    return Seal("m1", content.heads[0].head, content.number, entry.link, 1.5, "f" * 64)


def test_a_line_is_read_as_it_was_written() -> None:
    content = Content(
        1,
        AT,
        "m1",
        (signed(head(3)),),
        (Break(head(2), "wh\u00fd"),),
        (Acceptance("host:h2", "root"),),
    )
    line, entry = line_of(FIRST_LINK, content)
    assert line.endswith(b'"}\n')
    assert parse(line[:-1]) == entry


def test_digest_and_link_can_be_worked_out_by_hand() -> None:
    line, entry = line_of(FIRST_LINK, Content(1, AT, "m1", (signed(head(3)),)))
    text = re.sub(r'^\{"prev":"[0-9a-f]*",', "", line.decode().rstrip("\n"))
    body = re.sub(r',"digest":.*', "", text)
    assert body.startswith('"number":1,')
    assert hashlib.sha256(body.encode()).hexdigest() == entry.digest
    assert hashlib.sha256((FIRST_LINK + entry.digest).encode()).hexdigest() == entry.link


@given(st.data())
def test_a_changed_byte_is_found(data) -> None:
    lines, entries = file_of([head(1), head(2)])
    line = bytearray(lines[1][:-1])
    place = data.draw(st.integers(0, len(line) - 1))
    line[place] ^= data.draw(st.integers(1, 255))
    standing = standing_of(entries[:1])
    try:
        entry = parse(bytes(line))
    except InvalidInput:
        return
    assert standing.feed(entry)


@pytest.mark.parametrize("line", [b"", b"{}", b"x" * 400, b'{"prev":"' + b"0" * 400 + b'"}'])
def test_what_is_no_entry_is_refused(line) -> None:
    with pytest.raises(InvalidInput):
        parse(line)


def test_an_entry_that_is_missing_or_moved_is_found() -> None:
    _, entries = file_of([head(1), head(2), head(3)])
    assert "does not follow" in standing_of(entries[:1]).feed(entries[2])
    assert "does not follow" in standing_of(entries[:2]).feed(entries[1])
    standing = standing_of(entries)
    assert (standing.number, standing.link) == (3, entries[2].link)


def test_a_log_that_was_put_back_is_refused() -> None:
    standing = standing_of(file_of([head(3), head(7)])[1])
    assert "up to number 7" in standing.judge(head(5))
    assert "replaced" in standing.judge(head(7, mark="b"))
    assert standing.judge(head(7)) == ""
    assert standing.judge(dataclasses.replace(head(7), at=9.0)) == ""
    assert standing.judge(head(8, mark="b")) == ""
    assert standing.judge(head(1, log="host:h2")) == ""


def test_a_refused_log_stays_refused_until_it_is_accepted() -> None:
    broken = Break(head(5), "it was put back")
    _, entries = lines_of(
        Content(1, AT, "m1", (signed(head(7)),)),
        Content(2, AT, "m1", refused=(broken,)),
        Content(3, AT, "m1", accepted=(Acceptance("host:h1", "root"),)),
    )
    standing = standing_of(entries[:2])
    assert standing.judge(head(9)) == "it was put back"
    assert standing.feed(entries[2]) == ""
    assert standing.judge(head(5)) == ""


def test_a_file_that_grew_is_known_by_its_digests() -> None:
    _, entries = file_of([head(seq) for seq in range(1, 6)])
    known = Known(2, entries[1].link)
    digests = [entry.digest for entry in entries[2:]]
    assert extends(known, digests, seal_of(entries[4])) == (Known(5, entries[4].link), "")
    assert extends(Known(), (), seal_of(entries[4])) == (Known(5, entries[4].link), "")
    part, why = extends(known, digests[:1], None)
    assert (part, why) == (Known(3, entries[2].link), "")
    assert extends(part, digests[1:], seal_of(entries[4]))[1] == ""


def test_a_file_that_was_put_back_is_found() -> None:
    _, entries = file_of([head(seq) for seq in range(1, 6)])
    known = Known(5, entries[4].link)
    _, other = file_of([*(head(seq) for seq in range(1, 4)), *(head(s, "host:x") for s in (9,))])
    assert "ends at entry 4" in extends(known, (), seal_of(other[3]))[1]
    _, longer = file_of([*(head(s) for s in range(1, 4)), *(head(s, "host:x") for s in range(4))])
    assert len(longer) == 7
    digests = [entry.digest for entry in longer[5:]]
    assert "does not go on" in extends(known, digests, seal_of(longer[6]))[1]
    assert "does not go on" in extends(known, digests[:1], seal_of(longer[6]))[1]


def test_following_is_one_link_after_the_other() -> None:
    assert follow("ab", ()) == "ab"
    assert follow("ab", ("c", "d")) == link_after(link_after("ab", "c"), "d")
