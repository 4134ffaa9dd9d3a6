"""`hullmark audit`: what somebody did to a log is found, and what is asked is what is shown."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from hullmark.cli.auditfiles import Standard
from hullmark.core.headsfile import FIRST_LINK, Acceptance, Break, Content
from hullmark.core.headsfile import line_of as head_line
from hullmark.model.audit import FIRST_PREV, Actor, Entry, Head, Outcome, SignedHead
from hullmark.model.auditline import hash_of, line_of
from hullmark.model.audittrail import (
    Trace,
    TracedContainer,
    TracedDeed,
    TracedFailure,
    TracedRequest,
)
from hullmark.model.moments import moment, nanoseconds
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, Raw, Status

LOG = "host:h1"


def chain(count: int, *, log: str = LOG, by: str = "alice", at: float = 1e9) -> list[bytes]:
    found, prev = [], FIRST_PREV
    for seq in range(1, count + 1):
        entry = Entry(
            "container.start", f"shop/web.{seq}", by=by, actor=Actor.HUMAN, origin="local"
        )
        line = line_of(entry, seq=seq, prev=prev, log=log, boot="b", at=moment(at + seq))
        found.append(line)
        prev = hash_of(line)
    return found


def head(lines: Sequence[bytes], seq: int, log: str = LOG) -> Head:
    return Head(log, seq, hash_of(lines[seq - 1]), 1e9 + seq)


def file_of_heads(entries: Iterable[Any], master: str = "m1") -> bytes:
    """Each entry is a head, a break or an acceptance."""
    found, link = b"", FIRST_LINK
    for number, entry in enumerate(entries, 1):
        heads = (SignedHead(entry, "c" * 64, "s"),) if isinstance(entry, Head) else ()
        refused = (entry,) if isinstance(entry, Break) else ()
        accepted = (entry,) if isinstance(entry, Acceptance) else ()
        content = Content(number, moment(1e9 + number), master, heads, refused, accepted)
        line, made = head_line(link, content)
        found, link = found + line, made.link
    return found


class Desk:
    """A log in a folder, and the heads of it that were saved."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.folder, self._run = folder, run
        self.lines = chain(20)
        self.heads = folder / "heads"
        self.heads.write_bytes(file_of_heads([head(self.lines, seq) for seq in (5, 12, 18)]))
        self.log = folder / "audit.log"

    def verify(self, lines: Sequence[bytes], *more: str) -> Any:
        self.log.write_bytes(b"".join(lines))
        options = ("--heads", str(self.heads), *more)
        return self._run("audit", "verify", str(self.log), *options, "--output", "json")


@pytest.fixture
def desk(tmp_path: Path, run: Run) -> Desk:
    return Desk(tmp_path, run)


def test_a_whole_log_that_masters_vouch_for_is_good(desk: Desk) -> None:
    done = desk.verify(desk.lines)
    (found,) = done.document["logs"]
    assert (done.code, found["verdict"], found["log"]) == (0, "good", LOG)
    assert (found["records"], found["vouched_to"], found["masters"]) == (20, 18, ["m1"])
    assert found["notes"] == ["records 19 to 20 are newer than what masters vouch for"]


def edited(lines: list[bytes]) -> list[bytes]:
    return [*lines[:7], lines[7].replace(b'"alice"', b'"mandy"'), *lines[8:]]


def edited_with_a_new_hash(lines: list[bytes]) -> list[bytes]:
    """One line made anew, as if nothing was."""
    other = chain(20, by="mandy")
    return [*lines[:7], other[7], *lines[8:]]


def deleted(lines: list[bytes]) -> list[bytes]:
    return [*lines[:7], *lines[8:]]


def reordered(lines: list[bytes]) -> list[bytes]:
    return [*lines[:7], lines[8], lines[7], *lines[9:]]


def repeated(lines: list[bytes]) -> list[bytes]:
    return [*lines[:8], *lines[7:]]


def truncated(lines: list[bytes]) -> list[bytes]:
    return lines[:15]


def cut_in_the_front(lines: list[bytes]) -> list[bytes]:
    return lines[3:]


