"""When the test file is sent again, where clamd listens, and that none of our files holds it."""

from __future__ import annotations

import hashlib
import marshal
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import hullmark
from hullmark.host.eye import Eye
from hullmark.host.probes import clamav
from hullmark.host.probes.clamav import Canary
from hullmark.model.control import Trouble

DAY = 86400.0
FOUND = b"stream: Eicar FOUND"


class Clamd:
    """Answers VERSION and INSTREAM as it is told to."""

    def __init__(self, path: Path) -> None:
        self.version = b"ClamAV 1.4.3"
        self.answer = FOUND
        self.sent: list[bytes] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(4)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                asked = connection.recv(1000)
                if asked == b"END":
                    return
                if asked.startswith(b"zINSTREAM\0"):
                    self.sent.append(asked)
                    connection.sendall(self.answer + b"\0")
                else:
                    connection.sendall(self.version + b"\0")

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self._socket.getsockname())
            last.sendall(b"END")
        self._thread.join()
        self._socket.close()


class Host:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = 1_000_000.0
        (root / "bin").mkdir()
        (root / "bin" / "clamd").touch(0o755)
        (root / "proc").mkdir()
        (root / "db").mkdir()
        self.config = root / "clamd.conf"
        self.config.write_text(
            "# LocalSocket /x\nLocalSocket /s\nDatabaseDirectory /db\nSelfCheck 100\n"
        )
        self.clamd = Clamd(root / "s")
        self.canary = Canary()

    def look(self) -> str:
        eye = Eye(root=str(self.root), folders=[str(self.root / "bin")], wall=lambda: self.now)
        readings = self.canary(eye, {"configs": ("/clamd.conf",), "every": DAY})
        assert [one.name for one in readings] == ["program", "config", "version", "eicar"]
        return readings[-1].text

    def sends(self, after_s: float = 0.0) -> int:
        """How often it was sent in a look after so long."""
        before = len(self.clamd.sent)
        self.now += after_s
        self.look()
        return len(self.clamd.sent) - before


@pytest.fixture
def host(tmp_path) -> Iterator[Host]:
    one = Host(tmp_path)
    yield one
    one.clamd.close()


def test_it_is_sent_at_the_start_and_once_a_day(host) -> None:
    assert host.look() == "stream: Eicar FOUND"
    assert host.sends(60) == 0
    assert host.look() == "stream: Eicar FOUND"
    assert host.sends(DAY - 100) == 0
    assert host.sends(100) == 1


def test_what_is_sent(host) -> None:
    host.look()
    file = clamav.eicar_file()
    assert len(file) == 68
    assert host.clamd.sent == [b"zINSTREAM\0" + struct.pack(">I", 68) + file + struct.pack(">I", 0)]


def test_it_is_sent_each_time_while_it_is_not_found(host) -> None:
    host.clamd.answer = b"stream: OK"
    assert [host.sends(20), host.sends(20)] == [1, 1]
    host.clamd.answer = FOUND
    assert [host.sends(20), host.sends(20)] == [1, 0]


def test_it_is_sent_after_other_signatures_until_they_must_be_loaded(host) -> None:
    host.look()
    host.sends(1000)
    host.clamd.version = b"ClamAV 1.4.3/27101/Sat Nov 28 12:47:59 2026"
    assert [host.sends(20) for _ in range(10)] == [1, 0, 0, 1, 0, 0, 1, 0, 1, 0]
    assert host.sends(2000) == 0


def test_it_is_sent_while_clamd_may_take_an_hour_to_load_others(host) -> None:
    host.config.write_text(host.config.read_text().replace("SelfCheck 100", "SelfCheck 3600"))
    host.look()
    host.sends(5000)
    host.clamd.version = b"ClamAV 1.4.3/27101/Sat Nov 28 12:47:59 2026"
    sent = sum(host.sends(60) for _ in range(120))
    assert sent == 1 + 2 + 6 + 1
    assert sum(host.sends(60) for _ in range(120)) == 0


def test_it_is_sent_after_a_change_of_the_folder(host) -> None:
    host.look()
    host.sends(1000)
    (host.root / "db" / "local.hdb").write_text("x")
    # The kernel's own time for files goes on in steps: one that was just made and one that just changed may bear the same.
    os.utime(host.root / "db", (1e9, 1e9))
    assert host.sends(60) == 1


def test_it_is_sent_after_a_restart(host) -> None:
    host.look()
    host.sends(1000)
    process = host.root / "proc" / "40"
    process.mkdir()
    (process / "status").write_text("Name:\tclamd\nState:\tS (sleeping)\nUid:\t0\t0\t0\t0\n")
    (process / "comm").write_text("clamd\n")
    (process / "exe").symlink_to("/usr/sbin/clamd")
    assert host.sends(60) == 1
    assert host.sends(1) == 0


def test_it_is_sent_where_the_clock_went_back(host) -> None:
    host.look()
    assert host.sends(-500) == 1


def test_a_silent_clamd_is_sent_nothing(tmp_path) -> None:
    (tmp_path / "clamd").touch(0o755)
    (tmp_path / "clamd.conf").write_text("LocalSocket /none\n")
    eye = Eye(root=str(tmp_path), folders=[str(tmp_path)])
    seen = Canary()(eye, {"configs": ("/clamd.conf",), "every": DAY})
    assert [one.name for one in seen] == ["program", "config", "version"]
    assert seen[-1].trouble is Trouble.MISSING


def test_it_is_not_installed(tmp_path) -> None:
    eye = Eye(root=str(tmp_path), folders=[str(tmp_path)])
    for probe in clamav.PROBES.values():
        (program,) = probe(eye, {})
        assert program.trouble is Trouble.MISSING


@pytest.mark.parametrize(
    ("config", "address"),
    [
        ("LocalSocket /run/clamd.scan/clamd.sock", "/run/clamd.scan/clamd.sock"),
        ('LocalSocket "/run/a b"', "/run/a b"),
        ("TCPSocket 3310", ("127.0.0.1", 3310)),
        ("TCPSocket 3310\nTCPAddr 127.0.0.2", ("127.0.0.2", 3310)),
        ("TCPSocket x", None),
        ("TCPSocket \u00b2", None),
        ("TCPSocket " + "9" * 5000, None),
        ("#LocalSocket /x", None),
        ("Example", None),
        ("", None),
    ],
)
def test_where_it_listens(config, address) -> None:
    where = clamav._where(config)
    assert (where.address if where else None) == address


def test_no_file_of_ours_is_taken_for_malware() -> None:
    """Neither source nor what Python makes of it."""
    assert hashlib.sha256(clamav.eicar_file()).hexdigest().startswith("275a021bbfb6489e54d47189")
    package = Path(hullmark.__file__).parent
    files = [path for path in package.rglob("*") if path.is_file()]
    assert Path(clamav.__file__) in files
    assert not [path for path in files if clamav.eicar_file() in path.read_bytes()]
    source = Path(clamav.__file__).read_text()
    compiled = marshal.dumps(compile(source, "clamav.py", "exec", optimize=2))
    assert clamav.eicar_file() not in compiled
