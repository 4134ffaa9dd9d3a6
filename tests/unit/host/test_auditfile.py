"""The audit log's file: what is on the disk when, what a restart makes of it, and who waits for what."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hullmark.errors import AuditUnavailable
from hullmark.host.auditdisk import make_folder
from hullmark.host.auditfile import TEND_S, Limits
from hullmark.host.auditreading import files_of, seq_of
from hullmark.model.audit import Outcome, Stage
from hullmark.model.auditline import parse
from tests.unit.host.auditlog import (
    DAY_S,
    SMALL,
    FaultyDisk,
    Log,
    breaks,
    event,
    intent,
    outcome,
)

WAIT_S = 10.0


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


@pytest.fixture
def disk(log: Log, monkeypatch: pytest.MonkeyPatch) -> FaultyDisk:
    return FaultyDisk(monkeypatch.setattr, log.path)


def test_records_are_a_chain_that_goes_on_after_a_restart(log: Log) -> None:
    file = log.open()
    assert [file.append(event(number)) for number in range(3)] == [2, 3, 4]
    assert (file.head.seq, file.head.hash) == (4, log.records()[-1].hash)
    file.close()
    file = log.open()
    assert file.append(event()) == 5
    file.close()
    assert breaks(log.lines()) == []
    assert log.kinds() == ["audit.begun", *["order.accepted"] * 4]
    assert [record.seq for record in log.records()] == [1, 2, 3, 4, 5]


def test_its_files_are_read_by_few(log: Log) -> None:
    old = os.umask(0o077)
    try:
        log.open().close()
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in log.folder.iterdir()}
    assert modes == {"audit.log": 0o640, "audit.reserve": 0o640}
    assert stat.S_IMODE(log.folder.stat().st_mode) & 0o027 == 0
    assert stat.S_IMODE(log.last.stat().st_mode) == 0o600


def test_writers_at_the_same_time_each_get_a_number_of_their_own(log: Log) -> None:
    log.limits = Limits(reserve_bytes=4096)
    file = log.open()
    numbers: list[int] = []
    writers = [
        threading.Thread(target=lambda: numbers.extend(file.append(event()) for _ in range(50)))
        for _ in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    file.close()
    assert sorted(numbers) == list(range(2, 402))
    assert breaks(log.lines()) == []


def test_a_closed_log_takes_nothing(log: Log) -> None:
    file = log.open()
    file.close()
    with pytest.raises(AuditUnavailable, match="is closed"):
        file.append(event())
    assert "is closed" in file.trouble


def test_a_folder_that_can_not_be_had_is_told(log: Log) -> None:
    log.folder.write_text("a file")
    with pytest.raises(AuditUnavailable, match="can't be opened"):
        log.open()


def test_what_could_not_be_opened_is_not_kept_open(log: Log, disk: FaultyDisk) -> None:
    log.open().close()
    before = os.listdir("/proc/self/fd")
    disk.sync_error = errno.EIO
    log.last.unlink()
    log.path.write_bytes(log.path.read_bytes()[:-3])  # so that there is something to write
    with pytest.raises(AuditUnavailable):
        log.open()
    log.path.unlink()
    log.path.symlink_to("elsewhere")
    with pytest.raises(AuditUnavailable):
        log.open()
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_lines_are_copied_once_they_are_on_the_disk(log: Log, disk: FaultyDisk) -> None:
    seen: list[bytes] = []
    told: list[str] = []
    disk.before_sync = lambda: told.append("sync")

    def copy(lines: Sequence[bytes]) -> None:
        seen.extend(lines)
        told.append("copy")

    file = log.open(copy=copy)
    told.clear()
    file.append(event())
    file.close()
    assert seen == log.lines()
    assert told == ["sync", "copy"]


def test_who_waits_for_records_is_woken(log: Log) -> None:
    file = log.open()
    assert file.wait(1, 0.001).seq == 1
    found: list[int] = []
    waiter = threading.Thread(target=lambda: found.append(file.wait(1, WAIT_S).seq))
    waiter.start()
    file.append(event())
    waiter.join()
    assert found == [2]
    file.close()


def test_files_are_closed_by_size_and_the_chain_goes_on(log: Log) -> None:
    file = log.open()
    for number in range(40):
        file.append(event(number))
    files = files_of(log.path)
    assert len(files) > 3
    assert all(path.stat().st_size < 5000 for path in (one.path for one in files))
    assert all(one.first in (None, seq_of(one.path.read_bytes().splitlines()[0])) for one in files)
    lines = log.lines()
    assert breaks(lines) == []
    for first in range(1, 45):
        assert file.read(first, 3) == [line for line in lines if seq_of(line) >= first][:3]
    assert file.read(1, 1000) == lines
    file.close()


def test_old_files_are_closed_by_age_and_removed_by_age(log: Log) -> None:
    log.limits = Limits(keep_s=100 * DAY_S, rotate_s=30 * DAY_S, reserve_bytes=4096)
    file = log.open()
    file.append(event(1))
    file._writing.tend()
    assert len(files_of(log.path)) == 1
    log.clock.now += 31 * DAY_S
    file._writing.tend()
    assert len(files_of(log.path)) == 2
    file.append(event(2))
    log.clock.now += 60 * DAY_S
    file._writing.tend()
    file.append(event(3))
    assert any(record.entry.subject == "shop.1" for record in log.records())
    gone = log.records()[1]
    log.clock.now += 20 * DAY_S
    file._writing.tend()
    removed = [record for record in log.records() if record.entry.kind == "audit.removed"]
    assert [record.entry.fields["last"] for record in removed] == ["2"]
    assert [record.entry.fields["hash"] for record in removed] == [gone.hash]
    assert log.records()[0].seq == 3
    assert breaks(log.lines()) == []
    file.close()


def test_a_log_that_is_never_idle_looks_at_the_age_of_its_files_too(log: Log) -> None:
    log.limits = Limits(rotate_s=30 * DAY_S, reserve_bytes=4096)
    ticks = [0.0]
    file = log.open(ticks=lambda: ticks[0])
    file.append(event(1))
    log.clock.now += 31 * DAY_S
    file.append(event(2))
    ticks[0] += TEND_S
    file.append(event(3))
    file.append(event(4))
    file.close()
    assert [one.first for one in files_of(log.path)] == [1, None]
    assert breaks(log.lines()) == []


def test_intents_without_outcome_are_found_by_the_next_start(log: Log) -> None:
    file = log.open()
    first, second, third = (file.append(intent(number)) for number in range(3))
    file.append(outcome(second))
    file.close()
    file = log.open()
    assert [record.seq for record in file.open_intents()] == [first, third]
    file.append(outcome(first))
    file.append(outcome(third))
    file.close()
    file = log.open()
    assert file.open_intents() == ()
    file.close()


def test_an_intent_is_found_though_its_file_was_closed_since(log: Log) -> None:
    file = log.open()
    first, second = file.append(intent(1)), file.append(intent(2))
    for number in range(40):
        file.append(event(number))
    file.append(outcome(second))
    file.close()
    assert len(files_of(log.path)) > 2
    file = log.open()
    assert [record.seq for record in file.open_intents()] == [first]
    file.close()


def test_an_intent_is_found_right_after_its_file_was_closed(log: Log) -> None:
    file = log.open()
    number = 0
    while log.path.stat().st_size:
        number = file.append(intent())
    file.close()
    file = log.open()
    assert [record.seq for record in file.open_intents()][-1] == number
    assert "audit.file" in log.kinds()
    file.close()


def test_a_full_disk_refuses_what_is_new_and_takes_what_has_to_go_on(
    log: Log, disk: FaultyDisk
) -> None:
    file = log.open()
    begun = file.append(intent(1))
    disk.full = True
    with pytest.raises(AuditUnavailable, match="No space left on device"):
        file.append(intent(2))
    assert "No space left on device" in file.trouble
    restart = file.append(intent(3), essential=True)
    assert file.append(outcome(begun)) == restart + 1
    assert not file.recover()
    assert file.head.seq == restart + 1
    assert breaks(file.read(1, 100)) == []
    assert [seq_of(line) for line in file.read(begun, 100)] == [begun, restart, restart + 1]
    assert [seq_of(line) for line in file.read(restart, 1)] == [restart]
    assert len(log.lines()) == begun
    disk.full = False
    assert file.recover()
    assert file.trouble == ""
    resumed = log.records()[-1].entry
    assert (resumed.kind, resumed.fields["refused"]) == ("audit.resumed", "1")
    file.append(outcome(restart))
    assert file.read(1, 100) == log.lines()
    assert breaks(log.lines()) == []
    file.close()


def test_the_reserve_outlives_the_process(log: Log, disk: FaultyDisk) -> None:
    file = log.open()
    disk.full = True
    numbers = [file.append(intent(number), essential=True) for number in range(3)]
    file.append(outcome(numbers[0]))
    file.close()
    file = log.open()
    assert file.head.seq == numbers[2] + 1
    assert [record.seq for record in file.open_intents()] == numbers[1:]
    assert file.append(intent(9), essential=True) == numbers[2] + 2
    disk.full = False
    file.append(event())
    assert breaks(log.lines()) == []
    assert file.findings == ()
    file.close()


def test_what_came_out_of_the_reserve_is_not_written_twice(log: Log, disk: FaultyDisk) -> None:
    file = log.open()
    disk.full = True
    file.append(intent(1), essential=True)
    reserve = log.path.with_suffix(".reserve")
    held = reserve.read_bytes()
    disk.full = False
    assert file.recover()
    file.close()
    reserve.write_bytes(held)  # as after a kill before it was cleared
    file = log.open()
    file.append(event())
    file.close()
    assert breaks(log.lines()) == []
    assert not reserve.read_bytes().strip(b"\0")


def test_a_reserve_is_used_up(log: Log, disk: FaultyDisk) -> None:
    file = log.open()
    disk.full = True
    taken = 0
    with suppress(AuditUnavailable):
        while True:
            file.append(intent(taken), essential=True)
            taken += 1
    assert "the reserve is used up" in file.trouble
    assert taken >= SMALL.reserve_bytes // 1024
    disk.full = False
    assert file.recover()
    assert len(log.lines()) == 1 + taken + 1
    assert breaks(log.lines()) == []
    file.close()


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS])
def test_what_a_broken_disk_did_not_sync_is_not_there(
    log: Log, disk: FaultyDisk, number: int
) -> None:
    file = log.open()
    file.append(event(1))
    disk.sync_error = number
    for essential in (False, True):
        with pytest.raises(AuditUnavailable, match=os.strerror(number)):
            file.append(intent(2), essential=essential)
    assert file.head.seq == 2
    assert len(file.read(1, 100)) == 2
    disk.sync_error = 0
    assert file.append(event(3)) == 4
    file.close()
    assert log.kinds() == ["audit.begun", "order.accepted", "audit.resumed", "order.accepted"]
    assert breaks(log.lines()) == []


def test_who_waits_too_long_for_the_disk_gives_up_and_that_is_recorded(
    log: Log, disk: FaultyDisk
) -> None:
    log.limits = Limits(reserve_bytes=4096, patience_s=0.05)
    file = log.open()
    slow = threading.Event()

    def hang() -> None:
        slow.wait(WAIT_S)

    disk.before_sync = hang
    with pytest.raises(AuditUnavailable, match=r"not written within 0.05 s"):
        file.append(intent(1))
    with pytest.raises(AuditUnavailable, match=r"not written within 0.05 s"):
        file.append(intent(2))  # never begun to be written
    with pytest.raises(AuditUnavailable, match=r"not written within 0.05 s"):
        file.append(event(3))  # it happened, and will be written
    disk.before_sync = lambda: None
    slow.set()
    assert file.wait(3, WAIT_S).seq == 4
    file.close()
    assert [(one.entry.stage, one.entry.subject) for one in log.records()[1:]] == [
        (Stage.INTENT, "shop/api.1"),
        (Stage.EVENT, "shop.3"),
        (Stage.OUTCOME, "shop/api.1"),
    ]
    given_up = log.records()[-1].entry
    assert (given_up.outcome, given_up.of) == (Outcome.FAILURE, 2)
    assert given_up.reason.startswith("not begun")


def test_a_slow_disk_is_trouble_while_it_lasts(log: Log, disk: FaultyDisk) -> None:
    ticks = [0.0]
    file = log.open(ticks=lambda: ticks[0])
    slow, reached = threading.Event(), threading.Event()

    def hang() -> None:
        reached.set()
        slow.wait(WAIT_S)

    disk.before_sync = hang
    writer = threading.Thread(target=lambda: file.append(event()))
    writer.start()
    reached.wait(WAIT_S)
    assert file.trouble == ""
    ticks[0] = 5.0
    assert "has not been written for 5 s" in file.trouble
    slow.set()
    writer.join()
    assert file.trouble == ""
    file.close()


def test_a_thread_that_ended_is_told(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    file = log.open()

    def fail(*anything: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(file._writing, "commit", fail)
    monkeypatch.setattr(threading, "excepthook", lambda told: None)
    for _ in range(2):
        with pytest.raises(AuditUnavailable, match="is closed"):
            file.append(event())
    assert file.trouble


def test_records_are_read_as_they_stand(log: Log) -> None:
    file = log.open()
    file.append(event(7))
    assert [parse(line).entry.subject for line in file.read(2, 10)] == ["shop.7"]
    assert file.read(3, 10) == []
    assert file.read(1, 0) == []
    file.close()


def test_folders_that_it_makes_are_listed_by_few_and_passed_by_all(tmp_path: Path) -> None:
    """The master's is within the agent's: the control of logs' permissions looks at both."""
    shop = tmp_path / "shop"
    shop.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        make_folder(shop / "hullmark" / "master")
    finally:
        os.umask(before)
    modes = {
        str(path.relative_to(tmp_path)): f"{path.stat().st_mode & 0o7777:04o}"
        for path in (shop, shop / "hullmark", shop / "hullmark/master")
    }
    assert modes == {"shop": "0755", "shop/hullmark": "0751", "shop/hullmark/master": "0750"}
