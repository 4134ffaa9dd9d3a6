"""Of all that masters vouch for the few entries are kept that a part of a log needs."""

from __future__ import annotations

from hullmark.core.headsfile import FIRST_LINK, Acceptance, Break, Content, line_of
from hullmark.evidence.slices import Vouched, verified
from hullmark.model.audit import Head, SignedHead
from hullmark.model.moments import moment
from tests.unit.evidence import packs
from tests.unit.evidence.logbook import BEGINS


def test_the_first_head_at_or_after_what_is_used_is_kept() -> None:
    log, vouched = packs.log(), Vouched()
    vouched.use(log.name, 10)
    vouched.take(packs.heads(log, 3, 9, 12, 20))
    vouched.take(packs.heads(log, 4, 8, master="m2"))
    assert {master: [head.seq for head in heads] for master, heads in vouched.heads().items()} == {
        "m1": [12],
        "m2": [8],
    }
    assert vouched.last(log.name) == 12
    assert {master: len(lines) for master, lines in vouched.lines().items()} == {"m1": 1, "m2": 1}


def test_logs_that_are_not_used_are_left_out() -> None:
    log, vouched = packs.log(), Vouched()
    vouched.use("host:other", 10)
    vouched.take(packs.heads(log, 3))
    assert (vouched.heads(), vouched.last(log.name)) == ({}, 0)


def test_what_a_master_refused_and_what_was_accepted_is_told() -> None:
    log, vouched = packs.log(), Vouched()
    vouched.use(log.name, 5)
    first = packs.heads(log, 6)
    broken = Break(Head(log.name, 4, "ab" * 32, BEGINS), "it was put back")
    refusing, entry = line_of(FIRST_LINK, Content(1, moment(BEGINS), "m1", refused=(broken,)))
    accepted = Acceptance(log.name, "root")
    accepting, _ = line_of(entry.link, Content(2, moment(BEGINS), "m1", accepted=(accepted,)))
    vouched.take([*first, refusing, accepting])
    assert vouched.heads() == {}, "what was said before an operator had it go on does not count"
    assert [text.partition(" at ")[0] for text in vouched.remarks] == [
        f"{log.name}: m1 refused it",
        f"{log.name}: root had it go on",
    ]


def test_a_part_is_whole_from_any_record_on() -> None:
    log = packs.log()
    head = SignedHead(
        Head(log.name, 12, log.lines[11][-67:-3].decode(), BEGINS), "c" * 64, "s"
    ).head
    found = verified(log.lines[6:], {"m1": [head]})
    assert (found.words, found.first, found.vouched_to, found.vouched_by) == (
        "whole",
        7,
        12,
        {"m1": 12},
    )
    assert verified([], {}).words == "no records"
