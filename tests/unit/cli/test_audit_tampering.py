"""What root of a host, or of one master, tries so that `hullmark audit verify` finds nothing."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import pytest

from hullmark.cli import auditfiles
from hullmark.core.headsfile import FIRST_LINK, Acceptance, Content
from hullmark.core.headsfile import line_of as head_line
from hullmark.model.audit import FIRST_PREV, Entry, Head, SignedHead
from hullmark.model.auditline import hash_of, line_of
from hullmark.model.moments import moment
from tests.unit.cli.conftest import Run
from tests.unit.cli.fakemaster import FakeMaster, Status
from tests.unit.cli.test_audit import LOG, Desk, answer, chain, file_of_heads, head

DAY_S = 86400.0
NOW = 1.7e9


@pytest.fixture
def desk(tmp_path: Path, run: Run) -> Desk:
    return Desk(tmp_path, run)


def findings(done: Any) -> list[str]:
    (found,) = done.document["logs"]
    return list(found["findings"])


def test_what_one_master_accepted_counts_for_that_one_only(desk: Desk) -> None:
    """Root on the host and on one master: the other one still knows."""
    forged = chain(20, by="mandy")
    honest = file_of_heads([head(desk.lines, 18)], "m1")
    bought = file_of_heads([head(desk.lines, 18), Acceptance(LOG, "uid 0"), head(forged, 20)], "m2")
    for kept in (honest + bought, bought + honest):
        desk.heads.write_bytes(kept)
        done = desk.verify(forged)
        assert done.code == 2
        assert "record 18 is another one than masters vouch for" in findings(done)[0]


def test_one_master_cannot_accept_in_the_name_of_another(
    desk: Desk, run: Run, master: FakeMaster, tmp_path: Path
) -> None:
    forged = chain(20, by="mandy")
    desk.log.write_bytes(b"".join(forged))
    others = FakeMaster(f"{master.url[7:]}2")
    try:
        others.answers["GET /v1/audit/heads"] = answer(file_of_heads([head(desk.lines, 18)], "m1"))
        entries = [Acceptance(LOG, "uid 0"), head(forged, 20)]
        master.answers["GET /v1/audit/heads"] = answer(file_of_heads(entries, "m1"))
        for urls in (f"{master.url},{others.url}", f"{others.url},{master.url}"):
            done = run("audit", "verify", str(desk.log), "--master", urls)
            assert (done.code, "record 18 is another one" in done.out) == (2, True)
    finally:
        others.stop()


def vouched(lines: Sequence[bytes], when: dict[int, float], first_seq: int = 1) -> bytes:
    """A file of heads: which record was vouched for when."""
    found, link = b"", FIRST_LINK
    for number, (seq, at) in enumerate(when.items(), 1):
        known = Head(LOG, seq, hash_of(lines[seq - first_seq]), at)
        content = Content(number, moment(at), "m1", (SignedHead(known, "c" * 64, "s"),))
        line, made = head_line(link, content)
        found, link = found + line, made.link
    return found


def with_removal(said_at: float, made_at: float) -> list[bytes]:
    """20 records; the 15th says that those up to the 10th were removed by age."""
    found: list[bytes] = []
    prev = FIRST_PREV
    for seq in range(1, 21):
        entry = Entry("container.start", "shop/web.1")
        if seq == 15:
            fields = {"file": "audit-1.log", "first": "1", "last": "10", "hash": hash_of(found[9])}
            entry = Entry("audit.removed", "audit.log", fields=fields)
        at = moment(made_at if seq <= 10 else said_at)
        line = line_of(entry, seq=seq, prev=prev, log=LOG, boot="b", at=at)
        found.append(line)
        prev = hash_of(line)
    return found


@pytest.mark.parametrize("claimed", [NOW - 500 * DAY_S, NOW])
def test_records_that_were_removed_too_early_are_missed(desk: Desk, claimed: float) -> None:
    """Root writes a record that says so, or puts the clock ahead. The masters know when they were first shown what is gone."""
    lines = with_removal(NOW, claimed)
    when = {4: NOW - 3 * DAY_S, 10: NOW - 2 * DAY_S, 15: NOW, 20: NOW}
    desk.heads.write_bytes(vouched(lines, when))
    assert desk.verify(lines).code == 0
    done = desk.verify(lines[10:])
    assert done.code == 2
    assert "records 1 to 10 were removed" in findings(done)[0]
    assert "2 days after" in findings(done)[0]
    done = desk.verify(lines[10:], "--keep", "1d")
    assert done.code == 0
    (found,) = done.document["logs"]
    assert any("records 1 to 10 were removed" in note for note in found["notes"])


def test_records_that_were_removed_by_age_are_not(desk: Desk) -> None:
    lines = with_removal(NOW, NOW - 400 * DAY_S)
    when = {4: NOW - 401 * DAY_S, 10: NOW - 400 * DAY_S, 15: NOW, 20: NOW}
    desk.heads.write_bytes(vouched(lines, when))
    assert desk.verify(lines[10:]).code == 0
    when = {12: NOW, 15: NOW, 20: NOW}
    desk.heads.write_bytes(vouched(lines, when))
    done = desk.verify(lines[10:])
    (found,) = done.document["logs"]
    assert (done.code, any("no master knows when" in note for note in found["notes"])) == (0, True)


def test_a_master_vouches_only_for_what_it_has_itself(desk: Desk) -> None:
    """One that was put back has earlier heads only."""
    old, new = [head(desk.lines, 5)], [head(desk.lines, 5), head(desk.lines, 18)]
    desk.heads.write_bytes(file_of_heads(new, "m1") + file_of_heads(old, "m2"))
    done = desk.verify(desk.lines)
    (found,) = done.document["logs"]
    assert (found["vouched_to"], found["vouched_by"]) == (18, {"m1": 18, "m2": 5})
    assert any("master m2 vouches for it up to record 5 only" in each for each in found["notes"])
    now = time.time()
    recent = vouched(desk.lines, {5: now - 9, 18: now - 3})
    desk.heads.write_bytes(recent + file_of_heads(old, "m2"))
    (found,) = desk.verify(desk.lines).document["logs"]
    assert not any("only" in each for each in found["notes"]), "it is about to"


def test_a_file_of_heads_without_its_beginning_is_found(desk: Desk) -> None:
    lines = desk.heads.read_bytes().splitlines(keepends=True)
    desk.heads.write_bytes(b"".join(lines[1:]))
    done = desk.verify(desk.lines)
    assert (done.code, "its beginning is missing" in findings(done)[0]) == (2, True)


def test_a_line_without_end_is_not_read_into_memory(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditfiles, "LINE_MAX_BYTES", 1024)
    for much in (b"x" * 5000, b"x" * 5000 + b"\n"):
        done = desk.verify([*desk.lines, much])
        assert (done.code, "it is no record" in findings(done)[0]) == (2, True)


def test_a_line_with_other_ends_is_found(desk: Desk) -> None:
    for end in (b"\r\n", b"\0\n", b" \n", b"\n\n"):
        changed = desk.lines[7][:-1] + end
        done = desk.verify([*desk.lines[:7], changed, *desk.lines[8:]])
        assert (done.code, findings(done) != []) == (2, True)


def test_closed_files_that_were_swapped_or_renamed_are_found(desk: Desk) -> None:
    first, second = desk.folder / "audit-1.log", desk.folder / "audit-10.log"
    first.write_bytes(b"".join(desk.lines[:9]))
    second.write_bytes(b"".join(desk.lines[9:14]))
    assert desk.verify(desk.lines[14:]).code == 0
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    assert desk.verify(desk.lines[14:]).code == 2
    second.rename(desk.folder / "audit-10.log.1")
    assert desk.verify(desk.lines[14:]).code == 2


@pytest.mark.parametrize("name", ["audit.log", "audit-1.log", "audit.reserve"])
def test_a_pipe_in_its_place_is_no_log(desk: Desk, run: Run, name: str) -> None:
    desk.log.write_bytes(b"".join(desk.lines))
    (desk.folder / name).unlink(missing_ok=True)
    os.mkfifo(desk.folder / name)
    done = run("audit", "verify", str(desk.log), "--heads", str(desk.heads))
    assert (done.code, "no regular file" in done.err) == (2, True)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Path]:
    """An agent's log, what remembers it, and a master's log, on one machine."""
    agent, master = tmp_path / "log" / "audit.log", tmp_path / "log" / "master" / "audit.log"
    last = tmp_path / "state" / "audit.last"
    master.parent.mkdir(parents=True)
    last.parent.mkdir()
    last.touch()
    places = (auditfiles.Standard(agent, last), auditfiles.Standard(master, tmp_path / "none"))
    monkeypatch.setattr(auditfiles, "STANDARD", places)
    return agent, last, master


def test_a_log_that_is_gone_is_missed_where_another_one_is(
    desk: Desk, run: Run, machine: tuple[Path, Path, Path]
) -> None:
    agent, last, master = machine
    other = chain(3, log="master:m1")
    master.write_bytes(b"".join(other))
    known = Head("master:m1", 3, hash_of(other[2]), 1e9)
    desk.heads.write_bytes(file_of_heads([head(desk.lines, 18), known]))

    def verified() -> tuple[int, str]:
        done = run("audit", "verify", "--heads", str(desk.heads))
        return done.code, done.out + done.err

    code, said = verified()
    assert (code, f"there is no file {agent}" in said) == (2, True)
    closed = agent.with_name("audit-000000000001.log")
    closed.write_bytes(b"".join(desk.lines[:9]))
    code, said = verified()
    assert (code, "masters vouch for record 18" in said) == (2, True)
    agent.write_bytes(b"".join(desk.lines[9:]))
    assert verified()[0] == 0
    agent.unlink()
    closed.unlink()
    last.unlink()
    assert verified()[0] == 0, "there is no agent here"


def test_who_may_not_read_it_is_told_so(
    desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path, *_: Any, **__: Any) -> Optional[Any]:
        raise PermissionError(13, "Permission denied", str(path))

    desk.log.write_bytes(b"".join(desk.lines))
    monkeypatch.setattr(Path, "stat", denied)
    done = run("audit", "verify", str(desk.log), "--master", "unix:///nowhere")
    assert (done.code, "can't be read: Permission denied" in done.err) == (2, True)


def test_a_masters_name_does_nothing_to_a_terminal(desk: Desk, run: Run) -> None:
    name = "m1\x1b]0;owned\x07\nGOOD  log host:h1"
    desk.heads.write_bytes(file_of_heads([head(desk.lines, 18), Acceptance(LOG, name)], name))
    desk.log.write_bytes(b"".join(desk.lines))
    for arguments in (["verify", str(desk.log), "--heads", str(desk.heads)],):
        done = run("audit", *arguments)
        assert "\x1b" not in done.out
        assert sum(line.startswith("GOOD") for line in done.out.splitlines()) <= 1


def recorded(master: FakeMaster, **texts: str) -> None:
    """One record of a host, with these texts in it."""
    entry = Entry("container.start", **{"subject": "shop/web.1", **texts})  # type: ignore[arg-type]
    line = line_of(entry, seq=1, prev=FIRST_PREV, log=LOG, boot="b", at=moment(1e9))
    master.answers["GET /v1/audit"] = answer(line)
    master.answers["GET /v1/hosts"] = Status(403, {"error": "Forbidden", "message": "no"})


NASTY = "\x1b]0;owned\x07\x9b31m\u202e\ud800\r\nGOOD"


def test_a_records_texts_do_nothing_to_a_terminal(run: Run, master: FakeMaster) -> None:
    recorded(master, subject=NASTY, reason=NASTY, ticket=NASTY, by=NASTY)
    for arguments in (["show"], ["export", "--format", "csv"]):
        done = run("audit", *arguments)
        assert done.code == 0, done.err
        assert not set(done.out) & set("\x1b\x07\x9b\u202e\ud800")
        assert not any(line.startswith("GOOD") for line in done.out.splitlines())
    assert run("audit", "export").code == 0


def test_a_text_is_not_taken_for_several(run: Run, master: FakeMaster) -> None:
    recorded(master, subject="shop/web.1  by root  from 10.0.0.1", by="mallory")
    (line,) = run("audit", "show").out.splitlines()
    assert line.split("  ")[-1] == "by mallory"
    assert "  by root" not in line


@pytest.mark.parametrize(
    "begin", ["=", "+", "-", "@", "\t=", "\r=", "\n=", "\uff1d", "\uff0b", " ="]
)
def test_no_text_is_computed_by_a_spreadsheet(run: Run, master: FakeMaster, begin: str) -> None:
    recorded(master, reason=f'{begin}cmd|"x"')
    done = run("audit", "export", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(done.out))
    assert row["reason"].startswith("'") or row["reason"].startswith("?")
