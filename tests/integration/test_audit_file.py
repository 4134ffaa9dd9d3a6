"""The audit log on real disks: killed at any moment, full, read-only and hanging."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hullmark.core.chain import Verifier
from hullmark.errors import AuditUnavailable
from hullmark.host import auditreading
from hullmark.host.auditfile import AuditFile, Limits
from hullmark.model.audit import Entry, Outcome, Stage
from hullmark.model.auditline import parse

pytestmark = pytest.mark.one_engine

KILLS = 200
WRITERS = 4
LOG = "host:h1"
SEED = 7
FOLLOWED_S = 15.0


def intent(name: str) -> Entry:
    return Entry("container.start", name, stage=Stage.INTENT, outcome=Outcome.PENDING)


def outcome(of: int, outcome: Outcome = Outcome.SUCCESS) -> Entry:
    return Entry("container.start", "", stage=Stage.OUTCOME, of=of, outcome=outcome)


def breaks(lines: list[bytes]) -> list[str]:
    verifier = Verifier()
    return [one.why for one in map(verifier.feed, lines) if one]


def lines_of(path: Path) -> list[bytes]:
    return [
        line
        for file in auditreading.files_of(path)
        for line in file.path.read_bytes().splitlines(keepends=True)
    ]


# Killed at any moment


def daemon(folder: Path, round_: int, told: int) -> None:
    """What a daemon does: resolves what the one before left, then acts in several threads. Every record that it was told is on the disk it tells
    the test, in one write."""
    limits = Limits(rotate_bytes=60_000, reserve_bytes=4096)
    file = AuditFile(
        folder / "audit.log", LOG, f"boot{round_}", limits=limits, last=folder / "last"
    )
    if file.findings:
        os.write(told, f"finding {file.findings}\n".encode())
    for record in file.open_intents():
        seq = file.append(outcome(record.seq, Outcome.UNKNOWN))
        os.write(told, f"{seq} resolves {record.seq}\n".encode())

    def act(number: int) -> None:
        for turn in range(1_000_000):
            name = f"{round_}.{number}.{turn}"
            seq = file.append(intent(name))
            os.write(told, f"{seq} intent {name}\n".encode())
            seq = file.append(outcome(seq))
            os.write(told, f"{seq} outcome\n".encode())

    threads = [threading.Thread(target=act, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def killed_after(folder: Path, round_: int, seconds: float) -> list[str]:
    """Whatever a daemon said until it was killed, `seconds` after its first word."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            daemon(folder, round_, theirs)
        os._exit(1)
    os.close(theirs)
    assert select.select([ours], [], [], FOLLOWED_S)[0], "the daemon says nothing"
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    with os.fdopen(ours, "rb") as stream:
        return stream.read().decode().splitlines()


