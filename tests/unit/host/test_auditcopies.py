"""What the journal and syslog are given of records, and that nobody waits for them."""

from __future__ import annotations

import threading
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hullmark.host import auditcopies
from hullmark.host.auditcopies import (
    MESSAGE_IDS,
    OTHER_ID,
    Copies,
    journal_datagram,
    message,
    message_id,
    syslog_datagram,
)
from hullmark.host.logsocket import destination
from hullmark.model.audit import FIRST_PREV, Actor, Entry, Outcome, Record
from hullmark.model.auditline import line_of, parse

AT = "2026-11-29T05:40:01.123456Z"
START = Entry(
    "container.start",
    "shop/api.2",
    by="alice",
    actor=Actor.HUMAN,
    origin="10.0.0.7",
    ticket="CHG-1",
)
WAIT_S = 5.0


def line(entry: Entry = START) -> bytes:
    return line_of(entry, seq=7, prev=FIRST_PREV, log="host:h1", boot="b", at=AT)


def in_journal(entry: Entry) -> bytes:
    return journal_datagram(parse(line(entry)), line(entry).rstrip(b"\n"), "hullmark-agent")


def in_syslog(entry: Entry) -> str:
    return syslog_datagram(parse(line(entry)), b"", "hullmark-agent", "box", 42).decode()


def test_the_journal_gets_fields() -> None:
    fields = dict(one.split(b"=", 1) for one in in_journal(START).splitlines())
    assert fields[b"MESSAGE"] == b"alice (human): container.start shop/api.2: success"
    assert fields[b"MESSAGE_ID"] == MESSAGE_IDS["container"].encode()
    assert fields[b"PRIORITY"] == b"6"
    assert fields[b"HULLMARK_SEQ"] == b"7"
    assert fields[b"HULLMARK_TICKET"] == b"CHG-1"
    assert fields[b"HULLMARK_RECORD"] == line().rstrip(b"\n")
    assert b"HULLMARK_REASON" not in fields


def test_syslog_gets_rfc_5424() -> None:
    text = in_syslog(START)
    head, _, rest = text.partition(" [")
    assert head == f"<110>1 {AT} box hullmark-agent-audit 42 {MESSAGE_IDS['container']}"
    assert rest.startswith('hullmark@32473 seq="7" log="host:h1" stage="event" outcome="success"')
    assert rest.endswith("] alice (human): container.start shop/api.2: success")


def test_refusals_are_warnings() -> None:
    refused = Entry("container.create", "shop/api.2", outcome=Outcome.REFUSED, reason="privileged")
    assert b"PRIORITY=4\n" in in_journal(refused)
    assert in_syslog(refused).startswith("<108>1 ")


@given(st.text(st.characters(blacklist_categories=("Cs",)), max_size=40))
def test_no_value_begins_a_field_or_a_line_of_its_own(text: str) -> None:
    entry = Entry("container.start", text, by=text, reason=text)
    assert "\n" not in message(parse(line(entry)))
    fields = []
    rest = in_journal(entry)
    while rest:
        head, _, rest = rest.partition(b"\n")
        key, equals, _ = head.partition(b"=")
        if not equals:
            size = int.from_bytes(rest[:8], "little")
            assert rest[8 : 8 + size] == text.encode()
            assert rest[8 + size : 9 + size] == b"\n"
            rest = rest[9 + size :]
        fields.append(key)
    assert len(fields) == len(set(fields))
    assert all(
        key.startswith((b"HULLMARK_", b"MESSAGE", b"PRIORITY", b"SYSLOG_")) for key in fields
    )
    assert in_syslog(entry).isprintable()


def test_message_ids_are_stable_and_differ() -> None:
    assert message_id("container.start") == MESSAGE_IDS["container"]
    assert message_id("something.else") == OTHER_ID
    ids = [*MESSAGE_IDS.values(), OTHER_ID]
    assert len(set(ids)) == len(ids)
    assert all(len(bytes.fromhex(one)) == 16 for one in ids)
    assert OTHER_ID == "6f0ad7e4c1a84b3f9b5c3a0e52d1f0ff"


def test_where_copies_go(tmp_path: Path) -> None:
    assert destination("auto", tmp_path) == "syslog"
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert destination("auto", tmp_path) == "journal"
    assert [destination(one, tmp_path) for one in ("syslog", "none")] == ["syslog", "none"]


def test_copies_are_counted_whether_they_are_taken_or_lost() -> None:
    taken: list[int] = []

    def send(record: Record, text: bytes) -> None:
        if record.entry.kind == "bad":
            raise ConnectionRefusedError
        taken.append(record.seq)

    copies = Copies("journal", "hullmark-agent", send)
    copies.take([line(), line(Entry("bad", "s")), b"garbage\n"])
    copies.close()
    assert (taken, copies.sent, copies.lost) == ([7], 1, 2)


def test_a_reader_that_takes_nothing_is_not_waited_for() -> None:
    stuck = threading.Event()

    def send(record: Record, text: bytes) -> None:
        stuck.wait(WAIT_S)

    copies = Copies("syslog", "hullmark-agent", send)
    for _ in range(auditcopies.QUEUE_MAX + 5):
        copies.take([line()])
    assert copies.lost >= 4
    stuck.set()
    copies.close()


def test_none_are_made_where_nobody_wants_them() -> None:
    copies = Copies("none", "hullmark-agent")
    copies.take([line()])
    copies.close()
    assert (copies.sent, copies.lost) == (0, 0)
