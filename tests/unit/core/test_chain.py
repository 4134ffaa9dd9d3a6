"""The bytes of records, and what a verifier finds: every way to tamper with a chain, over many of them."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hullmark.core.chain import Verifier, against
from hullmark.errors import InvalidInput
from hullmark.masterd.received import LINE_MAX_BYTES
from hullmark.model.audit import FIRST_PREV, Actor, Entry, Head, Outcome, Stage
from hullmark.model.auditline import (
    TAIL_BYTES,
    VALUE_MAX_CHARACTERS,
    digest_of,
    hash_of,
    is_good,
    line_of,
    parse,
    place_of,
)

LOG = "host:h1"
AT = "2026-11-29T05:40:01.123456Z"
TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=30)
ENTRIES = st.builds(
    Entry,
    kind=TEXT,
    subject=TEXT,
    stage=st.sampled_from(Stage),
    outcome=st.sampled_from(Outcome),
    by=TEXT,
    actor=st.sampled_from(Actor),
    origin=TEXT,
    reason=TEXT,
    ticket=TEXT,
    request_id=TEXT,
    epoch=TEXT,
    container_id=TEXT,
    image_digest=TEXT,
    of=st.integers(0, 10**15),
    fields=st.dictionaries(TEXT, TEXT, max_size=4),
)


def chain(count: int, first: int = 1, prev: str = FIRST_PREV, log: str = LOG) -> list[bytes]:
    lines = []
    for seq in range(first, first + count):
        entry = Entry("container.start", f"shop/api.{seq}", by="alice", actor=Actor.HUMAN)
        lines.append(line_of(entry, seq=seq, prev=prev, log=log, boot="b", at=AT))
        prev = hash_of(lines[-1])
    return lines


def verified(lines: list[bytes], wanted: range = range(0)) -> tuple[Verifier, list[str]]:
    verifier = Verifier(wanted)
    found = [verifier.feed(line) for line in lines]
    return verifier, [f"{one.line_number} {one.seq}: {one.why}" for one in found if one]


def heads(lines: list[bytes]) -> list[Head]:
    return [Head(LOG, number, hash_of(line), 0.0) for number, line in enumerate(lines, 1)]


@given(ENTRIES)
def test_an_entry_comes_back_out_of_its_line(entry: Entry) -> None:
    line = line_of(entry, seq=7, prev="a" * 64, log=LOG, boot="b", at=AT)
    record = parse(line)
    assert record.entry == entry
    assert (record.seq, record.prev, record.log, record.boot, record.at) == (
        7,
        "a" * 64,
        LOG,
        "b",
        AT,
    )
    assert record.hash == hash_of(line) == digest_of(line)
    place = place_of(line)
    assert place is not None
    assert place == (7, "a" * 64, LOG, AT, record.hash)
    assert line.isascii()
    assert line.count(b"\n") == 1


@given(ENTRIES)
def test_the_hash_is_what_sed_and_sha256sum_say(entry: Entry) -> None:
    line = line_of(entry, seq=1, prev=FIRST_PREV, log=LOG, boot="b", at=AT).rstrip(b"\n")
    cut = re.sub(rb',"hash":"[0-9a-f]*"}$', b"", line)
    assert hashlib.sha256(cut).hexdigest() == hash_of(line)


def test_what_is_empty_is_left_out_but_for_what_pci_dss_asks_for() -> None:
    line = line_of(Entry("k", "s"), seq=1, prev=FIRST_PREV, log=LOG, boot="b", at=AT)
    keys = re.findall(rb'"([a-z_]+)":', line)
    assert (
        b" ".join(keys) == b"seq prev log boot at kind stage outcome by actor origin subject hash"
    )


def test_long_values_are_cut_and_say_so() -> None:
    entry = Entry("k", "s", reason="x" * 5000, fields={str(number): "v" for number in range(100)})
    found = parse(line_of(entry, seq=1, prev=FIRST_PREV, log=LOG, boot="b", at=AT)).entry
    assert found.reason == "x" * VALUE_MAX_CHARACTERS + "... (5000 characters)"
    assert len(found.fields) == 64


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}",
        b"null",
        b'{"seq":1}\n',
        b'x,"hash":"' + b"0" * 64 + b'"}\n',
        chain(1)[0].replace(b"alice", b"alicf"),
        chain(1)[0][:-3],
    ],
)
def test_what_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse(line)
    assert not is_good(line)


def test_a_record_whose_outcome_is_not_known_is_refused() -> None:
    body = chain(1)[0].rstrip(b"\n").replace(b'"success"', b'"perhaps"')[:-TAIL_BYTES]
    line = body + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'
    assert is_good(line)
    with pytest.raises(InvalidInput, match="outcome: unknown value"):
        parse(line)


def test_a_chain_holds() -> None:
    lines = chain(50)
    verifier, breaks = verified(lines)
    assert breaks == []
    assert verifier.whole
    assert (verifier.count, verifier.breaks) == (50, 0)
    assert verifier.head is not None
    assert verifier.head.seq == 50


@given(st.integers(0, 19), st.data())
def test_any_changed_byte_is_found_at_its_line(index: int, data: st.DataObject) -> None:
    lines = chain(20)
    line = lines[index]
    at = data.draw(st.integers(0, len(line) - 2))
    byte = data.draw(st.integers(0, 255).filter(lambda one: one not in (line[at], 10)))
    lines[index] = line[:at] + bytes([byte]) + line[at + 1 :]
    _, breaks = verified(lines)
    assert breaks
    assert breaks[0].startswith(f"{index + 1} ")


@given(st.integers(1, 18))
def test_a_removed_record_is_found(index: int) -> None:
    lines = chain(20)
    del lines[index]
    _, breaks = verified(lines)
    assert breaks == [f"{index + 1} {index + 2}: record {index + 1} is missing before it"]


def test_removed_records_are_named() -> None:
    _, breaks = verified([*chain(20)[:5], *chain(20)[9:]])
    assert breaks == ["6 10: records 6 to 9 are missing before it"]


@given(st.integers(0, 18))
def test_swapped_records_are_found(index: int) -> None:
    lines = chain(20)
    lines[index], lines[index + 1] = lines[index + 1], lines[index]
    _, breaks = verified(lines)
    assert breaks


def test_a_record_put_in_between_is_found() -> None:
    lines = chain(20)
    lines.insert(
        5, line_of(Entry("x", "y"), seq=6, prev=hash_of(lines[4]), log=LOG, boot="b", at=AT)
    )
    _, breaks = verified(lines)
    assert breaks == ["7 6: it comes after record 6"]


def test_a_record_made_anew_is_found_at_the_next() -> None:
    lines = chain(20)
    lines[5] = line_of(Entry("x", "y"), seq=6, prev=hash_of(lines[4]), log=LOG, boot="b", at=AT)
    _, breaks = verified(lines)
    assert breaks == ["7 7: the record before it is not the one that it was made to follow"]


def test_a_record_of_another_log_is_found() -> None:
    lines = chain(5)
    _, breaks = verified([*lines, *chain(1, 9, log="host:h2")])
    assert breaks == ["6 9: it is of the log host:h2, and the record before of host:h1"]


def test_lines_that_are_none_are_found_and_the_rest_is_gone_through() -> None:
    lines = chain(5)
    lines.insert(2, b"garbage\n")
    verifier, breaks = verified(lines)
    assert breaks == ["3 0: it is no record of an audit log"]
    assert verifier.head is not None
    assert verifier.head.seq == 5


def test_a_log_without_its_beginning_is_whole_only_if_it_says_so_itself() -> None:
    lines = chain(10)
    verifier, breaks = verified(lines[4:])
    assert (breaks, verifier.whole) == ([], False)
    removed = Entry("audit.removed", "audit.log", fields={"last": "4", "hash": hash_of(lines[3])})
    lines.append(line_of(removed, seq=11, prev=hash_of(lines[-1]), log=LOG, boot="b", at=AT))
    verifier, breaks = verified(lines[4:])
    assert (breaks, verifier.whole) == ([], True)
    assert not verified(lines[5:])[0].whole
    assert not verified([])[0].whole


def test_heads_that_are_in_it_vouch_for_it() -> None:
    lines = chain(20)
    verifier, _ = verified(lines, range(1, 30))
    found = against(heads(lines)[:15], verifier)
    assert found.good
    assert found.vouched_to == 15


def test_no_head_at_all_vouches_for_nothing() -> None:
    found = against([], verified(chain(20))[0])
    assert (found.good, found.vouched_to) == (False, 0)


def test_a_log_that_was_cut_off_is_found_by_a_later_head() -> None:
    lines = chain(20)
    verifier, breaks = verified(lines[:12], range(1, 30))
    found = against(heads(lines), verifier)
    assert breaks == []
    assert not found.good
    assert [head.seq for head in found.beyond] == list(range(13, 21))


def test_a_log_that_was_replaced_is_found_by_other_heads() -> None:
    lines = chain(20)
    other = [
        line_of(Entry("x", "y"), seq=1, prev=FIRST_PREV, log=LOG, boot="b", at=AT),
    ]
    other += chain(19, 2, hash_of(other[0]))
    verifier, breaks = verified(other, range(1, 30))
    found = against(heads(lines), verifier)
    assert (breaks, verifier.whole) == ([], True)
    assert not found.good
    assert len(found.contradicted) == 20


def test_a_log_that_was_removed_is_found() -> None:
    found = against(heads(chain(3)), verified([])[0])
    assert len(found.beyond) == 3


def test_heads_before_its_beginning_and_of_other_logs_say_nothing() -> None:
    lines = chain(20)
    verifier, _ = verified(lines[10:], range(1, 30))
    other = Head("host:h2", 3, "0" * 64, 0.0)
    found = against([*heads(lines), other], verifier)
    assert found.good
    assert len(found.before) == 10
    assert len(found.agreed) == 10


def test_a_head_whose_record_was_taken_out_is_lost() -> None:
    lines = chain(20)
    verifier, _ = verified([*lines[:5], *lines[6:]], range(1, 30))
    found = against(heads(lines), verifier)
    assert [head.seq for head in found.lost] == [6]


def forged(line: bytes, more: bytes) -> bytes:
    """The line with something put into it, and the hash that fits."""
    body = line.rstrip(b"\n")[:-TAIL_BYTES] + more
    return b'%s,"hash":"%s"}\n' % (body, hashlib.sha256(body).hexdigest().encode())


@pytest.mark.parametrize(
    "more",
    [b',"log":"master:m1"', b',"seq":900', b',"by":"mandy"', b',"fields":{"pid":"1","pid":"2"}'],
)
def test_nothing_is_said_twice_in_one_record(more: bytes) -> None:
    """Else a host's record would be read as a master's: a reader of JSON takes the last of two names, and the chain the first."""
    (line,) = chain(1)
    assert parse(forged(line, b"")).entry.by == "alice"
    assert place_of(forged(line, more)) is not None
    with pytest.raises(InvalidInput):
        parse(forged(line, more))


def test_every_line_is_short_enough_for_a_master() -> None:
    """However much was put into it: else a host's records would get stuck behind it."""
    much = "\U0001f600" * 10_000
    fields = {f"{number}{much}": much for number in range(200)}
    entry = Entry(
        kind=much, subject=much, by=much, origin=much, reason=much, ticket=much, request_id=much,
        epoch=much, container_id=much, image_digest=much, fields=fields,
    )  # fmt: skip
    line = line_of(entry, seq=10**18, prev=FIRST_PREV, log=LOG, boot="b", at=AT)
    assert len(line) <= LINE_MAX_BYTES
    assert parse(line).entry.subject.startswith("\U0001f600")