def rewritten(lines: list[bytes]) -> list[bytes]:
    """A good chain: only the masters know better."""
    return chain(20, by="mandy")


def rewritten_from_the_middle(lines: list[bytes]) -> list[bytes]:
    kept, prev = lines[:10], hash_of(lines[9])
    for seq in range(11, 21):
        entry = Entry("container.start", "shop/web", by="mandy", actor=Actor.HUMAN, origin="local")
        line = line_of(entry, seq=seq, prev=prev, log=LOG, boot="b", at=moment(1e9 + seq))
        kept, prev = [*kept, line], hash_of(line)
    return kept


def emptied(lines: list[bytes]) -> list[bytes]:
    return []


def with_rubbish(lines: list[bytes]) -> list[bytes]:
    return [*lines[:9], b"not a record\n", *lines[9:]]


TAMPERED: dict[Callable[[list[bytes]], list[bytes]], str] = {
    edited: "8: record 8: its bytes are not those",
    edited_with_a_new_hash: "8: record 8: ",
    deleted: "8: record 9: record 8 is missing before it",
    reordered: "8: record 9: ",
    repeated: "9: record 8: it comes after record 8",
    truncated: "its end is missing: it ends with record 15, and masters vouch for record 18",
    cut_in_the_front: "its beginning is missing: it begins with record 4",
    rewritten: "record 5 is another one than masters vouch for",
    rewritten_from_the_middle: "record 12 is another one than masters vouch for",
    emptied: "it has no records at all",
    with_rubbish: "10: it is no record of an audit log",
}


@pytest.mark.parametrize("tamper", TAMPERED, ids=lambda tamper: tamper.__name__)
def test_what_was_done_to_a_log_is_found(
    desk: Desk, tamper: Callable[[list[bytes]], list[bytes]]
) -> None:
    done = desk.verify(tamper(desk.lines))
    (found,) = done.document["logs"]
    assert (done.code, found["verdict"]) == (2, "broken")
    assert any(TAMPERED[tamper] in each for each in found["findings"]), found["findings"]


def test_a_log_that_was_replaced_by_another_hosts_is_found(desk: Desk) -> None:
    other = chain(20, log="host:h2")
    desk.heads.write_bytes(desk.heads.read_bytes())
    done = desk.verify(other)
    assert (done.code, done.document["logs"][0]["verdict"]) == (3, "not vouched for")
    done = desk.verify(other, "--log", LOG)
    assert (done.code, done.document["logs"][0]["findings"][0]) == (
        2,
        "it is the log of host:h2, and not of host:h1",
    )


def test_a_log_that_is_gone_is_an_error(desk: Desk, run: Run) -> None:
    done = run("audit", "verify", str(desk.log), "--heads", str(desk.heads))
    assert (done.code, "there is no file" in done.err) == (2, True)


def test_the_chain_alone_is_not_enough(desk: Desk, run: Run) -> None:
    desk.heads.write_bytes(b"")
    done = desk.verify(desk.lines)
    assert (done.code, done.document["logs"][0]["verdict"]) == (3, "not vouched for")
    done = run("audit", "verify", str(desk.log), "--master", "unix:///nowhere")
    assert done.code == 3
    assert "whoever rewrites all of a log makes a good chain too" in done.out
    assert "no master answers at unix:///nowhere" in done.out


def test_a_file_of_heads_that_was_changed_is_found(desk: Desk) -> None:
    good = desk.heads.read_bytes().splitlines(keepends=True)
    for wrong in ([good[0], good[2]], [good[1].replace(b"h1", b"h3"), *good[1:]]):
        desk.heads.write_bytes(b"".join(wrong))
        done = desk.verify(desk.lines)
        assert (done.code, done.document["logs"][0]["verdict"]) == (2, "broken")


def test_what_a_master_refused_is_said(desk: Desk) -> None:
    refused = Break(Head(LOG, 9, "e" * 64, 1e9), "it was put back to an earlier state")
    desk.heads.write_bytes(file_of_heads([head(desk.lines, 18), refused]))
    done = desk.verify(desk.lines)
    assert done.code == 2
    assert done.document["logs"][0]["findings"] == [
        "master m1 refused record 9: it was put back to an earlier state"
    ]