def test_no_acknowledged_record_is_lost_over_many_kills(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    said: list[str] = []
    for round_ in range(KILLS):
        said += killed_after(tmp_path, round_, chance.uniform(0.0, 0.02))
    file = AuditFile(tmp_path / "audit.log", LOG, "boot", last=tmp_path / "last")
    left = {record.seq for record in file.open_intents()}
    file.close()

    lines = lines_of(tmp_path / "audit.log")
    records = {record.seq: record.entry for record in map(parse, lines)}
    assert breaks(lines) == []
    assert not [line for line in said if line.startswith("finding")]
    acknowledged = [line.split() for line in said]
    assert len(acknowledged) > KILLS * 2
    for seq, what, *name in acknowledged:
        entry = records[int(seq)]
        assert entry.stage is (Stage.INTENT if what == "intent" else Stage.OUTCOME)
        assert not name or what == "resolves" or entry.subject == name[0]

    # Each intent has exactly one outcome, by who began it or by a later start, but for those that the last kill left.
    resolved = [entry.of for entry in records.values() if entry.stage is Stage.OUTCOME]
    intents = {seq for seq, entry in records.items() if entry.stage is Stage.INTENT}
    assert sorted(resolved) == sorted(intents - left)
    # The kills hit: work was cut off in the middle, and records were on the disk that nobody was told of.
    assert sum(entry.outcome is Outcome.UNKNOWN for entry in records.values()) > KILLS // 2
    assert len(intents) > sum(what == "intent" for _, what, *_ in acknowledged)
    assert len(auditreading.files_of(tmp_path / "audit.log")) > 2


# On a file system of its own


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small ext4, mounted."""
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as stream:
        stream.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(image)], check=True)
    mount(image, folder)
    try:
        yield folder
    finally:
        subprocess.run(["fsfreeze", "-u", str(folder)], stderr=subprocess.DEVNULL)
        subprocess.run(["umount", "-l", str(folder)], stderr=subprocess.DEVNULL)


def mount(image: Path, folder: Path) -> None:
    command = ["mount", "-o", "loop,errors=remount-ro", str(image), str(folder)]
    subprocess.run(command, check=True)


def fill(folder: Path) -> Path:
    """Until the disk takes not one byte more."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as stream:
        for size in (1 << 16, 1 << 10, 1):
            with suppress(OSError):
                while True:
                    stream.write(bytes(size))
    return filler


def recovered(file: AuditFile) -> bool:
    deadline = time.monotonic() + FOLLOWED_S
    while not file.recover():
        assert time.monotonic() < deadline, file.trouble
        time.sleep(0.05)
    return True


def test_a_full_disk_takes_restarts_and_stops_only(disk: Path, tmp_path: Path) -> None:
    path = disk / "log" / "audit.log"
    limits = Limits(reserve_bytes=128 << 10)
    file = AuditFile(path, LOG, "b", limits=limits, last=tmp_path / "last")
    under_way = file.append(intent("under way"))
    filler = fill(disk)
    with pytest.raises(OSError, match="No space left"):
        (disk / "one").write_bytes(bytes(5000))
    refused = 0
    with suppress(AuditUnavailable):  # the block that its last line is in has some room
        for number in range(100):
            file.append(intent(f"new {number}"))
            refused = number + 1
    assert refused < 20
    assert "No space left on device" in file.trouble
    for number in range(50):
        seq = file.append(intent(f"restart {number}"), essential=True)
        file.append(outcome(seq))
    last = file.append(outcome(under_way))
    assert file.head.seq == last
    assert [parse(line).entry.of for line in file.read(last, 1)] == [under_way]
    file.close()

    file = AuditFile(path, LOG, "b", limits=limits, last=tmp_path / "last")  # still full
    assert file.head.seq == last
    assert file.findings == ()
    filler.unlink()
    assert recovered(file)
    assert file.append(intent("new again")) > last
    file.close()
    lines = lines_of(path)
    assert breaks(lines) == []
    kinds = [parse(line).entry.kind for line in lines]
    assert kinds.count("audit.resumed") == 1
    assert len([line for line in lines if b"restart " in line]) == 50


def test_a_disk_that_became_read_only_takes_nothing_until_it_is_mended(
    disk: Path, tmp_path: Path
) -> None:
    path = disk / "log" / "audit.log"
    file = AuditFile(path, LOG, "b", limits=Limits(reserve_bytes=65536), last=tmp_path / "last")
    kept = file.append(intent("before"))
    device = Path(
        subprocess.run(
            ["findmnt", "-no", "SOURCE", str(disk)], check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()
    )
    # As after an error of the disk.
    Path(f"/sys/fs/ext4/{device.name}/trigger_fs_error").write_text("the test")
    with pytest.raises(OSError, match="Read-only file system"):
        (disk / "one").touch()
    for essential in (False, True):
        with pytest.raises(AuditUnavailable, match=r"Read-only file system|Input/output error"):
            file.append(intent("meanwhile"), essential=essential)
    assert file.trouble
    assert [parse(line).seq for line in file.read(kept, 10)] == [kept]
    with pytest.raises(AuditUnavailable, match="can't be opened"):
        AuditFile(path, LOG, "b", last=tmp_path / "other")

    subprocess.run(["umount", str(disk)], check=True)  # the log keeps nothing open on it
    subprocess.run(["fsck.ext4", "-p", str(tmp_path / "image")], stdout=subprocess.DEVNULL)
    mount(tmp_path / "image", disk)
    assert recovered(file)
    assert file.append(intent("after")) > kept
    assert file.findings == ()
    file.close()
    lines = lines_of(path)
    assert breaks(lines) == []
    assert [parse(line).entry.subject for line in lines if b"container.start" in line] == [
        "before",
        "after",
    ]


def test_a_disk_that_hangs_is_waited_for_and_then_given_up(disk: Path, tmp_path: Path) -> None:
    path = disk / "log" / "audit.log"
    limits = Limits(reserve_bytes=65536, patience_s=1.0)
    file = AuditFile(path, LOG, "b", limits=limits, last=tmp_path / "last")
    # Whatever becomes of this test, nothing is left that waits for that disk.
    thaw = [sys.executable, "-c", _THAW, str(disk)]
    guard = subprocess.Popen(thaw, stdin=subprocess.PIPE)
    try:
        subprocess.run(["fsfreeze", "-f", str(disk)], check=True)
        began = time.monotonic()
        with pytest.raises(AuditUnavailable, match="not written within 1 s"):
            file.append(intent("given up"), essential=True)
        assert 0.9 < time.monotonic() - began < 3
        waiting = threading.Thread(target=lambda: _try(file, intent("waits")))
        waiting.start()
        time.sleep(1.2)
        assert "the disk does not answer" in file.trouble
        waiting.join()
    finally:
        guard.communicate()
    assert recovered(file)
    number = file.append(intent("after"))
    file.close()
    found = [parse(line).entry for line in lines_of(path) if b"container.start" in line]
    assert breaks(lines_of(path)) == []
    assert [(entry.subject, entry.stage) for entry in found] == [
        ("given up", Stage.INTENT),
        ("given up", Stage.OUTCOME),
        ("after", Stage.INTENT),
    ]
    assert found[1].outcome is Outcome.FAILURE
    assert number == 4


_THAW = """
import select, subprocess, sys
select.select([sys.stdin], [], [], 20)
subprocess.run(["fsfreeze", "-u", sys.argv[1]])
"""


def _try(file: AuditFile, entry: Entry) -> None:
    with suppress(AuditUnavailable):
        file.append(entry)
