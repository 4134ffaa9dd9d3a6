"""What lies where an audit log or its reserve should be, and was put there by somebody else: no daemon hangs, follows or believes it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Callable

import pytest

from hullmark.errors import AuditUnavailable
from hullmark.host.auditfile import AuditFile, Limits
from hullmark.model.auditline import hash_of, line_of
from tests.unit.host.auditlog import LOG, FaultyDisk, Log, breaks, event, intent

LARGE = Limits(reserve_bytes=4096, patience_s=2.0)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path, LARGE)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def symlink(path: Path) -> None:
    """To a file that has something to lose."""
    target = path.parent.parent / "precious"
    target.write_bytes(b"precious\n")
    path.symlink_to(target)


def dangling(path: Path) -> None:
    path.symlink_to(path.parent.parent / "nowhere")


def within(work: Callable[[], object], limit_s: float = 10.0) -> list[AuditUnavailable]:
    """What was raised. Fails where it hangs."""
    found: list[AuditUnavailable] = []

    def running() -> None:
        try:
            work()
        except AuditUnavailable as error:
            found.append(error)

    thread = threading.Thread(target=running, daemon=True)
    thread.start()
    thread.join(limit_s)
    assert not thread.is_alive(), "it hangs"
    return found


@pytest.mark.parametrize("put", [fifo, folder, symlink, dangling])
def test_what_is_no_file_is_not_taken_for_the_log(log: Log, put: Callable[[Path], None]) -> None:
    file = log.open()
    file.append(event())
    file.close()
    log.path.unlink()
    put(log.path)
    (error,) = within(lambda: log.open().close())
    assert "no regular file" in error.message
    precious = log.folder.parent / "precious"
    assert put is not symlink or precious.read_bytes() == b"precious\n"
    assert not (log.folder.parent / "nowhere").exists()


@pytest.mark.parametrize("put", [fifo, folder, symlink, dangling])
def test_what_is_no_file_is_not_taken_for_it_while_it_is_written_to_either(
    log: Log, put: Callable[[Path], None]
) -> None:
    file = log.open()
    file.append(event())
    log.path.unlink()
    put(log.path)
    (error,) = within(lambda: file.append(intent()))
    assert "no regular file" in error.message
    (log.path.rmdir if put is folder else log.path.unlink)()
    assert file.recover()
    file.append(event())
    file.close()
    assert file.findings
    assert not (log.folder.parent / "nowhere").exists()


@pytest.mark.parametrize("put", [fifo, folder, symlink])
def test_a_reserve_that_is_no_file_is_told(log: Log, put: Callable[[Path], None]) -> None:
    log.folder.mkdir()
    put(log.path.with_suffix(".reserve"))
    assert len(within(lambda: log.open().close())) == 1


def test_a_pipe_where_its_end_is_remembered_or_among_its_files_is_passed_by(log: Log) -> None:
    log.open().close()
    log.last.unlink()
    os.mkfifo(log.last)
    os.mkfifo(log.folder / "audit-000000000001.log")
    assert within(lambda: log.open().close()) == []


def filled(log: Log) -> AuditFile:
    file = log.open()
    for number in range(3):
        file.append(event(number))
    return file


def test_what_is_in_the_reserve_of_another_log_stays_out_of_this_one(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host got another identity while its disk was full."""
    with monkeypatch.context() as patch:
        disk = FaultyDisk(patch.setattr, log.path)
        file = filled(log)
        disk.full = True
        file.append(intent(), essential=True)
        file.close()
    held = log.path.with_suffix(".reserve").read_bytes().rstrip(b"\0")
    assert held
    file = log.open("host:h2")
    file.append(event())
    file.close()
    lines = log.lines()
    assert breaks(lines) == []
    assert all(b'"log":"host:h2"' in line for line in lines)
    (kept,) = log.folder.glob("audit-unfit-*.log")
    assert kept.read_bytes() == held
    assert log.kinds()[:2] == ["audit.former", "audit.begun"]
    assert file.findings == ()
    log.open("host:h2").close()
    assert len(list(log.folder.glob("audit-unfit-*.log"))) == 1


def test_what_was_put_into_the_reserve_is_no_part_of_the_chain(log: Log) -> None:
    file = filled(log)
    end = file.head
    file.close()
    forged = line_of(event(9), seq=10**18, prev="a" * 64, log=LOG, boot="b", at="x")
    reserve = log.path.with_suffix(".reserve")
    reserve.write_bytes(forged + bytes(4096 - len(forged)))
    file = log.open()
    assert file.head.seq == end.seq + 1
    assert file.findings
    file.close()
    assert breaks(log.lines()) == []
    assert forged not in log.lines()


def test_what_follows_on_in_the_reserve_still_belongs_to_it(log: Log) -> None:
    file = filled(log)
    end = file.head
    file.close()
    line = line_of(event(9), seq=end.seq + 1, prev=end.hash, log=LOG, boot="b", at="x")
    assert hash_of(line)
    reserve = log.path.with_suffix(".reserve")
    reserve.write_bytes(line + bytes(4096 - len(line)))
    file = log.open()
    assert file.head.seq == end.seq + 1
    assert file.findings == ()
    file.close()
    assert breaks(log.lines()) == []