def test_what_an_operator_accepted_counts_from_there_on(desk: Desk) -> None:
    other = chain(30, by="mandy")
    entries = [head(other, 25), Acceptance(LOG, "bob"), head(desk.lines, 19)]
    desk.heads.write_bytes(file_of_heads(entries))
    done = desk.verify(desk.lines)
    assert (done.code, done.document["logs"][0]["vouched_to"]) == (0, 19)
    assert "by bob at m1" in done.document["logs"][0]["notes"][0]


def test_a_line_that_is_being_written_is_no_break(desk: Desk) -> None:
    done = desk.verify([*desk.lines[:19], desk.lines[19][:40]])
    (found,) = done.document["logs"]
    assert (done.code, found["records"], found["last"]) == (0, 19, 19)
    assert "is being written" in found["notes"][0]


def test_what_the_reserve_holds_belongs_to_it(desk: Desk) -> None:
    """While the disk is full. What is in the log already may still be there for a moment."""
    reserve = desk.folder / "audit.reserve"
    reserve.write_bytes(b"".join(desk.lines[13:]) + bytes(4096))
    done = desk.verify(desk.lines[:15])
    (found,) = done.document["logs"]
    assert (done.code, found["records"], found["last"]) == (0, 20, 20)
    reserve.write_bytes(b"".join(desk.lines[16:]) + bytes(4096))
    done = desk.verify(desk.lines[:15])
    assert (done.code, "record 16 is missing" in done.out) == (2, True)
    reserve.write_bytes(bytes(4096))
    assert desk.verify(desk.lines).code == 0


def test_closed_files_belong_to_it(desk: Desk) -> None:
    (desk.folder / "audit-1.log").write_bytes(b"".join(desk.lines[:9]))
    (desk.folder / "audit-10.log").write_bytes(b"".join(desk.lines[9:14]))
    done = desk.verify(desk.lines[14:])
    (found,) = done.document["logs"]
    assert (done.code, found["records"], len(found["files"])) == (0, 20, 3)
    (desk.folder / "audit-10.log").unlink()
    done = desk.verify(desk.lines[14:])
    assert (done.code, "records 10 to 14 are missing" in done.out) == (2, True)


def answer(content: bytes) -> Raw:
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: {len(content)}"
    )
    return Raw(f"{head}\r\nConnection: close\r\n\r\n".encode() + content)


def test_masters_are_asked_for_their_heads(desk: Desk, run: Run, master: FakeMaster) -> None:
    desk.log.write_bytes(b"".join(desk.lines))
    master.answers["GET /v1/audit/heads"] = answer(file_of_heads([head(desk.lines, 20)]))
    done = run("audit", "verify", str(desk.log))
    assert done.code == 0, done.out + done.err
    assert "masters vouch for it up to record 20: m1" in done.out
    assert master.requests[-1].query == {"log": LOG}
    done = run("audit", "verify", str(desk.log), "--master", f"{master.url},unix:///nowhere")
    assert (done.code, "note: not asked: no master answers at unix:///nowhere" in done.out) == (
        0,
        True,
    )
    desk.log.write_bytes(b"".join(desk.lines[:9]))
    assert run("audit", "verify", str(desk.log)).code == 2


def test_heads_are_saved_and_shown(desk: Desk, run: Run, master: FakeMaster) -> None:
    content = file_of_heads([head(desk.lines, 5), head(desk.lines, 12)])
    master.answers["GET /v1/audit/heads"] = answer(content)
    kept = desk.folder / "kept"
    done = run("audit", "heads", "--save", str(kept), "--output", "json")
    assert (done.code, kept.read_bytes()) == (0, content)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [(each["log"], each["seq"]) for each in done.document["logs"]] == [(LOG, 12)]
    done = run("audit", "heads", "--master", f"{master.url},unix:///nowhere")
    assert (done.code, "not asked: no master answers at unix:///nowhere" in done.out) == (1, True)
    assert run("audit", "heads", "--master", "unix:///nowhere").code == 3
    done = run("audit", "heads", "--save", str(kept))
    assert (done.code, "is there already" in done.err) == (2, True)
    assert "--force" not in done.err, "an option that this command has not"


