"""What a daemon makes of a master's answers to its heads."""

from __future__ import annotations

import dataclasses

from hullmark.core.headsfile import FIRST_LINK, Content, Known, line_of
from hullmark.core.sealing import Relation, Seals, answered, offer
from hullmark.model.audit import Head, Seal, SignedHead
from hullmark.model.protocol import HeadAnswer
from hullmark.model.wire import from_wire, to_wire

HEAD = Head("host:h1", 4, "a" * 64, 1.0)
SIGNED = SignedHead(HEAD, "f" * 64, "c2lnbmVk")


def entries(count: int):
    made, prev = [], FIRST_LINK
    for number in range(1, count + 1):
        entry = line_of(prev, Content(number, "2026-11-29T05:40:01Z", "m1", (SIGNED,)))[1]
        made.append(entry)
        prev = entry.link
    return made


FILE = entries(8)


def seal(number: int) -> Seal:
    return Seal("m1", HEAD, number, FILE[number - 1].link, 1.0, "f" * 64, "c2ln")


def links(after: int, last: int) -> tuple[str, ...]:
    return tuple(entry.digest for entry in FILE[after:last])


def test_the_first_seal_is_taken_as_it_is() -> None:
    found = answered(Relation(), SIGNED, HeadAnswer(seal(3)))
    assert (found.known, found.rolled_back) == (Known(3, FILE[2].link), "")
    assert found.has_sealed(dataclasses.replace(HEAD, at=7.0))
    assert not found.has_sealed(dataclasses.replace(HEAD, seq=5))


def test_a_later_seal_has_to_follow_from_what_was_known() -> None:
    before = answered(Relation(), SIGNED, HeadAnswer(seal(3)))
    assert offer(before, SIGNED).knows == 3
    assert answered(before, SIGNED, HeadAnswer(seal(6), links(3, 6))).known.number == 6
    for wrong in (HeadAnswer(seal(6), links(3, 5)), HeadAnswer(seal(2)), HeadAnswer()):
        found = answered(before, SIGNED, wrong)
        assert found.rolled_back
        assert (found.known, found.seal) == (before.known, before.seal)


def test_many_digests_come_in_parts() -> None:
    before = answered(Relation(), SIGNED, HeadAnswer(seal(3)))
    part = answered(before, SIGNED, HeadAnswer(links=links(3, 5)))
    assert (part.known.number, offer(part, SIGNED).knows) == (3, 5)
    assert answered(part, SIGNED, HeadAnswer(seal(8), links(5, 8))).known.number == 8
    bent = answered(before, SIGNED, HeadAnswer(links=links(4, 6)))
    assert answered(bent, SIGNED, HeadAnswer(seal(7), links(5, 7))).rolled_back


def test_a_seal_of_another_head_is_none() -> None:
    other = dataclasses.replace(SIGNED, head=dataclasses.replace(HEAD, seq=5))
    assert "another head" in answered(Relation(), other, HeadAnswer(seal(3))).rolled_back


def test_what_is_kept_is_read_again() -> None:
    relation = dataclasses.replace(
        answered(Relation(), SIGNED, HeadAnswer(seal(3))), under_way=Known(9, "b" * 64)
    )
    kept = Seals().put("m1", relation)
    assert from_wire(Seals, to_wire(kept)) == kept
    assert kept.of("m1") == dataclasses.replace(relation, under_way=Known())
    assert kept.of("m2") == Relation()