def test_half_a_character_hides_no_record() -> None:
    """JSON can have it, and hardly anything else takes it."""
    entry = Entry("container.start", "shop/\ud800", fields={"\udfff": "\U0001f600"})
    line = line_of(entry, seq=1, prev=FIRST_PREV, log=LOG, boot="b", at=AT)
    assert parse(line).entry == Entry("container.start", "shop/?", fields={"?": "\U0001f600"})


def test_a_record_of_another_log_does_not_follow() -> None:
    """Also where its number and its hash do: else heads of the one log would not be held against the other."""
    lines = chain(5)
    forged = chain(3)
    stranger = chain(1, first=4, prev=hash_of(forged[-1]), log="host:h2")
    verifier, found = verified([*forged, *stranger], range(6))
    assert found == ["4 4: it is of the log host:h2, and the record before of host:h1"]
    assert against(heads(lines), verifier).beyond


def test_what_a_check_read_is_kept_whole_up_to_a_bound() -> None:
    """JSON that is cut is none."""
    text = "[" + "1," * 10_000 + "1]"
    entry = Entry("control.result", "s", fields={"readings": text, "results": text, "other": text})
    fields = parse(line_of(entry, seq=1, prev=FIRST_PREV, log=LOG, boot="b", at=AT)).entry.fields
    assert fields["readings"] == fields["results"] == text
    assert fields["other"].endswith("characters)")
    huge = Entry("control.result", "s", fields={"readings": "\u2028" * (64 << 10)})
    line = line_of(huge, seq=1, prev=FIRST_PREV, log=LOG, boot="b", at=AT)
    assert len(line) <= LINE_MAX_BYTES