def test_a_copy_that_is_older_than_the_heads_is_told_how_to_be_made(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = desk.verify(desk.lines[:15]).document["logs"]
    assert found["verdict"] == "broken"
    assert "first save heads" in found["notes"][0]
    with monkeypatch.context() as there:
        there.setattr(
            "hullmark.cli.auditverifying.STANDARD",
            (Standard(desk.log, desk.folder / "audit.last"),),
        )
        (found,) = desk.verify(desk.lines[:15]).document["logs"]
        assert not found["notes"], "it is no copy"
    (found,) = desk.verify(edited(desk.lines)[:15]).document["logs"]
    assert not found["notes"]


def test_a_record_that_was_vouched_for_twice_is_missed_once(desk: Desk) -> None:
    heads = [head(desk.lines, 8), head(desk.lines, 8), head(desk.lines, 18)]
    desk.heads.write_bytes(file_of_heads(heads))
    (found,) = desk.verify(deleted(desk.lines)).document["logs"]
    assert found["findings"].count("record 8 was vouched for, and is not there") == 1


def test_an_export_of_several_logs_is_not_taken_for_one(desk: Desk) -> None:
    other = chain(3, log="master:m1")
    (found,) = desk.verify([*desk.lines[:9], *other, *desk.lines[9:]]).document["logs"]
    assert found["verdict"] == "broken"
    assert "it has records of several logs" in found["notes"][0]


def test_saved_heads_without_any_of_the_log_are_named(desk: Desk, run: Run) -> None:
    desk.log.write_bytes(b"".join(desk.lines))
    desk.heads.write_bytes(b"")
    done = run("audit", "verify", str(desk.log), "--heads", str(desk.heads))
    assert (done.code, f"none of it is in {desk.heads}" in done.out) == (3, True)


def test_a_name_that_two_logs_have_exports_neither(run: Run, master: FakeMaster) -> None:
    """A host and a master on one machine: what was written together would pass for a log that was changed."""
    both = chain(2) + chain(2, log="master:box")
    master.answers["GET /v1/audit"] = answer(b"".join(both))
    done = run("audit", "export", "--log", "box")
    assert (done.code, f"--log {LOG}, or --log master:box" in done.err) == (64, True)
    assert run("audit", "export").code == 0


def test_where_there_is_nothing_it_says_so(run: Run, master: FakeMaster) -> None:
    master.answers["GET /v1/audit"] = answer(b"")
    master.answers["GET /v1/audit/trace"] = {"what": "nobody"}
    assert run("audit", "show", "--by", "nobody").out == "no records\n"
    done = run("audit", "trace", "nobody")
    assert (done.code, done.out) == (1, "no log has anything of nobody\n")


def test_a_time_that_ends_before_it_begins_is_a_slip(run: Run, master: FakeMaster) -> None:
    done = run("audit", "show", "--since", "1d", "--until", "2d")
    assert (done.code, "nothing is between them" in done.err) == (64, True)
    assert not master.requests


def test_a_command_that_was_run_is_shown(run: Run, master: FakeMaster) -> None:
    for kind, field in (("container.exec", "command"), ("unmanaged.exec", "program")):
        entry = Entry(kind, "shop/web.1", by="alice", fields={field: "id -u"})
        line = line_of(entry, seq=1, prev=FIRST_PREV, log=LOG, boot="b", at=moment(1e9))
        master.answers["GET /v1/audit"] = answer(line)
        assert run("audit", "show").out.endswith("  by alice  id -u\n")


def test_records_are_shown(run: Run, master: FakeMaster) -> None:
    lines = chain(2)
    master.answers["GET /v1/audit"] = answer(b"".join(lines))
    master.answers["GET /v1/hosts"] = {
        "hosts": [{"host_id": "h1", "name": "web1", "state": "ready"}]
    }
    done = run("audit", "show", "--by", "alice", "--since", "2001-09-09T01:46:40Z", "-n", "5")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == (
        "2001-09-09T01:46:41Z  web1  container.start  success  shop/web.1  by alice  from local"
    )
    query = next(each.query for each in master.requests if each.path == "/v1/audit")
    assert query == {"by": "alice", "since": "2001-09-09T01:46:40Z", "limit": "5"}
    done = run("audit", "show", "--output", "json")
    found = done.document["records"]
    assert (found[0]["seq"], found[0]["ticket"], found[1]["prev"]) == (1, "", hash_of(lines[0]))


def test_an_export_is_the_log_itself(run: Run, master: FakeMaster) -> None:
    lines = chain(3)
    master.answers["GET /v1/audit"] = answer(b"".join(lines))
    assert run("audit", "export").out.encode() == b"".join(lines)


def test_a_table_has_nothing_that_a_spreadsheet_computes(run: Run, master: FakeMaster) -> None:
    entry = Entry("app.applied", "shop", reason='=cmd|"x"', outcome=Outcome.FAILURE)
    line = line_of(entry, seq=1, prev=FIRST_PREV, log="master:m1", boot="b", at=moment(1e9))
    master.answers["GET /v1/audit"] = answer(line)
    master.answers["GET /v1/hosts"] = Status(403, {"error": "Forbidden", "message": "no"})
    done = run("audit", "export", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(done.out))
    assert (row["reason"], row["outcome"], row["hash"]) == ('\'=cmd|"x"', "failure", hash_of(line))


def again_from(now: float) -> str:
    at_ns = nanoseconds(moment(now + 2))
    assert at_ns is not None
    return moment(at_ns / 1e9 - 60)


def test_who_follows_is_not_shown_a_record_twice(
    run: Run, master: FakeMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time() + 5
    lines = chain(4, at=now)
    monkeypatch.setattr("hullmark.cli.auditrecords.AGAIN_S", 0.0)
    ends = Status(403, {"error": "Forbidden", "message": "enough"})
    parts = [answer(b"".join(lines[:2])), answer(b"".join(lines[1:])), ends]
    master.answers["GET /v1/audit"] = parts
    done = run("audit", "follow", "--output", "json")
    assert [json.loads(each)["seq"] for each in done.out.splitlines()] == [1, 2, 3, 4]
    again = [each.query for each in master.requests][1]
    assert (again["follow"], again["since"]) == ("true", again_from(now))


def test_a_trace_reads_from_person_to_process(run: Run, master: FakeMaster) -> None:
    request = TracedRequest(
        "r1", "request.apply", "shop", moment(1e9), "alice", "human", "10.0.0.7", "success", "m1",
        ticket="CHG-7", epoch="1.2", generation=3,
    )  # fmt: skip
    start = TracedDeed("container.start", moment(1e9 + 2), "success", "alice", "r1", 4242)
    made = TracedContainer(
        "c" * 64, "shop.web.1.g3", "web1", LOG, "shop", "shop/web.1", 3, "sha256:d", "r1", "alice",
        (start,),
    )  # fmt: skip
    no = TracedFailure(
        "volume.create", "shop_db", "web1", LOG, "refused", "2026-11-29T05:40:04Z", "2026-11-29T05:41:04Z", 4,
        "mounts.read: / may not be mounted (10-a.yaml:3)", "alice", request.request_id,
    )  # fmt: skip
    master.answers["GET /v1/audit/trace"] = Trace("alice", (request,), (made,), (LOG,), True, (no,))
    told = run("audit", "trace", "alice").out
    assert (
        "    web1  shop_db\n      2026-11-29T05:40:04Z  volume.create refused  4 times, last "
        in told
    )
    assert "may not be mounted (10-a.yaml:3)\n" in told
    master.answers["GET /v1/audit/trace"] = Trace("alice", (request,), (made,), (LOG,))
    done = run("audit", "trace", "alice")
    assert done.code == 0
    for words in (
        "alice (human) from 10.0.0.7  ticket CHG-7",
        "request.apply shop  generation 3  success at master m1  epoch 1.2",
        f"web1  shop/web.1  generation 3  container {'c' * 64}",
        "container.start success  process 4242  by alice",
    ):
        assert words in done.out, done.out
    assert master.requests[-1].query == {"what": "alice"}
    master.answers["GET /v1/audit/trace"] = Trace("nobody")
    assert run("audit", "trace", "nobody").code == 1
