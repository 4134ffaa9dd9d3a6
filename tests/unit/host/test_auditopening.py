"""What becomes of a log that a crash or somebody laid hands on, while its daemon runs and while it doesn't."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.host.auditfile import AuditFile, Limits
from hullmark.host.auditreading import seq_of
from hullmark.model.audit import Outcome, Record
from tests.unit.host.auditlog import Log, breaks, event

LARGE = Limits(reserve_bytes=4096)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path, LARGE)


def filled(log: Log, count: int = 9) -> list[bytes]:
    """`begun` and `count` events; closed."""
    file = log.open()
    for number in range(count):
        file.append(event(number))
    file.close()
    return log.lines()


def told(file: AuditFile) -> list[str]:
    return [finding.partition(":")[0] for finding in file.findings]


def notes(log: Log, kind: str) -> list[Record]:
    return [one for one in log.records() if one.entry.kind == kind]


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_a_line_that_was_not_written_to_its_end_is_cut_off(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        log = Log(Path(folder), LARGE)
        lines = filled(log, 3)
        extra = lines[-1].replace(b'"seq":4', b'"seq":5')
        cut = data.draw(st.integers(0, len(extra) - 1))
        with log.path.open("ab") as stream:
            stream.write(extra[:cut])
        file = log.open()
        assert file.append(event()) == (6 if cut else 5)
        file.close()
        assert log.lines()[:4] == lines
        assert breaks(log.lines()) == []
        assert told(file) == []
        assert len(notes(log, "audit.mended")) == (1 if cut else 0)


def test_a_crash_that_left_zeros_is_mended(log: Log) -> None:
    lines = filled(log)
    whole = log.path.read_bytes()
    log.last.unlink()  # a crash of the machine left it behind as well
    start = len(b"".join(lines[:7]))
    log.path.write_bytes(whole[:start] + bytes(len(lines[7])) + whole[start + len(lines[7]) :])
    file = log.open()
    assert file.head.seq == 8
    file.close()
    assert breaks(log.lines()) == []
    (mended,) = notes(log, "audit.mended")
    assert mended.entry.outcome is Outcome.FAILURE
    assert Path(mended.entry.fields["kept"]).read_bytes() == whole[start:].replace(
        lines[7], bytes(len(lines[7]))
    )


@pytest.mark.parametrize("how", ["unlink", "empty"])
def test_a_log_that_was_removed_is_not_begun_anew_unseen(log: Log, how: str) -> None:
    lines = filled(log)
    log.path.unlink()
    if how == "empty":
        log.path.touch()
    file = log.open()
    assert told(file) == ["audit.missing" if how == "unlink" else "audit.shortened"]
    number = file.append(event())
    file.close()
    found = log.lines()
    assert [seq_of(line) for line in found] == list(range(11, number + 1))
    assert breaks([*lines, *found]) == []


def test_a_log_without_its_end_goes_on_after_it(log: Log) -> None:
    lines = filled(log)
    log.path.write_bytes(b"".join(lines[:6]))
    file = log.open()
    assert told(file) == ["audit.shortened"]
    file.append(event())
    file.close()
    (note,) = notes(log, "audit.shortened")
    assert (note.seq, note.entry.fields) == (11, {"first": "7", "last": "10"})
    assert breaks(log.lines()) == ["records 7 to 10 are missing before it"]
    file = log.open()  # that break is not mended away by the next start
    assert told(file) == []
    file.close()
    assert len(notes(log, "audit.shortened")) == 1


def test_a_changed_last_record_is_cut_and_kept(log: Log) -> None:
    lines = filled(log)
    changed = lines[-1].replace(b"shop.8", b"shop.9")
    log.path.write_bytes(b"".join([*lines[:-1], changed]))
    file = log.open()
    assert told(file) == ["audit.shortened"]
    file.close()
    (note,) = notes(log, "audit.mended")
    assert Path(note.entry.fields["kept"]).read_bytes() == changed
    assert breaks(log.lines()) == ["record 10 is missing before it"]


def test_a_record_changed_in_the_middle_is_left_for_all_to_see(log: Log) -> None:
    lines = filled(log)
    lines[4] = lines[4].replace(b"shop.3", b"shop.4")
    log.path.write_bytes(b"".join(lines))
    log.open().close()
    assert log.lines()[:10] == lines
    assert len(breaks(log.lines())) == 1


def test_another_log_in_its_place_is_told(log: Log, tmp_path: Path) -> None:
    filled(log)
    other = Log(tmp_path / "other", LARGE)
    other.folder.parent.mkdir()
    other.clock.now += 5
    filled(other)
    shutil.copy(other.path, log.path)
    file = log.open()
    assert told(file) == ["audit.replaced"]
    file.close()
    assert breaks(log.lines()) == ["the record before it is not the one that it was made to follow"]


def test_what_remembers_the_end_may_be_behind_or_damaged(log: Log) -> None:
    filled(log, 3)
    before = log.last.read_bytes()
    file = log.open()
    file.append(event())
    file.close()
    for text in (before, b"x" + before[1:], b"", b"{}"):
        log.last.write_bytes(text)
        file = log.open()
        assert told(file) == []
        file.close()
    assert breaks(log.lines()) == []


def test_nothing_but_garbage_is_kept_and_followed(log: Log) -> None:
    filled(log)
    log.path.write_bytes(b"garbage\n" * 100)
    file = log.open()
    assert told(file) == ["audit.shortened"]
    file.close()
    (kept,) = log.folder.glob("audit-cut-*.log")
    assert kept.read_bytes() == b"garbage\n" * 100


def test_a_large_file_of_garbage_is_set_aside(log: Log) -> None:
    filled(log)
    with log.path.open("r+b") as stream:
        stream.truncate(5 << 20)
        stream.write(b"garbage\n")
    file = log.open()
    assert told(file) == ["audit.damaged", "audit.missing"]
    file.close()
    (kept,) = log.folder.glob("audit-damaged-*.log")
    assert kept.stat().st_size == 5 << 20


def test_the_log_of_another_host_is_set_aside(log: Log) -> None:
    lines = filled(log)
    file = log.open(log="host:h2")
    file.append(event())
    file.close()
    (former,) = log.folder.glob("former-*")
    assert former.read_bytes() == b"".join(lines)
    assert former.name.startswith("former-host-h1-")
    assert log.kinds()[:2] == ["audit.former", "audit.begun"]
    assert log.records()[0].seq == 1
    assert told(file) == []
    assert breaks(log.lines()) == []


def test_a_file_that_is_removed_while_it_is_written_to_is_followed_by_another(log: Log) -> None:
    lines = filled(log)
    file = log.open()
    moved = log.folder / "moved"
    log.path.rename(moved)
    file.append(event())
    assert told(file) == ["audit.missing"]
    file.append(event())
    file.close()
    assert breaks([*lines, *log.lines()]) == []
    assert log.kinds() == ["audit.file", "audit.missing", *["order.accepted"] * 2]


def test_a_folder_that_is_removed_while_it_is_written_to_is_made_again(log: Log) -> None:
    filled(log)
    file = log.open()
    shutil.rmtree(log.folder)
    file.append(event())
    assert told(file) == ["audit.missing"]
    file.close()
    assert log.records()[-1].seq == 13


def test_a_file_that_is_edited_while_it_is_written_to_is_told(log: Log) -> None:
    lines = filled(log)
    file = log.open()
    edited = log.folder / "edited"
    edited.write_bytes(b"".join([*lines[:4], lines[4].replace(b"shop.3", b"shop.4"), *lines[5:]]))
    edited.rename(log.path)  # as sed -i and editors do
    file.append(event())
    assert told(file) == ["audit.replaced"]
    file.close()
    assert len(breaks(log.lines())) == 1


def test_a_file_that_is_cut_while_it_is_written_to_is_told(log: Log) -> None:
    lines = filled(log)
    file = log.open()
    with log.path.open("r+b") as stream:
        stream.truncate(len(b"".join(lines[:6])) + 10)
    file.append(event())
    assert told(file) == ["audit.shortened"]
    file.close()
    assert breaks(log.lines()) == ["records 7 to 10 are missing before it"]


@pytest.mark.parametrize("text", [b"by hand\n", b"by hand"])
def test_what_somebody_else_writes_is_told_and_kept(log: Log, text: bytes) -> None:
    filled(log)
    file = log.open()
    with log.path.open("ab") as stream:
        stream.write(text)
    file.append(event())
    assert told(file) == ["audit.foreign"]
    file.close()
    assert breaks(log.lines()) == []


def test_a_forged_record_does_not_become_a_part_of_the_chain(log: Log) -> None:
    filled(log)
    other = log.folder / "other"
    shutil.copy(log.path, other)
    file = log.open()
    with log.path.open("ab") as stream:
        forged = Log(log.folder, LARGE)
        forged.path = other
        forged.last = log.folder / "other.last"
        forger = forged.open()
        forger.append(event(666))
        forger.close()
        stream.write(other.read_bytes().splitlines(keepends=True)[-1])
    number = file.append(event())
    assert told(file) == ["audit.foreign"]
    assert number == 12
    file.close()
    assert len(breaks(log.lines())) == 1
